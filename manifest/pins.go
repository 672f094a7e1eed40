package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minPrefix is how much of an id has to be given to find a pin by it.
const minPrefix = 8

// PinID identifies a request: the hex SHA-256 of its name, persisted id and
// text. The client is no part of it.
func PinID(r Request) string {
	sum := sha256.Sum256([]byte(r.identity()))
	return hex.EncodeToString(sum[:])
}

// Validate reports every fault of p in one error that wraps ErrInvalid, or
// ErrFormat when the format is not ours. Faults name pins[i] or deny[i].
func (p Pins) Validate() error {
	if p.Format != PinsFormat {
		return ErrFormat
	}
	var f faults
	f.graph(p.Graph)
	f.text("nonce", p.Nonce)
	if len(p.Pins) > MaxEntries {
		f.add("pins", "%d, at most %d", len(p.Pins), MaxEntries)
		return f.err()
	}
	if len(p.Deny) > MaxEntries {
		f.add("deny", "%d, at most %d", len(p.Deny), MaxEntries)
		return f.err()
	}
	place := make(map[string]int, len(p.Pins))
	for i := range p.Pins {
		at := "pins[" + strconv.Itoa(i) + "]"
		f.pin(at, &p.Pins[i])
		id := p.Pins[i].ID
		if j, taken := place[id]; taken {
			f.add(at, "same id as pins[%d]", j)
			continue
		}
		place[id] = i
	}
	for i := range p.Deny {
		f.deny("deny["+strconv.Itoa(i)+"]", &p.Deny[i])
	}
	return f.err()
}

func (f *faults) pin(at string, p *Pin) {
	f.request(at+".request", p.Request)
	if p.ID != PinID(p.Request) {
		f.add(at+".id", "not the id of the request")
	}
	f.client(at+".client", p.Client)
	f.planKey(at+".planKey", p.PlanKey)
	f.text(at+".pushedBy", p.PushedBy)
	f.when(at+".pushedAt", p.PushedAt)
	if p.PushedAt.IsZero() {
		f.add(at+".pushedAt", "not set")
	}
	f.whenSet(at+".from", p.From)
	f.whenSet(at+".until", p.Until)
	f.profiles(at+".profiles", p.Profiles)
	if p.From != nil && p.Until != nil && !p.From.Before(*p.Until) {
		f.add(at+".until", "not after from")
	}
}

// Candidates returns the pins as Build takes them. The caller completes each
// one's type, plan key and variants under the current schema.
func (p Pins) Candidates() []Candidate {
	cs := make([]Candidate, len(p.Pins))
	for i := range p.Pins {
		pin := p.Pins[i]
		cs[i] = Candidate{
			Entry: Entry{Request: pin.Request, Client: pin.Client, Planwarm: Details{Source: SourceManual}},
			Pin:   &pin,
			Place: i,
		}
	}
	return cs
}

// PushResult tells what a push did.
type PushResult struct {
	Added []Pin `json:"added"` // were not there
	Moved []Pin `json:"moved"` // were there already and are on top now, with what the push said of them
	Fell  []Pin `json:"fell"`  // fell out at the cap and are gone
	// Parked stay, but are no longer among the first limit pins and so leave the
	// manifest. There are some only when a limit was lowered before.
	Parked []Pin `json:"parked"`
}

// Push puts pins on the stack one after another, so that the last one given
// ends on top. One that is there already moves to the top and takes over what
// the new one says. An empty ID is filled in.
//
// At the limit the newest goes in and the oldest falls out. Above the limit,
// when somebody lowered it, the stack keeps its height: of the parked pins only
// as many fall out, oldest first, as new ones come in, which is what would have
// happened without the lowering; the ones pushed below the limit are parked.
// Pins that expired before the push fall out before any that still count.
//
// A push of several that would take a live pin out of the manifest returns
// ErrWouldEvict without evict. After an error nothing has changed; the result
// then says what would have fallen or been parked.
func (p *Pins) Push(pins []Pin, limit int, evict bool) (PushResult, error) {
	if limit < 1 || limit > MaxEntries {
		return PushResult{}, fmt.Errorf("push: limit %d, want 1 to %d", limit, MaxEntries)
	}
	if len(pins) > MaxEntries {
		return PushResult{}, fmt.Errorf("push: %w: %d operations, at most %d", ErrTooLarge, len(pins), MaxEntries)
	}
	batch, err := prepare(pins)
	if err != nil {
		return PushResult{}, err
	}
	height := max(limit, len(p.Pins))
	was := make(map[string]bool, len(p.Pins))
	active := make(map[string]bool, limit)
	for i := range p.Pins {
		was[p.Pins[i].ID] = true
		active[p.Pins[i].ID] = i < limit
	}
	// Empty lists, not null, for whoever reads it as JSON.
	res := PushResult{Added: []Pin{}, Moved: []Pin{}, Fell: []Pin{}, Parked: []Pin{}}
	pushed := make(map[string]bool, len(batch))
	var now time.Time
	for _, pin := range batch {
		pushed[pin.ID] = true
		if pin.PushedAt.After(now) {
			now = pin.PushedAt
		}
	}
	stack := slices.Clone(batch)
	for _, pin := range p.Pins {
		if !pushed[pin.ID] {
			stack = append(stack, pin)
		}
	}
	stack, fell := fall(stack, height, now)
	res.Fell = append(res.Fell, fell...)
	for i, pin := range stack {
		switch {
		case pushed[pin.ID] && was[pin.ID]:
			res.Moved = append(res.Moved, pin)
		case pushed[pin.ID]:
			res.Added = append(res.Added, pin)
		}
		if i >= limit && (active[pin.ID] || pushed[pin.ID]) {
			res.Parked = append(res.Parked, pin)
		}
	}
	if n := evicted(res, now); n > 0 && len(pins) > 1 && !evict {
		res.Added, res.Moved = []Pin{}, []Pin{}
		return res, fmt.Errorf("%w %d, limit %d", ErrWouldEvict, n, limit)
	}
	p.Pins = stack
	return res, nil
}

