package cdnsource

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// BenchmarkFetch reads a manifest of 10,000 entries from a bucket: pointer,
// version, its hash, decoding and validation.
func BenchmarkFetch(b *testing.B) {
	s, err := NewStore(Options{Bucket: NewMemory()})
	if err != nil {
		b.Fatal(err)
	}
	g := manifest.Graph{Namespace: "default", Name: "storefront"}
	m := manifest.Manifest{Format: manifest.Format, Graph: g, GeneratedAt: time.Unix(0, 0), Rank: manifest.RankP90}
	for i := range manifest.MaxEntries {
		m.Operations = append(m.Operations, manifest.Entry{
			Request:  manifest.Request{OperationName: fmt.Sprintf("Op%d", i), Query: fmt.Sprintf("query Op%d{%s}", i, strings.Repeat("field ", 100))},
			Planwarm: manifest.Details{Source: manifest.SourceTelemetry, Type: manifest.Query, PlanKey: fmt.Sprint(i + 1), P90Ms: 1},
		})
	}
	if _, err := s.Publish(b.Context(), g, m); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		got, _, err := s.Fetch(b.Context(), g)
		if err != nil || len(got.Operations) != manifest.MaxEntries {
			b.Fatalf("%d operations, %v", len(got.Operations), err)
		}
	}
}
