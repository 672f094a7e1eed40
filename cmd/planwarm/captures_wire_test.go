package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// The ways in of the run main.
const (
	mainTraces     = "main/traces"
	mainDelta      = "main/metrics-http-delta"
	mainGRPC       = "main/metrics-grpc-delta"
	mainCumulative = "main/metrics-http-cumulative"
	mainUsage      = "main/graphqlmetrics"
)

// TestCapturesOverTheWire sends a running sidecar what a real router sent, and
// holds the figures of every plan to what that router really did: whichever
// sources there are, in any order, with repeats, over a restart, and again as
// published after a reload.
func TestCapturesOverTheWire(t *testing.T) {
	truth := truthPlans(t)
	for name, c := range map[string]struct {
		folders []string
		measure
	}{
		"traces":               {[]string{mainTraces}, measure{spans: true}},
		"one metric stream":    {[]string{mainDelta}, measure{metric: true}},
		"three metric streams": {[]string{mainDelta, mainGRPC, mainCumulative}, measure{metric: true}},
		"graphqlmetrics":       {[]string{mainUsage}, measure{}},
		"all":                  {[]string{mainTraces, mainDelta, mainGRPC, mainCumulative, mainUsage}, measure{spans: true, metric: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var otlp, usage []request
			for _, r := range requests(t, c.folders...) {
				if strings.HasPrefix(r.path, "/v1/") || r.grpc {
					otlp = append(otlp, r)
				} else {
					usage = append(usage, r)
				}
			}
			s, first := sendTwice(t, otlp, usage)
			for _, d := range c.differences(first, truth) {
				t.Error(d)
			}
			got, m := s.open()
			same(t, "as published", got, first)
			if slices.Contains(c.folders, mainUsage) {
				checkPublished(t, m, truth)
			} else if len(m.Operations) != 0 {
				t.Errorf("%d operations without any text were published", len(m.Operations))
			}
			s.stop()
		})
	}
}

// sendTwice sends everything to a sidecar, in some order and with repeats, and
// once more after a restart, which must change nothing. It returns what the
// sidecar knows then. An equal body of schema usage counts once for a minute
// only: where a busy machine took longer, all is done again.
func sendTwice(t *testing.T, otlp, usage []request) (*sidecar, map[string]figures) {
	t.Helper()
	for try := 1; ; try++ {
		s := startSidecar(t, sidecarSettings{minExecutions: shut})
		s.send(shuffled(otlp, 1)...)
		from := time.Now()
		s.send(shuffled(usage, 1)...)
		first := s.live()
		s.stop()
		s.start()
		same(t, "after the restart", s.live(), first)
		s.send(shuffled(usage, 2)...)
		if took := time.Since(from); len(usage) > 0 && took > 55*time.Second && try < 5 {
			t.Logf("try %d: schema usage came again after %s", try, took)
			s.stop()
			continue
		}
		s.send(shuffled(otlp, 2)...)
		same(t, "after everything came again", s.live(), first)
		return s, first
	}
}

// checkPublished checks the manifest that routers get: every plan but those that
// ask for the schema, each with a text.
func checkPublished(t *testing.T, m manifest.Manifest, truth map[string]*truthPlan) {
	t.Helper()
	want := maps.Clone(truth)
	maps.DeleteFunc(want, func(_ string, p *truthPlan) bool { return p.introspection })
	for _, e := range m.Operations {
		if want[e.Planwarm.PlanKey] == nil || e.Request.Query == "" {
			t.Errorf("%q has no business in the manifest", e.Request.OperationName)
		}
		delete(want, e.Planwarm.PlanKey)
	}
	for key, p := range want {
		t.Errorf("plan %s %q was not published", key, p.names)
	}
}

// same holds figures to others exactly.
func same(t *testing.T, when string, got, want map[string]figures) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			t.Errorf("%s: plan %s has %+v, want %+v", when, key, got[key], want[key])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d plans, want %d", when, len(got), len(want))
	}
}

// A router that exports over gRPC is told from one over HTTP, and its spans
// from nothing: they have identities.
func TestSmallRunOverGRPC(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	s.send(requests(t, "small/traces-http", "small/metrics-http-delta", "small/graphqlmetrics")...)
	want := s.live()
	var executions, samples uint64
	for _, f := range want {
		executions, samples = executions+f.Executions, samples+f.Samples
	}
	if executions != 60 || samples == 0 {
		t.Errorf("%d executions and %d samples of 60 requests", executions, samples)
	}
	s.send(requests(t, "small/traces-grpc", "small/metrics-grpc-delta", "small/metrics-http-cumulative")...)
	same(t, "after the same over gRPC and cumulative", s.live(), want)
	s.stop()
}

// A batch above gRPC's usual limit of 4 MiB is taken: the sender would lose it
// without a sign. Messages may be joined, which here makes one of 8 MB.
func TestLargeBatchOverGRPC(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	rs := requests(t, mainGRPC)
	large := rs[0]
	for _, r := range append(rs[1:], rs...) {
		large.body = append(large.body, r.body...)
	}
	if len(large.body) < 7<<20 {
		t.Fatalf("%d bytes are no large batch", len(large.body))
	}
	s.send(large)
	var executions uint64
	for _, f := range s.live() {
		executions += f.Executions
	}
	if executions != 697+453 { // as in INDEX.tsv, each batch once
		t.Errorf("%d executions, want 1150", executions)
	}
	s.stop()
}

func gunzip(t testing.TB, data []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
