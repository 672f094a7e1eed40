package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
)

// status asks the sidecar for the state of its only graph.
func (s *sidecar) status() warmer.GraphStatus {
	s.t.Helper()
	code, body := s.do(http.MethodGet, "http://"+s.addresses["admin"]+"/status", nil, nil)
	var st warmer.Status
	if err := json.Unmarshal(body, &st); code != http.StatusOK || err != nil || len(st.Graphs) != 1 {
		s.t.Fatalf("status %d, error %v: %s", code, err, body)
	}
	return st.Graphs[0]
}

// pullRequest is what a Cosmo router sends at its start.
func (s *sidecar) pullRequest() *http.Request {
	s.t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"organization_id": "org-storefront", "federated_graph_id": "graph-storefront",
	}).SignedString([]byte(graphSecret))
	if err != nil {
		s.t.Fatal(err)
	}
	url := "http://" + s.addresses["cdn"] + "/org-storefront/graph-storefront/cache_warmup/operations.json"
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return req
}

// pull is the answer to such a request.
func (s *sidecar) pull() (int, manifest.Manifest) {
	s.t.Helper()
	req := s.pullRequest()
	code, body := s.do(req.Method, req.URL.String(), map[string]string{"Authorization": req.Header.Get("Authorization")}, nil)
	if code != http.StatusOK {
		return code, manifest.Manifest{}
	}
	m, err := manifest.DecodeBytes(body)
	if err != nil {
		s.t.Fatal(err)
	}
	return code, m
}

func (s *sidecar) hangUp() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
}

// The snapshot is there without any manifest, and outlives a reload, a reload
// that is refused, and a restart. Nobody who pulls meanwhile finds the port
// closed.
func TestSnapshotSurvivesReloadAndRestart(t *testing.T) {
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	s.send(requests(t, "small/traces-http", "small/graphqlmetrics")...)
	code, first := s.pull()
	if code != http.StatusOK || len(first.Operations) < 5 {
		t.Fatalf("pull before any manifest: status %d, %d operations", code, len(first.Operations))
	}
	same := func(when string) {
		t.Helper()
		if code, m := s.pull(); code != http.StatusOK || names(m) != names(first) {
			t.Errorf("%s: status %d, operations\n%s\nwant\n%s", when, code, names(m), names(first))
		}
	}

	s.configure(sidecarSettings{minExecutions: shut, maxBytes: "32MiB"})
	stop := s.pullAllTheTime()
	s.hangUp()
	s.await("the reload", func() bool { return strings.Contains(s.log.String(), "configuration reloaded") })
	stop()
	same("after a reload")

	good, err := os.ReadFile(s.configPath())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.configPath(), append(good, "nonsense: true\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	s.hangUp()
	s.await("the refusal", func() bool { return strings.Contains(s.log.String(), "reload refused") })
	if !strings.Contains(s.log.String(), "nonsense: unknown key") {
		t.Errorf("the fault is not named:\n%s", s.log)
	}
	same("after a reload that was refused")

	if err := os.WriteFile(s.configPath(), good, 0o600); err != nil {
		t.Fatal(err)
	}
	before := s.status().Snapshot
	s.stop()
	s.start()
	same("after a restart")
	if after := s.status().Snapshot; after != before || after == 0 {
		t.Errorf("%d operations in the snapshot after a restart, %d before", after, before)
	}
	s.stop()
}

// pullAllTheTime pulls until the returned function is called; every pull must
// be answered.
func (s *sidecar) pullAllTheTime() (stop func()) {
	s.t.Helper()
	// A new connection each time: a kept one would not see a closed port.
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	req, quit, n := s.pullRequest(), make(chan struct{}), 0
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-quit:
				return
			default:
			}
			n++
			res, err := client.Do(req)
			if err != nil {
				s.t.Errorf("a pull during the reload: %v", err)
				continue
			}
			if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
				s.t.Errorf("a pull during the reload was answered %d, %v", res.StatusCode, err)
			}
		}
	})
	return func() {
		close(quit)
		wg.Wait()
		if n == 0 {
			s.t.Error("nobody pulled during the reload")
		}
	}
}

// names are the operations of a manifest in order.
func names(m manifest.Manifest) string {
	var b strings.Builder
	for _, e := range m.Operations {
		b.WriteString(e.Planwarm.PlanKey + " " + e.Request.OperationName + "\n")
	}
	return b.String()
}
