package bucketsuite

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/planwarm/planwarm/cdnsource"
)

var pendingAt = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// deliver saves a delivery that came that long after pendingAt.
func deliver(t *testing.T, store *cdnsource.Store, id string, after, window time.Duration) (cdnsource.Pending, bool) {
	t.Helper()
	p, fresh, err := store.SavePending(deadline(t), graph, cdnsource.Delivery{Source: "test", ID: id, At: pendingAt.Add(after), Window: window})
	if err != nil {
		t.Fatalf("save pending: %v", err)
	}
	return p, fresh
}

func testPending(t *testing.T, s *suite) {
	store := s.store(t, nil)
	_, err := store.Pending(deadline(t), graph)
	want(t, "pending before the first delivery", err, cdnsource.ErrNotFound)
	first, fresh := deliver(t, store, "a", 0, time.Minute)
	if !fresh || !first.Open || !first.Since.Equal(pendingAt) {
		t.Fatalf("first delivery: fresh %t, %+v", fresh, first)
	}
	if _, fresh := deliver(t, store, "a", 10*time.Second, time.Minute); fresh {
		t.Error("a repetition within the window is news")
	}
	if _, fresh := deliver(t, store, "a", 2*time.Minute, time.Minute); !fresh {
		t.Error("an equal delivery behind the window is no news")
	}
	second, fresh := deliver(t, store, "b", 3*time.Minute, 0)
	if !fresh || !second.Since.Equal(pendingAt) {
		t.Errorf("another delivery: fresh %t, open since %s", fresh, second.Since)
	}
	want(t, "clear what has grown", store.ClearPending(deadline(t), graph, first), cdnsource.ErrConflict)
	// Another process finds the work, as after a restart.
	found, err := s.store(t, nil).Pending(deadline(t), graph)
	if err != nil || !found.Open || len(found.Deliveries) != 3 {
		t.Fatalf("pending: %+v, %v", found, err)
	}
	if err := store.ClearPending(deadline(t), graph, found); err != nil {
		t.Fatalf("clear pending: %v", err)
	}
	if err := store.ClearPending(deadline(t), graph, found); err != nil {
		t.Errorf("clear pending twice: %v", err)
	}
	if p, err := store.Pending(deadline(t), graph); err != nil || p.Open {
		t.Errorf("pending after its end: %+v, %v", p, err)
	}
	if _, fresh := deliver(t, store, "b", 4*time.Minute, 0); fresh {
		t.Error("an event that is known by its id is news once its work is done")
	}
	if p, fresh := deliver(t, store, "a", 2*time.Minute+time.Second, time.Minute); !fresh || !p.Open {
		t.Error("an equal delivery is no news although no work is open")
	}
}

// testPendingAtOnce: however many deliver at once, each is noted once.
func testPendingAtOnce(t *testing.T, s *suite) {
	const stores = 4
	var group errgroup.Group
	news := make(chan string, 2*stores)
	ctx, cancel := context.WithCancel(deadline(t))
	defer cancel()
	for i := range stores {
		store := s.store(t, func(o *cdnsource.Options) { o.Attempts = 100 })
		for _, id := range []string{"shared", fmt.Sprint("own-", i)} {
			group.Go(func() error {
				_, fresh, err := store.SavePending(ctx, graph, cdnsource.Delivery{Source: "test", ID: id, At: pendingAt})
				if fresh {
					news <- id
				}
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	close(news)
	count := map[string]int{}
	for id := range news {
		count[id]++
	}
	if len(count) != stores+1 {
		t.Errorf("%d deliveries were news, want %d", len(count), stores+1)
	}
	for id, n := range count {
		if n != 1 {
			t.Errorf("%s was news %d times", id, n)
		}
	}
	p, err := s.store(t, nil).Pending(deadline(t), graph)
	if err != nil || len(p.Deliveries) != stores+1 {
		t.Errorf("pending has %d deliveries, want %d (%v)", len(p.Deliveries), stores+1, err)
	}
}
