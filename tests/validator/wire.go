package main

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The messages as they stand on the wire, before any library has made them nicer.

type wireProfile struct {
	sampleTypes   []wireValueType
	samples       []wireSample
	mappings      []wireMapping
	locations     []wireLocation
	functions     []wireFunction
	strings       []string
	timeNanos     int64
	durationNanos int64
	periodTypes   []wireValueType
	period        int64
	comments      []int64
	defaultType   int64
}

type wireValueType struct{ kind, unit int64 }

type wireSample struct {
	locations []uint64
	values    []int64
	labels    []wireLabel
}

type wireLabel struct{ key, text, number, unit int64 }

type wireMapping struct {
	id, start, limit, offset              uint64
	file, buildID                         int64
	functions, filenames, lines, inlining bool
}

type wireLocation struct {
	id, mapping, address uint64
	lines                []wireLine
}

type wireLine struct {
	function uint64
	line     int64
}

type wireFunction struct {
	id                            uint64
	name, systemName, file, start int64
}

// A field is a number, or bytes when packed is set.
type field struct {
	number uint64
	value  uint64
	bytes  []byte
	packed bool
}

var errCut = errors.New("the message ends within a field")

func eachField(data []byte, visit func(field) error) error {
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 {
			return errCut
		}
		data = data[n:]
		f := field{number: tag >> 3}
		value, n := binary.Uvarint(data)
		if n <= 0 {
			return errCut
		}
		data = data[n:]
		switch tag & 7 {
		case 0:
			f.value = value
		case 2:
			if value > uint64(len(data)) {
				return errCut
			}
			f.packed = true
			f.bytes = data[:value]
			data = data[value:]
		default:
			return fmt.Errorf("field %d has wire type %d, which no field of a profile has", f.number, tag&7)
		}
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// numbers takes a repeated number, packed or not.
func (f field) numbers() ([]uint64, error) {
	if !f.packed {
		return []uint64{f.value}, nil
	}
	var all []uint64
	for data := f.bytes; len(data) > 0; {
		value, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, errCut
		}
		all = append(all, value)
		data = data[n:]
	}
	return all, nil
}

func decode(data []byte) (*wireProfile, error) {
	p := &wireProfile{}
	err := eachField(data, func(f field) (err error) {
		switch f.number {
		case 1:
			var v wireValueType
			v, err = decodeValueType(f.bytes)
			p.sampleTypes = append(p.sampleTypes, v)
		case 2:
			var s wireSample
			s, err = decodeSample(f.bytes)
			p.samples = append(p.samples, s)
		case 3:
			var m wireMapping
			m, err = decodeMapping(f.bytes)
			p.mappings = append(p.mappings, m)
		case 4:
			var l wireLocation
			l, err = decodeLocation(f.bytes)
			p.locations = append(p.locations, l)
		case 5:
			var fn wireFunction
			fn, err = decodeFunction(f.bytes)
			p.functions = append(p.functions, fn)
		case 6:
			p.strings = append(p.strings, string(f.bytes))
		case 9:
			p.timeNanos = int64(f.value)
		case 10:
			p.durationNanos = int64(f.value)
		case 11:
			var v wireValueType
			v, err = decodeValueType(f.bytes)
			p.periodTypes = append(p.periodTypes, v)
		case 12:
			p.period = int64(f.value)
		case 13:
			var all []uint64
			all, err = f.numbers()
			for _, c := range all {
				p.comments = append(p.comments, int64(c))
			}
		case 14:
			p.defaultType = int64(f.value)
		case 7, 8:
		default:
			err = fmt.Errorf("a profile has no field %d", f.number)
		}
		return err
	})
	return p, err
}

func decodeValueType(data []byte) (v wireValueType, err error) {
	err = eachField(data, func(f field) error {
		switch f.number {
		case 1:
			v.kind = int64(f.value)
		case 2:
			v.unit = int64(f.value)
		}
		return nil
	})
	return v, err
}

func decodeSample(data []byte) (s wireSample, err error) {
	err = eachField(data, func(f field) error {
		switch f.number {
		case 1:
			all, err := f.numbers()
			s.locations = append(s.locations, all...)
			return err
		case 2:
			all, err := f.numbers()
			for _, v := range all {
				s.values = append(s.values, int64(v))
			}
			return err
		case 3:
			l, err := decodeLabel(f.bytes)
			s.labels = append(s.labels, l)
			return err
		}
		return nil
	})
	return s, err
}

func decodeLabel(data []byte) (l wireLabel, err error) {
	err = eachField(data, func(f field) error {
		switch f.number {
		case 1:
			l.key = int64(f.value)
		case 2:
			l.text = int64(f.value)
		case 3:
			l.number = int64(f.value)
		case 4:
			l.unit = int64(f.value)
		}
		return nil
	})
	return l, err
}

func decodeMapping(data []byte) (m wireMapping, err error) {
	err = eachField(data, func(f field) error {
		switch f.number {
		case 1:
			m.id = f.value
		case 2:
			m.start = f.value
		case 3:
			m.limit = f.value
		case 4:
			m.offset = f.value
		case 5:
			m.file = int64(f.value)
		case 6:
			m.buildID = int64(f.value)
		case 7:
			m.functions = f.value != 0
		case 8:
			m.filenames = f.value != 0
		case 9:
			m.lines = f.value != 0
		case 10:
			m.inlining = f.value != 0
		}
		return nil
	})
	return m, err
}

func decodeLocation(data []byte) (l wireLocation, err error) {
	err = eachField(data, func(f field) error {
		switch f.number {
		case 1:
			l.id = f.value
		case 2:
			l.mapping = f.value
		case 3:
			l.address = f.value
		case 4:
			var line wireLine
			err := eachField(f.bytes, func(f field) error {
				switch f.number {
				case 1:
					line.function = f.value
				case 2:
					line.line = int64(f.value)
				}
				return nil
			})
			l.lines = append(l.lines, line)
			return err
		}
		return nil
	})
	return l, err
}

func decodeFunction(data []byte) (fn wireFunction, err error) {
	err = eachField(data, func(f field) error {
		switch f.number {
		case 1:
			fn.id = f.value
		case 2:
			fn.name = int64(f.value)
		case 3:
			fn.systemName = int64(f.value)
		case 4:
			fn.file = int64(f.value)
		case 5:
			fn.start = int64(f.value)
		}
		return nil
	})
	return fn, err
}
