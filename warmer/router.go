package warmer

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/planwarm/planwarm/planner"
	"go.uber.org/zap"
)

const (
	settle       = 10 * time.Second // after a pull, until the router has surely swapped its graph
	missDebounce = 5 * time.Second
	downPause    = 250 * time.Millisecond // first pause while the router cannot be reached
	downPauseMax = 5 * time.Second
)

// RouterOptions is one router replica.
type RouterOptions struct {
	Name     string // for logs, metrics and status: its URL
	Planner  planner.Planner
	Capacity Capacity
	Exact    bool // its plan cache keys on the text and the name as they were sent
	Settings Settings
	Interval time.Duration // between runs that nothing asked for; 0: none
	Jitter   time.Duration // longest random pause before a run that need not be at once
	OnReady  func()        // called when a run finds the router serving; may be nil
}

// RouterState is what status shows of a router.
type RouterState struct {
	Name       string     `json:"name"`
	Phase      Phase      `json:"phase"`
	Generation int        `json:"generation"` // counts the router's rebuilds that were seen
	Warm       int        `json:"warm"`       // plans proven in this generation
	LastSign   string     `json:"lastSign,omitempty"`
	LastRun    *RunRecord `json:"lastRun,omitempty"`
}

// Phase is what a router's warmer is doing.
type Phase string

// The phases.
const (
	PhaseWaiting  Phase = "waiting"  // for the router to be ready
	PhaseWarming  Phase = "warming"  //
	PhaseWarm     Phase = "warm"     // the last run went through its list
	PhaseStopped  Phase = "stopped"  // the router does not honour plan-only requests
	PhaseDegraded Phase = "degraded" // the last run ended early for another reason
)

// RunRecord is one run that took place.
type RunRecord struct {
	At      time.Time `json:"at"`
	Reasons []Reason  `json:"reasons"`
	Origin  Origin    `json:"origin"`
	Broken  []Broken  `json:"broken,omitempty"` // operations that were not sent, since the schema refuses them; at most 100
	Report
}

// lister gives the entries to warm now, cut to what a router can hold.
type lister func(ctx context.Context, c Capacity) (Listing, error)

// router warms one replica.
type router struct {
	RouterOptions
	log     *zap.Logger
	metrics *metrics
	list    lister
	refetch func()
	queue   *queue
	first   chan struct{} // closed after the first run

	mu       sync.Mutex
	state    RouterState
	proven   map[string]bool
	distrust bool // it executed a plan-only request: no run before something changed
	once     sync.Once
}

func newRouter(o RouterOptions, list lister, refetch func(), m *metrics, log *zap.Logger) *router {
	return &router{
		RouterOptions: o, list: list, refetch: refetch, metrics: m, log: log.With(zap.String("router", o.Name)),
		queue: newQueue(), first: make(chan struct{}), proven: map[string]bool{},
		state: RouterState{Name: o.Name, Phase: PhaseWaiting},
	}
}

// run works off triggers until ctx ends.
func (r *router) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if w, ok := r.Planner.(planner.Watcher); ok {
		wg.Go(func() { r.watch(ctx, w) })
	}
	if r.Interval > 0 {
		wg.Go(func() { every(ctx, r.Interval, func() { r.queue.add(ReasonInterval) }) })
	}
	r.queue.add(ReasonStart)
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.queue.ready:
			if rs := r.queue.take(); len(rs) > 0 {
				r.round(ctx, rs)
			}
		}
	}
}

func (r *router) watch(ctx context.Context, w planner.Watcher) {
	err := w.Watch(ctx, func(sign planner.Reload) {
		r.mu.Lock()
		r.state.LastSign = sign.Sign
		r.mu.Unlock()
		r.log.Info("router reload seen", zap.String("sign", sign.Sign))
		r.queue.add(ReasonReload)
	})
	if err != nil && ctx.Err() == nil {
		r.log.Warn("router is no longer watched for reloads", zap.Error(err))
	}
}

// pulled notes that the router fetches its warm-up. It swaps its graph some
// time later, so a second round follows.
func (r *router) pulled(ctx context.Context) {
	r.queue.add(ReasonPull)
	after(ctx, settle, func() { r.queue.add(ReasonReload) })
}

