package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// TestServerWaitsForTheFirstGeneration: what is asked while planwarm starts is
// answered by what it starts, at the end of the start or of patience; what is
// asked later is answered at once.
func TestServerWaitsForTheFirstGeneration(t *testing.T) {
	teapot := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	get := func(ctx context.Context, s *server) (code int, took time.Duration) {
		w, start := httptest.NewRecorder(), time.Now()
		s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		return w.Code, time.Since(start)
	}
	run := func(s *server) {
		s.set(teapot)
		s.commit()
	}
	for name, test := range map[string]struct {
		start  time.Duration
		what   func(*server)
		hangUp time.Duration
		code   int
		took   time.Duration
	}{
		"in time":  {300 * time.Millisecond, run, time.Minute, http.StatusTeapot, 300 * time.Millisecond},
		"too late": {time.Minute, run, time.Minute, http.StatusNotFound, startPatience},
		"gone":     {time.Minute, run, 100 * time.Millisecond, http.StatusNotFound, 100 * time.Millisecond},
		"failed":   {200 * time.Millisecond, (*server).begin, time.Minute, http.StatusNotFound, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer()
				started := time.AfterFunc(test.start, func() { test.what(s) })
				defer started.Stop()
				ctx, cancel := context.WithTimeout(t.Context(), test.hangUp)
				defer cancel()
				if code, took := get(ctx, s); code != test.code || took != test.took {
					t.Errorf("%d after %v, want %d after %v", code, took, test.code, test.took)
				}
				run(s)
				if code, took := get(t.Context(), s); code != http.StatusTeapot || took != 0 {
					t.Errorf("once it runs: %d after %v", code, took)
				}
			})
		})
	}
}