// prepare checks and completes pins and turns them newest first, without repetitions.
func prepare(pins []Pin) ([]Pin, error) {
	var f faults
	batch := make([]Pin, 0, len(pins))
	seen := make(map[string]bool, len(pins))
	for i := len(pins) - 1; i >= 0; i-- {
		pin := pins[i]
		if pin.ID == "" {
			pin.ID = PinID(pin.Request)
		}
		f.pin("pins["+strconv.Itoa(i)+"]", &pin)
		if !seen[pin.ID] {
			seen[pin.ID] = true
			batch = append(batch, pin)
		}
	}
	slices.Reverse(f.all)
	if err := f.err(); err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	return batch, nil
}

// fall shortens the stack to height: expired pins go first, then the oldest.
func fall(stack []Pin, height int, now time.Time) (kept, fell []Pin) {
	over := len(stack) - height
	if over <= 0 {
		return stack, nil
	}
	victim := make([]bool, len(stack))
	for _, onlyExpired := range []bool{true, false} {
		for i := len(stack) - 1; i >= 0 && over > 0; i-- {
			if !victim[i] && (!onlyExpired || stack[i].expired(now)) {
				victim[i] = true
				over--
			}
		}
	}
	for i, pin := range stack {
		if victim[i] {
			fell = append(fell, pin)
		} else {
			kept = append(kept, pin)
		}
	}
	return kept, fell
}

func (p *Pin) expired(now time.Time) bool {
	return p.Until != nil && !now.Before(*p.Until)
}

func evicted(r PushResult, now time.Time) int {
	n := 0
	for _, list := range [][]Pin{r.Fell, r.Parked} {
		for i := range list {
			if !list[i].expired(now) {
				n++
			}
		}
	}
	return n
}

// Find returns the pins that go by s: an id, the first 8 or more digits of
// one, a plan key, or an operation name.
func (p Pins) Find(s string) []Pin {
	var found []Pin
	if s == "" {
		return nil
	}
	for _, pin := range p.Pins {
		prefix := len(s) >= minPrefix && strings.HasPrefix(pin.ID, s)
		if prefix || pin.PlanKey == s || pin.Request.OperationName == s {
			found = append(found, pin)
		}
	}
	return found
}

// Remove takes the pin that goes by s (see Find) off the stack. The error wraps
// ErrNotFound, or ErrAmbiguous when there are several.
func (p *Pins) Remove(s string) (Pin, error) {
	found := p.Find(s)
	switch len(found) {
	case 0:
		return Pin{}, fmt.Errorf("remove pin %q: %w", clip(s), ErrNotFound)
	case 1:
		p.Pins = slices.DeleteFunc(slices.Clone(p.Pins), func(pin Pin) bool { return pin.ID == found[0].ID })
		return found[0], nil
	}
	ids := make([]error, len(found))
	for i, pin := range found {
		ids[i] = errors.New(pin.ID)
	}
	return Pin{}, fmt.Errorf("remove pin %q: %w:\n%w", clip(s), ErrAmbiguous, errors.Join(ids...))
}

// Parked returns the pins that limit leaves out of the manifest.
func (p Pins) Parked(limit int) []Pin {
	return p.Pins[min(max(limit, 0), len(p.Pins)):]
}

// clone returns a copy whose lists can be changed.
func (p Pins) clone() Pins {
	p.Pins = slices.Clone(p.Pins)
	p.Deny = slices.Clone(p.Deny)
	return p
}
