package dryrun

import (
	"context"
	"io"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// Watch looks for signs of a reload until ctx ends. A warm canary that misses
// is none here: these routers do not tell a miss.
func (r *Router) Watch(ctx context.Context, seen func(planner.Reload)) error {
	w := &watch{r: r, ready: planhttp.Readiness{Client: r.client, URL: r.o.ReadyURL}}
	if r.d.Signs != nil {
		w.signs = r.d.Signs()
	}
	planhttp.Watch(ctx, r.o.WatchInterval, r.o.Debounce, func(ctx context.Context) string {
		sign := w.look(ctx)
		if sign != "" {
			// What the canary proved, it proved of the graph before.
			r.gate.Distrust()
		}
		return sign
	}, seen)
	return nil
}

// watch is what the last look saw.
type watch struct {
	r     *Router
	signs func([]planhttp.Series) string
	ready planhttp.Readiness
}

// look asks everything once and returns the first sign of a reload, or "".
func (w *watch) look(ctx context.Context) string {
	sign := ""
	if w.ready.Look(ctx) {
		sign = planhttp.SignReady
	}
	// The page is looked at in any case: its counters fell in the same restart.
	if s := w.page(ctx); sign == "" {
		sign = s
	}
	return sign
}

// page shows the metrics to the dialect. A page that cannot be had says nothing.
func (w *watch) page(ctx context.Context) string {
	if w.r.o.MetricsURL == "" || w.signs == nil {
		return ""
	}
	var now []planhttp.Series
	err := planhttp.Get(ctx, w.r.client, w.r.o.MetricsURL, planhttp.LookTimeout, func(body io.Reader) (err error) {
		now, err = planhttp.ReadPage(body, w.r.d.Metrics...)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			w.r.log.Debug("cannot read metrics of the router", zap.Error(err))
		}
		return ""
	}
	return w.signs(now)
}

// Counter follows one series over pages. Its zero value has seen none.
type Counter struct {
	seen  bool
	value float64
}

// See returns whether the counter grew since the last page, and whether it
// fell, as it does when the process is another one. The first page only says
// where it stands. A page without it says nothing: it may be one of something
// else.
func (c *Counter) See(series []planhttp.Series, is func(planhttp.Series) bool) (grew, fell bool) {
	var now float64
	found := false
	for _, s := range series {
		if is(s) {
			now += s.Value
			found = true
		}
	}
	if c.seen && !found {
		return false, false
	}
	grew, fell = c.seen && now > c.value, c.seen && now < c.value
	c.seen, c.value = true, now
	return grew, fell
}
