package otlp

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one Receiver.
type metrics struct {
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	items    *prometheus.CounterVec
	rejected *prometheus.CounterVec
	unrouted *prometheus.CounterVec
}

// Reasons that a whole request is refused for, as the metric's label has them.
const (
	reasonOK           = "ok"
	reasonMalformed    = "malformed"
	reasonTooLarge     = "too_large"
	reasonBusy         = "busy"
	reasonUnauthorized = "unauthorized"
	reasonMediaType    = "media_type"
	reasonTransport    = "transport"
)

// Protocols, as the metrics' labels have them.
const (
	protocolHTTP = "http"
	protocolGRPC = "grpc"
)

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "planwarm", Subsystem: "otlp", Name: name, Help: help}, labels)
	}
	m := &metrics{
		requests: counter("requests_total", "OTLP requests by what they were answered.", "protocol", "signal", "result"),
		bytes:    counter("received_bytes_total", "Decompressed bytes of OTLP bodies.", "signal"),
		items:    counter("items_total", "Spans and points that a router's mapping wanted, by what became of them.", "signal", "outcome"),
		rejected: counter("rejected_total", "Parts of OTLP bodies that were left out as malformed.", "signal"),
		unrouted: counter("unrouted_total", "Resources in OTLP bodies that match no graph.", "signal"),
	}
	for _, s := range []Signal{Traces, Metrics, Logs} {
		for _, p := range []string{protocolHTTP, protocolGRPC} {
			m.requests.WithLabelValues(p, s.String(), reasonOK)
		}
	}
	for _, s := range []Signal{Traces, Metrics} {
		m.bytes.WithLabelValues(s.String())
		m.rejected.WithLabelValues(s.String())
		m.unrouted.WithLabelValues(s.String())
		for o := range outcomes {
			m.items.WithLabelValues(s.String(), o.String())
		}
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.bytes, m.items, m.rejected, m.unrouted} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) request(protocol string, signal Signal, result string) {
	m.requests.WithLabelValues(protocol, signal.String(), result).Inc()
}

func (m *metrics) body(signal Signal, size int, s *Summary) {
	name := signal.String()
	m.bytes.WithLabelValues(name).Add(float64(size))
	m.rejected.WithLabelValues(name).Add(float64(s.Rejected))
	m.unrouted.WithLabelValues(name).Add(float64(s.Unrouted))
	for o, n := range s.Outcomes {
		if n > 0 {
			m.items.WithLabelValues(name, Outcome(o).String()).Add(float64(n))
		}
	}
}
