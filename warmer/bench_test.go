package warmer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/telemetry"
)

// BenchmarkDocument makes the list and the document of 2,048 operations: cold,
// as after a new schema; aged, as once a second while routers pull; and
// unchanged, as for every other pull.
func BenchmarkDocument(b *testing.B) {
	us := make([]telemetry.Usage, maxSnapshot)
	for i := range us {
		us[i] = usage("f1", 1)
		us[i].Name = fmt.Sprintf("Op%d", i)
		us[i].Text = fmt.Sprintf("query Op%d{%s}", i, strings.Repeat("f1 f2 f3 f4 f5 ", 20))
	}
	for name, before := range map[string]func(*graph){
		"cold":      func(g *graph) { g.verdicts.Purge(); g.snapshot.state.made = time.Time{} },
		"aged":      func(g *graph) { g.snapshot.state.made = time.Time{} },
		"unchanged": func(g *graph) { g.snapshot.state.made = time.Now() },
	} {
		b.Run(name, func(b *testing.B) {
			h := newHarness(b, func(o *GraphOptions) { o.Fetcher = nil })
			h.usages.set(us...)
			if _, err := h.Document(b.Context(), shop); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				before(h.graph)
				if _, err := h.Document(b.Context(), shop); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
