package warmer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/planwarm/planwarm/planner"
	"golang.org/x/sync/errgroup"
)

const (
	defaultConcurrency = 4 // for a router whose cores are not known

	solo       = 3   // requests at the start of a run that go one at a time
	maxShown   = 100 // failures, or operations, in what is kept for status
	maxDown    = 3   // requests in a row that find no router before a run gives up
	retries    = 3   // of a request that met an overloaded router, or none
	retryPause = 250 * time.Millisecond
)

// Settings bound one warm-up run.
type Settings struct {
	Concurrency int           // most requests under way; 0: one for each core of the router, or 4
	PerSecond   float64       // most requests a second; 0: no limit
	Deadline    time.Duration // of the whole run; 0: none
}

// Runner warms one router.
type Runner struct {
	Planner  planner.Planner
	Settings Settings
	Profiles Profiles // nil: no header profile is configured
	// Progress, when set, is called after each item with the items done and all items.
	Progress func(done, all int)
	// Until, when set, ends a run early: nothing more is sent, and the answers
	// of what is under way are still awaited, which the context does not do.
	Until context.Context
}

// run is the state of one warm-up. What ends it early is the cause of its
// context: whoever finds a reason calls cancel, and everybody else only sees
// that the context is done.
type run struct {
	Runner
	pace   *pace
	plans  trend
	canary canaryTrend // of one goroutine at a time
	cancel context.CancelCauseFunc
	// requests is the context of requests. It does not end with the run: of what
	// is under way when a run stops, the answers still tell what was executed.
	requests context.Context

	mu      sync.Mutex
	rep     Report
	done    int
	all     int
	down    int
	warm    []string // ids proven warm by this run
	planned []Item   // to be checked afterwards
	refused []string // header profiles that the router does not take
}

var errDeadline = errors.New("deadline of the run reached")

// Run probes the router, then plans the items in order. It returns the report
// and the ids that are warm now. The error is nil unless the run stopped
// before its list for another reason than its deadline; it wraps
// planner.ErrExecuted, planner.ErrRefused, planner.ErrUnavailable,
// planner.ErrOverloaded (of the probe alone) or the cause of the context's end.
// Without items nothing is sent, not even the canary, which could be executed.
func (r Runner) Run(ctx context.Context, list []Item) (Report, []string, error) {
	start := time.Now()
	if r.Settings.Deadline > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, r.Settings.Deadline, errDeadline)
		defer stop()
	}
	requests := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if r.Until != nil {
		defer context.AfterFunc(r.Until, func() { cancel(context.Cause(r.Until)) })()
	}
	s := &run{Runner: r, pace: newPace(1, r.Settings.PerSecond, lastPause(ctx)), cancel: cancel, requests: requests, all: len(list)}
	if len(list) > 0 {
		s.do(ctx, list)
	}
	return s.finish(start, context.Cause(ctx))
}

// width is the most requests that are under way: as many as the owner allows,
// or one for each core that the router may use.
func (r Runner) width(ctx context.Context) int {
	if p, ok := r.Planner.(planner.Serial); ok && p.Serial() {
		return 1
	}
	if r.Settings.Concurrency > 0 {
		return r.Settings.Concurrency
	}
	if p, ok := r.Planner.(planner.Cores); ok {
		if n := p.Cores(ctx); n > 0 {
			return n
		}
	}
	return defaultConcurrency
}

// finish makes the report complete. Nothing of the run is under way any more.
func (s *run) finish(start time.Time, cause error) (Report, []string, error) {
	rep := s.rep
	rep.Skipped = s.all - rep.Planned - rep.AlreadyWarm - rep.Failed
	if rep.Checked > 0 {
		share := float64(rep.Verified) / float64(rep.Checked)
		rep.Share = &share
	}
	rep.TookMs = milliseconds(time.Since(start))
	if cause == nil {
		return rep, s.warm, nil
	}
	rep.Stopped = stopReason(cause)
	if errors.Is(cause, errDeadline) {
		return rep, s.warm, nil
	}
	return rep, s.warm, fmt.Errorf("warm router: %w", cause)
}

// do sends canaries, then the items: the first ones alone, and the first under
// each header profile; the rest, and checks, as wide as the pace allows.
func (s *run) do(ctx context.Context, list []Item) {
	if err := s.probe(ctx, false); err != nil {
		s.cancel(err)
		return
	}
	s.pace.widen(s.width(ctx))
	s.measureAlone(ctx, solo-1) // what is usual for it
	m, ok := s.Planner.(planner.MutationSafe)
	safe := ok && m.MutationSafe()
	send := make([]Item, 0, len(list))
	for _, it := range s.configured(list) {
		if it.Request.Mutation && !safe {
			s.step()
			continue
		}
		send = append(send, it)
	}
	s.pace.expect(cost(send...))
	first, rest := alone(send)
	for _, it := range first {
		t, err := s.acquire(ctx, cost(it))
		if err != nil {
			break
		}
		s.send(ctx, it, t)
		s.measureAlone(ctx, 1) // does it leave users waiting behind it?
	}
	watch, unwatch := context.WithCancel(ctx)
	defer unwatch()
	var watcher errgroup.Group
	watcher.Go(func() error { s.watchLatency(watch); return nil })
	s.plan(ctx, rest)
	s.verify(ctx)
	unwatch()
	_ = watcher.Wait()
}

