package warmer

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Signal is what one answer says of the router's load.
type Signal uint8

// The signals.
const (
	SignalFine       Signal = iota
	SignalSlow              // planning, or a plan that is known to be warm, takes much longer than before
	SignalOverloaded        // 429, 503 or a time-out
)

// pace bounds how many plan-only requests are under way. Additive increase,
// multiplicative decrease (Chiu and Jain, 1989): each round of fine answers
// adds one, a bad answer halves. Answers to requests that were sent before the
// last cut do not cut again: they tell of the same congestion.
type pace struct {
	rate *rate.Limiter // nil: no limit

	mu    sync.Mutex
	limit float64
	ceil  float64
	busy  int
	cuts  int
	until time.Time // nothing is sent before: the router asked for a pause
	wake  chan struct{}
}

// newPace allows at most ceil requests at once, starting with one, and
// perSecond requests a second when that is above zero.
func newPace(ceil int, perSecond float64) *pace {
	p := &pace{limit: 1, ceil: float64(max(1, ceil)), wake: make(chan struct{})}
	if perSecond > 0 {
		p.rate = rate.NewLimiter(rate.Limit(perSecond), 1)
	}
	return p
}

// ticket is the right to have one request under way.
type ticket struct{ epoch int }

// acquire waits for room. It fails when ctx ends, or when the rate leaves no
// room before the deadline of ctx.
func (p *pace) acquire(ctx context.Context) (ticket, error) {
	if p.rate != nil {
		if err := p.rate.Wait(ctx); err != nil {
			return ticket{}, err
		}
	}
	for {
		p.mu.Lock()
		if err := ctx.Err(); err != nil { // nothing is sent after the deadline, room or not
			p.mu.Unlock()
			return ticket{}, err
		}
		if held := time.Until(p.until); held > 0 {
			p.mu.Unlock()
			pause(ctx, held)
			continue
		}
		if p.busy < int(p.limit) {
			p.busy++
			t := ticket{epoch: p.cuts}
			p.mu.Unlock()
			return t, nil
		}
		wake := p.wake
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return ticket{}, ctx.Err()
		case <-wake:
		}
	}
}

// release gives the ticket back with what its answer said.
func (p *pace) release(t ticket, s Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	switch {
	case s == SignalFine:
		p.limit = min(p.ceil, p.limit+1/p.limit)
	case t.epoch == p.cuts:
		p.cut()
	}
	close(p.wake)
	p.wake = make(chan struct{})
}

// hold sends nothing for a while.
func (p *pace) hold(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); d > 0 && until.After(p.until) {
		p.until = until
	}
}

func (p *pace) cut() {
	p.cuts++
	p.limit = max(1, p.limit/2)
}

// trend compares a stream of times with what is usual for them, in proportion
// to what was expected. It is slow to believe in a change for the worse from a
// single answer, since one heavy plan says nothing about the router, and takes
// a change that stays for the new usual: times may have been foreseen on
// another machine, and a run must not crawl for ever because of it.
type trend struct {
	mu    sync.Mutex
	usual float64 // running mean of the logarithms of ratios
	n     int
	high  int
}

const (
	trendWarmup = 5                     // answers before anything is judged
	trendFactor = 3.0                   // how much more than usual counts as slow
	trendNoise  = 20 * time.Millisecond // of schedulers and networks, added to both sides of a ratio
	trendInARow = 2
	trendMemory = 50 // answers that make what is usual
)

// add reports whether took, where expected was foreseen, tells of a slow router.
func (t *trend) add(took, expected time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	ratio := math.Log(float64(took+trendNoise) / float64(max(expected, 0)+trendNoise))
	slow := t.n >= trendWarmup && ratio > t.usual+math.Log(trendFactor)
	t.n++
	t.usual += (ratio - t.usual) / float64(min(t.n, trendMemory))
	if !slow {
		t.high = 0
		return false
	}
	t.high++
	return t.high%trendInARow == 0
}
