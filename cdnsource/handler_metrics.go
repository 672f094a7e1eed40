package cdnsource

import (
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// The endpoints as they stand in metrics and PullInfo.
const (
	EndpointCosmo    = "cosmo"
	EndpointV1       = "v1"
	endpointUpstream = "upstream"
	endpointOther    = "other"
)

type handlerMetrics struct {
	requests *prometheus.CounterVec
	guard    *prometheus.CounterVec
}

func newHandlerMetrics(r prometheus.Registerer) (*handlerMetrics, error) {
	m := &handlerMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "planwarm_cdn_requests_total",
			Help: "Requests that the CDN endpoint answered, by endpoint and status.",
		}, []string{"endpoint", "code"}),
		guard: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "planwarm_cdn_guarded_pulls_total",
			Help: "Pulls of a router that a crash guard watches, by the share of the manifest that it got.",
		}, []string{"share"}),
	}
	for _, s := range []Share{ShareFull, ShareHalf, ShareNothing} {
		m.guard.WithLabelValues(s.String())
	}
	for _, e := range []string{EndpointCosmo, EndpointV1} {
		for _, code := range []string{"200", "401", "404"} {
			m.requests.WithLabelValues(e, code)
		}
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.guard} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *handlerMetrics) count(endpoint string, status int) {
	m.requests.WithLabelValues(endpoint, strconv.Itoa(status)).Inc()
}

func (m *handlerMetrics) guarded(s Share) { m.guard.WithLabelValues(s.String()).Inc() }
