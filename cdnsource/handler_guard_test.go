package cdnsource

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// loop plays a router that ends at once when one of the bad keys is in what it
// pulled, and is ready a second later when none is.
type loop struct {
	t     *testing.T
	guard *CrashGuard
	now   time.Time
	conns int
	keys  []string
	bad   []string
}

func newLoop(t *testing.T, n int, bad ...string) *loop {
	l := &loop{t: t, guard: NewCrashGuard(CrashGuardOptions{}), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), bad: bad}
	for i := range n {
		l.keys = append(l.keys, strconv.Itoa(i+1))
	}
	return l
}

// start pulls once, and says what was given and whether the router came up.
func (l *loop) start() (share Share, given []string, up bool) {
	l.now = l.now.Add(20 * time.Second)
	l.conns++
	v := l.guard.Pull(l.now, fmt.Sprintf("127.0.0.1:%d", 40000+l.conns), l.keys)
	up = true
	for _, k := range l.keys {
		if _, out := v.Withheld[k]; out {
			continue
		}
		given = append(given, k)
		up = up && !slices.Contains(l.bad, k)
	}
	up = up && !slices.Contains(l.bad, "*") // ends whatever it gets
	if up {
		l.guard.Ready(l.now.Add(time.Second))
	}
	return v.Share, given, up
}

func (l *loop) expect(share Share, given int, up bool) {
	l.t.Helper()
	s, g, u := l.start()
	if s != share || len(g) != given || u != up {
		l.t.Fatalf("start %d: %v, %d given, up %v; want %v, %d, %v", l.conns, s, len(g), u, share, given, up)
	}
}

func TestCrashGuardCulpritInTheTail(t *testing.T) {
	l := newLoop(t, 10, "9")
	for range 3 {
		l.expect(ShareFull, 10, false)
	}
	l.expect(ShareHalf, 5, true)
	if got := l.guard.Quarantined(); !slices.Equal(got, []string{"10", "6", "7", "8", "9"}) {
		t.Fatalf("quarantine %v", got)
	}
	for range 5 {
		l.expect(ShareFull, 5, true)
	}
	l.guard.Release("6", "7", "8", "10")
	l.expect(ShareFull, 9, true)
}

func TestCrashGuardCulpritInTheHead(t *testing.T) {
	l := newLoop(t, 11, "2")
	for range 3 {
		l.expect(ShareFull, 11, false)
	}
	l.expect(ShareHalf, 6, false)
	if got := l.guard.Share(); got != ShareHalf || len(l.guard.Quarantined()) != 0 {
		t.Fatalf("share %v, quarantine %v", got, l.guard.Quarantined())
	}
	if got := l.guard.Suspects(); len(got) != 11 {
		t.Fatalf("suspects %v", got)
	}
	l.expect(ShareNothing, 0, true)
	if got := l.guard.Quarantined(); !slices.Equal(got, []string{"1", "2", "3", "4", "5", "6"}) {
		t.Fatalf("quarantine %v", got)
	}
	l.expect(ShareFull, 5, true) // the other half is back
}

func TestCrashGuardCulpritsInBothHalves(t *testing.T) {
	l := newLoop(t, 8, "1", "8")
	starts := 0
	for up := false; !up || len(l.guard.Quarantined()) == 0; starts++ {
		_, _, up = l.start()
		if starts > 20 {
			t.Fatal("never came up")
		}
	}
	// The first series ends with the head locked away, the second finds the tail.
	for starts = 0; starts < 20; starts++ {
		if _, given, up := l.start(); up && len(given) > 0 {
			break
		}
	}
	if _, given, up := l.start(); !up || slices.Contains(given, "1") || slices.Contains(given, "8") || len(given) == 0 {
		t.Fatalf("given %v, up %v", given, up)
	}
}

func TestCrashGuardInnocentManifest(t *testing.T) {
	l := newLoop(t, 4, "*")
	for range 3 {
		l.expect(ShareFull, 4, false)
	}
	l.expect(ShareHalf, 2, false)
	l.expect(ShareNothing, 0, false)
	l.expect(ShareNothing, 0, false)
	for range 6 { // not the manifest's fault: warm at the very start that works again
		l.expect(ShareFull, 4, false)
	}
	l.bad = nil
	l.expect(ShareFull, 4, true)
	if got := l.guard.Quarantined(); len(got) != 0 {
		t.Fatalf("quarantine %v", got)
	}
	l.keys, l.bad = append(l.keys, "5"), []string{"5"}
	for range 3 {
		l.expect(ShareFull, 5, false)
	}
	l.expect(ShareHalf, 3, true)
}

func TestCrashGuardNewListEndsTheAcquittal(t *testing.T) {
	l := newLoop(t, 4, "*")
	for range 6 {
		l.start()
	}
	l.expect(ShareFull, 4, false)
	l.expect(ShareFull, 4, false)
	l.keys = append(l.keys, "new")
	l.expect(ShareFull, 5, false)
	l.expect(ShareHalf, 3, false)
}

