package bucketsuite

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
)

func testPins(t *testing.T, s *suite) {
	store := s.store(t, nil)
	_, _, err := store.Pins(deadline(t), graph)
	want(t, "pins before the first push", err, cdnsource.ErrNotFound)
	for i, name := range []string{"A", "B"} {
		p, err := store.UpdatePins(deadline(t), graph, Pin(name))
		if err != nil || p.Sequence != uint64(i+1) {
			t.Fatalf("update: sequence %d, %v", p.Sequence, err)
		}
	}
	refusal := errors.New("refused")
	_, err = store.UpdatePins(deadline(t), graph, func(p *manifest.Pins) error { p.Pins = nil; return refusal })
	want(t, "update that its caller refuses", err, refusal)
	if _, err := store.UpdatePins(deadline(t), graph, func(p *manifest.Pins) error { p.Pins = nil; return cdnsource.ErrUnchanged }); err != nil {
		t.Fatalf("update that changes nothing: %v", err)
	}
	p, etag, err := store.Pins(deadline(t), graph)
	if err != nil || p.Sequence != 2 || len(p.Pins) != 2 || p.Pins[0].Request.OperationName != "B" {
		t.Fatalf("pins %+v, %v", p, err)
	}
	_, _, err = store.PinsIfChanged(deadline(t), graph, etag)
	want(t, "pins that are known", err, cdnsource.ErrNotModified)
	if _, err := store.UpdatePins(deadline(t), graph, Pin("C")); err != nil {
		t.Fatalf("update: %v", err)
	}
	if p, now, err := store.PinsIfChanged(deadline(t), graph, etag); err != nil || now == etag || len(p.Pins) != 3 {
		t.Fatalf("pins that changed: %d, %v", len(p.Pins), err)
	}
}

// testPinsAtOnce pushes from several processes' stores with several callers each.
func testPinsAtOnce(t *testing.T, s *suite) {
	const stores, callers, each = 4, 4, 3
	var group errgroup.Group
	ctx := deadline(t)
	for i := range stores {
		store := s.store(t, func(o *cdnsource.Options) { o.Attempts = 100 })
		for j := range callers {
			group.Go(func() error {
				for k := range each {
					if _, err := store.UpdatePins(ctx, graph, Pin(fmt.Sprintf("P%dx%dx%d", i, j, k))); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("update: %v", err)
	}
	p, _, err := s.store(t, nil).Pins(ctx, graph)
	if err != nil {
		t.Fatalf("pins: %v", err)
	}
	names := PinNames(p)
	if len(names) != stores*callers*each {
		t.Errorf("%d pins, want %d", len(names), stores*callers*each)
	}
	for name, n := range names {
		if n != 1 {
			t.Errorf("%s is pinned %d times", name, n)
		}
	}
}
