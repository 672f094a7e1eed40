package otlp

import (
	"fmt"
	"math"

	"github.com/VictoriaMetrics/easyproto"
)

// The loops over fields are written out, not shared through a callback: a
// callback makes the FieldContext escape, one allocation for each message.

// errWire is for a field of another wire type than its message declares, or
// for a message that is cut short.
var errWire = fmt.Errorf("%w: protobuf", ErrMalformed)

// eachMessage calls visit for the messages in field num of b.
func eachMessage(b []byte, num uint32, visit func([]byte)) error {
	var fc easyproto.FieldContext
	var err error
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return errWire
		}
		if fc.FieldNum != num {
			continue
		}
		m, ok := fc.MessageData()
		if !ok {
			return errWire
		}
		visit(m)
	}
	return nil
}

// protoResources walks the ResourceSpans or ResourceMetrics of a body, which
// have the same shape: resource = 1, scopes = 2.
func (d *decoder) protoResources(body []byte, resource func(Attributes) bool, scope func([]byte)) error {
	return eachMessage(body, 1, func(rs []byte) {
		if !d.spend() {
			d.res.reject(ErrTooMany)
			return
		}
		// The resource may stand behind its scopes.
		if err := d.protoResource(rs); err != nil {
			d.res.reject(err)
			return
		}
		if !resource(d.resource) {
			return
		}
		if err := eachMessage(rs, 2, func(sc []byte) {
			if !d.spend() {
				d.res.reject(ErrTooMany)
				return
			}
			scope(sc)
		}); err != nil {
			d.res.reject(err)
		}
	})
}

func (d *decoder) protoResource(rs []byte) error {
	d.resource = d.resource[:0]
	var bad error
	err := eachMessage(rs, 1, func(r []byte) {
		if err := d.protoAttributes(r, 1, &d.resource); err != nil {
			bad = err
		}
	})
	if err != nil {
		return err
	}
	return bad
}

// protoAttributes appends the KeyValues in field num of b.
func (d *decoder) protoAttributes(b []byte, num uint32, to *Attributes) error {
	var fc easyproto.FieldContext
	var err error
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return errWire
		}
		if fc.FieldNum != num {
			continue
		}
		if err := protoAttribute(&fc, to); err != nil {
			return err
		}
	}
	return nil
}

func protoAttribute(field *easyproto.FieldContext, to *Attributes) error {
	kv, ok := field.MessageData()
	if !ok {
		return errWire
	}
	if len(*to) >= maxAttributes {
		return fmt.Errorf("%w: attributes", ErrTooMany)
	}
	var fc easyproto.FieldContext
	var a Attribute
	var err error
	for len(kv) > 0 {
		if kv, err = fc.NextField(kv); err != nil {
			return errWire
		}
		switch fc.FieldNum {
		case 1:
			a.Key, ok = fc.String()
		case 2:
			var v []byte
			if v, ok = fc.MessageData(); ok {
				ok = protoValue(v, &a)
			}
		}
		if !ok {
			return errWire
		}
	}
	*to = append(*to, a)
	return nil
}

// protoValue reads an AnyValue; the last member of the oneof counts.
func protoValue(v []byte, a *Attribute) bool {
	var fc easyproto.FieldContext
	var err error
	for len(v) > 0 {
		if v, err = fc.NextField(v); err != nil {
			return false
		}
		ok := true
		switch fc.FieldNum {
		case 1:
			a.Kind, a.Num = KindString, 0
			a.Text, ok = fc.String()
		case 2:
			a.Kind, a.Text = KindBool, ""
			if a.Num, ok = fc.Uint64(); a.Num != 0 {
				a.Num = 1
			}
		case 3:
			a.Kind, a.Text = KindInt, ""
			a.Num, ok = fc.Uint64()
		case 4:
			a.Kind, a.Text = KindDouble, ""
			a.Num, ok = fc.Fixed64()
		case 5, 6, 7:
			// Nothing that is wanted is a list or a map, so that these are
			// never entered, however deep they are.
			a.Kind, a.Num = KindOther, 0
			a.Text, ok = fc.String()
		}
		if !ok {
			return false
		}
	}
	return true
}

// double reads a double field.
func double(fc *easyproto.FieldContext) (float64, bool) {
	u, ok := fc.Fixed64()
	return math.Float64frombits(u), ok
}
