package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// An encoder that writes whatever it is told, right or wrong.

type message []byte

func (m *message) varint(v uint64) {
	var room [binary.MaxVarintLen64]byte
	*m = append(*m, room[:binary.PutUvarint(room[:], v)]...)
}

func (m *message) number(field, v uint64) {
	if v != 0 {
		m.varint(field << 3)
		m.varint(v)
	}
}

func (m *message) bytes(field uint64, data []byte) {
	m.varint(field<<3 | 2)
	m.varint(uint64(len(data)))
	*m = append(*m, data...)
}

func (m *message) packed(field uint64, values []uint64) {
	var inner message
	for _, v := range values {
		inner.varint(v)
	}
	m.bytes(field, inner)
}

func flagOf(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (v wireValueType) encode() (m message) {
	m.number(1, uint64(v.kind))
	m.number(2, uint64(v.unit))
	return m
}

func (p *wireProfile) encode() []byte {
	var m message
	for _, v := range p.sampleTypes {
		m.bytes(1, v.encode())
	}
	for _, s := range p.samples {
		var inner message
		inner.packed(1, s.locations)
		var values []uint64
		for _, v := range s.values {
			values = append(values, uint64(v))
		}
		inner.packed(2, values)
		for _, l := range s.labels {
			var label message
			label.number(1, uint64(l.key))
			label.number(2, uint64(l.text))
			label.number(3, uint64(l.number))
			label.number(4, uint64(l.unit))
			inner.bytes(3, label)
		}
		m.bytes(2, inner)
	}
	for _, mm := range p.mappings {
		var inner message
		for i, v := range []uint64{mm.id, mm.start, mm.limit, mm.offset, uint64(mm.file),
			uint64(mm.buildID), flagOf(mm.functions), flagOf(mm.filenames), flagOf(mm.lines),
			flagOf(mm.inlining)} {
			inner.number(uint64(i)+1, v)
		}
		m.bytes(3, inner)
	}
	for _, l := range p.locations {
		var inner message
		inner.number(1, l.id)
		inner.number(2, l.mapping)
		inner.number(3, l.address)
		for _, line := range l.lines {
			var lineMessage message
			lineMessage.number(1, line.function)
			lineMessage.number(2, uint64(line.line))
			inner.bytes(4, lineMessage)
		}
		m.bytes(4, inner)
	}
	for _, f := range p.functions {
		var inner message
		for i, v := range []uint64{f.id, uint64(f.name), uint64(f.systemName), uint64(f.file),
			uint64(f.start)} {
			inner.number(uint64(i)+1, v)
		}
		m.bytes(5, inner)
	}
	for _, s := range p.strings {
		m.bytes(6, []byte(s))
	}
	m.number(9, uint64(p.timeNanos))
	m.number(10, uint64(p.durationNanos))
	for _, v := range p.periodTypes {
		m.bytes(11, v.encode())
	}
	m.number(12, uint64(p.period))
	for _, c := range p.comments {
		m.number(13, uint64(c))
	}
	m.number(14, uint64(p.defaultType))
	return m
}

func zip(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(data)
	w.Close()
	return out.Bytes()
}

// add puts a string into the table.
func (p *wireProfile) add(s string) int64 {
	p.strings = append(p.strings, s)
	return int64(len(p.strings) - 1)
}

// good returns a profile in which nothing is wrong.
func good() *wireProfile {
	p := &wireProfile{period: 1, timeNanos: 1700000000000000000}
	p.add("")
	goroutine, count := p.add("goroutine"), p.add("count")
	wait, nanoseconds := p.add("wait"), p.add("nanoseconds")
	p.sampleTypes = []wireValueType{{goroutine, count}, {wait, nanoseconds}}
	p.periodTypes = []wireValueType{{goroutine, count}}
	p.defaultType = goroutine
	p.comments = []int64{p.add("one line")}
	p.mappings = []wireMapping{
		{id: 1, start: 0x1000, limit: 0x2000, file: p.add("/opt/server"), buildID: p.add("dead00"),
			functions: true, filenames: true, lines: true, inlining: true},
		{id: 2, start: 0x3000, limit: 0x4000, file: p.add("/lib/libc.so.6")},
	}
	file := p.add("a.c")
	for i, name := range []string{"leaf", "root"} {
		n := p.add(name)
		p.functions = append(p.functions, wireFunction{uint64(i) + 1, n, n, file, 1})
	}
	p.locations = []wireLocation{
		{1, 1, 0x1100, []wireLine{{1, 5}, {2, 6}}},
		{2, 1, 0x1200, []wireLine{{2, 9}}},
		{3, 2, 0x3100, nil},
	}
	state, id := p.add("state"), p.add("id")
	p.samples = []wireSample{
		{[]uint64{1, 2}, []int64{3, 100}, []wireLabel{{state, p.add("chan send"), 0, 0}, {id, 0, 7, id}}},
		{[]uint64{3, 2}, []int64{1, 0}, nil},
	}
	return p
}

func TestAGoodProfileIsAccepted(t *testing.T) {
	o := options{pyroscope: true, mainBinary: "/opt/server"}
	for _, complaint := range validate(zip(good().encode()), o) {
		t.Error(complaint)
	}
}

func TestADeltaMayBeNegative(t *testing.T) {
	p := good()
	p.durationNanos = 1e9
	p.samples[0].values[0] = -3
	for _, complaint := range validate(zip(p.encode()), options{}) {
		t.Error(complaint)
	}
}

// Each rule is broken once, and must be the one that is complained about.
func TestEachBrokenRuleIsFound(t *testing.T) {
	cases := []struct {
		want string
		do   func(*wireProfile)
	}{
		{"the first one is not \"\"", func(p *wireProfile) { p.strings[0] = "x" }},
		{"is not UTF-8", func(p *wireProfile) { p.strings[len(p.strings)-1] = "\xff" }},
		{"\"count\" is there twice", func(p *wireProfile) { p.add("count") }},
		{"has a '-' in its name", func(p *wireProfile) { p.sampleTypes[1].kind = p.add("wait-time") }},
		{"is no name for a type", func(p *wireProfile) { p.sampleTypes[1].kind = p.add("Wait time") }},
		{"has no unit", func(p *wireProfile) { p.sampleTypes[1].unit = 0 }},
		{"sample type: \"goroutine\" is there twice", func(p *wireProfile) { p.sampleTypes[1] = p.sampleTypes[0] }},
		{"sample type: there is none", func(p *wireProfile) { p.sampleTypes = nil }},
		{"is none of the sample types", func(p *wireProfile) { p.defaultType = 0 }},
		{"period type: there are 0", func(p *wireProfile) { p.periodTypes = nil }},
		{"period: it is 2", func(p *wireProfile) { p.period = 2 }},
		{"period: it is 0", func(p *wireProfile) { p.period = 0 }},
		{"time: it is not set", func(p *wireProfile) { p.timeNanos = 0 }},
		{"duration: it is negative", func(p *wireProfile) { p.durationNanos = -1 }},
		{"more than one line", func(p *wireProfile) { p.comments[0] = p.add("a\nb") }},
		{"comment: string 999", func(p *wireProfile) { p.comments[0] = 999 }},
		{"mapping: number 2 has the id 7", func(p *wireProfile) { p.mappings[1].id = 7 }},
		{"mapping: number 1 has the id 2", func(p *wireProfile) {
			p.mappings[0], p.mappings[1] = p.mappings[1], p.mappings[0]
		}},
		{"before it starts", func(p *wireProfile) { p.mappings[1].limit = 0x3000 }},
		{"no hexadecimal number", func(p *wireProfile) { p.mappings[1].buildID = p.add("xyz") }},
		{"is not the main binary", func(p *wireProfile) { p.mappings[0].file = p.add("/lib/libz.so.1") }},
		{"is not the main binary", func(p *wireProfile) { p.mappings[0].file = p.add("[vdso]") }},
		{"is not the main binary", func(p *wireProfile) { p.mappings[0].file = 0 }},
		{"not \"/opt/server\"", func(p *wireProfile) { p.mappings[0].file = p.add("/opt/other") }},
		{"mapping 2: no location lies in it", func(p *wireProfile) { p.locations[2].mapping = 0 }},
		{"mapping 2: it overlaps 1", func(p *wireProfile) { p.mappings[1].start = 0x1fff }},
		{"function: number 2 has the id 9", func(p *wireProfile) { p.functions[1].id = 9 }},
		{"function 2: it has no name", func(p *wireProfile) { p.functions[1].name = 0 }},
		{"function: string 999", func(p *wireProfile) { p.functions[1].file = 999 }},
		{"function 2: \"leaf\" is there twice", func(p *wireProfile) { p.functions[1].name = p.functions[0].name }},
		{"location: number 3 has the id 4", func(p *wireProfile) { p.locations[2].id = 4 }},
		{"there is no mapping 3", func(p *wireProfile) { p.locations[2].mapping = 3 }},
		{"lies outside its mapping", func(p *wireProfile) { p.locations[2].address = 0x4000 }},
		{"neither an address nor a line", func(p *wireProfile) {
			p.locations[2].address, p.locations[2].mapping = 0, 0
		}},
		{"0x1100 is there twice", func(p *wireProfile) { p.locations[1].address = 0x1100 }},
		{"there is no function 3", func(p *wireProfile) { p.locations[1].lines[0].function = 3 }},
		{"there is no function 0", func(p *wireProfile) { p.locations[1].lines[0].function = 0 }},
		{"its line is negative", func(p *wireProfile) { p.locations[1].lines[0].line = -1 }},
		{"has_functions is set", func(p *wireProfile) { p.mappings[1].functions = true }},
		{"has_filenames is set", func(p *wireProfile) { p.functions[1].file = 0 }},
		{"has_line_numbers is set", func(p *wireProfile) { p.locations[0].lines[1].line = 0 }},
		{"has_inline_frames is set", func(p *wireProfile) { p.mappings[1].inlining = true }},
		{"it has 1 values for 2 types", func(p *wireProfile) { p.samples[0].values = []int64{1} }},
		{"but this is no delta", func(p *wireProfile) { p.samples[0].values[1] = -1 }},
		{"nothing has changed here", func(p *wireProfile) {
			p.durationNanos = 1
			p.samples[1].values = []int64{0, 0}
		}},
		{"it has no location", func(p *wireProfile) { p.samples[1].locations = nil }},
		{"there is no location 0", func(p *wireProfile) { p.samples[1].locations[0] = 0 }},
		{"there is no location 4", func(p *wireProfile) { p.samples[1].locations[0] = 4 }},
		{"a label has no key", func(p *wireProfile) { p.samples[0].labels[0].key = 0 }},
		{"label \"state\" is there twice", func(p *wireProfile) {
			p.samples[0].labels[1] = p.samples[0].labels[0]
		}},
		{"number without a unit", func(p *wireProfile) { p.samples[0].labels[1].unit = 0 }},
		{"text and number at once", func(p *wireProfile) { p.samples[0].labels[0].number = 1 }},
		{"and elsewhere a text", func(p *wireProfile) {
			state, id := p.samples[0].labels[0].key, p.samples[0].labels[1].unit
			p.samples[1].labels = []wireLabel{{state, 0, 1, id}}
		}},
		{"label: string 999", func(p *wireProfile) { p.samples[0].labels[0].text = 999 }},
		{"more than 16000", func(p *wireProfile) {
			for len(p.samples) <= 16000 {
				p.samples = append(p.samples, p.samples[1])
			}
		}},
		{"more than 4194304", func(p *wireProfile) { p.add(strings.Repeat("x", 4<<20)) }},
		{"101 labels", func(p *wireProfile) {
			value := p.add("v")
			p.samples[1].labels = nil
			for i := 0; i < 101; i++ {
				p.samples[1].labels = append(p.samples[1].labels, wireLabel{p.add(fmt.Sprint("k", i)), value, 0, 0})
			}
		}},
		{"1002 frames", func(p *wireProfile) {
			p.samples[0].locations = nil
			for i := 0; i < 501; i++ {
				p.samples[0].locations = append(p.samples[0].locations, 1)
			}
		}},
	}
	for _, c := range cases {
		p := good()
		c.do(p)
		complaints := validate(zip(p.encode()), options{pyroscope: true, mainBinary: "/opt/server"})
		if !strings.Contains(strings.Join(complaints, "\n"), c.want) {
			t.Errorf("%q: not found, but %q", c.want, complaints)
		}
	}
}

func TestWhatIsNoProfileIsRejected(t *testing.T) {
	whole := good().encode()
	for _, data := range [][]byte{nil, []byte("goroutine profile: total 3\n"), zip(nil), zip(whole[:len(whole)-1]),
		zip([]byte{0x0d, 1, 2, 3, 4}), zip([]byte{0x7a, 0})} {
		if len(validate(data, options{})) == 0 {
			t.Errorf("%q: accepted", data)
		}
	}
}
