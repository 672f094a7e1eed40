package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// Telemetry that is under way at a SIGTERM is acknowledged, and what was
// acknowledged is in the last checkpoint.
func TestStopSavesWhatItAcknowledgesLast(t *testing.T) {
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	last := requests(t, "small/traces-http", "small/graphqlmetrics")
	// A body is read only when the server asks for it, so that a byte which has
	// left proves that its request is being handled.
	client := &http.Client{Timeout: patience, Transport: &http.Transport{ExpectContinueTimeout: patience}}
	defer client.CloseIdleConnections()
	var bodies []*io.PipeWriter
	answers := make(chan int, len(last))
	for _, r := range last {
		body, w := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.addresses["otlp http"]+r.path, body)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range r.header {
			req.Header.Set(k, v)
		}
		req.Header.Set("Expect", "100-continue")
		bodies = append(bodies, w)
		go func() {
			res, err := client.Do(req)
			if err != nil {
				t.Errorf("telemetry that was under way: %v", err)
				answers <- 0
				return
			}
			_ = res.Body.Close() // only the status counts
			answers <- res.StatusCode
		}()
		if _, err := w.Write(r.body[:1]); err != nil { // it is under way now
			t.Fatal(err)
		}
	}

	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.await("the port to close", func() bool { return !answered(s.addresses["otlp http"]) })
	for i, w := range bodies {
		if _, err := w.Write(last[i].body[1:]); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range last {
		if code := <-answers; code != http.StatusOK {
			t.Fatalf("telemetry that was under way was answered %d", code)
		}
	}
	if err := <-s.ended; err != nil {
		t.Fatalf("planwarm run: %v", err)
	}

	s.client.CloseIdleConnections()
	s.start()
	got := s.live()
	s.stop()

	whole := startSidecar(t, sidecarSettings{minExecutions: shut})
	whole.send(last...)
	want := whole.live()
	whole.stop()
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%d plans after the restart, want %d", len(got), len(want))
	}
	for key, f := range want {
		if got[key] != f {
			t.Errorf("plan %s: %+v after the restart, want %+v", key, got[key], f)
		}
	}
}

// Beside a router that others publish for, the snapshot outlives a restart too.
func TestStopSavesTheSnapshotOfAWarmer(t *testing.T) {
	s := newSidecar(t, sidecarSettings{minExecutions: shut})
	s.reconfigure("graphs:", "roles: [warm]\ngraphs:")
	s.start()
	s.send(requests(t, "small/traces-http", "small/graphqlmetrics")...)
	before := s.status().Snapshot
	s.stop()
	s.start()
	if after := s.status().Snapshot; after != before || before == 0 {
		t.Errorf("%d operations in the snapshot after a restart, %d before", after, before)
	}
	s.stop()
}

// answered says whether a port takes connections.
func answered(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was sent
	return true
}

// A start that waits for a bucket can be stopped, and that is no failure.
func TestStopDuringTheStart(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s := newSidecar(t, sidecarSettings{minExecutions: shut})
	s.useBucket("http://" + silent.Addr().String())
	s.launch()
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s.stop()
	if !strings.Contains(s.log.String(), "stops before it has started") {
		t.Errorf("log:\n%s", s.log)
	}
}
