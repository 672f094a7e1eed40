package cdnsource_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
	"github.com/planwarm/planwarm/manifest"
)

// gate holds writes of pins until it is opened.
type gate struct {
	cdnsource.Bucket
	open chan struct{}
	puts atomic.Int64
}

func (g *gate) Put(ctx context.Context, key string, body []byte, o cdnsource.PutOptions) (string, error) {
	g.puts.Add(1)
	select {
	case <-g.open:
		return g.Bucket.Put(ctx, key, body, o)
	case <-ctx.Done():
		return "", fmt.Errorf("put: %w: %w", cdnsource.ErrAmbiguous, ctx.Err())
	}
}

// TestCoalesce: what comes in while one write is under way goes into the next.
func TestCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &gate{Bucket: cdnsource.NewMemory(), open: make(chan struct{})}
		s := newStore(t, b)
		results := make(chan error, 20)
		for i := range 20 {
			go func() {
				_, err := s.UpdatePins(t.Context(), storefront, bucketsuite.Pin(fmt.Sprintf("P%d", i)))
				results <- err
			}()
		}
		synctest.Wait() // one writes, nineteen wait
		close(b.open)
		for range 20 {
			if err := <-results; err != nil {
				t.Errorf("update: %v", err)
			}
		}
		if n := b.puts.Load(); n > 2 {
			t.Errorf("%d writes for 20 updates, want at most 2", n)
		}
		p, _, err := s.Pins(t.Context(), storefront)
		if err != nil || len(p.Pins) != 20 {
			t.Errorf("%d pins, want 20 (%v)", len(p.Pins), err)
		}
	})
}

// TestCancelledUpdates: one who waits may leave; one who writes for others
// does not take them along; when all have left, the write ends.
func TestCancelledUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &gate{Bucket: cdnsource.NewMemory(), open: make(chan struct{})}
		s := newStore(t, b)
		update := func(ctx context.Context, name string) chan error {
			done := make(chan error, 1)
			go func() {
				_, err := s.UpdatePins(ctx, storefront, bucketsuite.Pin(name))
				done <- err
			}()
			synctest.Wait()
			return done
		}
		ctx, cancel := context.WithCancel(t.Context())
		writing, waiting := update(ctx, "A"), update(ctx, "B")
		staying := update(t.Context(), "C")
		cancel()
		for _, done := range []chan error{writing, waiting} {
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled update: %v", err)
			}
		}
		close(b.open)
		if err := <-staying; err != nil {
			t.Errorf("update that stayed: %v", err)
		}
		p, _, err := s.Pins(t.Context(), storefront)
		if names := bucketsuite.PinNames(p); err != nil || len(names) != 1 || names["C"] != 1 {
			t.Errorf("pins %v, want C alone (%v)", names, err)
		}
	})
}

// TestOneTooLarge: a change that cannot be encoded fails alone.
func TestOneTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &gate{Bucket: cdnsource.NewMemory(), open: make(chan struct{})}
		s := newStore(t, b)
		run := func(change func(*manifest.Pins) error) chan error {
			done := make(chan error, 1)
			go func() {
				_, err := s.UpdatePins(t.Context(), storefront, change)
				done <- err
			}()
			synctest.Wait()
			return done
		}
		first := run(bucketsuite.Pin("A"))
		huge := run(func(p *manifest.Pins) error {
			p.Pins = append(p.Pins, manifest.Pin{ID: strings.Repeat("x", 20<<20)})
			return nil
		})
		second := run(bucketsuite.Pin("B"))
		close(b.open)
		if err := <-huge; err == nil {
			t.Error("a pin that is no pin was taken")
		}
		for _, done := range []chan error{first, second} {
			if err := <-done; err != nil {
				t.Errorf("update beside it: %v", err)
			}
		}
		p, _, err := s.Pins(t.Context(), storefront)
		if names := bucketsuite.PinNames(p); err != nil || len(names) != 2 {
			t.Errorf("pins %v, want A and B (%v)", names, err)
		}
	})
}

func TestNames(t *testing.T) {
	s := newStore(t, cdnsource.NewMemory())
	for _, name := range []string{"", ".", "..", "a/b", "a..b", ".a", "a.", "-a", "a\x00b", "a b", "ä", "a\\b", "a\nb", strings.Repeat("a", 101)} {
		for _, g := range []manifest.Graph{{Namespace: "default", Name: name}, {Namespace: name, Name: "storefront"}} {
			_, _, err := s.Fetch(t.Context(), g)
			if !errors.Is(err, cdnsource.ErrName) {
				t.Errorf("graph %q: %v, want %v", g, err, cdnsource.ErrName)
			}
			if _, err := s.UpdatePins(t.Context(), g, bucketsuite.Pin("A")); !errors.Is(err, cdnsource.ErrName) {
				t.Errorf("pins of %q: %v, want %v", g, err, cdnsource.ErrName)
			}
		}
		if name != "" && name != "a/b" { // a prefix has several parts
			if _, err := cdnsource.NewStore(cdnsource.Options{Bucket: cdnsource.NewMemory(), Prefix: "ok/x" + name + "x/" + name + "/y"}); err == nil {
				t.Errorf("prefix with %q was taken", name)
			}
		}
	}
	if _, err := cdnsource.NewStore(cdnsource.Options{Retention: -1, Attempts: -1, Prefix: "a//b"}); err == nil ||
		!strings.Contains(err.Error(), "bucket") || !strings.Contains(err.Error(), "retention") || !strings.Contains(err.Error(), "attempts") || !errors.Is(err, cdnsource.ErrName) {
		t.Errorf("new store with four faults: %v", err)
	}
}
