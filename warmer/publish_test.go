package warmer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
)

func TestRecomputePublishesWhatIsNew(t *testing.T) {
	h := newHarness(t, nil)
	h.usages.set(usage("f1", 10), usage("f2", 20))
	h.store.push("{f3}")
	rep := h.recompute(t)
	if !rep.Published || rep.Sequence != 1 || rep.Operations != 3 || rep.PlanKeys != 3 {
		t.Fatalf("%+v", rep)
	}
	if got := texts(h.store.operations()); got != "{f3} query F2{f2} query F1{f1}" {
		t.Errorf("published %q", got)
	}
	// Figures that moved a little publish nothing, though the order of the rank is another now.
	h.usages.set(usage("f1", 21), usage("f2", 20))
	if rep = h.recompute(t); rep.Published || rep.Sequence != 1 || rep.Operations != 3 {
		t.Errorf("figures moved: %+v", rep)
	}
	// An order is new when it is new by the figures of now, not by those of the last manifest.
	h.usages.set(usage("f1", 200), usage("f2", 20))
	if rep = h.recompute(t); !rep.Published || rep.Sequence != 2 {
		t.Errorf("order is new: %+v", rep)
	}
}

func TestRecomputeKeepsToTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.usages.set(usage("f1", 10))
		h.start(t)
		synctest.Wait()
		if h.store.sequence() != 1 {
			t.Fatalf("sequence %d after the start", h.store.sequence())
		}
		h.usages.set(usage("f1", 10), usage("f2", 90))
		time.Sleep(time.Minute)
		h.graph.publish.add(ReasonInterval)
		synctest.Wait()
		s := h.Status().Graphs[0].Published
		if h.store.sequence() != 1 || s.Waiting == "" || s.Error != "" || s.Operations != 2 || s.Sequence != 1 {
			t.Fatalf("sequence %d, %+v", h.store.sequence(), s)
		}
		time.Sleep(4*time.Minute - time.Millisecond)
		synctest.Wait()
		if h.store.sequence() != 1 {
			t.Fatal("published before the interval was over")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if h.store.sequence() != 2 {
			t.Fatal("what waited was not published when the interval was over")
		}
	})
}

// A clock that is ahead does not stop publishing for longer than the interval.
func TestClockAheadDoesNotStopPublishing(t *testing.T) {
	h := newHarness(t, nil)
	now := time.Now()
	for ahead, want := range map[time.Duration]bool{-time.Hour: true, -time.Minute: false, time.Minute: false, time.Hour: true} {
		current := &manifest.Manifest{GeneratedAt: now.Add(ahead), Operations: entries("1")}
		err := h.graph.worthPublishing(manifest.Manifest{Operations: entries("2")}, current, now, false)
		if (err == nil) != want {
			t.Errorf("%s ahead: %v", ahead, err)
		}
	}
}

func TestPinsAreSeenAndDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.start(t)
		synctest.Wait()
		h.store.push("{f1}")
		time.Sleep(pinsPoll + time.Second)
		synctest.Wait()
		h.store.push("{f2}")
		time.Sleep(pinsPoll)
		synctest.Wait()
		if got := texts(h.store.operations()); got != "{f2} {f1}" || h.store.sequence() != 2 {
			t.Errorf("sequence %d, %q", h.store.sequence(), got)
		}
		builds := h.store.asked()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if h.store.asked() != builds {
			t.Errorf("%d recomputes with the same pins", h.store.asked()-builds)
		}
	})
}

// A rollback holds the manifest: nothing is published, pins that change
// meanwhile do not make it hammer, and it goes on when the hold is lifted.
func TestHeldManifestStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.usages.set(usage("f1", 10))
		h.start(t)
		synctest.Wait()
		h.store.set(func(f *fakeStore) { f.held = true })
		h.store.push("{f2}")
		builds := h.store.asked()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if h.store.sequence() != 1 || h.store.asked()-builds != 1 {
			t.Fatalf("sequence %d after %d recomputes", h.store.sequence(), h.store.asked()-builds)
		}
		if _, err := h.Recompute(t.Context(), shop); !errors.Is(err, ErrHeld) {
			t.Fatalf("recompute of a held manifest: %v", err)
		}
		if s := h.Status().Graphs[0].Published; s.Error == "" || s.Sequence != 1 || s.Operations != 1 {
			t.Errorf("status %+v", s)
		}
		h.store.set(func(f *fakeStore) { f.held = false })
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := texts(h.store.operations()); got != "{f2} query F1{f1}" {
			t.Errorf("after the hold: %q", got)
		}
	})
}

