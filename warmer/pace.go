package warmer

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Signal is what one answer says of the router's load.
type Signal uint8

// The signals.
const (
	SignalNone       Signal = iota
	SignalFine              // as fast as before
	SignalSlow              // planning, or a canary, takes much longer than before
	SignalOverloaded        // 429, 503 or a time-out
)

const (
	minLimit = 1.0 / 4     // what one request at a time is slowed down to at most
	maxPause = time.Second // after one plan: a backlog behind it is worked off by then
)

// pace bounds how many requests are under way. Additive increase,
// multiplicative decrease (Chiu and Jain, 1989): a fine canary adds one, a bad
// answer halves. Answers to requests that were sent before the last cut do not
// cut again: they tell of the same congestion. Plans that are answered in time
// add nothing, since they come by the hundred between two canaries and say
// nothing of live traffic; but after a cut, one has to come first.
//
// Below one, limit is the share of the time in which a plan is under way: one
// plan keeps a core busy, which is half of a small router.
type pace struct {
	rate *rate.Limiter // nil: no limit
	ceil int           // of all that is under way, canaries included

	mu       sync.Mutex
	limit    float64
	plans    int       // under way, and checks
	canaries int       // under way, or waiting for room, which is kept for them
	cuts     int       // so far
	doubt    bool      // no plan was answered in time since the last one
	held     time.Time // nothing is sent before: the router asked for a pause
	rest     time.Time // no plan is sent before
	budget   budget
	wake     chan struct{}
}

// newPace allows at most ceil requests at once, starting with one, and
// perSecond requests a second when that is above zero. Its own pauses keep to
// deadline, unless that is zero.
func newPace(ceil int, perSecond float64, deadline time.Time) *pace {
	p := &pace{limit: 1, ceil: max(1, ceil), budget: budget{deadline: deadline}, wake: make(chan struct{})}
	if perSecond > 0 {
		p.rate = rate.NewLimiter(rate.Limit(perSecond), 1)
	}
	return p
}

// widen allows another number at once.
func (p *pace) widen(ceil int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ceil = max(1, ceil)
}

// ticket is the right to have one request under way.
type ticket struct {
	canary bool
	cost   time.Duration // as foreseen
	epoch  int
	start  time.Time
}

// acquire waits for room for a plan that is foreseen to cost so much, or for
// something else that costs nothing and is followed by no pause. It fails when
// ctx ends, or when the rate leaves no room before the deadline of ctx.
func (p *pace) acquire(ctx context.Context, cost time.Duration) (ticket, error) {
	return p.enter(ctx, ticket{cost: cost}, func() (bool, time.Time) {
		room := p.plans < max(1, int(p.limit)) && p.plans+p.canaries < p.ceil
		if p.rest.After(p.held) {
			return room, p.rest
		}
		return room, p.held
	})
}

// acquireCanary is acquire for a canary. One that goes beside a plan waits for
// one to be under way: only then it meets what live traffic meets. Where one
// request at a time is all that is allowed, it goes behind a plan.
func (p *pace) acquireCanary(ctx context.Context, beside bool) (ticket, error) {
	beside = beside && p.ceil > 1
	p.count(&p.canaries, 1)
	t, err := p.enter(ctx, ticket{canary: true}, func() (bool, time.Time) {
		return p.plans+p.canaries <= p.ceil && (p.plans > 0 || !beside), p.held
	})
	if err != nil {
		p.count(&p.canaries, -1)
	}
	return t, err
}

func (p *pace) count(n *int, d int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*n += d
}

// enter waits until may, called under the lock, says that there is room and
// from when on it can be used.
func (p *pace) enter(ctx context.Context, t ticket, may func() (room bool, from time.Time)) (ticket, error) {
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
		room, from := may()
		if wait := time.Until(from); room && wait > 0 {
			p.mu.Unlock()
			pause(ctx, wait)
			continue
		}
		if room {
			t.epoch, t.start = p.cuts, time.Now()
			if !t.canary {
				p.plans++
			}
			p.changed()
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
	switch {
	case s == SignalNone:
	case s != SignalFine:
		p.cut(t)
	case !t.canary:
		p.doubt = false
	case !p.doubt:
		p.raise()
	}
	if t.canary {
		p.canaries--
	} else {
		p.plans--
		took := time.Since(t.start)
		p.budget.spent(t.cost, took)
		if p.limit < 1 && t.cost > 0 {
			want := time.Duration(float64(took) * (1/p.limit - 1))
			p.rest = time.Now().Add(p.budget.grant(took, min(want, maxPause)))
		}
	}
	p.changed()
}

func (p *pace) cut(t ticket) {
	if t.epoch == p.cuts {
		p.cuts++
		p.doubt = true
		p.limit = max(minLimit, p.limit/2)
	}
}

func (p *pace) raise() {
	if p.limit < 1 {
		p.limit = min(1, p.limit+minLimit)
	} else {
		p.limit = min(float64(p.ceil), p.limit+1)
	}
}

// changed lets everybody who waits look again. It is called under the lock.
func (p *pace) changed() {
	close(p.wake)
	p.wake = make(chan struct{})
}

// hold sends nothing for a while.
func (p *pace) hold(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); d > 0 && until.After(p.held) {
		p.held = until
	}
}

// expect says what all that is still to be sent is foreseen to cost.
func (p *pace) expect(cost time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.budget = budget{deadline: p.budget.deadline, left: cost}
}

// lastPause is until when a run may slow itself down: a quarter of its time is
// kept for checks, and for plans that take longer than was foreseen.
func lastPause(ctx context.Context) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Time{}
	}
	return time.Now().Add(time.Until(deadline) * 3 / 4)
}

// budget grants pauses out of the time that a run does not need: no pause makes
// it miss a deadline that it meets without.
type budget struct {
	deadline   time.Time     // of pauses; zero: none
	left       time.Duration // foreseen, of what is not answered yet
	seen, took time.Duration // foreseen, and needed, of what is answered
}

func (b *budget) spent(cost, took time.Duration) {
	b.left -= cost
	b.seen += cost
	b.took += took
}

// grant returns how much of a pause there is time for after an answer that took
// so long. Pauses share the spare time in proportion to what comes before them.
func (b *budget) grant(took, want time.Duration) time.Duration {
	if b.deadline.IsZero() || b.left <= 0 || b.seen <= 0 {
		return want
	}
	work := float64(b.left) * float64(b.took) / float64(b.seen) // at one request at a time
	spare := float64(time.Until(b.deadline)) - work
	return min(want, max(0, time.Duration(spare*float64(took)/work)))
}
