package otlp

import (
	"fmt"

	"github.com/VictoriaMetrics/easyproto"
)

func (d *decoder) protoTraces(body []byte, v TraceVisitor) error {
	return d.protoResources(body, v.Resource, func(scope []byte) {
		d.scope = protoScope(scope)
		if err := eachMessage(scope, 2, func(span []byte) { d.protoSpan(span, v) }); err != nil {
			d.res.reject(err)
		}
	})
}

// protoScope is the name of the scope of a ScopeSpans, "" when it has none. The
// scope may stand behind its spans, so that it is looked for first.
func protoScope(b []byte) (name string) {
	var fc easyproto.FieldContext
	var err error
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return ""
		}
		if fc.FieldNum == 1 {
			m, _ := fc.MessageData()
			return protoScopeName(m)
		}
	}
	return ""
}

func protoScopeName(b []byte) (name string) {
	var fc easyproto.FieldContext
	var err error
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return ""
		}
		if fc.FieldNum == 1 {
			name, _ = fc.String()
		}
	}
	return name
}

// protoSpan reads a span's name, times and ids, and its attributes only if
// the name is wanted.
func (d *decoder) protoSpan(span []byte, v TraceVisitor) {
	if !d.spend() {
		d.res.reject(ErrTooMany)
		return
	}
	wanted, err := d.protoSpanHead(span, v)
	if err == nil && wanted {
		d.span.Attributes = d.span.Attributes[:0]
		err = d.protoAttributes(span, 9, &d.span.Attributes)
	}
	switch {
	case err != nil:
		d.res.reject(err)
	case wanted:
		d.emitSpan(v)
	default:
		d.res.Items++
	}
}

func (d *decoder) protoSpanHead(b []byte, v TraceVisitor) (wanted bool, err error) {
	s := &d.span
	*s = Span{Scope: d.scope, Attributes: s.Attributes}
	var trace, id, parent []byte
	var fc easyproto.FieldContext
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return false, errWire
		}
		ok := true
		switch fc.FieldNum {
		case 1:
			trace, ok = fc.Bytes()
		case 2:
			id, ok = fc.Bytes()
		case 4:
			parent, ok = fc.Bytes()
		case 5:
			s.Name, ok = fc.String()
		case 7:
			s.Start, ok = fc.Fixed64()
		case 8:
			s.End, ok = fc.Fixed64()
		}
		if !ok {
			return false, errWire
		}
	}
	if !v.WantSpan(s.Scope, s.Name) {
		return false, nil
	}
	return true, s.identify(trace, id, parent)
}

// identify sets the span's ids, which have a fixed length and of which only
// the parent may be missing.
func (s *Span) identify(trace, id, parent []byte) error {
	if len(trace) != len(s.TraceID) || len(id) != len(s.SpanID) {
		return fmt.Errorf("%w: span without a valid trace id and span id", ErrMalformed)
	}
	if len(parent) != 0 && len(parent) != len(s.ParentSpanID) {
		return fmt.Errorf("%w: span with an invalid parent span id", ErrMalformed)
	}
	copy(s.TraceID[:], trace)
	copy(s.SpanID[:], id)
	copy(s.ParentSpanID[:], parent)
	return nil
}
