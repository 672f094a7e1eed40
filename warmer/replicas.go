package warmer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/planwarm/planwarm/manifest"
	"github.com/prometheus/client_golang/prometheus"
)

// MaxRouters bounds the routers of one graph that SetRouters takes: each has
// goroutines, connections and metrics of its own.
const MaxRouters = 64

// ErrTooManyRouters is returned by SetRouters.
var ErrTooManyRouters = fmt.Errorf("more than %d routers", MaxRouters)

// SetRouters makes rs the routers of a graph, as often as replicas come and go.
// Routers are told apart by their names: one that is new is warmed as at the
// start, one that is there goes on as it is, and one that is gone is left alone
// from now on and forgotten. After an error nothing has changed.
func (w *Warmer) SetRouters(id manifest.Graph, rs []RouterOptions) error {
	g, err := w.graph(id)
	if err != nil {
		return err
	}
	if err := checkRouters(rs); err != nil {
		return fmt.Errorf("set routers of %s: %w", id, err)
	}
	g.fleet.set(rs)
	return nil
}

func checkRouters(rs []RouterOptions) error {
	if len(rs) > MaxRouters {
		return ErrTooManyRouters
	}
	names := make(map[string]bool, len(rs))
	for _, r := range rs {
		switch {
		case r.Name == "":
			return errors.New("router has no name")
		case r.Planner == nil:
			return fmt.Errorf("router %s has no planner", r.Name)
		case names[r.Name]:
			return fmt.Errorf("router %s is there twice", r.Name)
		}
		names[r.Name] = true
	}
	return nil
}

// fleet is the routers of one graph, each with its own state.
type fleet struct {
	build   func(RouterOptions) *router
	begin   func(context.Context) // waited for before a router's first run
	metrics *metrics
	known   chan struct{} // closed when it is known which routers there are

	setting sync.Mutex // one change at a time

	mu      sync.Mutex
	routers []*router
	stops   map[*router]func() // of those that run: ends one and waits for it
	ctx     context.Context    // of run; nil before it
	wg      sync.WaitGroup
}

// newFleet has the routers rs. Where more are to come they are not known yet.
func newFleet(rs []RouterOptions, dynamic bool, m *metrics, build func(RouterOptions) *router, begin func(context.Context)) *fleet {
	f := &fleet{build: build, begin: begin, metrics: m, known: make(chan struct{}), stops: map[*router]func(){}}
	for _, ro := range rs {
		m.addRouter(ro.Name)
		f.routers = append(f.routers, build(ro))
	}
	if !dynamic {
		close(f.known)
	}
	return f
}

// list returns the routers that there are now.
func (f *fleet) list() []*router {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.routers)
}

// has says whether r is still one of the routers.
func (f *fleet) has(r *router) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.routers, r)
}

// run runs the routers until ctx ends, those too that come later.
func (f *fleet) run(ctx context.Context) {
	f.mu.Lock()
	f.ctx = ctx
	for _, r := range f.routers {
		f.launch(r)
	}
	f.mu.Unlock()
	<-ctx.Done()
	f.mu.Lock()
	f.ctx = nil // whoever sets routers after this launches none
	f.mu.Unlock()
	f.wg.Wait()
}

// launch starts r. It is called under the lock.
func (f *fleet) launch(r *router) {
	if f.ctx == nil || f.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan struct{})
	f.stops[r] = func() { cancel(); <-done }
	f.wg.Go(func() {
		defer cancel()
		defer close(done)
		f.begin(ctx)
		r.run(ctx)
	})
}

// set makes rs the routers.
func (f *fleet) set(rs []RouterOptions) {
	f.setting.Lock()
	defer f.setting.Unlock()
	gone, stops := f.swap(rs)
	select {
	case <-f.known:
	default:
		close(f.known)
	}
	for i, r := range gone {
		if stops[i] != nil {
			stops[i]()
		}
		r.once.Do(func() { close(r.first) }) // nobody waits for it any longer
		f.metrics.removeRouter(r.Name)       // after its last run, which would bring them back
	}
}

// swap puts the new list in force and returns what is not in it, with what ends it.
func (f *fleet) swap(rs []RouterOptions) (gone []*router, stops []func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := make(map[string]*router, len(f.routers))
	for _, r := range f.routers {
		old[r.Name] = r
	}
	next := make([]*router, 0, len(rs))
	for _, ro := range rs {
		r := old[ro.Name]
		if r == nil {
			f.metrics.addRouter(ro.Name)
			r = f.build(ro)
			f.launch(r)
		}
		delete(old, ro.Name)
		next = append(next, r)
	}
	for _, r := range f.routers {
		if old[r.Name] == r {
			gone, stops = append(gone, r), append(stops, f.stops[r])
			delete(f.stops, r)
		}
	}
	f.routers = next
	return gone, stops
}

// addRouter creates a router's metrics, so that a rate over them is never
// missing. Two graphs may know the same router.
func (m *metrics) addRouter(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.routers[name]++
	m.rebuilds.WithLabelValues(name)
	m.runSeconds.WithLabelValues(name)
	for _, o := range runOutcomes {
		m.runs.WithLabelValues(name, o)
	}
	for _, o := range planOutcomes {
		m.plans.WithLabelValues(name, o)
	}
}

// removeRouter drops the metrics of a router that no graph knows any more:
// replicas come with new names each time, and would pile up.
func (m *metrics) removeRouter(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.routers[name]--; m.routers[name] > 0 {
		return
	}
	delete(m.routers, name)
	label := prometheus.Labels{"router": name}
	m.runs.DeletePartialMatch(label)
	m.rebuilds.DeletePartialMatch(label)
	m.plans.DeletePartialMatch(label)
	m.share.DeletePartialMatch(label)
	m.runSeconds.DeletePartialMatch(label)
}
