package cdnsource

import (
	"slices"
	"sync"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// maxQuarantine bounds a quarantine that nobody ever empties.
const maxQuarantine = 2 * manifest.MaxEntries

// Share says how much of a manifest a pull gets.
type Share uint8

// The shares.
const (
	ShareFull Share = iota
	ShareHalf
	ShareNothing
)

// String returns full, half or nothing.
func (s Share) String() string {
	switch s {
	case ShareHalf:
		return "half"
	case ShareNothing:
		return "nothing"
	default:
		return "full"
	}
}

// Verdict is what a Guard decides about one pull.
type Verdict struct {
	Share Share
	// Withheld has the plan keys that this pull does not get: the quarantine,
	// and what the trial under way leaves out.
	Withheld map[string]struct{}
}

// CrashGuardOptions configure a CrashGuard.
type CrashGuardOptions struct {
	// Starts is how many starts may fail in a row before the manifest is
	// suspected. Default 3.
	Starts int
	// Window is the longest pause between two pulls of one series; longer ones
	// begin anew. It is above the five minutes that a Kubernetes back-off can
	// reach. Default 10 minutes.
	Window time.Duration
	// PullsPerStart is how often a router pulls in one start: once, and once
	// more for each feature flag. Default 1.
	PullsPerStart int
	// Quarantined are keys found before, by an earlier process.
	Quarantined []string
}

// CrashGuard breaks the crash loop of a router that one bad operation ends at
// every start. It watches one router: pulls come in through Pull, proof of life
// through Ready, and a pull that finds no Ready since the last one says that
// the start in between failed.
//
// It halves the manifest, since nothing but the outcome of a start tells which
// operation it is:
//
//  1. full: everything, until Starts starts have failed in a row.
//  2. half: the first half of the list, the half most worth warming. When the
//     router becomes ready, the half that was left out holds the culprit and is
//     quarantined: two starts cold of the least valuable plans at worst.
//  3. nothing: when the half failed too. When the router becomes ready now, the
//     half that was tried is quarantined and the other half is served again;
//     should that one be bad as well, the next series finds it.
//  4. When two starts fail with nothing, the manifest is innocent: the same
//     list is served in full again until the router has been ready once.
//
// The quarantine is not narrowed further by itself: every trial of a suspect
// could take down a router that would have come up. A person narrows it with
// Release. Time is passed in, and the guard does no I/O.
type CrashGuard struct {
	starts, perStart int
	window           time.Duration

	mu         sync.Mutex
	quarantine map[string]struct{}
	share      Share
	pulls      int // in the series under way, those of one connection counted once
	failed     int // starts that failed at the present share
	last       time.Time
	from       string
	trial      map[string]struct{} // what the half got
	rest       map[string]struct{} // what the half was refused
	innocent   map[string]struct{} // a list that crashes nothing
}

var _ Guard = (*CrashGuard)(nil)

// NewCrashGuard returns a guard for one router.
func NewCrashGuard(o CrashGuardOptions) *CrashGuard {
	if o.Starts <= 0 {
		o.Starts = 3
	}
	if o.Window <= 0 {
		o.Window = 10 * time.Minute
	}
	return &CrashGuard{
		starts: o.Starts, perStart: max(o.PullsPerStart, 1), window: o.Window,
		quarantine: setOf(o.Quarantined),
	}
}

// Pull counts a pull and decides what of keys, in the manifest's order, it gets.
func (g *CrashGuard) Pull(at time.Time, from string, keys []string) Verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.last.IsZero() && at.Sub(g.last) > g.window {
		g.reset()
	}
	// A second pull on one connection comes from a process that lives.
	alive := from != "" && from == g.from && g.pulls > 0
	if !alive {
		if g.pulls > 0 && g.pulls%g.perStart == 0 {
			g.failed++
			g.step(keys)
		}
		g.pulls++
	}
	g.last, g.from = at, from
	return g.verdict(keys)
}

// step moves on after a start that failed.
func (g *CrashGuard) step(keys []string) {
	switch g.share {
	case ShareFull:
		if g.failed < g.starts || g.acquitted(keys) {
			return
		}
		suspects := g.admitted(keys)
		if len(suspects) == 0 {
			return // an empty list crashes nothing
		}
		head := (len(suspects) + 1) / 2
		g.trial, g.rest = setOf(suspects[:head]), setOf(suspects[head:])
		g.share, g.failed = ShareHalf, 0
		if len(g.rest) == 0 {
			g.share = ShareNothing // half of one operation is all of it
		}
	case ShareHalf:
		g.share, g.failed = ShareNothing, 0
	case ShareNothing:
		if g.failed < 2 {
			return
		}
		g.innocent = setOf(keys)
		g.share, g.failed, g.trial, g.rest = ShareFull, 0, nil, nil
	}
}

// Ready says that the router answered ready to a question sent at a time. One
// that is not after the last pull proves nothing and is ignored.
func (g *CrashGuard) Ready(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pulls == 0 || !at.After(g.last) {
		return
	}
	switch g.share {
	case ShareHalf:
		g.lock(g.rest)
	case ShareNothing:
		g.lock(g.trial)
	}
	g.innocent = nil
	g.reset()
}

// Quarantined returns the keys that no pull gets, sorted.
func (g *CrashGuard) Quarantined() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return sortedKeys(g.quarantine)
}

// Suspects returns the keys that the trial under way is about, sorted: none
// when there is no trial.
func (g *CrashGuard) Suspects() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := sortedKeys(g.trial)
	all = append(all, sortedKeys(g.rest)...)
	slices.Sort(all)
	return all
}

// Share returns what the next pull would get if no more starts fail.
func (g *CrashGuard) Share() Share {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.share
}

// Release takes keys out of the quarantine; without keys, all of them.
func (g *CrashGuard) Release(keys ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(keys) == 0 {
		clear(g.quarantine)
	}
	for _, k := range keys {
		delete(g.quarantine, k)
	}
}

func (g *CrashGuard) verdict(keys []string) Verdict {
	v := Verdict{Share: g.share, Withheld: map[string]struct{}{}}
	for _, k := range keys {
		_, out := g.quarantine[k]
		_, tried := g.trial[k]
		if out || g.share == ShareNothing || g.share == ShareHalf && !tried {
			v.Withheld[k] = struct{}{}
		}
	}
	return v
}

// admitted returns the keys, each once, that are not in quarantine.
func (g *CrashGuard) admitted(keys []string) []string {
	seen := map[string]struct{}{}
	var out []string
	for _, k := range keys {
		_, locked := g.quarantine[k]
		_, twice := seen[k]
		if !locked && !twice {
			seen[k] = struct{}{}
			out = append(out, k)
		}
	}
	return out
}

// acquitted says whether a list holds nothing beyond one that was found innocent.
func (g *CrashGuard) acquitted(keys []string) bool {
	if g.innocent == nil {
		return false
	}
	for _, k := range keys {
		if _, ok := g.innocent[k]; !ok {
			return false
		}
	}
	return true
}

func (g *CrashGuard) lock(keys map[string]struct{}) {
	for k := range keys {
		if len(g.quarantine) < maxQuarantine {
			g.quarantine[k] = struct{}{}
		}
	}
}

// reset ends the series; the quarantine stays.
func (g *CrashGuard) reset() {
	g.share, g.pulls, g.failed, g.from = ShareFull, 0, 0, ""
	g.trial, g.rest = nil, nil
}

func setOf(keys []string) map[string]struct{} {
	set := make(map[string]struct{}, len(keys))
	for _, k := range keys {
		set[k] = struct{}{}
	}
	return set
}

func sortedKeys(set map[string]struct{}) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
