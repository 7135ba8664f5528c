package main

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

type checker struct {
	p          *wireProfile
	complaints []string
}

// A rule that ten thousand samples break is said once for the first few.
const mostComplaints = 50

func (c *checker) complain(format string, arguments ...interface{}) {
	if len(c.complaints) < mostComplaints {
		c.complaints = append(c.complaints, fmt.Sprintf(format, arguments...))
	}
}

// text resolves a reference into the string table.
func (c *checker) text(what string, index int64) string {
	if index < 0 || index >= int64(len(c.p.strings)) {
		c.complain("%s: string %d is not in the table", what, index)
		return ""
	}
	return c.p.strings[index]
}

func (c *checker) check(mainBinary string) {
	c.checkStrings()
	c.checkHeader()
	c.checkMappings(mainBinary)
	c.checkFunctions()
	c.checkLocations()
	c.checkPromises()
	c.checkSamples()
	c.checkLabels()
}

func (c *checker) checkStrings() {
	if len(c.p.strings) == 0 || c.p.strings[0] != "" {
		c.complain("strings: the first one is not \"\"")
	}
	seen := map[string]bool{}
	for i, s := range c.p.strings {
		if !utf8.ValidString(s) {
			c.complain("strings: %d is not UTF-8: %q", i, s)
		}
		if seen[s] {
			c.complain("strings: %q is there twice", s)
		}
		seen[s] = true
	}
}

var typeName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (c *checker) checkValueType(what string, v wireValueType) string {
	name := c.text(what, v.kind)
	if strings.Contains(name, "-") {
		c.complain("%s: %q has a '-' in its name", what, name)
	} else if !typeName.MatchString(name) {
		c.complain("%s: %q is no name for a type", what, name)
	}
	if c.text(what, v.unit) == "" {
		c.complain("%s: %q has no unit", what, name)
	}
	return name
}

func (c *checker) checkHeader() {
	names := map[string]bool{}
	for _, v := range c.p.sampleTypes {
		name := c.checkValueType("sample type", v)
		if names[name] {
			c.complain("sample type: %q is there twice", name)
		}
		names[name] = true
	}
	if len(names) == 0 {
		c.complain("sample type: there is none")
	}
	if d := c.text("default sample type", c.p.defaultType); !names[d] {
		c.complain("default sample type: %q is none of the sample types", d)
	}
	if len(c.p.periodTypes) != 1 {
		c.complain("period type: there are %d", len(c.p.periodTypes))
	} else {
		c.checkValueType("period type", c.p.periodTypes[0])
	}
	if c.p.period != 1 {
		c.complain("period: it is %d, not 1", c.p.period)
	}
	if c.p.timeNanos <= 0 {
		c.complain("time: it is not set")
	}
	if c.p.durationNanos < 0 {
		c.complain("duration: it is negative")
	}
	for _, comment := range c.p.comments {
		if strings.Contains(c.text("comment", comment), "\n") {
			c.complain("comment: it has more than one line")
		}
	}
}

var sharedLibrary = regexp.MustCompile(`\.so($|[._0-9])`)

func (c *checker) checkMappings(mainBinary string) {
	used := map[uint64]bool{}
	for _, l := range c.p.locations {
		used[l.mapping] = true
	}
	for i, m := range c.p.mappings {
		if m.id != uint64(i)+1 {
			c.complain("mapping: number %d has the id %d", i+1, m.id)
		}
		file := c.text("mapping", m.file)
		if m.start >= m.limit {
			c.complain("mapping %d: it ends at %#x, before it starts at %#x", m.id, m.limit, m.start)
		}
		if id, err := hex.DecodeString(c.text("mapping", m.buildID)); err != nil || len(id) > 64 {
			c.complain("mapping %d: its build id is no hexadecimal number", m.id)
		}
		if i == 0 {
			if file == "" || file[0] == '[' || sharedLibrary.MatchString(file) {
				c.complain("mapping: the first one, %q, is not the main binary", file)
			}
			if mainBinary != "" && file != mainBinary {
				c.complain("mapping: the first one is %q, not %q", file, mainBinary)
			}
		} else if !used[m.id] {
			c.complain("mapping %d: no location lies in it", m.id)
		}
		for _, other := range c.p.mappings[:i] {
			if m.start < other.limit && other.start < m.limit {
				c.complain("mapping %d: it overlaps %d", m.id, other.id)
			}
		}
	}
}

func (c *checker) checkFunctions() {
	type content struct{ name, file, start int64 }
	seen := map[content]bool{}
	for i, f := range c.p.functions {
		if f.id != uint64(i)+1 {
			c.complain("function: number %d has the id %d", i+1, f.id)
		}
		if c.text("function", f.name) == "" {
			c.complain("function %d: it has no name", f.id)
		}
		c.text("function", f.systemName)
		c.text("function", f.file)
		key := content{f.name, f.file, f.start}
		if seen[key] {
			c.complain("function %d: %q is there twice", f.id, c.text("function", f.name))
		}
		seen[key] = true
	}
}