func TestCrashGuardSingleOperation(t *testing.T) {
	l := newLoop(t, 1, "1")
	for range 3 {
		l.expect(ShareFull, 1, false)
	}
	l.expect(ShareNothing, 0, true)
	if got := l.guard.Quarantined(); !slices.Equal(got, []string{"1"}) {
		t.Fatalf("quarantine %v", got)
	}
}

func TestCrashGuardLeavesHealthyRoutersAlone(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	keys := []string{"1", "2", "3"}
	full := func(t *testing.T, v Verdict) {
		t.Helper()
		if v.Share != ShareFull || len(v.Withheld) != 0 {
			t.Fatalf("%v, %d withheld", v.Share, len(v.Withheld))
		}
	}
	t.Run("reloads", func(t *testing.T) {
		g := NewCrashGuard(CrashGuardOptions{})
		for i := range 50 {
			at := t0.Add(time.Duration(i) * 5 * time.Second)
			full(t, g.Pull(at, fmt.Sprint(i), keys))
			g.Ready(at.Add(time.Second))
		}
	})
	t.Run("flags on one connection", func(t *testing.T) {
		g := NewCrashGuard(CrashGuardOptions{})
		for i := range 50 {
			full(t, g.Pull(t0.Add(time.Duration(i)*time.Second), "127.0.0.1:4000", keys))
		}
	})
	t.Run("flags on connections of their own", func(t *testing.T) {
		g := NewCrashGuard(CrashGuardOptions{PullsPerStart: 4})
		for i := range 12 {
			full(t, g.Pull(t0.Add(time.Duration(i)*time.Second), fmt.Sprint(i), keys))
		}
		if v := g.Pull(t0.Add(20*time.Second), "13", keys); v.Share != ShareHalf {
			t.Fatalf("fourth start: %v", v.Share)
		}
	})
	t.Run("rare restarts", func(t *testing.T) {
		g := NewCrashGuard(CrashGuardOptions{})
		for i := range 10 {
			full(t, g.Pull(t0.Add(time.Duration(i)*11*time.Minute), fmt.Sprint(i), keys))
		}
	})
	t.Run("stale readiness proves nothing", func(t *testing.T) {
		g := NewCrashGuard(CrashGuardOptions{})
		var v Verdict
		for i := range 4 {
			at := t0.Add(time.Duration(i) * time.Second)
			v = g.Pull(at, fmt.Sprint(i), keys)
			g.Ready(at)
		}
		if v.Share != ShareHalf {
			t.Fatalf("share %v", v.Share)
		}
	})
}

func TestCrashGuardRemembersQuarantine(t *testing.T) {
	g := NewCrashGuard(CrashGuardOptions{Quarantined: []string{"2"}})
	v := g.Pull(time.Now(), "a", []string{"1", "2", "3"})
	if _, out := v.Withheld["2"]; !out || len(v.Withheld) != 1 {
		t.Fatalf("withheld %v", v.Withheld)
	}
	g.Release()
	if got := g.Quarantined(); len(got) != 0 {
		t.Fatalf("quarantine %v", got)
	}
}

// TestHandlerGuardsPulls drives the guard through the endpoint: half, then nothing.
func TestHandlerGuardsPulls(t *testing.T) {
	guard := NewCrashGuard(CrashGuardOptions{})
	var told []PullInfo
	h := newTestHandler(t, func(o *HandlerOptions) {
		doc := numbered(4)
		doc.Body = []byte(`{"signature":{"key":"k"},` + string(doc.Body[1:]))
		o.Source, o.Graphs[0].Guard = fixed(doc), guard
		o.OnPull = func(_ manifest.Graph, p PullInfo) { told = append(told, p) }
	})
	for i, want := range []int{4, 4, 4, 2, 0} {
		w := getFrom(h, handlerPath, fmt.Sprintf("127.0.0.1:%d", 5000+i))
		var m map[string]json.RawMessage
		var ops []manifest.Entry
		if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(m["operations"], &ops); err != nil {
			t.Fatal(err)
		}
		if w.Code != 200 || len(ops) != want || told[i].Withheld != 4-want {
			t.Fatalf("pull %d: %d, %d operations, want %d; %+v", i, w.Code, len(ops), want, told[i])
		}
		if want == 2 && (ops[0].Planwarm.PlanKey != "1" || ops[1].Planwarm.PlanKey != "2" || m["signature"] != nil) {
			t.Fatalf("half: %s", w.Body)
		}
	}
	// The manifest itself is not touched.
	if w := get(h, v1Path, ""); len(w.Body.Bytes()) == len(`{"operations":[]}`) {
		t.Fatal("the /v1 answer was cut too")
	}
}
