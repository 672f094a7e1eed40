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
	solo        = 3   // requests at the start of a run that go one at a time
	maxShown    = 100 // failures, or operations, in what is kept for status
	maxDown     = 3   // requests in a row that find no router before a run gives up
	retries     = 3   // of a request that met an overloaded router
	retryPause  = 250 * time.Millisecond
	canaryEvery = 250 * time.Millisecond
)

// Settings bound one warm-up run.
type Settings struct {
	Concurrency int           // most requests under way; 0: 4
	PerSecond   float64       // most requests a second; 0: no limit
	Deadline    time.Duration // of the whole run; 0: none
}

// Runner warms one router.
type Runner struct {
	Planner  planner.Planner
	Settings Settings
	// Progress, when set, is called after each item with the items done and all items.
	Progress func(done, all int)
}

// run is the state of one warm-up.
type run struct {
	Runner
	pace   *pace
	plans  trend
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	rep     Report
	done    int
	all     int
	down    int
	warm    []string // ids proven warm by this run
	planned []Item   // to be checked afterwards
}

// errStopped ends a run early; its cause is in the report.
var errStopped = errors.New("run stopped")

// Run probes the router, then plans the items in order. It returns the report
// and the ids that are warm now. The error is nil unless the run stopped
// before its list for another reason than its deadline; it wraps
// planner.ErrExecuted, planner.ErrRefused, planner.ErrUnavailable or the
// context's error.
func (r Runner) Run(ctx context.Context, list []Item) (Report, []string, error) {
	start := time.Now()
	if r.Settings.Deadline > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, r.Settings.Deadline, errDeadline)
		defer stop()
	}
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	width := r.Settings.Concurrency
	if width <= 0 {
		width = 4
	}
	s := &run{Runner: r, pace: newPace(width, r.Settings.PerSecond), cancel: cancel, all: len(list)}
	err := s.do(work, list)
	s.rep.TookMs = float64(time.Since(start)) / float64(time.Millisecond)
	if s.rep.Checked > 0 {
		share := float64(s.rep.Verified) / float64(s.rep.Checked)
		s.rep.Share = &share
	}
	return s.rep, s.warm, err
}

var errDeadline = errors.New("deadline of the run reached")

func (s *run) do(ctx context.Context, list []Item) error {
	if err := s.Planner.Probe(ctx); err != nil {
		if errors.Is(err, planner.ErrExecuted) {
			s.rep.Executed++
		}
		s.rep.Skipped = len(list)
		s.rep.Stopped = stopReason(err)
		return fmt.Errorf("probe router: %w", err)
	}
	safe := s.mutationSafe()
	send := make([]Item, 0, len(list))
	for _, it := range list {
		if it.Request.Mutation && !safe {
			s.skip(1)
			continue
		}
		send = append(send, it)
	}
	err := s.plan(ctx, send)
	if err == nil {
		err = s.verify(ctx)
	}
	if err == nil || errors.Is(context.Cause(ctx), errDeadline) {
		return nil
	}
	return err
}

func (s *run) mutationSafe() bool {
	m, ok := s.Planner.(planner.MutationSafe)
	return ok && m.MutationSafe()
}

// plan sends the items: the first ones alone, the rest as wide as the pace allows.
func (s *run) plan(ctx context.Context, list []Item) error {
	n := min(solo, len(list))
	for i, it := range list[:n] {
		if err := s.one(ctx, it); err != nil {
			return s.stop(err, len(list)-i-1)
		}
	}
	watch, unwatch := context.WithCancel(ctx)
	defer unwatch()
	var g, bg errgroup.Group
	bg.Go(func() error { s.watchLatency(watch); return nil })
	sent, err := s.spread(ctx, &g, list[n:])
	werr := g.Wait()
	unwatch()
	_ = bg.Wait() // it returns nothing
	if err = errors.Join(werr, err); err != nil {
		return s.stop(err, len(list)-n-sent)
	}
	return nil
}

func (s *run) spread(ctx context.Context, g *errgroup.Group, list []Item) (sent int, err error) {
	for i, it := range list {
		t, err := s.pace.acquire(ctx)
		if err != nil {
			return i, err
		}
		g.Go(func() error { return s.send(ctx, it, t) })
	}
	return len(list), nil
}

