package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reported counts the requests that a run's schema usage tells, by plan key,
// without the failed ones: an independent witness of what was executed.
func reported(t *testing.T, run string) map[string]uint64 {
	t.Helper()
	data, err := os.ReadFile(capturesDir + run + "/graphqlmetrics/documents.json")
	if err != nil {
		t.Fatal(err)
	}
	var documents []struct {
		PlanKey  string `json:"plan_key"`
		Requests uint64 `json:"requests"`
		Error    bool   `json:"error"`
	}
	if err := json.Unmarshal(data, &documents); err != nil {
		t.Fatal(err)
	}
	out := map[string]uint64{}
	for _, d := range documents {
		if !d.Error {
			out[d.PlanKey] += d.Requests
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s reports no requests", run)
	}
	return out
}

// The router's own warm-up writes to the metric like traffic. It is no demand,
// or a manifest would keep itself alive.
func TestWarmUpPointsAreNoDemand(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	delta := requests(t, "warm/metrics-http-delta")
	s.send(delta[0])
	s.send(requests(t, "warm/metrics-grpc-delta")...)
	if got := s.live(); len(got) != 0 {
		t.Errorf("%d plans from points of a warm-up", len(got))
	}
	s.send(delta...)
	got, want := s.live(), reported(t, "warm")
	for key, f := range got {
		if f.Executions != want[key] || f.Samples > f.Executions {
			t.Errorf("plan %s: %+v, want %d executions", key, f, want[key])
		}
	}
	if len(got) == 0 {
		t.Error("no plan from the points of traffic")
	}
	s.stop()
}

// A router without the attributes that planwarm asks for gives counts that
// belong to no operation. They are told and dropped; its spans count.
func TestUnattributedPointsAreTold(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	s.send(requests(t, "defaults/metrics-http-cumulative")...)
	if got := s.live(); len(got) != 0 {
		t.Errorf("%d plans from points without a hash", len(got))
	}
	s.awaitLog("telemetry cannot be attributed to operations")
	s.send(requests(t, "defaults/traces-http", "defaults/graphqlmetrics")...)
	got, want := s.live(), reported(t, "defaults")
	if len(got) == 0 || len(got) != len(want) {
		t.Errorf("%d plans, want %d", len(got), len(want))
	}
	for key, f := range got {
		if f.Executions != want[key] {
			t.Errorf("plan %s: %d executions, want %d", key, f.Executions, want[key])
		}
	}
	s.stop()
}

// A router that has run out of attribute sets merges what is left into one point,
// whose operations are lost. The log says so, and so do the metrics.
func TestMergedPointsAreTold(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	s.send(request{path: "/v1/metrics", header: map[string]string{"Content-Type": "application/json"}, body: []byte(`{"resourceMetrics": [{"scopeMetrics": [{"metrics": [
		{"name": "router.graphql.operation.planning_time", "unit": "ms", "histogram": {"aggregationTemporality": 2, "dataPoints": [
			{"attributes": [{"key": "otel.metric.overflow", "value": {"boolValue": true}}], "timeUnixNano": "1", "count": "9", "sum": 90, "bucketCounts": ["9"]}]}}]}]}]}`)})
	if got := s.live(); len(got) != 0 {
		t.Errorf("%d plans from a merged point", len(got))
	}
	s.awaitLog(`"outcome":"overflow"`)
	_, page := s.do(http.MethodGet, "http://"+s.addresses["health"]+"/metrics", nil, nil)
	if want := `planwarm_telemetry_overflow_total{graph="default/storefront"} 1`; !strings.Contains(string(page), want) {
		t.Errorf("the metrics do not have %s", want)
	}
	s.stop()
}

// Spans with the operations' texts bring every text, those with the literals of
// users included. None of these is in anything that planwarm writes or serves.
func TestNoLiteralIsKept(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	traces := requests(t, "content/traces")
	literals := []string{"ada@example.com", "bob@example.com", "grace@example.org", "edsger@example.net"}
	sent := 0
	for _, r := range traces {
		body := r.body
		if r.header["Content-Encoding"] == "gzip" {
			body = gunzip(t, body)
		}
		for _, l := range literals {
			sent += bytes.Count(body, []byte(l))
		}
	}
	if sent == 0 {
		t.Fatal("the captures have no literal to look for")
	}
	s.send(traces...)
	_, m := s.open()
	if len(m.Operations) < 70 {
		t.Errorf("%d operations got a text from spans", len(m.Operations))
	}
	s.stop()
	files := 0
	err := filepath.WalkDir(filepath.Join(s.dir, "data"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, l := range literals {
			if bytes.Contains(data, []byte(l)) {
				t.Errorf("%s holds %q", filepath.Base(path), l)
			}
		}
		return nil
	})
	if err != nil || files < 3 {
		t.Errorf("%d files were written, error %v", files, err)
	}
	for _, l := range literals {
		if strings.Contains(s.log.String(), l) {
			t.Errorf("the log holds %q", l)
		}
	}
}
