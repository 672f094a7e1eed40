package graphqlmetrics

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one Handler.
type metrics struct {
	requests     *prometheus.CounterVec
	bytes        prometheus.Counter
	aggregations prometheus.Counter
	rejected     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "planwarm", Subsystem: "graphqlmetrics", Name: name, Help: help}
	}
	m := &metrics{
		requests:     prometheus.NewCounterVec(opts("requests_total", "Schema usage requests by what they were answered."), []string{"result"}),
		bytes:        prometheus.NewCounter(opts("received_bytes_total", "Decompressed bytes of schema usage bodies.")),
		aggregations: prometheus.NewCounter(opts("items_total", "Aggregations in schema usage bodies, repeated bodies included.")),
		rejected:     prometheus.NewCounter(opts("rejected_total", "Aggregations that were left out as malformed.")),
	}
	for _, result := range []string{"ok", "repeated", "unrouted"} {
		m.requests.WithLabelValues(result)
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.bytes, m.aggregations, m.rejected} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
