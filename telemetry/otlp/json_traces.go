package otlp

func (d *decoder) jsonTraces(body []byte, v TraceVisitor) error {
	return d.jsonResources(body, "resourceSpans", "scopeSpans", v.Resource, func(c *cursor) error {
		return d.jsonScope(c, v)
	})
}

// jsonScope reads the spans of one scope. The scope may stand behind its
// spans, which then wait for it.
func (d *decoder) jsonScope(c *cursor, v TraceVisitor) error {
	d.scope = ""
	var waiting []byte
	var known bool
	spans := func(c *cursor) error {
		return c.elements(func() error {
			d.jsonSpan(c, v)
			return nil
		})
	}
	err := c.members(func(key string) (err error) {
		switch {
		case key == "scope":
			known = true
			d.scope, err = jsonScopeName(c)
		case key == "spans" && known:
			err = spans(c)
		case key == "spans":
			waiting = c.value()
		default:
			c.value()
		}
		return err
	})
	if err != nil || waiting == nil {
		return err
	}
	return spans(&cursor{b: waiting})
}

func jsonScopeName(c *cursor) (name string, err error) {
	err = c.members(func(key string) (err error) {
		value := c.value()
		if key == "name" {
			name, err = text(value)
		}
		return err
	})
	return name, err
}

func (d *decoder) jsonSpan(c *cursor, v TraceVisitor) {
	if !d.spend() {
		c.value()
		d.res.reject(ErrTooMany)
		return
	}
	wanted, err := d.jsonSpanFields(c, v)
	switch {
	case err != nil:
		d.res.reject(err)
	case wanted:
		d.emitSpan(v)
	default:
		d.res.Items++
	}
}

// jsonSpanFields remembers where the ids and attributes are while it looks
// for the name, and reads them only when it is wanted.
func (d *decoder) jsonSpanFields(c *cursor, v TraceVisitor) (wanted bool, err error) {
	s := &d.span
	*s = Span{Scope: d.scope, Attributes: s.Attributes[:0]}
	var attributes, trace, id, parent []byte
	err = c.members(func(key string) (err error) {
		value := c.value()
		switch key {
		case "traceId":
			trace = value
		case "spanId":
			id = value
		case "parentSpanId":
			parent = value
		case "name":
			s.Name, err = text(value)
		case "startTimeUnixNano":
			s.Start, err = unsigned(value)
		case "endTimeUnixNano":
			s.End, err = unsigned(value)
		case "attributes":
			attributes = value
		}
		return err
	})
	if err != nil || !v.WantSpan(s.Scope, s.Name) {
		return false, err
	}
	if err := d.jsonSpanIDs(trace, id, parent); err != nil {
		return false, err
	}
	if attributes == nil {
		return true, nil
	}
	return true, jsonAttributes(&cursor{b: attributes}, &s.Attributes)
}

func (d *decoder) jsonSpanIDs(trace, id, parent []byte) error {
	var traceID [16]byte
	var spanID, parentID [8]byte
	var n [3]int
	for i, part := range []struct{ value, id []byte }{{trace, traceID[:]}, {id, spanID[:]}, {parent, parentID[:]}} {
		if part.value == nil {
			continue
		}
		var err error
		if n[i], err = jsonID(part.value, part.id); err != nil {
			return err
		}
	}
	return d.span.identify(traceID[:n[0]], spanID[:n[1]], parentID[:n[2]])
}
