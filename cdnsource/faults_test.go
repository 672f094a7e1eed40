package cdnsource_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
	"github.com/planwarm/planwarm/manifest"
)

// lost are the ways in which the answer of a write that was applied is lost:
// none at all, a 5xx, and the conflict of a write that was sent twice.
var lost = map[string]fault{
	"no answer":         {apply: true, err: fmt.Errorf("reset: %w", cdnsource.ErrAmbiguous)},
	"conflict with own": {apply: true, err: fmt.Errorf("412: %w", cdnsource.ErrConflict)},
	"not applied":       {err: fmt.Errorf("503: %w", cdnsource.ErrAmbiguous)},
}

// TestLostAnswers: whatever becomes of the answers, one publication takes one
// number and one push is applied once.
func TestLostAnswers(t *testing.T) {
	for name, one := range lost {
		for _, key := range []string{"1.json", "2.json", "latest.json"} {
			t.Run(name+" of "+key, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newFaulty()
					s := newStore(t, b)
					b.put[key] = []fault{one, one}
					publish(t, s, "A")
					m := publish(t, s, "B")
					if got, p := inForce(t, s); m.Sequence != 2 || p.Sequence != 2 || !slices.Equal(bucketsuite.Names(got), []string{"B"}) {
						t.Fatalf("published %d, in force %d: %q", m.Sequence, p.Sequence, bucketsuite.Names(got))
					}
				})
			})
		}
		t.Run(name+" of pins", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFaulty()
				s := newStore(t, b)
				b.put["pins.json"] = []fault{one, one, {apply: true, err: cdnsource.ErrAmbiguous}}
				for i, name := range []string{"A", "B", "C"} {
					if _, err := s.UpdatePins(t.Context(), storefront, bucketsuite.Pin(name)); err != nil {
						t.Fatalf("update %d: %v", i, err)
					}
				}
				p, _, err := s.Pins(t.Context(), storefront)
				if err != nil || p.Sequence != 3 || len(p.Pins) != 3 {
					t.Fatalf("sequence %d with %d pins, want 3 and 3 (%v)", p.Sequence, len(p.Pins), err)
				}
			})
		})
		t.Run(name+" of hold", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFaulty()
				s := newStore(t, b)
				publish(t, s, "A")
				b.put["latest.json"] = []fault{one}
				if p, err := s.Hold(t.Context(), storefront, true); err != nil || !p.Hold || p.Sequence != 1 {
					t.Fatalf("hold: %+v, %v", p, err)
				}
			})
		})
	}
}

// TestLostAnswerWithSuccessors: others wrote on top before we could read back.
// The push was applied, and must not be applied again.
func TestLostAnswerWithSuccessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		ours, theirs := newStore(t, b), newStore(t, b)
		other := func() {
			for i := range 3 {
				if _, err := theirs.UpdatePins(t.Context(), storefront, bucketsuite.Pin(fmt.Sprintf("T%d", i))); err != nil {
					t.Errorf("their update: %v", err)
				}
			}
		}
		b.put["pins.json"] = []fault{{apply: true, then: other, err: cdnsource.ErrAmbiguous}}
		calls := 0
		_, err := ours.UpdatePins(t.Context(), storefront, func(p *manifest.Pins) error {
			calls++
			return bucketsuite.Pin("Ours")(p)
		})
		if err != nil || calls != 1 {
			t.Fatalf("update: %d calls, %v", calls, err)
		}
		p, _, err := ours.Pins(t.Context(), storefront)
		if err != nil || len(p.Pins) != 4 || p.Sequence != 4 {
			t.Fatalf("%d pins at sequence %d, want 4 and 4 (%v)", len(p.Pins), p.Sequence, err)
		}
	})
}

// TestDiesBetweenClaimAndPointer: the next publisher completes what the one
// before it claimed, and publishes above it.
func TestDiesBetweenClaimAndPointer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		s := newStore(t, b)
		publish(t, s, "A")
		b.always = func(op, key string) error {
			if op == "put" && strings.HasSuffix(key, "latest.json") {
				return fmt.Errorf("down: %w", cdnsource.ErrAmbiguous)
			}
			return nil
		}
		_, err := s.Publish(t.Context(), storefront, bucketsuite.Manifest(storefront, "B"))
		if !errors.Is(err, cdnsource.ErrAmbiguous) {
			t.Fatalf("publish over a dead bucket: %v", err)
		}
		if m, p := inForce(t, s); p.Sequence != 1 || !slices.Equal(bucketsuite.Names(m), []string{"A"}) {
			t.Fatalf("in force %d, want the last good version", p.Sequence)
		}
		history, _, err := s.History(t.Context(), storefront, 0)
		if err != nil || len(history) != 2 || !history[0].Pending {
			t.Fatalf("history %+v, want a pending version (%v)", history, err)
		}
		b.always = nil
		var base []string
		m, err := s.PublishIf(t.Context(), storefront, func(_ context.Context, current *manifest.Manifest) (manifest.Manifest, error) {
			base = bucketsuite.Names(*current)
			return bucketsuite.Manifest(storefront, "C"), nil
		})
		if err != nil || m.Sequence != 3 || !slices.Equal(base, []string{"B"}) {
			t.Fatalf("published %d over %q, want 3 over the repaired B (%v)", m.Sequence, base, err)
		}
	})
}

