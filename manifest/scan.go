package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// Bounds on the shape of a document, checked before anything is decoded: three
// bytes of JSON can become 500 bytes of Entry.
const (
	maxValues = 100 * MaxEntries // values and names in all
	maxNames  = 256              // names in one object
	maxDepth  = 64
)

// scanner walks over JSON text without decoding it. It does not check syntax,
// which encoding/json does afterwards, and stops at nothing but its bounds.
type scanner struct {
	fields fields
	stack  []frame
	names  [][]byte // of all open objects, innermost last
	values int
}

type frame struct {
	object bool
	free   bool // its names are data, not fields
	first  int  // of its names in scanner.names
	items  int
}

// scan refuses documents that would cost too much to decode, and those that
// readers understand in different ways: encoding/json takes the last of two
// equal names and ignores case, while the router refuses the first and skips
// the second, and then finds an item without a request.
func scan(data []byte, known fields) error {
	s := scanner{fields: known}
	var last []byte // the string before a colon is a name
	for i := 0; i < len(data); i++ {
		var err error
		switch c := data[i]; c {
		case '"':
			start := i
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if i >= len(data) {
				return nil // cut off; the decoder says where
			}
			if s.wantsName(data, i) {
				last, err = s.name(data[start : i+1])
			}
		case '{', '[':
			err = s.open(c == '{', last)
			last = nil
		case '}', ']':
			s.close()
		case ',':
			err = s.item()
		}
		if err != nil {
			return fmt.Errorf("%w at offset %d", err, i)
		}
	}
	return nil
}

// countValues counts as scan does, without its other bounds.
func countValues(data []byte) int {
	n := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '{', '[', ',':
			n++
		}
	}
	return n
}

// wantsName reports whether the string that ends at i is a name: a colon follows.
func (s *scanner) wantsName(data []byte, i int) bool {
	if len(s.stack) == 0 || !s.stack[len(s.stack)-1].object {
		return false
	}
	for i++; i < len(data); i++ {
		switch data[i] {
		case ' ', '\t', '\r', '\n':
		case ':':
			return true
		default:
			return false
		}
	}
	return false
}

func (s *scanner) name(quoted []byte) ([]byte, error) {
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		var plain string
		if err := json.Unmarshal(quoted, &plain); err != nil {
			return nil, nil // the decoder says what is wrong with it
		}
		name = []byte(plain)
	}
	top := s.stack[len(s.stack)-1]
	if !top.free && !s.fields.exact[string(name)] {
		if want, ok := s.fields.folded[fold(string(name))]; ok {
			return nil, fmt.Errorf("%w: field %s in another case", ErrMalformed, want)
		}
	}
	seen := s.names[top.first:]
	for _, other := range seen {
		if bytes.Equal(other, name) {
			return nil, fmt.Errorf("%w: a name twice in one object", ErrMalformed)
		}
	}
	if len(seen) >= maxNames {
		return nil, fmt.Errorf("%w: an object of more than %d names", ErrTooLarge, maxNames)
	}
	s.names = append(s.names, name)
	return name, nil
}

func (s *scanner) open(object bool, name []byte) error {
	if len(s.stack) >= maxDepth {
		return fmt.Errorf("%w: nested more than %d deep", ErrTooLarge, maxDepth)
	}
	s.stack = append(s.stack, frame{object: object, free: string(name) == "conditions", first: len(s.names)})
	return s.value()
}

func (s *scanner) close() {
	if n := len(s.stack); n > 0 {
		s.names = s.names[:s.stack[n-1].first]
		s.stack = s.stack[:n-1]
	}
}

func (s *scanner) item() error {
	if n := len(s.stack); n > 0 {
		top := &s.stack[n-1]
		// One comma fewer than items.
		if top.items++; top.items >= MaxEntries {
			return fmt.Errorf("%w: more than %d items in one list", ErrTooLarge, MaxEntries)
		}
	}
	return s.value()
}

func (s *scanner) value() error {
	if s.values++; s.values > maxValues {
		return fmt.Errorf("%w: more than %d values", ErrTooLarge, maxValues)
	}
	return nil
}

// fields are the names of a format, as written and folded.
type fields struct {
	exact  map[string]bool
	folded map[string]string // to the name as written
}

// fieldsOf collects the JSON names of t and of everything in it.
func fieldsOf(t reflect.Type) fields {
	f := fields{exact: make(map[string]bool), folded: make(map[string]string)}
	seen := make(map[reflect.Type]bool)
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(t.Elem())
		case reflect.Struct:
			if seen[t] {
				return
			}
			seen[t] = true
			for i := range t.NumField() {
				field := t.Field(i)
				if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
					f.exact[name], f.folded[fold(name)] = true, name
					walk(field.Type)
				}
			}
		}
	}
	walk(t)
	return f
}

// fold maps names that differ by case only to one string, by the same rule as
// encoding/json: under it the long s and the Kelvin sign are letters as well.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next // the smallest of its circle
			}
			r = next
		}
	}, name)
}