func (s *run) plan(ctx context.Context, list []Item) {
	var g errgroup.Group
	for _, it := range list {
		t, err := s.acquire(ctx, cost(it))
		if err != nil {
			break
		}
		g.Go(func() error { s.send(ctx, it, t); return nil })
	}
	_ = g.Wait() // what stops a run is the cause of its context
}

// acquire waits for the right to send one request. After an error the context is done.
func (s *run) acquire(ctx context.Context, cost time.Duration) (ticket, error) {
	// What ends requests reaches ctx, which hangs on theirs, a moment later.
	if err := context.Cause(s.requests); err != nil {
		s.cancel(err)
		return ticket{}, err
	}
	t, err := s.pace.acquire(ctx, cost)
	if err != nil && ctx.Err() == nil {
		s.cancel(errDeadline) // the rate leaves no room for another request before it
	}
	return t, err
}

// cost is what items are foreseen to cost, each something: not every plan's time is known.
func cost(items ...Item) (sum time.Duration) {
	for _, it := range items {
		sum += max(it.Expected, 0) + time.Millisecond
	}
	return sum
}

// send plans one item, again after a pause when the router is overloaded or
// away for a moment, and gives the ticket back.
func (s *run) send(ctx context.Context, it Item, t ticket) {
	for try := 0; ; try++ {
		start := time.Now()
		res, err := ask(s, it, s.Planner.Plan)
		took := time.Since(start)
		switch {
		case err == nil:
			s.took(it, res)
			s.pace.release(t, s.plans.add(took, it.Expected))
			return
		case try < retries && s.passing(ctx, err):
			s.pace.hold(planner.RetryAfter(err))
			s.pace.release(t, signalOf(err))
			pause(ctx, retryPause<<try)
			if t, err = s.acquire(ctx, cost(it)); err != nil {
				s.step()
				return
			}
		default:
			s.failed(it, err) // before the ticket is free, or one more could be sent
			s.pace.release(t, signalOf(err))
			return
		}
	}
}

// passing says whether a fault is worth another try. A router that cannot be
// reached time after time ends the run: it is waited for elsewhere.
func (s *run) passing(ctx context.Context, err error) bool {
	switch {
	case ctx.Err() != nil:
		return false
	case errors.Is(err, planner.ErrOverloaded):
		return true
	case !errors.Is(err, planner.ErrUnavailable):
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down++; s.down >= maxDown {
		s.cancel(err)
		return false
	}
	return true
}

func signalOf(err error) Signal {
	if errors.Is(err, planner.ErrOverloaded) {
		return SignalOverloaded
	}
	return SignalNone
}

func (s *run) took(it Item, res planner.Result) {
	x, ok := s.Planner.(planner.Executor)
	executed := ok && x.Executes()
	s.mu.Lock()
	s.down = 0
	if executed {
		s.rep.ByExecution++
	}
	switch res.Hit {
	case planner.HitYes:
		s.rep.AlreadyWarm++
		s.rep.Checked++
		s.rep.Verified++
		s.warm = append(s.warm, it.ID)
	case planner.HitNo:
		s.rep.Planned++
		s.planned = append(s.planned, it)
	default: // the router does not tell, and would not tell a check either
		s.rep.Planned++
		s.warm = append(s.warm, it.ID)
	}
	s.mu.Unlock()
	s.step()
}

// failed counts an item that was not warmed, and ends the run where it must.
func (s *run) failed(it Item, err error) {
	defer s.step()
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, planner.ErrExecuted) {
		s.rep.Executed++
	}
	switch {
	case stops(err):
		s.rep.Failed++
		s.cancel(err)
		return
	case errors.Is(err, planner.ErrMutation), s.requests.Err() != nil:
		return // not sent, or cut off: skipped
	case s.unprofiled(it, err):
		return // skipped
	case errors.Is(err, planner.ErrUnplannable):
		if len(s.rep.Unplannable) < maxShown {
			s.rep.Unplannable = append(s.rep.Unplannable, Failure{Name: it.Name, PlanKey: it.Request.PlanKey, Reason: stopReason(err)})
		}
		return // not sent: skipped
	}
	s.rep.Failed++
	if len(s.rep.Failures) < maxShown {
		s.rep.Failures = append(s.rep.Failures, Failure{Name: it.Name, PlanKey: it.Request.PlanKey, Profile: it.Profile, Reason: stopReason(err)})
	}
	s.down = 0
}

// step counts an item as done.
func (s *run) step() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	if s.Progress != nil {
		s.Progress(s.done, s.all)
	}
}