func (c *checker) checkLocations() {
	type place struct{ mapping, address uint64 }
	seen := map[place]bool{}
	for i, l := range c.p.locations {
		if l.id != uint64(i)+1 {
			c.complain("location: number %d has the id %d", i+1, l.id)
		}
		if l.mapping > uint64(len(c.p.mappings)) {
			c.complain("location %d: there is no mapping %d", l.id, l.mapping)
		} else if l.mapping != 0 {
			m := c.p.mappings[l.mapping-1]
			if l.address < m.start || l.address >= m.limit {
				c.complain("location %d: %#x lies outside its mapping", l.id, l.address)
			}
		}
		if l.address == 0 && len(l.lines) == 0 {
			c.complain("location %d: it has neither an address nor a line", l.id)
		}
		if key := (place{l.mapping, l.address}); l.address != 0 {
			if seen[key] {
				c.complain("location %d: %#x is there twice", l.id, l.address)
			}
			seen[key] = true
		}
		for _, line := range l.lines {
			if line.function == 0 || line.function > uint64(len(c.p.functions)) {
				c.complain("location %d: there is no function %d", l.id, line.function)
			}
			if line.line < 0 {
				c.complain("location %d: its line is negative", l.id)
			}
		}
	}
}

// A mapping's has_* flags keep readers from looking for themselves, so they must be true.
func (c *checker) checkPromises() {
	for _, l := range c.p.locations {
		if l.mapping == 0 || l.mapping > uint64(len(c.p.mappings)) {
			continue
		}
		m := c.p.mappings[l.mapping-1]
		functions, filenames, lines := len(l.lines) > 0, len(l.lines) > 0, len(l.lines) > 0
		for _, line := range l.lines {
			if line.function == 0 || line.function > uint64(len(c.p.functions)) {
				continue
			}
			f := c.p.functions[line.function-1]
			functions = functions && f.name != 0
			filenames = filenames && f.file != 0
			lines = lines && line.line != 0
		}
		promise := func(name string, made, kept bool) {
			if made && !kept {
				c.complain("mapping %d: %s is set, but location %d breaks it", m.id, name, l.id)
			}
		}
		promise("has_functions", m.functions, functions)
		promise("has_filenames", m.filenames, filenames)
		promise("has_line_numbers", m.lines, lines)
		promise("has_inline_frames", m.inlining, lines)
	}
}

func (c *checker) checkSamples() {
	for i, s := range c.p.samples {
		if len(s.values) != len(c.p.sampleTypes) {
			c.complain("sample %d: it has %d values for %d types", i, len(s.values), len(c.p.sampleTypes))
		}
		zero := true
		for _, v := range s.values {
			zero = zero && v == 0
			if v < 0 && c.p.durationNanos == 0 {
				c.complain("sample %d: a value is negative, but this is no delta", i)
			}
		}
		if zero && c.p.durationNanos != 0 {
			c.complain("sample %d: nothing has changed here", i)
		}
		if len(s.locations) == 0 {
			c.complain("sample %d: it has no location", i)
		}
		for _, l := range s.locations {
			if l == 0 || l > uint64(len(c.p.locations)) {
				c.complain("sample %d: there is no location %d", i, l)
			}
		}
	}
}

func (c *checker) checkLabels() {
	kinds := map[string]string{}
	for i, s := range c.p.samples {
		keys := map[string]bool{}
		for _, l := range s.labels {
			key := c.text("label", l.key)
			if key == "" {
				c.complain("sample %d: a label has no key", i)
			}
			if keys[key] {
				c.complain("sample %d: label %q is there twice", i, key)
			}
			keys[key] = true
			unit := c.text("label", l.unit)
			kind := "text"
			if l.text == 0 {
				kind = "number of " + unit
				if unit == "" {
					c.complain("sample %d: label %q is a number without a unit", i, key)
				}
			} else if l.number != 0 || l.unit != 0 {
				c.complain("sample %d: label %q is text and number at once", i, key)
			}
			c.text("label", l.text)
			if before, met := kinds[key]; met && before != kind {
				c.complain("sample %d: label %q is a %s, and elsewhere a %s", i, key, kind, before)
			}
			kinds[key] = kind
		}
	}
}

// checkPyroscope holds a profile to what Pyroscope takes in with its default limits.
func (c *checker) checkPyroscope(size int) {
	const samples, bytes, labels, frames = 16000, 4 << 20, 100, 1000
	if n := len(c.p.samples); n > samples {
		c.complain("Pyroscope: %d samples, more than %d", n, samples)
	}
	if size > bytes {
		c.complain("Pyroscope: %d bytes, more than %d", size, bytes)
	}
	for i, s := range c.p.samples {
		if n := len(s.labels); n > labels {
			c.complain("Pyroscope: sample %d has %d labels, more than %d", i, n, labels)
		}
		n := 0
		for _, l := range s.locations {
			if l > 0 && l <= uint64(len(c.p.locations)) {
				n += len(c.p.locations[l-1].lines)
			}
		}
		if n > frames {
			c.complain("Pyroscope: sample %d has %d frames, more than %d", i, n, frames)
		}
	}
}
