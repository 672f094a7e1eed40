package planhttp

import (
	"context"
	"io"
	"net/http"
	"time"
)

// The signs that servers of every kind give.
const (
	SignReady    = "router became ready"
	SignInstance = "instance changed"
)

// LookTimeout bounds each question of one look for signs.
const LookTimeout = 5 * time.Second

// processStart is what most servers with a Prometheus page show of themselves.
const processStart = "process_start_time_seconds"

// Readiness follows a readiness endpoint. It is used by one goroutine.
type Readiness struct {
	Client *http.Client
	URL    string // "" is never asked

	asked, ready bool
}

// Look asks once, and says whether the server is ready again: at the last look
// it was not.
func (r *Readiness) Look(ctx context.Context) bool {
	if r.URL == "" {
		return false
	}
	ready := Get(ctx, r.Client, r.URL, LookTimeout, func(io.Reader) error { return nil }) == nil
	if ctx.Err() != nil {
		return false // we stopped asking: that says nothing of the server
	}
	again := r.asked && ready && !r.ready
	r.asked, r.ready = true, ready
	return again
}

// Restarts looks for restarts of a server, for routers that lose their plans in
// no other way. It is used by one goroutine.
type Restarts struct {
	Client     *http.Client
	ReadyURL   string // "" leaves this sign out
	MetricsURL string // Prometheus page; "" leaves this sign out

	readiness Readiness
	started   float64
}

// Look asks once and returns a sign, or "". The start time of the process is
// trusted first: it changes with every restart, however fast, while readiness
// is missed by a look that comes too late.
func (r *Restarts) Look(ctx context.Context) string {
	sign := ""
	if r.MetricsURL != "" && r.restarted(ctx) {
		sign = SignInstance
	}
	r.readiness.Client, r.readiness.URL = r.Client, r.ReadyURL
	if r.readiness.Look(ctx) && sign == "" {
		sign = SignReady
	}
	return sign
}

// restarted says whether the start time differs from the last one seen. A page
// that cannot be had, or does not show it, says nothing.
func (r *Restarts) restarted(ctx context.Context) bool {
	var now float64
	err := Get(ctx, r.Client, r.MetricsURL, LookTimeout, func(body io.Reader) error {
		series, err := ReadPage(body, processStart)
		for _, s := range series {
			now = max(now, s.Value)
		}
		return err
	})
	if err != nil || now == 0 {
		return false
	}
	before := r.started
	r.started = now
	return before != 0 && before != now
}
