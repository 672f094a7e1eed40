package warmer

import (
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

func entry(key string) manifest.Entry {
	return manifest.Entry{
		Request:  manifest.Request{OperationName: "Op" + key, Query: "query Op" + key + "{a" + key + "}"},
		Planwarm: manifest.Details{Source: manifest.SourceTelemetry, Type: manifest.Query, PlanKey: key},
	}
}

func entries(keys string) []manifest.Entry {
	var es []manifest.Entry
	for _, k := range strings.Fields(keys) {
		es = append(es, entry(k))
	}
	return es
}

func keysOf(es []manifest.Entry) string {
	var ks []string
	for _, e := range es {
		ks = append(ks, e.Planwarm.PlanKey)
	}
	return strings.Join(ks, " ")
}

// Each row is one of the fallback table in the documentation.
func TestChoose(t *testing.T) {
	m, good, snap := entries("1 2 3"), entries("1 2 3 4"), entries("9 3 8")
	for _, tc := range []struct {
		name   string
		in     Sources
		want   string
		origin Origin
	}{
		{"manifest, merged", Sources{Enabled: true, Manifest: m, LastGood: m, Snapshot: snap, Merge: true}, "1 2 3 9 8", OriginManifest},
		{"manifest alone", Sources{Enabled: true, Manifest: m, LastGood: m, Snapshot: snap}, "1 2 3", OriginManifest},
		{"no manifest", Sources{Enabled: true, LastGood: good, Snapshot: snap, Merge: true, Fallback: FallbackSnapshot}, "9 3 8 1 2 4", OriginSnapshot},
		{"no manifest, not merged", Sources{Enabled: true, LastGood: good, Snapshot: snap, Fallback: FallbackSnapshot}, "9 3 8", OriginSnapshot},
		{"no manifest, empty snapshot", Sources{Enabled: true, LastGood: good, Merge: true, Fallback: FallbackSnapshot}, "1 2 3 4", OriginSnapshot},
		{"disabled", Sources{LastGood: good, Snapshot: snap, Merge: true}, "9 3 8", OriginSnapshot},
		{"fallback off", Sources{Enabled: true, LastGood: good, Snapshot: snap, Merge: true, Fallback: FallbackOff}, "", OriginNone},
		{"fallback off, manifest there", Sources{Enabled: true, Manifest: m, Snapshot: snap, Merge: true, Fallback: FallbackOff}, "1 2 3 9 8", OriginManifest},
		{"nothing at all", Sources{Enabled: true, Merge: true}, "", OriginNone},
		{"limit", Sources{Enabled: true, Manifest: m, Snapshot: snap, Merge: true, Limit: 4}, "1 2 3 9", OriginManifest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, origin := Choose(tc.in)
			if keysOf(got) != tc.want || origin != tc.origin {
				t.Errorf("got %q from %s, want %q from %s", keysOf(got), origin, tc.want, tc.origin)
			}
		})
	}
}

func TestCapacityLimit(t *testing.T) {
	for _, tc := range []struct {
		in   Capacity
		want int
	}{
		{Capacity{}, 0},
		{Capacity{PlanCacheSize: 1024}, 921},
		{Capacity{PlanCacheSize: 1}, 1},
		{Capacity{PlanCacheSize: 4096, PullRate: 50, PullTimeout: 30 * time.Second}, 1350},
		{Capacity{PlanCacheSize: 1024, PullRate: 50, PullTimeout: 30 * time.Second}, 921},
		{Capacity{PlanCacheSize: 1024, PullTimeout: 30 * time.Second}, 921},
		{Capacity{PullRate: 10, PullTimeout: time.Second}, 9},
	} {
		if got := tc.in.Limit(); got != tc.want {
			t.Errorf("%+v: limit %d, want %d", tc.in, got, tc.want)
		}
	}
}