// TestUnreadableClaim: garbage above the pointer takes its number and nothing else.
func TestUnreadableClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		s := newStore(t, b)
		publish(t, s, "A")
		for name, body := range map[string]string{
			"00000000000000000002.json":            `{"format":"planwarm/v1","oper`,
			"3.json":                               "not one of ours",
			".00000000000000000009.json.sgwtmp.17": "left by a killed server",
		} {
			if _, err := b.Put(t.Context(), "default/storefront/versions/"+name, []byte(body), cdnsource.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if m := publish(t, s, "B"); m.Sequence != 3 {
			t.Fatalf("sequence %d, want 3", m.Sequence)
		}
		if m, p := inForce(t, s); p.Sequence != 3 || !slices.Equal(bucketsuite.Names(m), []string{"B"}) {
			t.Fatalf("in force: %d", p.Sequence)
		}
	})
}

// TestLostPointer: a pointer that somebody removed comes back from the list.
func TestLostPointer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		s := newStore(t, b)
		publish(t, s, "A")
		publish(t, s, "B")
		if err := b.Delete(t.Context(), "default/storefront/latest.json"); err != nil {
			t.Fatal(err)
		}
		if m := publish(t, s, "C"); m.Sequence != 3 {
			t.Fatalf("sequence %d, want 3", m.Sequence)
		}
	})
}

// TestTamperedVersion: bytes that are not those of the pointer are refused.
func TestTamperedVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		s := newStore(t, b)
		publish(t, s, "A")
		key := "default/storefront/versions/00000000000000000001.json"
		obj, err := b.Bucket.Get(t.Context(), key, cdnsource.GetOptions{Limit: manifest.MaxBytes})
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(obj.Body), "products", "prodvcts", 1)
		if _, err := b.Put(t.Context(), key, []byte(changed), cdnsource.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Fetch(t.Context(), storefront); !errors.Is(err, cdnsource.ErrCorrupt) {
			t.Fatalf("fetch: %v, want %v", err, cdnsource.ErrCorrupt)
		}
		if m := publish(t, s, "B"); m.Sequence != 2 {
			t.Fatalf("a broken version kept a good one out: sequence %d", m.Sequence)
		}
		inForce(t, s)
	})
}

// TestBadManifestInForce: whatever the pointer names is checked before it is
// used, is never taken for a graph without manifest, and is published over.
func TestBadManifestInForce(t *testing.T) {
	whole, err := manifest.Encode(bucketsuite.Manifest(storefront, "A"))
	if err != nil {
		t.Fatal(err)
	}
	replaced := func(old, text string) string { return strings.Replace(string(whole), old, text, 1) }
	for name, test := range map[string]struct {
		body string
		want error
	}{
		"truncated":      {string(whole[:len(whole)/2]), manifest.ErrMalformed},
		"empty":          {"", cdnsource.ErrCorrupt},
		"unknown format": {replaced(manifest.Format, "planwarm/v9"), manifest.ErrFormat},
		"other graph":    {replaced(storefront.Name, "other"), cdnsource.ErrCorrupt},
		"other sequence": {replaced(`"sequence":1`, `"sequence":7`), cdnsource.ErrCorrupt},
		"no query":       {replaced("query A { products { sku } }", ""), manifest.ErrInvalid},
		"too large":      {string(whole) + strings.Repeat(" ", manifest.MaxBytes), cdnsource.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := cdnsource.NewMemory()
				s := newStore(t, b)
				publish(t, s, "A")
				_, before := inForce(t, s)
				pointer := fmt.Sprintf(`{"format":%q,"sequence":1,"writer":"w","nonce":"n","sha256":"%x"}`, before.Format, sha256.Sum256([]byte(test.body)))
				for key, body := range map[string]string{"versions/00000000000000000001.json": test.body, "latest.json": pointer} {
					if _, err := b.Put(t.Context(), "default/storefront/"+key, []byte(body), cdnsource.PutOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				if _, _, err := s.Fetch(t.Context(), storefront); !errors.Is(err, test.want) || errors.Is(err, cdnsource.ErrNotFound) {
					t.Fatalf("fetch: %v, want %v", err, test.want)
				}
				_, err := s.PublishIf(t.Context(), storefront, func(_ context.Context, current *manifest.Manifest) (manifest.Manifest, error) {
					if current != nil {
						t.Errorf("it was built upon: %q", bucketsuite.Names(*current))
					}
					return bucketsuite.Manifest(storefront, "B"), nil
				})
				if err != nil {
					t.Fatalf("publish: %v", err)
				}
				if m, p := inForce(t, s); p.Sequence != 2 || !slices.Equal(bucketsuite.Names(m), []string{"B"}) {
					t.Errorf("in force %d: %q", p.Sequence, bucketsuite.Names(m))
				}
			})
		})
	}
}

