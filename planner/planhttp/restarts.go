package planhttp

import (
	"context"
	"io"
	"net/http"
	"time"
)

// The signs that a server gives which tells nothing of its graph.
const (
	SignReady    = "router became ready"
	SignInstance = "instance changed"
)

// checkTimeout bounds each question of one look.
const checkTimeout = 5 * time.Second

// processStart is what most servers with a Prometheus page show of themselves.
const processStart = "process_start_time_seconds"

// Restarts looks for restarts of a server, for routers that lose their plans in
// no other way. It is used by one goroutine.
type Restarts struct {
	Client     *http.Client
	ReadyURL   string // "" leaves this sign out
	MetricsURL string // Prometheus page; "" leaves this sign out

	asked, ready bool
	started      float64
}

// Look asks once and returns a sign, or "". The start time of the process is
// trusted first: it changes with every restart, however fast, while readiness
// is missed by a look that comes too late.
func (r *Restarts) Look(ctx context.Context) string {
	sign := ""
	if r.MetricsURL != "" && r.restarted(ctx) {
		sign = SignInstance
	}
	if r.ReadyURL == "" {
		return sign
	}
	ready := Get(ctx, r.Client, r.ReadyURL, checkTimeout, func(io.Reader) error { return nil }) == nil
	if ctx.Err() != nil {
		return ""
	}
	if r.asked && ready && !r.ready && sign == "" {
		sign = SignReady
	}
	r.asked, r.ready = true, ready
	return sign
}

// restarted says whether the start time differs from the last one seen. A page
// that cannot be had, or does not show it, says nothing.
func (r *Restarts) restarted(ctx context.Context) bool {
	var now float64
	err := Get(ctx, r.Client, r.MetricsURL, checkTimeout, func(body io.Reader) error {
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
