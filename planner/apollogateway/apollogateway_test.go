package apollogateway

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/hook/hookdouble"
	"github.com/planwarm/planwarm/warmer"
)

func right() (string, error) { return "right", nil }

// TestOneAtATime: whatever concurrency a run has, the gateway gets one operation
// at a time, and all of them are planned and proven.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := hookdouble.New(hookdouble.Options{Token: "right", Names: true, Delay: 100 * time.Millisecond})
		p, err := New(Options{URL: "http://gateway.test/", Token: right, Client: hookdouble.Client(d)})
		if err != nil {
			t.Fatal(err)
		}
		var items []warmer.Item
		for _, name := range strings.Split("ABCDEFGHIJ", "") {
			items = append(items, warmer.Item{ID: name, Request: planner.Request{Query: "query " + name + " { products { id } }", OperationName: name}})
		}
		rep, warm, err := warmer.Runner{Planner: p, Settings: warmer.Settings{Concurrency: 8}}.Run(t.Context(), items)
		if err != nil || rep.Planned != len(items) || len(warm) != len(items) || rep.Share == nil || *rep.Share != 1 {
			t.Errorf("planned %d, warm %d: %v", rep.Planned, len(warm), err)
		}
		if n := d.MostAtOnce(); n != 1 {
			t.Errorf("%d operations at once", n)
		}
		if len(d.Executed()) > 0 {
			t.Errorf("executed %v", d.Executed())
		}
	})
}

// TestCanary: the configured canary goes in place of the one that the hook names.
func TestCanary(t *testing.T) {
	d := hookdouble.New(hookdouble.Options{Token: "right", Names: true})
	p, err := New(Options{URL: "http://gateway.test/", Token: right, Client: hookdouble.Client(d), Canary: "query Mine { shops { id } }"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, b := range d.Bodies() {
		texts = append(texts, b.Query)
	}
	if got := strings.Join(texts, "; "); !strings.Contains(got, "Mine") || strings.Contains(got, "{products") {
		t.Errorf("sent %s", got)
	}
}

func TestWatchSeesANewSchema(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := hookdouble.New(hookdouble.Options{Token: "right"})
		p, err := New(Options{URL: "http://gateway.test/", Token: right, Client: hookdouble.Client(d)})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var signs []string
		go func() {
			_ = p.Watch(t.Context(), func(r planner.Reload) { mu.Lock(); signs = append(signs, r.Sign); mu.Unlock() })
		}()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		d.Reload()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(signs) != 1 {
			t.Errorf("signs %q", signs)
		}
	})
}

func TestNew(t *testing.T) {
	if _, err := New(Options{URL: "http://gateway.test/"}); err == nil || !strings.Contains(err.Error(), "apollo gateway") {
		t.Errorf("without a token: %v", err)
	}
}
