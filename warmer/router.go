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

// lister gives the entries to warm now, cut to what a router can hold.
type lister func(c Capacity) Listing

// errRebuilt ends a run whose router has lost its plans meanwhile: the next one
// begins with the head of the list again.
var errRebuilt = errors.New("router rebuilt its graph")

// router warms one replica.
type router struct {
	RouterOptions
	log     *zap.Logger
	metrics *metrics
	list    lister
	refetch func()
	headers Profiles // of its graph
	queue   *queue
	first   chan struct{} // closed after the first run

	settled, missed *time.Timer // owned by run

	mu        sync.Mutex
	state     RouterState
	proven    map[string]bool         // what need not be sent again in this generation
	distrust  bool                    // it executed or refused a plan-only request: no run before something changed
	reloaded  *RunRecord              // the last run that followed a sign of a reload
	interrupt context.CancelCauseFunc // ends the run that is under way; nil when there is none
	once      sync.Once
}

func newRouter(o RouterOptions, list lister, refetch func(), m *metrics, log *zap.Logger) *router {
	return &router{
		RouterOptions: o, list: list, refetch: refetch, metrics: m, log: log.With(zap.String("router", o.Name)),
		queue: newQueue(), first: make(chan struct{}), proven: map[string]bool{},
		state: RouterState{Name: o.Name, Phase: PhaseWaiting},
	}
}

// trigger asks for a run. One that is under way goes on unless the router has
// lost what it is about.
func (r *router) trigger(reason Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Under the lock, or it could end the very run that answers it.
	r.queue.add(reason)
	if reason.rebuilds() && r.interrupt != nil {
		r.interrupt(errRebuilt)
	}
}

// run works off triggers until ctx ends.
func (r *router) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	r.settled = time.AfterFunc(settle, func() { r.trigger(ReasonReload) })
	r.settled.Stop() // until the first pull
	r.missed = time.AfterFunc(missDebounce, func() { r.trigger(ReasonMisses) })
	r.missed.Stop() // until the first miss
	defer r.settled.Stop()
	defer r.missed.Stop()
	if w, ok := r.Planner.(planner.Watcher); ok {
		wg.Go(func() { r.watch(ctx, w) })
	}
	if r.Interval > 0 {
		wg.Go(func() { every(ctx, r.Interval, func() { r.trigger(ReasonInterval) }) })
	}
	r.trigger(ReasonStart)
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
		r.trigger(ReasonReload)
	})
	if err != nil && ctx.Err() == nil {
		r.log.Warn("router is no longer watched for reloads", zap.Error(err))
	}
}

// round answers one set of triggers with one run, waiting for the router as
// long as it cannot be reached. Triggers that come while it waits join it.
func (r *router) round(ctx context.Context, reasons []Reason) {
	r.note(reasons)
	if !r.wanted(reasons) {
		return
	}
	if !slices.ContainsFunc(reasons, Reason.urgent) && r.Jitter > 0 {
		reasons = r.await(ctx, rand.N(r.Jitter), reasons)
	}
	for wait := downPause; ctx.Err() == nil; wait = min(2*wait, downPauseMax) {
		err := r.warmOnce(ctx, &reasons)
		if !errors.Is(err, planner.ErrUnavailable) && !errors.Is(err, planner.ErrOverloaded) {
			return
		}
		if wait == downPause { // once: it may be away for hours
			r.log.Info("router cannot be warmed yet, it is waited for", zap.Error(err))
		}
		r.setPhase(PhaseWaiting)
		reasons = r.await(ctx, max(wait, planner.RetryAfter(err)), reasons)
	}
}

// await waits, at most until a trigger that is urgent, and returns the reasons
// with those that came meanwhile.
func (r *router) await(ctx context.Context, d time.Duration, reasons []Reason) []Reason {
	limit := time.NewTimer(d)
	defer limit.Stop()
	for {
		select {
		case <-ctx.Done():
			return reasons
		case <-limit.C:
			return reasons
		case <-r.queue.ready:
			more := r.queue.take()
			r.note(more)
			reasons = union(reasons, more)
			if slices.ContainsFunc(more, Reason.urgent) {
				return reasons
			}
		}
	}
}

// urgent says whether a run should begin at once: the router is empty now, or somebody waits.
func (r Reason) urgent() bool {
	return r.rebuilds() || r == ReasonPerson || r == ReasonMisses
}

// wanted is false for a router that executed or refused a plan-only request,
// until something happened that may have changed its mind: one canary for each
// reload is the most that may be executed.
func (r *router) wanted(reasons []Reason) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.distrust || slices.ContainsFunc(reasons, func(x Reason) bool { return x.rebuilds() || x == ReasonPerson })
}

