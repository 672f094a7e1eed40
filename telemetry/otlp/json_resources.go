package otlp

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
)

// jsonResources walks the array called resources of a body, and the one
// called scopes of each resource.
func (d *decoder) jsonResources(body []byte, resources, scopes string, resource func(Attributes) bool, scope func(*cursor) error) error {
	if !json.Valid(body) {
		return fmt.Errorf("%w: JSON", ErrMalformed)
	}
	c := &cursor{b: body}
	return c.members(func(key string) error {
		if key != resources {
			c.value()
			return nil
		}
		return c.elements(func() error {
			if !d.spend() {
				c.value()
				d.res.reject(ErrTooMany)
				return nil
			}
			if err := d.jsonResource(c, scopes, resource, scope); err != nil {
				d.res.reject(err)
			}
			return nil
		})
	})
}

func (d *decoder) jsonResource(c *cursor, scopes string, resource func(Attributes) bool, scope func(*cursor) error) error {
	d.resource = d.resource[:0]
	var list []byte
	err := c.members(func(key string) error {
		switch key {
		case "resource":
			return c.members(func(key string) error {
				if key != "attributes" {
					c.value()
					return nil
				}
				return jsonAttributes(c, &d.resource)
			})
		case scopes:
			// Later: the resource may stand behind its scopes.
			list = c.value()
		default:
			c.value()
		}
		return nil
	})
	if err != nil || list == nil || !resource(d.resource) {
		return err
	}
	c = &cursor{b: list}
	return c.elements(func() error {
		if !d.spend() {
			c.value()
			d.res.reject(ErrTooMany)
			return nil
		}
		if err := scope(c); err != nil {
			d.res.reject(err)
		}
		return nil
	})
}

func jsonAttributes(c *cursor, to *Attributes) error {
	return c.elements(func() error {
		if len(*to) >= maxAttributes {
			c.value()
			return fmt.Errorf("%w: attributes", ErrTooMany)
		}
		var a Attribute
		err := c.members(func(key string) (err error) {
			switch key {
			case "key":
				a.Key, err = text(c.value())
			case "value":
				err = c.members(func(kind string) error { return jsonValue(kind, c.value(), &a) })
			default:
				c.value()
			}
			return err
		})
		*to = append(*to, a)
		return err
	})
}

func jsonValue(kind string, value []byte, a *Attribute) (err error) {
	if isNull(value) {
		return nil
	}
	a.Text, a.Num = "", 0
	switch kind {
	case "stringValue":
		a.Kind = KindString
		a.Text, err = text(value)
	case "boolValue":
		a.Kind = KindBool
		switch string(value) {
		case "true":
			a.Num = 1
		case "false":
		default:
			err = errJSON
		}
	case "intValue":
		a.Kind = KindInt
		var i int64
		i, err = signed(value)
		a.Num = uint64(i)
	case "doubleValue":
		a.Kind = KindDouble
		var f float64
		f, err = float(value)
		a.Num = math.Float64bits(f)
	case "arrayValue", "kvlistValue", "bytesValue":
		a.Kind = KindOther
		a.Text = string(value)
	}
	return err
}

// jsonID reads the id of a trace or span into id: hexadecimal, as OTLP/JSON
// has it, or in base64, as the general JSON mapping of protobuf does; their
// lengths tell them apart. n is 0 for an id that is missing.
func jsonID(value, id []byte) (n int, err error) {
	s, err := text(value)
	if err != nil {
		return 0, err
	}
	switch len(s) {
	case 0:
		return 0, nil
	case hex.EncodedLen(len(id)):
		n, err = hex.Decode(id, []byte(s))
	case base64.StdEncoding.EncodedLen(len(id)):
		var raw []byte
		raw, err = base64.StdEncoding.DecodeString(s)
		n = copy(id, raw)
	default:
		return 0, fmt.Errorf("%w: id of a wrong length", ErrMalformed)
	}
	if err != nil || n != len(id) {
		// The error of the codecs would quote what it could not read.
		return 0, fmt.Errorf("%w: id", ErrMalformed)
	}
	return n, nil
}
