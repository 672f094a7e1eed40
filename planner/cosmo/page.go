package cosmo

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Bounds of a Prometheus page: with the plan key as an attribute a page has
// megabytes, of which the cache counters are a few lines.
const (
	maxPageBytes = 64 << 20
	maxLineBytes = 64 << 10
	maxKeptLines = 1000
)

const (
	cacheKeys    = "router_graphql_cache_keys_stats_total"
	processStart = "process_start_time_seconds"
)

var errPageTooLarge = errors.New("metrics page too large")

// page is what a Prometheus page of a router says of its life.
type page struct {
	started float64            // start time of the process, 0 when unknown
	added   map[string]float64 // plans added to the cache, by the labels of the series
}

// since compares with an earlier page and returns the sign of a reload in
// between, or "". A series that is gone counts too: a reload to another config
// version replaces the series, and the new one can already be higher.
func (p page) since(before page) string {
	if before.started != 0 && p.started != 0 && p.started != before.started {
		return SignInstance
	}
	for labels, old := range before.added {
		if now, ok := p.added[labels]; !ok || now < old {
			return SignCache
		}
	}
	return ""
}

// readPage keeps of a page only the lines that matter, before they are parsed.
func readPage(r io.Reader) (page, error) {
	limited := &io.LimitedReader{R: r, N: maxPageBytes}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLineBytes)
	var kept bytes.Buffer
	for n := 0; lines.Scan(); {
		line := lines.Bytes()
		if !bytes.HasPrefix(line, []byte(cacheKeys)) && !bytes.HasPrefix(line, []byte(processStart)) {
			continue
		}
		if n++; n > maxKeptLines {
			return page{}, errPageTooLarge
		}
		kept.Write(line)
		kept.WriteByte('\n')
	}
	if err := lines.Err(); err != nil {
		return page{}, fmt.Errorf("read metrics: %w", err)
	}
	if limited.N <= 0 {
		return page{}, errPageTooLarge
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(&kept)
	if err != nil {
		return page{}, errors.New("read metrics: not the Prometheus text format")
	}
	p := page{added: map[string]float64{}}
	for _, m := range families[processStart].GetMetric() {
		p.started = value(m)
	}
	for _, m := range families[cacheKeys].GetMetric() {
		labels := make([]string, 0, len(m.GetLabel()))
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName()+"="+l.GetValue())
		}
		if slices.Contains(labels, "cache_type=plan") && slices.Contains(labels, "operation=added") {
			slices.Sort(labels)
			p.added[strings.Join(labels, "\x00")] += value(m)
		}
	}
	return p, nil
}

// value reads a sample whose type line was left out.
func value(m *dto.Metric) float64 { return m.GetUntyped().GetValue() }