// note takes over what triggers say of the router. After a rebuild nothing is
// proven any more, and a person who asks wants to see it proven.
func (r *router) note(reasons []Reason) {
	if slices.Contains(reasons, ReasonPull) {
		// It fetches its warm-up now and swaps its graph some time later.
		r.settled.Reset(settle)
	} else if slices.Contains(reasons, ReasonReload) {
		r.settled.Stop() // the swap was seen
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case slices.ContainsFunc(reasons, Reason.rebuilds):
		r.state.Generation++
		r.metrics.rebuilds.WithLabelValues(r.Name).Inc()
	case !slices.Contains(reasons, ReasonPerson):
		return
	}
	r.state.Warm = 0
	clear(r.proven)
}

// warmOnce makes one run. It returns the run's error, and adds to reasons what
// was asked for until the run began.
func (r *router) warmOnce(ctx context.Context, reasons *[]Reason) error {
	until, interrupt := context.WithCancelCause(ctx)
	defer interrupt(nil)
	more := r.beginRun(interrupt)
	defer r.endRun()
	r.note(more)
	*reasons = union(*reasons, more)

	l := r.list(r.Capacity)
	all := Items(l.Entries, r.Exact)
	if l.Limit > 0 {
		all = all[:min(len(all), l.Limit)] // each set of conditions is a plan of its own
	}
	var inexact []Inexact
	if r.Exact {
		inexact = InexactOf(l.Entries)
	}
	todo, generation := r.unproven(all)
	r.setPhase(PhaseWarming)
	started := time.Now()
	rep, warm, err := Runner{Planner: r.Planner, Settings: r.Settings, Profiles: r.headers, Until: until}.Run(ctx, todo)
	answered := rep.Planned+rep.AlreadyWarm > 0 || len(todo) > 0 && (err == nil || stops(err))
	if answered && r.OnReady != nil {
		r.OnReady()
	}
	if !answered && (errors.Is(err, planner.ErrUnavailable) || errors.Is(err, planner.ErrOverloaded)) {
		return err
	}
	r.finish(RunRecord{
		At: started.UTC(), Generation: generation, Reasons: *reasons, Origin: l.Origin,
		Broken: l.Broken[:min(len(l.Broken), maxShown)], Report: rep,
		Inexact: inexact[:min(len(inexact), maxShown)], InexactCount: len(inexact),
	}, warm, err)
	return err
}

// beginRun takes what was asked for until now; whatever comes later interrupts.
func (r *router) beginRun(interrupt context.CancelCauseFunc) []Reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupt = interrupt
	return r.queue.take()
}

func (r *router) endRun() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupt = nil
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
func (r *router) finish(rec RunRecord, warm []string, err error) {
	interrupted := errors.Is(err, errRebuilt) || errors.Is(err, context.Canceled)
	r.mu.Lock()
	if !errors.Is(err, errRebuilt) {
		for _, id := range warm {
			r.proven[id] = true
		}
		r.state.Warm = len(r.proven)
	}
	if !interrupted {
		r.distrust = stops(err)
	}
	switch {
	case interrupted: // another run follows, or nothing
	case r.distrust:
		r.state.Phase = PhaseStopped
	case rec.Stopped != "":
		r.state.Phase = PhaseDegraded
	default:
		r.state.Phase = PhaseWarm
	}
	phase := r.state.Phase
	r.state.LastRun = &rec
	if !interrupted && slices.Contains(rec.Reasons, ReasonReload) {
		r.reloaded = &rec
	}
	r.mu.Unlock()
	if !interrupted {
		r.once.Do(func() { close(r.first) })
	}
	r.metrics.observeRun(r.Name, rec, phase)
	r.logRun(rec, err)
	if rec.Checked > rec.Verified && !slices.Contains(rec.Reasons, ReasonMisses) {
		r.refetch()
		r.missed.Reset(missDebounce)
	}
}

func (r *router) logRun(rec RunRecord, err error) {
	fields := []zap.Field{
		zap.String("origin", string(rec.Origin)), zap.Any("reasons", rec.Reasons),
		zap.Int("planned", rec.Planned), zap.Int("already_warm", rec.AlreadyWarm), zap.Int("failed", rec.Failed),
		zap.Int("skipped", rec.Skipped), zap.Int("broken", len(rec.Broken)), zap.Int("inexact", rec.InexactCount), zap.Float64("took_ms", rec.TookMs),
	}
	if len(rec.Profiles) > 0 {
		fields = append(fields, zap.Any("profiles_skipped", rec.Profiles))
	}
	switch {
	case errors.Is(err, planner.ErrExecuted):
		r.log.Error("router executes plan-only requests, warming stopped", fields...)
	case errors.Is(err, errRebuilt), errors.Is(err, context.Canceled):
		r.log.Debug("warm-up interrupted", append(fields, zap.Error(err))...)
	case err != nil:
		r.log.Warn("warm-up ended early", append(fields, zap.Error(err))...)
	case rec.Planned+rec.AlreadyWarm+rec.Failed+rec.Skipped == 0:
		r.log.Info("nothing to warm", fields...) // the router was not even asked
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
