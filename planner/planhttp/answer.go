package planhttp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
)

// Bounds of an answer besides its bytes.
const (
	maxCodes = 16     // error codes that are kept
	maxDepth = 10_000 // of nested values, each of which costs memory
)

// Data is what stands under "data".
type Data uint8

// The values of Data.
const (
	DataAbsent Data = iota
	DataNull
	DataValue // anything else, were it only null roots: something was executed
)

// Answer is what the body of an answer says.
type Answer struct {
	Data   Data
	Plan   bool     // the extension that was looked for holds something
	Failed bool     // there are errors
	Codes  []string // extensions.code of the errors that have one
	Whole  bool     // it is one JSON object and nothing of it is missing
	Cut    bool     // it went on behind the bound
	Err    error    // of the connection, when the body could not be read to its end
}

// ReadAnswer reads at most bound bytes, value by value and without keeping
// them, since a plan can have megabytes. It stops at data, because that is the
// most important thing that an answer can say: it is told although the end is
// missing. extension is the name below "extensions" to look for.
func ReadAnswer(r io.Reader, bound int64, extension string) Answer {
	src := &source{r: r, left: bound}
	s := &scanner{d: json.NewDecoder(src), extension: extension}
	s.d.UseNumber() // a number out of range is data too
	s.read()
	a := s.a
	a.Cut, a.Err = src.cut, src.err
	a.Whole = a.Whole && src.err == nil && !src.cut
	return a
}

// ReadResponse is ReadAnswer for the body of a response to a request under ctx.
// When ctx ends in the middle of it, the body may seem to end as if all of it
// had come: the router notices that we are gone before the body notices.
func ReadResponse(ctx context.Context, body io.Reader, bound int64, extension string) Answer {
	a := ReadAnswer(body, bound, extension)
	if a.Err == nil && !a.Whole && !a.Cut {
		a.Err = ctx.Err()
	}
	return a
}

// source is a reader that ends at a bound and remembers why it ended.
type source struct {
	r    io.Reader
	left int64
	cut  bool
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if s.left <= 0 {
		n, err := s.r.Read(p[:min(1, len(p))])
		s.cut = s.cut || n > 0
		s.note(err)
		return 0, io.EOF
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	s.note(err)
	return n, err
}

func (s *source) note(err error) {
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
}

// scanner reads an answer token by token.
type scanner struct {
	d         *json.Decoder
	extension string
	a         Answer
}

// read leaves Whole false wherever it stops early.
func (s *scanner) read() {
	if t, err := s.d.Token(); err != nil || t != json.Delim('{') {
		return
	}
	for s.d.More() {
		name, err := s.d.Token()
		if err != nil {
			return
		}
		ok := true
		switch name {
		case "data":
			ok = s.data()
		case "errors":
			ok = s.errors()
		case "extensions":
			ok = s.extensions()
		default:
			_, ok = s.skip()
		}
		if !ok {
			return
		}
	}
	if _, err := s.d.Token(); err != nil {
		return
	}
	_, err := s.d.Token() // something behind it: it is not one answer
	s.a.Whole = errors.Is(err, io.EOF)
}

// data reads no further than to what is not null.
func (s *scanner) data() bool {
	t, err := s.d.Token()
	if err != nil {
		return false
	}
	if t != nil {
		s.a.Data = DataValue
		return false
	}
	s.a.Data = max(s.a.Data, DataNull)
	return true
}

// errors reads the codes of a list of errors. Anything else that is not null
// is an error too.
func (s *scanner) errors() bool {
	t, err := s.d.Token()
	if err != nil {
		return false
	}
	if t != json.Delim('[') {
		s.a.Failed = s.a.Failed || t != nil
		return s.rest(t)
	}
	for s.d.More() {
		s.a.Failed = true
		if !s.fields(func(name string) (bool, bool) {
			if name != "extensions" {
				return false, true
			}
			return true, s.fields(s.code)
		}) {
			return false
		}
	}
	_, err = s.d.Token()
	return err == nil
}

func (s *scanner) code(name string) (bool, bool) {
	if name != "code" {
		return false, true
	}
	t, err := s.d.Token()
	if err != nil {
		return true, false
	}
	if code, ok := t.(string); ok && len(s.a.Codes) < maxCodes && len(code) <= 100 {
		s.a.Codes = append(s.a.Codes, code)
	}
	return true, s.rest(t)
}

func (s *scanner) extensions() bool {
	return s.fields(func(name string) (bool, bool) {
		if name != s.extension {
			return false, true
		}
		something, ok := s.skip()
		// Begun is enough: what is cut off at the bound is a plan too.
		s.a.Plan = s.a.Plan || something
		return true, ok
	})
}

// fields goes through an object; of any other value it skips the rest. field
// says whether it took the value itself, and whether all was well.
func (s *scanner) fields(field func(name string) (taken, ok bool)) bool {
	t, err := s.d.Token()
	if err != nil {
		return false
	}
	if t != json.Delim('{') {
		return s.rest(t)
	}
	for s.d.More() {
		t, err := s.d.Token()
		if err != nil {
			return false
		}
		name, _ := t.(string) // the decoder allows nothing else here
		taken, ok := field(name)
		if ok && !taken {
			_, ok = s.skip()
		}
		if !ok {
			return false
		}
	}
	_, err = s.d.Token()
	return err == nil
}

// skip passes over one value and says whether it holds anything: not null, not
// false, not empty.
func (s *scanner) skip() (something, ok bool) {
	t, err := s.d.Token()
	if err != nil {
		return false, false
	}
	switch t {
	case nil, false, "":
		return false, true
	case json.Delim('{'), json.Delim('['):
		something = s.d.More()
	default:
		something = true
	}
	return something, s.rest(t)
}

// rest passes over what is left of a value that begins with t.
func (s *scanner) rest(t json.Token) bool {
	depth := 0
	for {
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return true
		}
		if depth > maxDepth {
			return false
		}
		var err error
		if t, err = s.d.Token(); err != nil {
			return false
		}
	}
}
