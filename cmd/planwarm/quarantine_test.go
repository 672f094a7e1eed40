package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// startingPull pulls as a router that has just started, on a new connection,
// and returns how many operations it gets.
func (s *sidecar) startingPull() int {
	s.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(s.pullRequest())
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	var list struct{ Operations []json.RawMessage }
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("status %d, %v", res.StatusCode, err)
	}
	return len(list.Operations)
}

// A router that pulls again and again and is never ready gets half of the
// operations. Once it is ready with those, the others are withheld and shown,
// and stay so over a reload.
func TestQuarantineOutlivesAReload(t *testing.T) {
	var ready atomic.Bool
	router := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(router.Close)
	s := newSidecar(t, sidecarSettings{minExecutions: shut})
	s.reconfigure("warm: {", fmt.Sprintf("routers: [ { kind: cosmo, url: %q, ready_url: %q } ]\n    warm: {", router.URL+"/graphql", router.URL+"/ready"))
	s.start()
	s.send(requests(t, "small/traces-http", "small/graphqlmetrics")...)
	s.awaitPull()
	all, pulls := s.startingPull(), 1
	for got := all; got == all; pulls++ {
		if pulls > 20 {
			t.Fatalf("%d starts, and still all %d operations", pulls, all)
		}
		got = s.startingPull()
	}
	ready.Store(true)
	s.await("the quarantine", func() bool { return len(s.status().Quarantined) > 0 })
	before := s.status().Quarantined
	check := func(when string) {
		t.Helper()
		if got := s.startingPull(); got != all-len(before) {
			t.Errorf("%s: %d of %d operations with %d in quarantine", when, got, all, len(before))
		}
		if now := s.status().Quarantined; !slices.Equal(now, before) {
			t.Errorf("%s: quarantine %q, want %q", when, now, before)
		}
	}
	check("before the reload")
	s.reload(reloaded)
	check("after the reload")
	if code, out := s.planwarm("status"); code != exitDone || !strings.Contains(out, fmt.Sprintf("quarantined  %d operations", len(before))) {
		t.Errorf("status exits %d:\n%s", code, out)
	}
	s.stop()
}
