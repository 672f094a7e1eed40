package cosmo

import (
	"context"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// The signs of a reload, besides those of package planhttp. That the router asks
// our own CDN endpoint for its warm-up is told by the endpoint, not here.
const (
	SignCache  = "plan cache dropped"
	SignCanary = "warm canary missed"
)

// Watch looks for signs of a reload until ctx ends.
func (p *Planner) Watch(ctx context.Context, seen func(planner.Reload)) error {
	w := watch{ready: planhttp.Readiness{Client: p.client, URL: p.o.ReadyURL}}
	planhttp.Watch(ctx, p.o.WatchInterval, p.o.Debounce, func(ctx context.Context) string {
		sign := p.look(ctx, &w)
		if sign != "" {
			// What the canary proved, it proved of the graph before.
			p.gate.Distrust()
		}
		return sign
	}, seen)
	return nil
}

// watch is what the last look saw.
type watch struct {
	ready      planhttp.Readiness
	page       page
	nextPage   time.Time
	canaryWarm bool // the canary's plan is in the cache
}

// look asks everything once and returns the first sign of a reload, or "".
func (p *Planner) look(ctx context.Context, w *watch) string {
	sign := ""
	note := func(s string) {
		if sign == "" { // the first one names the reload
			sign = s
		}
	}
	if w.ready.Look(ctx) {
		note(planhttp.SignReady)
	}
	if sign != "" || !time.Now().Before(w.nextPage) {
		note(p.lookAtPage(ctx, w))
	}
	if sign != "" || !p.gate.Open() {
		// The router is not known to honour the header now; the next run asks.
		w.canaryWarm = false
		return sign
	}
	if note(p.lookAtCanary(ctx, w)); sign != "" {
		p.lookAtPage(ctx, w) // its counters fell too: the same reload, not another
	}
	return sign
}

// lookAtPage compares the metrics with those of the last look. A page that
// cannot be had says nothing, and the last one stays.
func (p *Planner) lookAtPage(ctx context.Context, w *watch) string {
	if p.o.MetricsURL == "" {
		return ""
	}
	w.nextPage = time.Now().Add(p.o.MetricsInterval)
	now, ok := p.readPage(ctx)
	if !ok {
		return ""
	}
	before := w.page
	w.page = now
	return now.since(before)
}

// readPage gets the metrics page, if it can be had.
func (p *Planner) readPage(ctx context.Context) (now page, ok bool) {
	err := planhttp.Get(ctx, p.client, p.o.MetricsURL, planhttp.LookTimeout, func(r io.Reader) (err error) { now, err = readPage(r); return err })
	if err != nil && ctx.Err() == nil {
		p.log.Debug("cannot read metrics of the router", zap.Error(err))
	}
	return now, err == nil
}

// Cores asks the metrics page how many threads of the router may run Go code.
func (p *Planner) Cores(ctx context.Context) int {
	if p.o.MetricsURL == "" {
		return 0
	}
	now, _ := p.readPage(ctx)
	return now.cores()
}

// lookAtCanary asks for a plan that only we use. It is a question and keeps the
// plan warm at the same time, so it misses once after each reload.
func (p *Planner) lookAtCanary(ctx context.Context, w *watch) string {
	ctx, cancel := context.WithTimeout(ctx, planhttp.LookTimeout)
	defer cancel()
	hit, err := p.Verify(ctx, planner.Request{Query: p.o.WatchCanary})
	if err != nil || hit == planner.HitUnknown {
		w.canaryWarm = false
		return ""
	}
	missed := hit == planner.HitNo && w.canaryWarm
	w.canaryWarm = true
	if missed {
		return SignCanary
	}
	return ""
}
