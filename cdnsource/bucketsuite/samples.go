package bucketsuite

import (
	"fmt"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
)

// Manifest returns a valid manifest with one operation for each name.
func Manifest(graph manifest.Graph, names ...string) manifest.Manifest {
	m := manifest.Manifest{Format: manifest.Format, Graph: graph, Sequence: 1, Rank: manifest.RankP90,
		GeneratedAt: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)}
	for _, name := range names {
		m.Operations = append(m.Operations, manifest.Entry{
			Request:  manifest.Request{OperationName: name, Query: fmt.Sprintf("query %s { products { sku } }", name)},
			Planwarm: manifest.Details{Source: manifest.SourceTelemetry, Type: manifest.Query, P90Ms: 1.5, Samples: 3, Executions: 9},
		})
	}
	return m
}

// Names returns the operation names of a manifest.
func Names(m manifest.Manifest) []string {
	var out []string
	for _, e := range m.Operations {
		out = append(out, e.Request.OperationName)
	}
	return out
}

// Pin returns a change that pushes one operation on top.
func Pin(name string) func(*manifest.Pins) error {
	return func(p *manifest.Pins) error {
		r := manifest.Request{OperationName: name, Query: fmt.Sprintf("query %s { products { sku } }", name)}
		pin := manifest.Pin{ID: manifest.PinID(r), Request: r, PushedAt: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), PushedBy: "ada"}
		p.Pins = append([]manifest.Pin{pin}, p.Pins...)
		return nil
	}
}

// PinNames counts the pins by operation name.
func PinNames(p manifest.Pins) map[string]int {
	out := map[string]int{}
	for _, pin := range p.Pins {
		out[pin.Request.OperationName]++
	}
	return out
}

// newStore returns a store on a bucket, under a prefix of its own.
func newStore(b cdnsource.Bucket, prefix string, change func(*cdnsource.Options)) (*cdnsource.Store, error) {
	o := cdnsource.Options{Bucket: b, Prefix: prefix}
	if change != nil {
		change(&o)
	}
	return cdnsource.NewStore(o)
}