// round answers one set of triggers with one run, waiting for the router as
// long as it cannot be reached.
func (r *router) round(ctx context.Context, reasons []Reason) {
	if slices.ContainsFunc(reasons, Reason.rebuilds) {
		r.rebuilt()
	}
	if !r.wanted(reasons) {
		return
	}
	if !slices.ContainsFunc(reasons, Reason.urgent) && r.Jitter > 0 {
		pause(ctx, rand.N(r.Jitter))
	}
	for wait := downPause; ctx.Err() == nil; wait = min(2*wait, downPauseMax) {
		if err := r.warmOnce(ctx, reasons); !errors.Is(err, planner.ErrUnavailable) {
			return
		}
		r.setPhase(PhaseWaiting)
		pause(ctx, wait)
	}
}

// urgent says whether a run should begin at once: the router is empty now, or somebody waits.
func (r Reason) urgent() bool {
	return r.rebuilds() || r == ReasonPerson || r == ReasonMisses
}

// wanted is false for a router that executed a plan-only request, until
// something happened that may have changed its mind.
func (r *router) wanted(reasons []Reason) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.distrust || slices.ContainsFunc(reasons, func(x Reason) bool { return x.rebuilds() || x == ReasonPerson })
}

// rebuilt forgets what was proven: the router lost its plans.
func (r *router) rebuilt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Generation++
	r.state.Warm = 0
	clear(r.proven)
}

func (r *router) warmOnce(ctx context.Context, reasons []Reason) error {
	l, err := r.list(ctx, r.Capacity)
	if err != nil {
		return err
	}
	all := Items(l.Entries, r.Exact)
	todo, generation := r.unproven(all)
	r.setPhase(PhaseWarming)
	started := time.Now()
	rep, warm, err := Runner{Planner: r.Planner, Settings: r.Settings}.Run(ctx, todo)
	if errors.Is(err, planner.ErrUnavailable) && rep.Planned+rep.AlreadyWarm == 0 {
		return err
	}
	if r.OnReady != nil && ctx.Err() == nil {
		r.OnReady()
	}
	r.finish(ctx, RunRecord{At: started, Reasons: reasons, Origin: l.Origin, Broken: l.Broken[:min(len(l.Broken), maxShown)], Report: rep}, warm, generation, err)
	return err
}

func (r *router) unproven(all []Item) ([]Item, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	todo := make([]Item, 0, len(all))
	for _, it := range all {
		if !r.proven[it.ID] {
			todo = append(todo, it)
		}
	}
	return todo, r.state.Generation
}

// finish records a run and opens the gate that readiness waits for.
func (r *router) finish(ctx context.Context, rec RunRecord, warm []string, generation int, err error) {
	r.mu.Lock()
	if generation == r.state.Generation {
		for _, id := range warm {
			r.proven[id] = true
		}
		r.state.Warm = len(r.proven)
	}
	r.distrust = errors.Is(err, planner.ErrExecuted) || errors.Is(err, planner.ErrRefused)
	switch {
	case r.distrust:
		r.state.Phase = PhaseStopped
	case err != nil || rec.Stopped != "":
		r.state.Phase = PhaseDegraded
	default:
		r.state.Phase = PhaseWarm
	}
	r.state.LastRun = &rec
	r.mu.Unlock()
	r.once.Do(func() { close(r.first) })
	r.metrics.observeRun(r.Name, rec)
	r.logRun(rec, err)
	if rec.Checked > rec.Verified && !slices.Contains(rec.Reasons, ReasonMisses) {
		r.refetch()
		after(ctx, missDebounce, func() { r.queue.add(ReasonMisses) })
	}
}

func (r *router) logRun(rec RunRecord, err error) {
	fields := []zap.Field{
		zap.String("origin", string(rec.Origin)), zap.Any("reasons", rec.Reasons),
		zap.Int("planned", rec.Planned), zap.Int("already_warm", rec.AlreadyWarm), zap.Int("failed", rec.Failed),
		zap.Int("skipped", rec.Skipped), zap.Float64("took_ms", rec.TookMs),
	}
	switch {
	case errors.Is(err, planner.ErrExecuted):
		r.log.Error("router executes plan-only requests, warming stopped", fields...)
	case err != nil:
		r.log.Warn("warm-up ended early", append(fields, zap.Error(err))...)
	default:
		r.log.Info("router warmed", fields...)
	}
}

func (r *router) setPhase(p Phase) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Phase = p
}

func (r *router) snapshot() RouterState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}
