package planhttp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Bounds of a Prometheus page: with operations as labels a page has megabytes,
// of which the lines that matter are a few.
const (
	maxPageBytes = 64 << 20
	maxLineBytes = 64 << 10
	maxKeptLines = 1000
)

var errPageTooLarge = errors.New("metrics page too large")

// Series is one sample of a Prometheus page.
type Series struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// Key tells the series of one name apart.
func (s Series) Key() string {
	parts := make([]string, 0, len(s.Labels))
	for name, value := range s.Labels {
		parts = append(parts, name+"="+value)
	}
	slices.Sort(parts)
	return strings.Join(parts, "\x00")
}

// ReadPage reads the series with these names, and of the page keeps only their
// lines, before they are parsed.
func ReadPage(r io.Reader, names ...string) ([]Series, error) {
	limited := &io.LimitedReader{R: r, N: maxPageBytes}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLineBytes)
	var kept bytes.Buffer
	for n := 0; lines.Scan(); {
		line := lines.Bytes()
		if !slices.ContainsFunc(names, func(name string) bool { return bytes.HasPrefix(line, []byte(name)) }) {
			continue
		}
		if n++; n > maxKeptLines {
			return nil, errPageTooLarge
		}
		kept.Write(line)
		kept.WriteByte('\n')
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	if limited.N <= 0 {
		return nil, errPageTooLarge
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(&kept)
	if err != nil {
		return nil, errors.New("read metrics: not the Prometheus text format")
	}
	var out []Series
	for _, name := range names {
		for _, m := range families[name].GetMetric() {
			labels := make(map[string]string, len(m.GetLabel()))
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			// The type lines were left out.
			out = append(out, Series{Name: name, Labels: labels, Value: m.GetUntyped().GetValue()})
		}
	}
	return out, nil
}
