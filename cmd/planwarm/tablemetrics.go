package main

import (
	"github.com/planwarm/planwarm/telemetry"
	"github.com/prometheus/client_golang/prometheus"
)

// tableMetrics shows the state of every graph's telemetry table. It reads the
// tables when it is asked, since they outlive the registries of generations.
type tableMetrics struct{ parts []*graphPart }

var _ prometheus.Collector = tableMetrics{}

type tableMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(telemetry.Stats) float64
}

func tableDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("planwarm_telemetry_"+name, help, []string{"graph"}, nil)
}

func counter(name, help string, value func(telemetry.Stats) uint64) tableMetric {
	return tableMetric{tableDesc(name, help), prometheus.CounterValue, func(s telemetry.Stats) float64 { return float64(value(s)) }}
}

func gauge(name, help string, value func(telemetry.Stats) int) tableMetric {
	return tableMetric{tableDesc(name, help), prometheus.GaugeValue, func(s telemetry.Stats) float64 { return float64(value(s)) }}
}

var tableMetricList = []tableMetric{
	gauge("operations", "Operations that are known.", func(s telemetry.Stats) int { return s.Operations }),
	gauge("text_bytes", "Bytes of operation texts that are kept.", func(s telemetry.Stats) int { return s.TextBytes }),
	gauge("histogram_bytes", "Bytes of counts and histograms that are kept.", func(s telemetry.Stats) int { return s.HistogramBytes }),
	gauge("streams", "Cumulative metric streams that are followed.", func(s telemetry.Stats) int { return s.Streams }),
	gauge("identities", "Identities of spans, points and bodies that are remembered.", func(s telemetry.Stats) int { return s.Identities }),
	counter("spans_total", "Planning spans that arrived.", func(s telemetry.Stats) uint64 { return s.Spans }),
	counter("points_total", "Planning-time points that arrived.", func(s telemetry.Stats) uint64 { return s.Points }),
	counter("requests_total", "Request counts that arrived.", func(s telemetry.Stats) uint64 { return s.Requests }),
	counter("duplicate_spans_total", "Spans that had arrived before.", func(s telemetry.Stats) uint64 { return s.DuplicateSpans }),
	counter("duplicate_points_total", "Points that had arrived before.", func(s telemetry.Stats) uint64 { return s.DuplicatePoints }),
	counter("duplicate_bodies_total", "Bodies of request counts that had arrived within a minute.", func(s telemetry.Stats) uint64 { return s.DuplicateBodies }),
	counter("admitted_total", "Operations that were taken into the table.", func(s telemetry.Stats) uint64 { return s.Admitted }),
	counter("rejected_total", "Operations that were seen too seldom to be taken in.", func(s telemetry.Stats) uint64 { return s.Rejected }),
	counter("evicted_total", "Operations that made room for others.", func(s telemetry.Stats) uint64 { return s.Evicted }),
	counter("series_refused_total", "Events that did not count, since the router has too many instances.", func(s telemetry.Stats) uint64 { return s.SeriesRefused }),
	counter("streams_refused_total", "Points of cumulative streams that did not count, for want of room.", func(s telemetry.Stats) uint64 { return s.StreamsRefused }),
	counter("identities_dropped_total", "Identities forgotten before their time, for want of room: what arrives twice may count twice.", func(s telemetry.Stats) uint64 { return s.IdentitiesDropped }),
	counter("texts_dropped_total", "Texts that were not kept, for want of room.", func(s telemetry.Stats) uint64 { return s.TextsDropped }),
	counter("texts_refused_total", "Texts that the schema refused.", func(s telemetry.Stats) uint64 { return s.TextsRefused }),
	counter("malformed_total", "Events that contradict themselves or name no operation.", func(s telemetry.Stats) uint64 { return s.Malformed }),
	counter("overflow_total", "Points in which the router had merged attribute sets (otel.metric.overflow).", func(s telemetry.Stats) uint64 { return s.Overflow }),
}

// Describe implements prometheus.Collector.
func (t tableMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range tableMetricList {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (t tableMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, p := range t.parts {
		s := p.table.table.Stats()
		for _, m := range tableMetricList {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(s), p.id.String())
		}
	}
}