// TestStaleClaim: a publisher that slept until its number was taken, passed
// and pruned does not believe its claim.
func TestStaleClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		slow, fast := newStore(t, b), newStore(t, b)
		publish(t, fast, "A")
		slept := false
		m, err := slow.PublishIf(t.Context(), storefront, func(context.Context, *manifest.Manifest) (manifest.Manifest, error) {
			if !slept {
				slept = true
				for range 60 {
					publish(t, fast, "B")
				}
				time.Sleep(2 * time.Hour)
				publish(t, fast, "B") // prunes all but the newest
			}
			return bucketsuite.Manifest(storefront, "Slow"), nil
		})
		if err != nil || m.Sequence != 63 {
			t.Fatalf("sequence %d, want 63 (%v)", m.Sequence, err)
		}
		if m, p := inForce(t, fast); p.Sequence != 63 || !slices.Equal(bucketsuite.Names(m), []string{"Slow"}) {
			t.Fatalf("in force %d: %q", p.Sequence, bucketsuite.Names(m))
		}
	})
}

// TestStaleLists: a store whose lists lag costs an attempt, never a version.
func TestStaleLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &staleList{Bucket: cdnsource.NewMemory()}
		s := newStore(t, b)
		for i := range 5 {
			if m := publish(t, s, fmt.Sprintf("A%d", i)); m.Sequence != uint64(i+1) {
				t.Fatalf("sequence %d, want %d", m.Sequence, i+1)
			}
		}
	})
}

type staleList struct{ cdnsource.Bucket }

func (staleList) List(context.Context, string, string, int) ([]cdnsource.Listed, error) {
	return nil, nil
}

// TestHeldWhilePublishing: a hold that comes between claim and pointer holds.
func TestHeldWhilePublishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		s, person := newStore(t, b), newStore(t, b)
		publish(t, s, "A")
		b.put["latest.json"] = []fault{{err: cdnsource.ErrConflict, then: func() {
			if _, err := person.Hold(t.Context(), storefront, true); err != nil {
				t.Errorf("hold: %v", err)
			}
		}}}
		if _, err := s.Publish(t.Context(), storefront, bucketsuite.Manifest(storefront, "B")); !errors.Is(err, cdnsource.ErrHeld) {
			t.Fatalf("publish: %v, want %v", err, cdnsource.ErrHeld)
		}
		if _, p := inForce(t, s); p.Sequence != 1 || !p.Hold {
			t.Fatalf("in force %+v", p)
		}
	})
}

// TestFlakyBucket: with every fifth call failing, nothing is lost or doubled.
func TestFlakyBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		calls := 0
		b.always = func(string, string) error {
			if calls++; calls%5 == 0 {
				return fmt.Errorf("500: %w", cdnsource.ErrAmbiguous)
			}
			return nil
		}
		var group errgroup.Group
		for i := range 8 {
			s := newStore(t, b)
			group.Go(func() error {
				for j := range 5 {
					if _, err := s.UpdatePins(t.Context(), storefront, bucketsuite.Pin(fmt.Sprintf("P%dx%d", i, j))); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatalf("update: %v", err)
		}
		p, _, err := newStore(t, b).Pins(t.Context(), storefront)
		if err != nil || len(p.Pins) != 40 || len(bucketsuite.PinNames(p)) != 40 {
			t.Fatalf("%d pins, %d different, want 40 (%v)", len(p.Pins), len(bucketsuite.PinNames(p)), err)
		}
	})
}

// TestGivesUp: a bucket that never answers ends in an error, in bounded time.
func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		b.always = func(string, string) error { return fmt.Errorf("down: %w", cdnsource.ErrAmbiguous) }
		s := newStore(t, b)
		started := time.Now()
		_, err := s.UpdatePins(t.Context(), storefront, bucketsuite.Pin("A"))
		if !errors.Is(err, cdnsource.ErrAmbiguous) {
			t.Fatalf("update: %v", err)
		}
		if err := s.Probe(t.Context()); !errors.Is(err, cdnsource.ErrAmbiguous) {
			t.Fatalf("probe: %v", err)
		}
		if took := time.Since(started); took > time.Minute {
			t.Fatalf("gave up after %v", took)
		}
	})
}

// TestForgotten: when more have written on top than the object remembers,
// nobody can tell whether ours was applied: it is told, not applied again.
func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		ours, theirs := newStore(t, b), newStore(t, b)
		flood := func() {
			for i := range manifest.MaxRecentNonces + 1 {
				if _, err := theirs.UpdatePins(t.Context(), storefront, bucketsuite.Pin(fmt.Sprintf("T%d", i))); err != nil {
					t.Errorf("their update: %v", err)
				}
			}
		}
		b.put["pins.json"] = []fault{{apply: true, then: flood, err: cdnsource.ErrAmbiguous}}
		if _, err := ours.UpdatePins(t.Context(), storefront, bucketsuite.Pin("Ours")); !errors.Is(err, cdnsource.ErrAmbiguous) {
			t.Fatalf("update: %v, want %v", err, cdnsource.ErrAmbiguous)
		}
	})
}
