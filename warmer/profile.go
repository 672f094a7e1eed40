package warmer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/planwarm/planwarm/planner"
)

// Profiles returns the headers of a header profile, read anew each time: their
// values may be secrets that are exchanged. The error wraps ErrNoProfile for a
// name that is not configured, and has no value in it.
type Profiles func(name string) (http.Header, error)

// ErrNoProfile is why an operation is not warmed under a header profile: what
// is pushed for a fleet may name profiles that one of its members does not have.
var ErrNoProfile = errors.New("header profile is not configured here")

// errNotSent is added where an operation was not even sent for it.
var errNotSent = errors.New("not sent")

// ProfileSkip is operations that a run did not send under a header profile.
type ProfileSkip struct {
	Profile    string `json:"profile"`
	Operations int    `json:"operations"`
	Reason     string `json:"reason"`
}

// headers are those of a profile; none without one.
func (p Profiles) headers(name string) (http.Header, error) {
	switch {
	case name == "":
		return nil, nil
	case p == nil:
		return nil, fmt.Errorf("header profile %s: %w", name, ErrNoProfile)
	}
	h, err := p(name)
	if err != nil {
		return nil, fmt.Errorf("header profile %s: %w", name, err)
	}
	return h, nil
}

// configured keeps the items whose header profile is known here. Headers that
// cannot be had for another reason are asked for again when they are needed.
func (s *run) configured(list []Item) []Item {
	unknown := map[string]bool{"": false}
	kept := make([]Item, 0, len(list))
	for _, it := range list {
		no, asked := unknown[it.Profile]
		if !asked {
			_, err := s.Profiles.headers(it.Profile)
			no = errors.Is(err, ErrNoProfile)
			unknown[it.Profile] = no
		}
		if no {
			s.failed(it, ErrNoProfile)
			continue
		}
		kept = append(kept, it)
	}
	return kept
}

// alone splits off what is sent one at a time: the first items, and the first
// under each header profile, which shows whether the router takes it.
func alone(list []Item) (first, rest []Item) {
	known := map[string]bool{"": true}
	for i, it := range list {
		if i < solo || !known[it.Profile] {
			first = append(first, it)
		} else {
			rest = append(rest, it)
		}
		known[it.Profile] = true
	}
	return first, rest
}

// ask makes a request about an item, with the headers of its profile.
func ask[T any](s *run, it Item, do func(context.Context, planner.Request) (T, error)) (answer T, err error) {
	if s.isRefused(it.Profile) {
		return answer, fmt.Errorf("%w: %w", errNotSent, planner.ErrProfile)
	}
	r := it.Request
	if r.Header, err = s.Profiles.headers(it.Profile); err != nil {
		return answer, err
	}
	answer, err = do(s.requests, r)
	if it.Profile != "" && errors.Is(err, planner.ErrRefused) {
		err = s.blame()
	}
	if errors.Is(err, planner.ErrProfile) {
		err = planner.ErrProfile // the rest says nothing to who reads a report
		s.mu.Lock()
		s.refused = append(s.refused, it.Profile)
		s.mu.Unlock()
	}
	return answer, err
}

// blame finds out what a refusal under a header profile is about where the
// planner does not: the canary goes without one. The router's own refusal ends
// the run like any other; one of the profile must not keep everything else from
// being warmed.
func (s *run) blame() error {
	if err := s.Planner.Probe(s.requests); err != nil {
		return err
	}
	return planner.ErrProfile
}

func (s *run) isRefused(profile string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.refused, profile)
}

// unprofiled notes that an item was not sent for its header profile, and says
// whether that is why. It is called under the lock.
func (s *run) unprofiled(it Item, err error) bool {
	reason := ErrNoProfile
	switch {
	case errors.Is(err, ErrNoProfile):
	case errors.Is(err, errNotSent):
		reason = planner.ErrProfile
	default:
		return false
	}
	skips := s.rep.Profiles
	i := slices.IndexFunc(skips, func(x ProfileSkip) bool { return x.Profile == it.Profile && x.Reason == reason.Error() })
	switch {
	case i >= 0:
		skips[i].Operations++
	case len(skips) < maxShown:
		s.rep.Profiles = append(skips, ProfileSkip{Profile: it.Profile, Operations: 1, Reason: reason.Error()})
	}
	return true
}