// A bucket that blinks delays a push by the pause, not by the interval.
func TestFailedRecomputeIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.usages.set(usage("f1", 10))
		h.start(t)
		synctest.Wait()
		h.usages.set(usage("f1", 10), usage("f2", 99))
		h.store.set(func(f *fakeStore) { f.fail = errDown })
		h.graph.publish.add(ReasonPins)
		time.Sleep(12 * time.Second)
		synctest.Wait()
		s := h.Status().Graphs[0].Published
		if !strings.Contains(s.Error, errDown.Error()) || s.Sequence != 1 || s.Operations != 1 || h.store.sequence() != 1 {
			t.Fatalf("while it is down: %+v", s)
		}
		h.store.set(func(f *fakeStore) { f.fail = nil })
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if s = h.Status().Graphs[0].Published; h.store.sequence() != 2 || s.Error != "" {
			t.Errorf("sequence %d, %+v", h.store.sequence(), s)
		}
	})
}

// Of two publishers each builds on what the other published.
func TestPublisherThatWasOvertakenBuildsAgain(t *testing.T) {
	h := newHarness(t, nil)
	h.usages.set(usage("f1", 10))
	h.recompute(t)
	h.usages.set(usage("f1", 10), usage("f2", 50))
	h.store.set(func(f *fakeStore) {
		f.overtake = func(current *manifest.Manifest) *manifest.Manifest {
			m := *current
			m.Sequence, m.Writer = 2, "other"
			return &m
		}
	})
	rep := h.recompute(t)
	if !rep.Published || rep.Sequence != 3 || h.store.sequence() != 3 {
		t.Errorf("%+v", rep)
	}
	// The other one published the very same: nothing is left to publish.
	h.usages.set(usage("f1", 10), usage("f2", 50), usage("f3", 90))
	h.store.set(func(f *fakeStore) {
		f.overtake = func(current *manifest.Manifest) *manifest.Manifest {
			m, err := manifest.Build(manifest.Input{
				Graph: shop, Previous: current, Settings: h.graph.opts.Publish.Settings, Now: time.Now(), Window: time.Hour,
				Candidates: func() []manifest.Candidate {
					c := NewCandidates(h.schemas.Current(), fakeKeyer{})
					c.AddUsages(h.usages.usages)
					return c.List()
				}(),
			})
			if err != nil {
				t.Error(err)
			}
			return &m.Manifest
		}
	})
	if rep = h.recompute(t); rep.Published || rep.Sequence != 4 {
		t.Errorf("%+v", rep)
	}
}

func TestTwoRecomputesTakeTurns(t *testing.T) {
	h := newHarness(t, nil)
	h.graph.recomputing <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Recompute(ctx, shop); !errors.Is(err, context.Canceled) {
		t.Errorf("second recompute: %v", err)
	}
	<-h.graph.recomputing
	h.recompute(t)
}

func TestDenyAndSchemaAreToldInTheReport(t *testing.T) {
	h := newHarness(t, nil)
	h.usages.set(usage("f0", 10), usage("f1", 20), usage("f2", 30))
	h.store.push("{f0 f3}")
	h.store.set(func(f *fakeStore) { f.pins.Deny = []manifest.Deny{{PlanKey: keyOf("query F2{f2}")}} })
	h.recompute(t)
	if got := texts(h.store.operations()); got != "{f0 f3} query F1{f1} query F0{f0}" {
		t.Fatalf("published %q", got)
	}
	h.schemas.Store(load(t, sdlV2))
	rep := h.recompute(t)
	if got := texts(h.store.operations()); got != "query F1{f1}" || !rep.Published {
		t.Fatalf("under the new schema: %q, %+v", got, rep)
	}
	why := map[manifest.Reason]int{}
	for _, l := range rep.LeftOut {
		why[l.Reason]++
	}
	if why[manifest.ReasonRefused] != 2 || why[manifest.ReasonDenied] != 1 || rep.LeftOutCount != 3 {
		t.Errorf("left out %v, %d", why, rep.LeftOutCount)
	}
	h.schemas.Store(load(t, sdlV1))
	h.recompute(t)
	if got := texts(h.store.operations()); got != "{f0 f3} query F1{f1} query F0{f0}" {
		t.Errorf("a pin that the schema takes again is not back: %q", got)
	}
}

func TestSchemaChangeRecomputesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.usages.set(usage("f0", 10), usage("f1", 20))
		h.start(t)
		synctest.Wait()
		h.schemas.Store(load(t, sdlV2))
		if err := h.Trigger(t.Context(), shop, ReasonSchema); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := texts(h.store.operations()); got != "query F1{f1}" {
			t.Errorf("published %q", got)
		}
	})
}

func TestNoSchemaPublishesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		sc := h.schemas.Swap(nil)
		h.usages.set(usage("f0", 10))
		h.start(t)
		synctest.Wait()
		if h.store.asked() != 0 {
			t.Error("published without a schema")
		}
		h.schemas.Store(sc)
		_ = h.Trigger(t.Context(), shop, ReasonSchema)
		synctest.Wait()
		if h.store.sequence() != 1 {
			t.Error("not published when the schema came")
		}
	})
}

// A keyer that cannot be built says nothing of the pins.
func TestBrokenKeyerKeepsPins(t *testing.T) {
	broken := false
	h := newHarness(t, func(o *GraphOptions) {
		o.NewKeyer = func(*schema.Schema) (Keyer, error) {
			if broken {
				return nil, errors.New("out of luck")
			}
			return fakeKeyer{}, nil
		}
	})
	h.store.push("{f1}")
	h.recompute(t)
	broken = true
	h.schemas.Store(load(t, sdlV2))
	if rep, err := h.Recompute(t.Context(), shop); err == nil || rep.Operations != 1 || rep.Sequence != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
	if got := texts(h.store.operations()); got != "{f1}" {
		t.Errorf("published %q", got)
	}
}

// A publisher whose telemetry was lost does not empty what others filled.
func TestLostTelemetryKeepsTheManifest(t *testing.T) {
	h := newHarness(t, nil)
	h.usages.set(usage("f0", 10), usage("f1", 20))
	h.recompute(t)
	h.usages.set()
	h.store.push("{f3}")
	rep := h.recompute(t)
	if got := texts(h.store.operations()); got != "{f3} query F1{f1} query F0{f0}" || rep.Carried != 2 {
		t.Fatalf("with a pin: %q, %+v", got, rep)
	}
	h.schemas.Store(load(t, sdlV2))
	h.recompute(t)
	if got := texts(h.store.operations()); got != "{f3} query F1{f1}" {
		t.Fatalf("under the new schema: %q", got)
	}
	h.store.set(func(f *fakeStore) {
		f.pins.Pins, f.pins.Deny = nil, []manifest.Deny{{PlanKey: keyOf("query F1{f1}")}}
	})
	h.recompute(t)
	if got := texts(h.store.operations()); got != "" {
		t.Fatalf("denied, and removed: %q", got)
	}
	h.usages.set(usage("f4", 10))
	if rep = h.recompute(t); rep.Carried != 0 || texts(h.store.operations()) != "query F4{f4}" {
		t.Errorf("telemetry is back: %+v", rep)
	}
}

func TestStatusShowsABoundedReport(t *testing.T) {
	h := newHarness(t, nil)
	us := make([]string, 0, 3*maxShown)
	for i := range 3 * maxShown {
		us = append(us, strings.Repeat("{nothing}", 1+i))
	}
	h.store.push(us...)
	rep := h.recompute(t)
	kept := h.Status().Graphs[0].Published
	if len(rep.LeftOut) != 3*maxShown || len(kept.LeftOut) != maxShown || kept.LeftOutCount != 3*maxShown {
		t.Errorf("%d told, %d kept of %d", len(rep.LeftOut), len(kept.LeftOut), kept.LeftOutCount)
	}
}

func TestCheckpointsAreSavedToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		stop := h.start(t)
		time.Sleep(2*checkpointEvery + time.Second)
		synctest.Wait()
		if h.store.checkpoints() != 2 {
			t.Errorf("%d checkpoints in two minutes", h.store.checkpoints())
		}
		stop()
		if h.store.checkpoints() != 3 {
			t.Error("no checkpoint at the end")
		}
	})
}

// TestCheckpointWithoutItsLocalCopy: a full disk does not keep it out of the bucket.
func TestCheckpointWithoutItsLocalCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.usages.noCopy = errors.New("disk full")
		stop := h.start(t)
		stop()
		if n := h.store.checkpoints(); n != 1 {
			t.Errorf("%d checkpoints in the bucket", n)
		}
	})
}

func TestRecomputeNeedsAPublisher(t *testing.T) {
	h := newHarness(t, func(o *GraphOptions) { o.Store = nil })
	if _, err := h.Recompute(t.Context(), shop); err == nil {
		t.Error("a process that does not publish recomputed")
	}
	if _, err := h.Recompute(t.Context(), manifest.Graph{Namespace: "default", Name: "other"}); !errors.Is(err, ErrUnknownGraph) {
		t.Errorf("unknown graph: %v", err)
	}
}