func (s *run) one(ctx context.Context, it Item) error {
	t, err := s.pace.acquire(ctx)
	if err != nil {
		return err
	}
	return s.send(ctx, it, t)
}

// send plans one item, again after a pause while the router is overloaded. It
// gives the ticket back, and returns an error only when the run must stop.
func (s *run) send(ctx context.Context, it Item, t ticket) error {
	for try := 0; ; try++ {
		start := time.Now()
		res, err := s.Planner.Plan(ctx, it.Request)
		took := time.Since(start)
		switch {
		case err == nil:
			s.pace.release(t, s.signal(took, it))
			s.took(it, res)
			return nil
		case errors.Is(err, planner.ErrOverloaded) && try < retries:
			s.pace.release(t, SignalOverloaded)
			if t, err = s.again(ctx, try); err != nil {
				s.skip(1)
				return err
			}
		default:
			stop := s.failed(ctx, it, err) // before the ticket is free, or one more could be sent
			s.pace.release(t, signalOf(err))
			return stop
		}
	}
}

// again waits before a retry and takes a new ticket.
func (s *run) again(ctx context.Context, try int) (ticket, error) {
	pause := time.NewTimer(retryPause << try)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return ticket{}, ctx.Err()
	case <-pause.C:
		return s.pace.acquire(ctx)
	}
}

func signalOf(err error) Signal {
	if errors.Is(err, planner.ErrOverloaded) {
		return SignalOverloaded
	}
	return SignalFine
}

func (s *run) signal(took time.Duration, it Item) Signal {
	if s.plans.add(took, it.Expected) {
		return SignalSlow
	}
	return SignalFine
}

func (s *run) took(it Item, res planner.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = 0
	s.step()
	switch res.Hit {
	case planner.HitYes:
		s.rep.AlreadyWarm++
		s.rep.Checked++
		s.rep.Verified++
		s.warm = append(s.warm, it.ID)
	default:
		s.rep.Planned++
		s.planned = append(s.planned, it)
	}
}

// failed counts an item that was not warmed. It returns an error when the run must stop.
func (s *run) failed(ctx context.Context, it Item, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step()
	switch {
	case errors.Is(err, planner.ErrExecuted):
		s.rep.Executed++
		s.rep.Failed++
		s.cancel(err) // the answers of what is under way are read, nothing more is sent
		return err
	case errors.Is(err, planner.ErrRefused):
		s.rep.Failed++
		s.cancel(err)
		return err
	case ctx.Err() != nil:
		s.rep.Skipped++
		return ctx.Err()
	}
	s.rep.Failed++
	if len(s.rep.Failures) < maxShown {
		s.rep.Failures = append(s.rep.Failures, Failure{Name: it.Name, PlanKey: it.Request.PlanKey, Reason: stopReason(err)})
	}
	if errors.Is(err, planner.ErrUnavailable) {
		if s.down++; s.down >= maxDown {
			s.cancel(err)
			return err
		}
		return nil
	}
	s.down = 0
	return nil
}

// stop notes why a run ended and counts what was not sent.
func (s *run) stop(err error, left int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rep.Skipped += left
	s.rep.Stopped = stopReason(err)
	if errors.Is(err, context.DeadlineExceeded) {
		s.rep.Stopped = errDeadline.Error()
	}
	return err
}

func (s *run) skip(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rep.Skipped += n
	s.step()
}

// step counts an item as done; the caller holds the lock.
func (s *run) step() {
	s.done++
	if s.Progress != nil {
		s.Progress(s.done, s.all)
	}
}

// watchLatency sends the canary now and then: when a query that costs nothing
// takes much longer than before, live traffic waits too.
func (s *run) watchLatency(ctx context.Context) {
	tick := time.NewTicker(canaryEvery)
	defer tick.Stop()
	var canary trend
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		start := time.Now()
		if err := s.Planner.Probe(ctx); err != nil {
			if errors.Is(err, planner.ErrExecuted) { // it was reloaded with another configuration
				s.mu.Lock()
				s.rep.Executed++
				s.mu.Unlock()
				s.cancel(err)
			}
			continue
		}
		if canary.add(time.Since(start), time.Millisecond) {
			s.pace.slow()
		}
	}
}
