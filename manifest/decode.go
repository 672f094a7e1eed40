package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

var (
	manifestFields = fieldsOf(reflect.TypeFor[Manifest]())
	pinsFields     = fieldsOf(reflect.TypeFor[Pins]())
)

// Decode reads one manifest. It never reads more than MaxBytes+1 bytes. The
// error wraps ErrTooLarge, ErrFormat, ErrMalformed, ErrInvalid or what r said.
//
// Fields that it does not know are ignored, so that the format can grow; they
// are gone when the manifest is encoded again, and no signature covers them.
// Whoever passes a verified manifest on encodes it anew.
func Decode(r io.Reader) (Manifest, error) {
	data, err := readBounded(r)
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	return DecodeBytes(data)
}

// DecodeBytes is Decode for bytes that are in memory.
func DecodeBytes(data []byte) (Manifest, error) {
	var m Manifest
	if err := unmarshal(data, manifestFields, Format, &m, func() string { return m.Format }); err != nil {
		return Manifest{}, fmt.Errorf("decode manifest: %w", err)
	}
	if err := m.Validate(); err != nil {
		return Manifest{}, fmt.Errorf("decode manifest: %w", err)
	}
	m.normalise()
	return m, nil
}

// DecodePins reads one pins object, as Decode reads a manifest.
func DecodePins(r io.Reader) (Pins, error) {
	data, err := readBounded(r)
	if err != nil {
		return Pins{}, fmt.Errorf("read pins: %w", err)
	}
	return DecodePinsBytes(data)
}

// DecodePinsBytes is DecodePins for bytes that are in memory.
func DecodePinsBytes(data []byte) (Pins, error) {
	var p Pins
	if err := unmarshal(data, pinsFields, PinsFormat, &p, func() string { return p.Format }); err != nil {
		return Pins{}, fmt.Errorf("decode pins: %w", err)
	}
	if err := p.Validate(); err != nil {
		return Pins{}, fmt.Errorf("decode pins: %w", err)
	}
	p.toUTC()
	p.Pins, p.Deny = nilIfEmpty(p.Pins), nilIfEmpty(p.Deny)
	return p, nil
}

func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxBytes)
	}
	return data, nil
}

// unmarshal decodes data into v, whose format got reads.
func unmarshal(data []byte, known fields, format string, v any, got func() string) error {
	if len(data) > MaxBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxBytes)
	}
	if !utf8.Valid(data) {
		return fmt.Errorf("%w: not valid UTF-8", ErrMalformed)
	}
	if err := scan(data, known); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		// Another version may have other types: its version is the better message.
		var head struct {
			Format *string `json:"format"`
		}
		if json.Unmarshal(data, &head) == nil && head.Format != nil && *head.Format != format {
			return fmt.Errorf("%w, want %s", ErrFormat, format)
		}
		return malformed(err)
	}
	if got() != format {
		return fmt.Errorf("%w, want %s", ErrFormat, format)
	}
	return nil
}

// malformed says where a document is wrong without repeating its content.
func malformed(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w at offset %d: %s", ErrMalformed, syntax.Offset, syntax.Error())
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		got, _, _ := strings.Cut(kind.Value, " ") // "number 1e999" has the number
		return fmt.Errorf("%w at offset %d: %s cannot be a %s", ErrMalformed, kind.Offset, kind.Field, got)
	}
	var when *time.ParseError
	if errors.As(err, &when) {
		return fmt.Errorf("%w: a time is not RFC 3339", ErrMalformed)
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

// normalise makes equal documents equal values: times in UTC, and nil for what is empty.
func (m *Manifest) normalise() {
	m.GeneratedAt = m.GeneratedAt.UTC()
	m.Operations = nilIfEmpty(m.Operations)
	for i := range m.Operations {
		e := inUTC(m.Operations[i])
		e.Planwarm.Variants = nilIfEmpty(e.Planwarm.Variants)
		if len(e.Planwarm.Conditions) == 0 {
			e.Planwarm.Conditions = nil
		}
		for j := range e.Planwarm.Variants {
			if v := &e.Planwarm.Variants[j]; len(v.Conditions) == 0 {
				v.Conditions = nil
			}
		}
		m.Operations[i] = e
	}
}

func nilIfEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}
