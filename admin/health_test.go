package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHealthHasThreePathsAndNothingElse(t *testing.T) {
	registry := prometheus.NewRegistry()
	runs := prometheus.NewCounter(prometheus.CounterOpts{Name: "runs_total", Help: "Runs."})
	registry.MustRegister(runs)
	runs.Inc()
	h := NewHealth(func() bool { return true }, registry)
	for target, want := range map[string]int{
		"GET /livez": 200, "HEAD /livez": 200, "GET /readyz": 200, "GET /metrics": 200,
		"POST /livez": 405, "POST /readyz": 405, "DELETE /metrics": 405,
		"GET /": 404, "GET /status": 404, "POST /recompute": 404, "POST /warm": 404, "GET /debug/pprof/": 404, "GET /livez/x": 404,
	} {
		method, path, _ := strings.Cut(target, " ")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if w.Code != want {
			t.Errorf("%s answered %d, want %d", target, w.Code, want)
		}
		if target == "GET /metrics" && !strings.Contains(w.Body.String(), "runs_total 1") {
			t.Errorf("metrics:\n%s", w.Body)
		}
	}
}

// Readiness is asked each time; a process that is not ready is alive.
func TestHealthTellsReadyFromAlive(t *testing.T) {
	ready := false
	h := NewHealth(func() bool { return ready }, prometheus.NewRegistry())
	get := func(path string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code
	}
	if live, rdy := get("/livez"), get("/readyz"); live != 200 || rdy != 503 {
		t.Errorf("before the first warm-up: livez %d, readyz %d", live, rdy)
	}
	ready = true
	if live, rdy := get("/livez"), get("/readyz"); live != 200 || rdy != 200 {
		t.Errorf("after it: livez %d, readyz %d", live, rdy)
	}
}
