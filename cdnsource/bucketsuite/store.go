package bucketsuite

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
)

var graph = manifest.Graph{Namespace: "default", Name: "storefront"}

// RunStore tests the protocol on a bucket, as Run tests the bucket itself.
func RunStore(t *testing.T, open func(t *testing.T) cdnsource.Bucket) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *suite)
	}{
		{"Probe", testProbe},
		{"Publish", testPublish},
		{"FetchIfChanged", testFetchIfChanged},
		{"RollbackHolds", testRollback},
		{"PublishersAtOnce", testPublishersAtOnce},
		{"RebuildOnConflict", testRebuild},
		{"Prune", testPrune},
		{"Pins", testPins},
		{"PinsAtOnce", testPinsAtOnce},
		{"Pending", testPending},
		{"PendingAtOnce", testPendingAtOnce},
		{"Checkpoints", testCheckpoints},
		{"Graphs", testGraphs},
		{"CopyForward", testCopy},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, &suite{bucket: open(t), prefix: unique()}) })
	}
}

type suite struct {
	bucket cdnsource.Bucket
	prefix string
}

func (s *suite) store(t *testing.T, change func(*cdnsource.Options)) *cdnsource.Store {
	t.Helper()
	store, err := newStore(s.bucket, s.prefix, change)
	if err != nil {
		t.Fatalf("new store: %v", err)
	}
	return store
}

func (s *suite) keys(t *testing.T) []string {
	t.Helper()
	listed, err := s.bucket.List(deadline(t), s.prefix, "", 1000)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	var out []string
	for _, entry := range listed {
		out = append(out, entry.Key[len(s.prefix):])
	}
	return out
}

func mustPublish(t *testing.T, store *cdnsource.Store, names ...string) manifest.Manifest {
	t.Helper()
	m, err := store.Publish(deadline(t), graph, Manifest(graph, names...))
	if err != nil {
		t.Fatalf("publish: %v", err)
	}
	return m
}

func mustFetch(t *testing.T, store *cdnsource.Store) (manifest.Manifest, cdnsource.Pointer) {
	t.Helper()
	m, p, err := store.Fetch(deadline(t), graph)
	if err != nil {
		t.Fatalf("fetch: %v", err)
	}
	return m, p
}

func testProbe(t *testing.T, s *suite) {
	if err := s.store(t, nil).Probe(deadline(t)); err != nil {
		t.Fatalf("probe: %v", err)
	}
	if left := s.keys(t); len(left) != 0 {
		t.Fatalf("probe left %q", left)
	}
}

func testPublish(t *testing.T, s *suite) {
	store := s.store(t, nil)
	_, _, err := store.Fetch(deadline(t), graph)
	want(t, "fetch before the first publication", err, cdnsource.ErrNotFound)
	_, _, err = store.History(deadline(t), graph, 0)
	want(t, "history before the first publication", err, cdnsource.ErrNotFound)
	for i, names := range [][]string{{"A"}, {"A", "B"}, {"B"}} {
		m := mustPublish(t, store, names...)
		if m.Sequence != uint64(i+1) || m.Writer == "" {
			t.Fatalf("publication %d has sequence %d and writer %q", i+1, m.Sequence, m.Writer)
		}
		got, p := mustFetch(t, s.store(t, nil))
		if !slices.Equal(Names(got), names) || got.Sequence != m.Sequence || p.Sequence != m.Sequence || p.Hold {
			t.Fatalf("fetched %q, sequence %d, pointer %+v", Names(got), got.Sequence, p)
		}
	}
	history, _, err := store.History(deadline(t), graph, 2)
	if err != nil || len(history) != 2 || history[0].Sequence != 3 || !history[0].InForce || history[1].Sequence != 2 || history[1].InForce {
		t.Fatalf("history %+v, %v", history, err)
	}
	old, err := store.Version(deadline(t), graph, 2)
	if err != nil || !slices.Equal(Names(old), []string{"A", "B"}) {
		t.Fatalf("version 2: %q, %v", Names(old), err)
	}
	_, err = store.Version(deadline(t), graph, 4)
	want(t, "version that is not there", err, cdnsource.ErrNotFound)
}

func testFetchIfChanged(t *testing.T, s *suite) {
	store := s.store(t, nil)
	mustPublish(t, store, "A")
	_, known := mustFetch(t, store)
	_, p, err := store.FetchIfChanged(deadline(t), graph, known)
	want(t, "fetch of what is known", err, cdnsource.ErrNotModified)
	if p != known {
		t.Fatalf("pointer %+v, want the known one", p)
	}
	if _, err := store.Hold(deadline(t), graph, true); err != nil {
		t.Fatalf("hold: %v", err)
	}
	_, p, err = store.FetchIfChanged(deadline(t), graph, known)
	want(t, "fetch of the same version, held", err, cdnsource.ErrNotModified)
	if !p.Hold || p.ETag == known.ETag {
		t.Fatalf("pointer %+v does not tell the hold", p)
	}
	if _, err := store.Hold(deadline(t), graph, false); err != nil {
		t.Fatalf("lift hold: %v", err)
	}
	mustPublish(t, store, "B")
	m, p, err := store.FetchIfChanged(deadline(t), graph, known)
	if err != nil || !slices.Equal(Names(m), []string{"B"}) || p.Sequence != 2 {
		t.Fatalf("fetch of what changed: %q, %+v, %v", Names(m), p, err)
	}
}

