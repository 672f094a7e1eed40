package otlp

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/planwarm/planwarm/telemetry"
	"github.com/planwarm/planwarm/telemetry/intake"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Options of a Receiver.
type Options struct {
	// Route gives the recorder for what a sender with these resource
	// attributes sends, nil when it is none of ours. It must be safe for
	// concurrent use, like the recorders, and not keep the attributes. Required.
	Route func(resource Attributes) telemetry.Recorder
	// Mappings of the routers that send. Default: DefaultMappings.
	Mappings []Mapping
	// MaxBytes bounds a body, decompressed. Default: 64 MiB.
	MaxBytes int64
	// Token that senders have to show as a bearer token. Empty: none.
	Token string
	// Now is the clock of arrivals. Default: time.Now.
	Now func() time.Time
	// Log. Default: none.
	Log *zap.Logger
	// Registerer of the metrics. Default: none.
	Registerer prometheus.Registerer
}

// Receiver takes OTLP over any transport. All of its transports share the
// join buffer, the bounds and the metrics. It is safe for concurrent use.
type Receiver struct {
	route    func(Attributes) telemetry.Recorder
	mappings []Mapping
	token    intake.Token
	reader   *intake.Reader
	now      func() time.Time
	log      *zap.Logger
	metrics  *metrics
	warned   [outcomes]atomic.Bool
}

// New returns a Receiver.
func New(o Options) (*Receiver, error) {
	if o.Route == nil {
		return nil, errors.New("create OTLP receiver: no Route")
	}
	if o.Mappings == nil {
		o.Mappings = DefaultMappings()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("create OTLP receiver: %w", err)
	}
	return &Receiver{
		route:    o.Route,
		mappings: o.Mappings,
		token:    intake.NewToken(o.Token),
		reader:   intake.NewReader(o.MaxBytes),
		now:      o.Now,
		log:      o.Log.With(zap.String("component", "otlp")),
		metrics:  m,
	}, nil
}

// Signal is what a body holds.
type Signal uint8

// The signals. Logs are accepted and dropped.
const (
	Traces Signal = iota + 1
	Metrics
	Logs
)

var signalNames = [...]string{"", "traces", "metrics", "logs"}

// String names the signal as the URL paths do.
func (s Signal) String() string { return signalNames[s] }

// Summary is what became of one body.
type Summary struct {
	Result
	Unrouted int // resources that no graph is configured for
	// Outcomes counts the wanted spans and points by what became of them.
	Outcomes [outcomes]int
}

// Take reads one decompressed body and records what it says as having arrived
// at the given time. transport names the way it came, of which the counting
// of metrics needs to know: two readers of one router must differ in it. The
// error is the decoder's: see DecodeTraces.
func (r *Receiver) Take(at time.Time, transport string, signal Signal, enc Encoding, body []byte) (Summary, error) {
	v := visitor{r: r, at: at, transport: transport}
	var err error
	switch signal {
	case Traces:
		v.sum.Result, err = DecodeTraces(body, enc, &v)
	case Metrics:
		v.sum.Result, err = DecodeMetrics(body, enc, &v)
	default:
		return Summary{}, fmt.Errorf("take body: no traces or metrics")
	}
	r.told(signal, len(body), &v.sum, err)
	r.Settle(at)
	return v.sum, err
}

// settle is how long a request may be silent before it is taken for complete:
// two rounds of the routers' exporters.
const settle = 10 * time.Second

// Settle records what mappings hold back of requests that were silent for a
// while. Take does it too; whoever wants it while nothing comes in calls it now
// and then.
func (r *Receiver) Settle(now time.Time) { r.settle(now.Add(-settle)) }

// Flush records what mappings hold back of all requests, for when nothing
// more will come.
func (r *Receiver) Flush() { r.settle(time.Unix(0, math.MaxInt64)) }

func (r *Receiver) settle(since time.Time) {
	for _, m := range r.mappings {
		if s, ok := m.(Settler); ok {
			s.Settle(since)
		}
	}
}

// told counts what became of a body, and logs what the owner has to mend: the
// first time as a warning, since it comes with every export.
func (r *Receiver) told(signal Signal, size int, s *Summary, err error) {
	r.metrics.body(signal, size, s)
	for _, o := range []Outcome{Unattributed, Overflowed} {
		if s.Outcomes[o] > 0 && r.warned[o].CompareAndSwap(false, true) {
			r.log.Warn("telemetry cannot be attributed to operations",
				zap.Stringer("signal", signal), zap.Stringer("outcome", o), zap.Int("items", s.Outcomes[o]))
		}
	}
	if ce := r.log.Check(zap.DebugLevel, "telemetry taken"); ce != nil {
		ce.Write(zap.Stringer("signal", signal), zap.Int("bytes", size), zap.Int("items", s.Items),
			zap.Int("rejected", s.Rejected), zap.Int("taken", s.Outcomes[Taken]), zap.NamedError("reason", s.Reason), zap.Error(err))
	}
}

// visitor routes what the decoders find to the mappings.
type visitor struct {
	r         *Receiver
	at        time.Time
	transport string
	to        telemetry.Recorder
	instance  string
	mapping   Mapping // of the last name that was wanted
	sum       Summary
}

var (
	_ TraceVisitor  = (*visitor)(nil)
	_ MetricVisitor = (*visitor)(nil)
)

// Resource implements TraceVisitor and MetricVisitor.
func (v *visitor) Resource(as Attributes) bool {
	if v.to = v.r.route(as); v.to == nil {
		v.sum.Unrouted++
		return false
	}
	v.instance = instance(as)
	return true
}

// instance is service.instance.id, or whatever else the resource says, so
// that two routers without an id are not counted as one.
func instance(as Attributes) string {
	id := as.Get("service.instance.id")
	if id == "" || len(id) > maxName {
		return strconv.FormatUint(as.Hash(), 16)
	}
	return strings.Clone(id)
}

// WantSpan implements TraceVisitor.
func (v *visitor) WantSpan(scope, name string) bool {
	for _, m := range v.r.mappings {
		if m.WantSpan(scope, name) {
			v.mapping = m
			return true
		}
	}
	return false
}

// Span implements TraceVisitor.
func (v *visitor) Span(s *Span) error {
	s.Instance = v.instance
	o, err := v.mapping.Span(v.at, s, v.to)
	if err == nil {
		v.sum.Outcomes[o]++
	}
	return err
}

// WantMetric implements MetricVisitor.
func (v *visitor) WantMetric(name string) bool {
	for _, m := range v.r.mappings {
		if m.WantMetric(name) {
			v.mapping = m
			return true
		}
	}
	return false
}

// Point implements MetricVisitor.
func (v *visitor) Point(p *HistogramPoint) error {
	p.Instance, p.Transport = v.instance, v.transport
	o, err := v.mapping.Point(v.at, p, v.to)
	if err == nil {
		v.sum.Outcomes[o]++
	}
	return err
}
