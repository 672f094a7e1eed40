package otlp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/VictoriaMetrics/easyproto"
	"github.com/planwarm/planwarm/telemetry/intake"
)

// ErrUnknownSignal is returned for a body that looks neither like traces nor
// like metrics, an empty one included.
var ErrUnknownSignal = errors.New("neither OTLP traces nor OTLP metrics")

// Detect tells what a decompressed body holds, for input that comes without
// the path and headers of a request.
//
// JSON is told by its key, resourceSpans or resourceMetrics. In protobuf both
// signals nest alike (resource, scope, item), so the items are looked at: a
// span has fixed 64-bit times in fields 7 and 8 and ids of 16 and 8 bytes in 1
// and 2, where a metric has a message or nothing, and its name and
// description. The larger number decides.
func Detect(body []byte) (Signal, Encoding, error) {
	if c := (&cursor{b: body}); c.next() == '{' && json.Valid(body) {
		signal, err := detectJSON(c)
		return signal, JSON, err
	}
	var spans, others int
	scopes := func(sc []byte) {
		_ = eachMessage(sc, 2, func(item []byte) {
			switch looksLike(item) {
			case Traces:
				spans++
			case Metrics:
				others++
			}
		})
	}
	err := eachMessage(body, 1, func(rs []byte) { _ = eachMessage(rs, 2, scopes) })
	switch {
	case err != nil || spans == others:
		return 0, Protobuf, fmt.Errorf("detect signal: %w", ErrUnknownSignal)
	case spans > others:
		return Traces, Protobuf, nil
	}
	return Metrics, Protobuf, nil
}

func detectJSON(c *cursor) (s Signal, err error) {
	if err := c.members(func(key string) error {
		c.value()
		switch key {
		case "resourceSpans":
			s = Traces
		case "resourceMetrics":
			s = Metrics
		}
		return nil
	}); err != nil || s == 0 {
		return 0, fmt.Errorf("detect signal: %w", ErrUnknownSignal)
	}
	return s, nil
}

// looksLike says what an item of a scope is, 0 when that is open.
func looksLike(item []byte) Signal {
	var fc easyproto.FieldContext
	var times, ids, data, named bool
	var err error
	for len(item) > 0 {
		if item, err = fc.NextField(item); err != nil {
			return 0
		}
		b, isBytes := fc.MessageData()
		switch fc.FieldNum {
		case 1:
			ids, named = len(b) == 16, len(b) > 0
		case 2:
			ids = ids && len(b) == 8
		case 5, 9, 10, 11:
			data = data || isBytes
		case 7, 8:
			if _, fixed := fc.Fixed64(); fixed {
				times = true
			}
			data = data || fc.FieldNum == 7 && isBytes
		}
	}
	switch {
	case times && ids:
		return Traces
	case named && data && !times:
		return Metrics
	}
	return 0
}

// Newest is the newest time that a body tells: the end of a span or the time
// of a histogram point. It is the zero time when there is none.
func Newest(signal Signal, enc Encoding, body []byte) (time.Time, error) {
	var n newest
	var err error
	switch signal {
	case Traces:
		_, err = DecodeTraces(body, enc, &n)
	case Metrics:
		_, err = DecodeMetrics(body, enc, &n)
	default:
		err = ErrUnknownSignal
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("find newest time: %w", err)
	}
	if n.nanos == 0 {
		return time.Time{}, nil
	}
	return time.Unix(0, int64(n.nanos)), nil
}

// newest visits everything for its time.
type newest struct{ nanos uint64 }

func (*newest) Resource(Attributes) bool  { return true }
func (*newest) WantSpan(_, _ string) bool { return true }
func (*newest) WantMetric(string) bool    { return true }

func (n *newest) Span(s *Span) error {
	n.see(s.End)
	return nil
}

func (n *newest) Point(p *HistogramPoint) error {
	n.see(p.Time)
	return nil
}

// see leaves out what is no time of this age, or one wrong clock would be
// everybody's now.
func (n *newest) see(nanos uint64) {
	if nanos <= math.MaxInt64 {
		n.nanos = max(n.nanos, nanos)
	}
}

// Capture is a body read from a file.
type Capture struct {
	// Transport tells readers of one router apart, like the path that the body
	// was sent to: bodies of one reader must share it, those of two must not.
	Transport string
	Signal    Signal
	Encoding  Encoding
	Newest    time.Time // zero when the body tells none
	Body      []byte
}

// OpenCapture reads a body as captured: protobuf or JSON, gzipped or not. maxBytes
// bounds it decompressed; 0 is the default of a Receiver.
func OpenCapture(transport string, raw []byte, maxBytes int64) (Capture, error) {
	body, err := intake.Unpack(raw, maxBytes)
	if err != nil {
		return Capture{}, fmt.Errorf("open capture: %w", err)
	}
	signal, enc, err := Detect(body)
	if err != nil {
		return Capture{}, fmt.Errorf("open capture: %w", err)
	}
	at, err := Newest(signal, enc, body)
	if err != nil {
		return Capture{}, fmt.Errorf("open capture: %w", err)
	}
	return Capture{Transport: transport, Signal: signal, Encoding: enc, Newest: at, Body: body}, nil
}

// TakeCapture records a capture as having arrived at the given time, which for
// a set of captures is the newest time of all.
func (r *Receiver) TakeCapture(at time.Time, c Capture) (Summary, error) {
	return r.Take(at, c.Transport, c.Signal, c.Encoding, c.Body)
}