func testRollback(t *testing.T, s *suite) {
	store := s.store(t, nil)
	mustPublish(t, store, "A")
	mustPublish(t, store, "B")
	m, err := store.Rollback(deadline(t), graph, 1)
	if err != nil || m.Sequence != 3 || !slices.Equal(Names(m), []string{"A"}) {
		t.Fatalf("rollback: %q, sequence %d, %v", Names(m), m.Sequence, err)
	}
	if _, p := mustFetch(t, store); p.Sequence != 3 || !p.Hold {
		t.Fatalf("pointer %+v after a rollback", p)
	}
	_, err = store.Publish(deadline(t), graph, Manifest(graph, "C"))
	want(t, "publish on a held graph", err, cdnsource.ErrHeld)
	if m, err = store.Rollback(deadline(t), graph, 2); err != nil || m.Sequence != 4 {
		t.Fatalf("rollback of a held graph: sequence %d, %v", m.Sequence, err)
	}
	for range 2 { // lifting it twice is the same as once
		if p, err := store.Hold(deadline(t), graph, false); err != nil || p.Hold || p.Sequence != 4 {
			t.Fatalf("lift hold: %+v, %v", p, err)
		}
	}
	if m := mustPublish(t, store, "C"); m.Sequence != 5 {
		t.Fatalf("sequence %d after the hold", m.Sequence)
	}
	_, err = store.Rollback(deadline(t), graph, 99)
	want(t, "rollback to a version that is not there", err, cdnsource.ErrNotFound)
	_, err = store.Hold(deadline(t), manifest.Graph{Namespace: "default", Name: "nobody"}, true)
	want(t, "hold of an unknown graph", err, cdnsource.ErrNotFound)
}

