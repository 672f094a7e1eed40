package otlp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/planwarm/planwarm/telemetry"
)

// errJSON is for a value of another type than OTLP/JSON gives its field.
var errJSON = fmt.Errorf("%w: JSON value of the wrong type", ErrMalformed)

// cursor walks JSON text that json.Valid has accepted, which is why it checks
// no syntax and cannot run past the end. It builds no tree: a tree of a body of
// 64 MiB would take gigabytes. Whatever walks a value stands behind it
// afterwards, also when it is not of the expected type, so that what follows a
// bad part is still read.
type cursor struct {
	b []byte
	i int
}

func (c *cursor) space() {
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return
		}
	}
}

// value returns the text of the next value and steps over it. It does not
// recurse, so that depth costs nothing.
func (c *cursor) value() []byte {
	c.space()
	start, depth := c.i, 0
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case '"':
			c.skipString()
			if depth == 0 {
				return c.b[start:c.i]
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return c.b[start:c.i] // of the value around a number
			}
			if depth--; depth == 0 {
				c.i++
				return c.b[start:c.i]
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return c.b[start:c.i]
			}
		}
		c.i++
	}
	return c.b[start:c.i]
}

func (c *cursor) skipString() {
	for c.i++; c.i < len(c.b); {
		n := bytes.IndexByte(c.b[c.i:], '"')
		if n < 0 {
			c.i = len(c.b)
			return
		}
		escaped := false
		for k := c.i + n - 1; k >= c.i && c.b[k] == '\\'; k-- {
			escaped = !escaped
		}
		if c.i += n + 1; !escaped {
			return
		}
	}
}

// next is the first byte of the next value or closing bracket.
func (c *cursor) next() byte {
	c.space()
	if c.i < len(c.b) && c.b[c.i] == ',' {
		c.i++
		c.space()
	}
	if c.i >= len(c.b) {
		return 0
	}
	return c.b[c.i]
}

// enter steps into an object or array. It steps over any other value, of
// which null is no error.
func (c *cursor) enter(bracket byte) (bool, error) {
	if c.next() == bracket {
		c.i++
		return true, nil
	}
	if isNull(c.value()) {
		return false, nil
	}
	return false, errJSON
}

// members calls visit for the members of an object; visit has to walk the
// value. The first error is returned once all are visited.
func (c *cursor) members(visit func(key string) error) error {
	in, first := c.enter('{')
	if !in {
		return first
	}
	for {
		if b := c.next(); b == '}' || b == 0 {
			c.i++
			return first
		}
		key, err := text(c.value())
		c.space()
		c.i++ // the colon
		if err != nil {
			c.value()
		} else {
			err = visit(key)
		}
		if first == nil {
			first = err
		}
	}
}

// elements calls visit for the elements of an array; visit has to walk them.
// The first error is returned once all are visited.
func (c *cursor) elements(visit func() error) error {
	in, first := c.enter('[')
	if !in {
		return first
	}
	for {
		if b := c.next(); b == ']' || b == 0 {
			c.i++
			return first
		}
		if err := visit(); err != nil && first == nil {
			first = err
		}
	}
}

func isNull(v []byte) bool { return string(v) == "null" }

// text reads a string, "" for null.
func text(v []byte) (string, error) {
	if isNull(v) {
		return "", nil
	}
	if len(v) < 2 || v[0] != '"' {
		return "", errJSON
	}
	if in := v[1 : len(v)-1]; bytes.IndexByte(in, '\\') < 0 && utf8.Valid(in) {
		return unsafe.String(unsafe.SliceData(in), len(in)), nil // aliases the body, as protobuf's strings do
	}
	var s string
	if err := json.Unmarshal(v, &s); err != nil {
		return "", errJSON
	}
	return s, nil
}

// bare is a number or the string that spells it, without the quotes.
func bare(v []byte) string {
	if len(v) >= 2 && v[0] == '"' {
		v = v[1 : len(v)-1]
	}
	return string(v)
}

// unsigned reads a 64-bit number, which may be a string; 0 for null.
func unsigned(v []byte) (uint64, error) {
	if isNull(v) {
		return 0, nil
	}
	s := bare(v)
	u, err := strconv.ParseUint(s, 10, 64)
	if err == nil {
		return u, nil
	}
	// Written by a language whose only number is the double.
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < 0 || f != math.Trunc(f) || f >= 1<<64 {
		return 0, errJSON
	}
	return uint64(f), nil
}

// signed reads a 64-bit number with a sign, which may be a string; 0 for null.
func signed(v []byte) (int64, error) {
	if isNull(v) {
		return 0, nil
	}
	s := bare(v)
	i, err := strconv.ParseInt(s, 10, 64)
	if err == nil {
		return i, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
		return 0, errJSON
	}
	return int64(f), nil
}

// float reads a double, which may be a string for what JSON cannot write.
func float(v []byte) (float64, error) {
	if len(v) == 0 {
		return 0, errJSON
	}
	switch s := bare(v); s {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	case "null":
		return 0, nil
	default:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return 0, errJSON
		}
		return f, nil
	}
}

// temporality reads the enum by its number, as OTLP/JSON writes it, or by its
// name, as the general JSON mapping of protobuf does.
func temporality(v []byte) (telemetry.Temporality, error) {
	switch s := bare(v); s {
	case "1", "AGGREGATION_TEMPORALITY_DELTA":
		return telemetry.Delta, nil
	case "2", "AGGREGATION_TEMPORALITY_CUMULATIVE":
		return telemetry.Cumulative, nil
	case "0", "null", "AGGREGATION_TEMPORALITY_UNSPECIFIED":
		return 0, nil
	}
	return 0, errJSON
}
