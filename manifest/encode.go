package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Encode validates m and writes it as JSON, one operation a line. Equal
// manifests give equal bytes. Times are written in UTC; an empty format is
// filled in.
func Encode(m Manifest) ([]byte, error) {
	if m.Format == "" {
		m.Format = Format
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	m.GeneratedAt = m.GeneratedAt.UTC()
	head := m
	head.Operations = nil
	w := newWriter()
	if err := w.document(head, "operations", len(m.Operations), func(i int) any { return inUTC(m.Operations[i]) }); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	if err := bounded(w.buf.Bytes(), manifestFields); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return w.buf.Bytes(), nil
}

// EncodePins validates p and writes it as JSON, one pin a line.
func EncodePins(p Pins) ([]byte, error) {
	if p.Format == "" {
		p.Format = PinsFormat
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("encode pins: %w", err)
	}
	p = p.clone()
	p.toUTC()
	head := p
	head.Pins = nil
	w := newWriter()
	if err := w.document(head, "pins", len(p.Pins), func(i int) any { return p.Pins[i] }); err != nil {
		return nil, fmt.Errorf("encode pins: %w", err)
	}
	if err := bounded(w.buf.Bytes(), pinsFields); err != nil {
		return nil, fmt.Errorf("encode pins: %w", err)
	}
	return w.buf.Bytes(), nil
}

// bounded says what a reader would say of the size of data.
func bounded(data []byte, known fields) error {
	if len(data) > MaxBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxBytes)
	}
	return scan(data, known)
}

// writer writes a document whose one long list has an item a line, so that the
// object in the bucket can be read, compared and searched line by line.
type writer struct {
	buf bytes.Buffer
	enc *json.Encoder
}

func newWriter() *writer {
	w := &writer{}
	w.enc = json.NewEncoder(&w.buf)
	w.enc.SetEscapeHTML(false) // it would only make operations unreadable
	return w
}

// document writes head, whose field list must be its nil, not omitted list, and
// puts n items in the place of the null.
func (w *writer) document(head any, list string, n int, item func(int) any) error {
	if err := w.enc.Encode(head); err != nil {
		return err
	}
	null := []byte(`"` + list + `":null`)
	// Names and values are escaped, so that the pattern, quotes included, can be a field only.
	before, after, ok := bytes.Cut(bytes.Clone(w.buf.Bytes()), null)
	if !ok {
		return fmt.Errorf("no field %s", list)
	}
	w.buf.Reset()
	w.buf.Write(before)
	w.buf.WriteString(`"` + list + `":[`)
	for i := range n {
		if i > 0 {
			w.trim()
			w.buf.WriteByte(',')
		}
		w.buf.WriteByte('\n')
		if err := w.enc.Encode(item(i)); err != nil {
			return err
		}
		if w.buf.Len() > MaxBytes {
			return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxBytes)
		}
	}
	w.buf.WriteByte(']')
	w.buf.Write(after)
	return nil
}

// trim takes back the line feed that json.Encoder ends each value with.
func (w *writer) trim() {
	w.buf.Truncate(w.buf.Len() - 1)
}

// entry returns one entry as it stands in an encoded manifest, its comma
// included. It is valid until the next call.
func (w *writer) entry(e Entry) ([]byte, error) {
	w.buf.Reset()
	if err := w.enc.Encode(inUTC(e)); err != nil {
		return nil, err
	}
	w.buf.WriteByte(',')
	return w.buf.Bytes(), nil
}

// inUTC returns e with its times in UTC; what e points to stays as it is.
func inUTC(e Entry) Entry {
	e.Planwarm.MeasuredAt = utc(e.Planwarm.MeasuredAt)
	e.Planwarm.PushedAt = utc(e.Planwarm.PushedAt)
	return e
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// toUTC turns all times of p, which must be a copy, to UTC.
func (p *Pins) toUTC() {
	for i := range p.Pins {
		pin := &p.Pins[i]
		pin.PushedAt = pin.PushedAt.UTC()
		pin.From, pin.Until = utc(pin.From), utc(pin.Until)
	}
	for i := range p.Deny {
		p.Deny[i].DeniedAt = p.Deny[i].DeniedAt.UTC()
	}
}
