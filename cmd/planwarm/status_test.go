package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
)

// What a person sees of a first start, and of a sidecar that has worked. Texts
// that come from elsewhere cannot steer the terminal.
func TestStatusText(t *testing.T) {
	at := time.Date(2026, 11, 29, 8, 0, 0, 0, time.Local)
	graph := manifest.Graph{Namespace: "default", Name: "shop"}
	for want, s := range map[string]warmer.GraphStatus{
		`ready  false

graph     default/shop
schema    not loaded, the log of the sidecar says why
manifest  none is published yet
snapshot  0 operations
router    http://r/: warm, generation 1, 0 plans warm; the last run had nothing to warm
`: {Graph: graph, Fetched: warmer.FetchStatus{At: at, Error: "manifest not found: long story", Missing: true},
			Routers: []warmer.RouterState{{Name: "http://r/", Phase: warmer.PhaseWarm, Generation: 1, LastRun: &warmer.RunRecord{Origin: "none"}}}},
		`ready  false

graph       default/shop
schema      sha256:1
manifest    cannot be had: refused?[31m
recomputed  2026-11-29 08:00:00, 1 operation, published as 7
webhook     2026-11-29 08:00:00, done, 2 operations broken by the new schema; http://r/: warm
snapshot    3 operations
router      http://r/: warm, generation 2, 1 plan warm; last run from manifest: 1 planned, 0 already warm, 0 failed, 0 skipped in 4 ms
`: {
			Graph: graph, Schema: "sha256:1", Snapshot: 3, Fetched: warmer.FetchStatus{At: at, Error: "refused\x1b[31m"},
			Published:   &warmer.PublishReport{At: at, Published: true, Sequence: 7, Operations: 1},
			Publication: &warmer.Publication{At: at, State: "done", BrokenCount: 2, Routers: []warmer.RouterLoad{{Name: "http://r/", State: warmer.LoadWarm}}},
			Routers: []warmer.RouterState{{Name: "http://r/", Phase: warmer.PhaseWarm, Generation: 2, Warm: 1,
				LastRun: &warmer.RunRecord{Origin: "manifest", Report: warmer.Report{Planned: 1, TookMs: 4}}}},
		},
	} {
		var out bytes.Buffer
		c := cli{stdout: &out}
		if err := c.printStatus(warmer.Status{Graphs: []warmer.GraphStatus{s}}); err != nil || out.String() != want {
			t.Errorf("%v\n%q, want\n%q", err, out.String(), want)
		}
	}
}
