package otlp

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/planwarm/planwarm/telemetry"
)

// Names that Cosmo Router gives its telemetry.
const (
	cosmoPlanSpan      = "Operation - Plan"
	cosmoNormalizeSpan = "Operation - Normalize"
	cosmoPlanningTime  = "router.graphql.operation.planning_time"
)

const (
	maxName  = 512       // bytes of a hash, a name, a client
	maxText  = 256 << 10 // bytes of an operation
	interned = 8192      // strings kept, so that an operation's names are not copied for each span
)

// Cosmo is the Mapping of Cosmo Router.
//
// A plan span has the operation's hash and the planning time; the text, when
// the router is told to send it, is on another span of the same request,
// possibly in another batch. The two meet in a bounded join buffer by trace id
// and parent span id. Only the normalised text is taken: the original one has
// the literals of users in it.
type Cosmo struct {
	mu    sync.Mutex
	names map[string]string
	join  *joinBuffer
}

var _ Mapping = (*Cosmo)(nil)

// NewCosmo returns the mapping with an empty join buffer.
func NewCosmo() *Cosmo {
	return &Cosmo{names: make(map[string]string), join: newJoinBuffer(joinSpans, joinBytes)}
}

// WantSpan implements Mapping.
func (c *Cosmo) WantSpan(_, name string) bool {
	return name == cosmoPlanSpan || name == cosmoNormalizeSpan
}

// WantMetric implements Mapping.
func (c *Cosmo) WantMetric(name string) bool { return name == cosmoPlanningTime }

// Span implements Mapping.
func (c *Cosmo) Span(at time.Time, s *Span, to telemetry.Recorder) (Outcome, error) {
	var a cosmoAttributes
	a.read(s.Attributes)
	key := joinKey{trace: s.TraceID, parent: s.ParentSpanID}
	if s.Name == cosmoNormalizeSpan {
		return c.text(at, key, s.Instance, &a, to), nil
	}
	if s.Start == 0 || s.End < s.Start || s.End-s.Start > math.MaxInt64 {
		return 0, fmt.Errorf("%w: planning span that ends before it starts", ErrMalformed)
	}
	if a.op.Hash == "" || !a.hitKnown {
		return Unattributed, nil
	}
	c.mu.Lock()
	op := c.internOperation(&a.op)
	key.instance = c.intern(s.Instance)
	text, joined := c.join.plan(key, op)
	c.mu.Unlock()
	to.Span(at, telemetry.Span{
		TraceID:  s.TraceID,
		SpanID:   s.SpanID,
		Op:       op,
		Hit:      a.hit,
		Duration: time.Duration(s.End - s.Start),
	})
	if joined {
		to.Text(at, op, text)
	}
	return Taken, nil
}

// text takes the normalised text of a request, which its plan span says the
// hash of.
func (c *Cosmo) text(at time.Time, key joinKey, instance string, a *cosmoAttributes, to telemetry.Recorder) Outcome {
	if a.text == "" || len(a.text) > maxText || !utf8.ValidString(a.text) {
		return Ignored
	}
	text := strings.Clone(a.text)
	c.mu.Lock()
	key.instance = c.intern(instance)
	op, joined := c.join.text(key, joinText{text: text, name: c.intern(a.op.Name), planKey: c.intern(a.op.PlanKey)})
	c.mu.Unlock()
	if joined {
		to.Text(at, op, text)
	}
	return Taken
}

// Point implements Mapping.
func (c *Cosmo) Point(at time.Time, p *HistogramPoint, to telemetry.Recorder) (Outcome, error) {
	var a cosmoAttributes
	a.read(p.Attributes)
	switch {
	case a.overflow:
		if o, ok := to.(telemetry.OverflowRecorder); ok {
			o.RecordOverflow(at)
		}
		return Overflowed, nil
	case !a.protocol:
		return WarmUp, nil
	case a.op.Hash == "" || !a.hitKnown:
		return Unattributed, nil
	case p.Count == 0:
		return Ignored, nil
	}
	if err := toMilliseconds(p); err != nil {
		return 0, err
	}
	c.mu.Lock()
	op := c.internOperation(&a.op)
	instance, transport := c.intern(p.Instance), c.intern(p.Transport)
	c.mu.Unlock()
	to.Point(at, telemetry.Point{
		Instance:    instance,
		Transport:   transport,
		Temporality: p.Temporality,
		Stream:      p.Attributes.Hash(),
		Start:       p.Start,
		Time:        p.Time,
		Op:          op,
		Hit:         a.hit,
		Count:       p.Count,
		Sum:         p.Sum,
		Min:         p.Min,
		Max:         p.Max,
		Bounds:      p.Bounds,
		Counts:      p.Counts,
		Exponential: p.Exponential,
	})
	return Taken, nil
}

// intern returns a copy of s that lives as long as it likes; c.mu is held.
func (c *Cosmo) intern(s string) string {
	if s == "" {
		return ""
	}
	if kept, ok := c.names[s]; ok {
		return kept
	}
	if len(c.names) >= interned {
		// Rare, and what is in use comes back at once.
		clear(c.names)
	}
	s = strings.Clone(s)
	c.names[s] = s
	return s
}

func (c *Cosmo) internOperation(op *telemetry.Operation) telemetry.Operation {
	return telemetry.Operation{
		Hash:    c.intern(op.Hash),
		PlanKey: c.intern(op.PlanKey),
		Name:    c.intern(op.Name),
		Type:    c.intern(op.Type),
		Client:  telemetry.Client{Name: c.intern(op.Client.Name), Version: c.intern(op.Client.Version)},
	}
}

// cosmoAttributes is what the attributes of a span or point say. Its strings
// alias the body.
type cosmoAttributes struct {
	op            telemetry.Operation
	text          string
	hit, hitKnown bool
	protocol      bool // the operation came from a client, not from the router's warm-up
	overflow      bool
}

func (c *cosmoAttributes) read(as Attributes) {
	for i := range as {
		a := &as[i]
		switch a.Key {
		case "wg.operation.hash":
			c.op.Hash = name(a)
		case "wg.operation.plan_key":
			c.op.PlanKey = name(a)
		case "wg.operation.name":
			c.op.Name = name(a)
		case "wg.operation.type":
			c.op.Type = name(a)
		case "wg.client.name":
			c.op.Client.Name = name(a)
		case "wg.client.version":
			c.op.Client.Version = name(a)
		case "wg.engine.plan_cache_hit":
			c.hit, c.hitKnown = a.Bool()
		case "wg.operation.normalized_content":
			if a.Kind == KindString {
				c.text = a.Text
			}
		case "wg.operation.protocol":
			c.protocol = true
		case "otel.metric.overflow":
			c.overflow, _ = a.Bool()
		}
	}
}

// name is an attribute that identifies something. One that no router would
// send counts as not given, which bounds what is kept of it.
func name(a *Attribute) string {
	s := a.String()
	if len(s) > maxName || !utf8.ValidString(s) {
		return ""
	}
	return s
}