func testPublishersAtOnce(t *testing.T, s *suite) {
	const publishers, each = 6, 3
	taken := make(chan uint64, publishers*each)
	var group errgroup.Group
	ctx := deadline(t)
	for i := range publishers {
		store := s.store(t, func(o *cdnsource.Options) { o.Attempts = 100 })
		group.Go(func() error {
			for j := range each {
				m, err := store.Publish(ctx, graph, Manifest(graph, fmt.Sprintf("P%dx%d", i, j)))
				if err != nil {
					return err
				}
				taken <- m.Sequence
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("publish: %v", err)
	}
	close(taken)
	seen := map[uint64]bool{}
	for sequence := range taken {
		if seen[sequence] {
			t.Errorf("sequence %d was given twice", sequence)
		}
		seen[sequence] = true
	}
	if top := slices.Max(slices.Collect(maps.Keys(seen))); top != publishers*each {
		t.Errorf("highest sequence %d, want %d", top, publishers*each)
	}
	if _, p := mustFetch(t, s.store(t, nil)); p.Sequence != publishers*each {
		t.Errorf("pointer at %d, want %d", p.Sequence, publishers*each)
	}
}

func testRebuild(t *testing.T, s *suite) {
	const publishers, each = 4, 3
	var group errgroup.Group
	ctx := deadline(t)
	for i := range publishers {
		store := s.store(t, func(o *cdnsource.Options) { o.Attempts = 100 })
		group.Go(func() error {
			for j := range each {
				_, err := store.PublishIf(ctx, graph, func(_ context.Context, current *manifest.Manifest) (manifest.Manifest, error) {
					names := []string{fmt.Sprintf("P%dx%d", i, j)}
					if current != nil {
						names = append(names, Names(*current)...)
					}
					return Manifest(graph, names...), nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("publish: %v", err)
	}
	m, _ := mustFetch(t, s.store(t, nil))
	if names := Names(m); len(names) != publishers*each {
		t.Fatalf("%d operations in force, want every publisher's: %q", len(names), names)
	}
	_, err := s.store(t, nil).PublishIf(ctx, graph, func(context.Context, *manifest.Manifest) (manifest.Manifest, error) {
		return manifest.Manifest{}, cdnsource.ErrUnchanged
	})
	want(t, "publication of nothing", err, cdnsource.ErrUnchanged)
}

func testPrune(t *testing.T, s *suite) {
	now := time.Now()
	store := s.store(t, func(o *cdnsource.Options) {
		o.Retention = 3
		o.Now = func() time.Time { return now }
	})
	for range 6 {
		mustPublish(t, store, "A")
	}
	if history, _, err := store.History(deadline(t), graph, 0); err != nil || len(history) != 6 {
		t.Fatalf("%d versions kept within the minimal age, want 6 (%v)", len(history), err)
	}
	now = now.Add(2 * cdnsource.DefaultMinAge)
	mustPublish(t, store, "A")
	history, p, err := store.History(deadline(t), graph, 0)
	if err != nil || len(history) != 3 || history[0].Sequence != 7 || p.Sequence != 7 {
		t.Fatalf("history %+v after pruning (%v)", history, err)
	}
	mustFetch(t, store)
}

func testCheckpoints(t *testing.T, s *suite) {
	now := time.Now()
	store := s.store(t, func(o *cdnsource.Options) { o.Now = func() time.Time { return now } })
	ctx := deadline(t)
	visit := func() map[string]string {
		got := map[string]string{}
		err := store.Checkpoints(ctx, graph, func(c cdnsource.Checkpoint) error {
			got[c.Instance] = string(c.Body)
			return nil
		})
		if err != nil {
			t.Fatalf("checkpoints: %v", err)
		}
		return got
	}
	if got := visit(); len(got) != 0 {
		t.Fatalf("checkpoints %v before the first", got)
	}
	for _, c := range [][2]string{{"one", "1"}, {"two", "2"}, {"one", "3"}} {
		if err := store.SaveCheckpoint(ctx, graph, c[0], []byte(c[1])); err != nil {
			t.Fatalf("save: %v", err)
		}
	}
	if got := visit(); !maps.Equal(got, map[string]string{"one": "3", "two": "2"}) {
		t.Fatalf("checkpoints %v", got)
	}
	want(t, "instance that climbs", store.SaveCheckpoint(ctx, graph, "../x", nil), cdnsource.ErrName)
	now = now.Add(2 * cdnsource.DefaultCheckpointAge)
	if got := visit(); len(got) != 0 {
		t.Fatalf("checkpoints %v beyond their age", got)
	}
	if left := s.keys(t); len(left) != 0 {
		t.Fatalf("old checkpoints left %q", left)
	}
}

func testGraphs(t *testing.T, s *suite) {
	store := s.store(t, nil)
	ctx := deadline(t)
	in := func(name string) manifest.Graph { return manifest.Graph{Namespace: "default", Name: name} }
	for _, name := range []string{"a", "a-b", "a.b", "a0"} {
		if _, err := store.Publish(ctx, in(name), Manifest(in(name), "A")); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	if _, err := store.UpdatePins(ctx, in("pinned"), Pin("A")); err != nil {
		t.Fatalf("update pins: %v", err)
	}
	// A checkpoint alone does not make a graph.
	if err := store.SaveCheckpoint(ctx, in("seen"), "one", []byte("1")); err != nil {
		t.Fatalf("save checkpoint: %v", err)
	}
	got, err := store.Graphs(ctx, "default")
	if want := []manifest.Graph{in("a-b"), in("a.b"), in("a"), in("a0"), in("pinned")}; err != nil || !slices.Equal(got, want) {
		t.Fatalf("graphs %v, want %v (%v)", got, want, err)
	}
	for name, there := range map[string]bool{"a": true, "pinned": true, "seen": false, "b": false} {
		if ok, err := store.Exists(ctx, in(name)); err != nil || ok != there {
			t.Errorf("exists %s: %t, %v", name, ok, err)
		}
	}
}

func testCopy(t *testing.T, s *suite) {
	store := s.store(t, nil)
	ctx := deadline(t)
	organization := s.prefix[:len(s.prefix)-1]
	first, second := mustPublish(t, store, "A"), mustPublish(t, store, "B")
	for _, m := range []manifest.Manifest{first, second, first, second} {
		if err := store.CopyTo(ctx, organization, "graph", m); err != nil {
			t.Fatalf("copy: %v", err)
		}
	}
	key, err := cdnsource.CosmoKey(organization, "graph")
	if err != nil {
		t.Fatalf("key: %v", err)
	}
	check := func(sequence uint64, name string) {
		t.Helper()
		copied, err := manifest.DecodeBytes(mustGet(t, s.bucket, key).Body)
		if err != nil || copied.Sequence != sequence || !slices.Equal(Names(copied), []string{name}) {
			t.Fatalf("copy has sequence %d and %q, want %d and %s (%v)", copied.Sequence, Names(copied), sequence, name, err)
		}
	}
	check(2, "B")
	// Under another prefix the numbers begin again, and the copy goes along.
	moved := s.store(t, func(o *cdnsource.Options) { o.Prefix = s.prefix + "moved" })
	for _, name := range []string{"C", "D"} {
		if err := moved.CopyTo(ctx, organization, "graph", mustPublish(t, moved, name)); err != nil {
			t.Fatalf("copy: %v", err)
		}
	}
	check(2, "D")
	mustPut(t, s.bucket, key, "something else", cdnsource.PutOptions{})
	want(t, "copy over something else", store.CopyTo(ctx, organization, "graph", second), cdnsource.ErrConflict)
}
