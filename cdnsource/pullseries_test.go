package cdnsource

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

func TestPullSeries(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name string
		per  int
		at   []time.Duration
		want string
	}{
		{"no flags: each pull is a rebuild", 1, []time.Duration{0, time.Second, time.Hour}, "only only only"},
		{"two flags", 3, []time.Duration{0, 7 * time.Second, 30 * time.Second}, "first - last"},
		{"two rebuilds in a row", 2, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}, "first last first last"},
		{"a rebuild that was given up", 3, []time.Duration{0, 5 * time.Minute, 5*time.Minute + time.Second, 5*time.Minute + 2*time.Second}, "first first - last"},
		{"at the gap it still goes on", 2, []time.Duration{0, DefaultSeriesGap}, "first last"},
		{"nonsense", -1, []time.Duration{0}, "only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, got := NewPullSeries(c.per, 0), ""
			for i, d := range c.at {
				if i > 0 {
					got += " "
				}
				first, last := s.Pull(start.Add(d))
				got += map[[2]bool]string{{true, true}: "only", {true, false}: "first", {false, true}: "last", {false, false}: "-"}[[2]bool{first, last}]
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestFlagPullsAreNoFailedStarts: a router with five feature flags pulls six
// times for each start, over a new connection each time, and never becomes
// ready in between. Two starts in a row are no crash loop; six that fail are.
func TestFlagPullsAreNoFailedStarts(t *testing.T) {
	const flags = 5
	guard := NewCrashGuard(CrashGuardOptions{PullsPerStart: 1 + flags})
	graph := manifest.Graph{Namespace: "default", Name: "storefront"}
	const list = `{"operations":[{"request":{"query":"{a}"},"planwarm":{"planKey":"1"}},{"request":{"query":"{b}"},"planwarm":{"planKey":"2"}}]}`
	shares := map[Share]int{}
	h, err := NewHandler(HandlerOptions{
		Source: sourceFunc(func(context.Context, manifest.Graph) (Document, error) { return Document{Body: []byte(list)}, nil }),
		Graphs: []ServedGraph{{Graph: graph, OrganizationID: "org", FederatedGraphID: "graph", Guard: guard}},
		OnPull: func(_ manifest.Graph, p PullInfo) { shares[p.Share]++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	connection := 0
	start := func() {
		var first string
		for range 1 + flags {
			connection++
			r := httptest.NewRequest(http.MethodGet, "/org/graph/cache_warmup/operations.json", nil)
			r.RemoteAddr = fmt.Sprintf("127.0.0.1:%d", 20000+connection)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Fatalf("status %d", w.Code)
			}
			if first == "" {
				first = w.Body.String()
			}
			if w.Body.String() != first {
				t.Fatal("the graphs of one start got different lists")
			}
		}
	}
	start()
	start()
	if shares[ShareFull] != 2*(1+flags) || len(shares) != 1 {
		t.Fatalf("after two starts: %v", shares)
	}
	for range 4 {
		start()
	}
	if shares[ShareHalf] == 0 {
		t.Fatalf("after six starts that failed the guard did nothing: %v", shares)
	}
}
