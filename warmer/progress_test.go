package warmer

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// What a router polls follows publications alone, with conditions decided and
// without what the schema refuses.
func TestResolved(t *testing.T) {
	h := newHarness(t, nil)
	if _, err := h.Resolved(shop); !errors.Is(err, ErrNotFound) {
		t.Fatalf("before the first fetch: %v", err)
	}
	m := manifest.Manifest{Format: manifest.Format, Graph: shop, Sequence: 7}
	for i, text := range []string{"query C($a:Boolean!){f1 f2 @include(if:$a)}", "{f0}", "{f3}"} {
		m.Operations = append(m.Operations, manifest.Entry{
			Request:  manifest.Request{Query: text},
			Planwarm: manifest.Details{Source: manifest.SourceManual, Type: manifest.Query, PlanKey: string(rune('1' + i))},
		})
	}
	m.Operations[0].Request.OperationName = "C"
	m.Operations[0].Planwarm.Conditions = map[string]bool{"a": false}
	m.Operations[0].Planwarm.Variants = []manifest.Variant{{PlanKey: "9", Conditions: map[string]bool{"a": true}}}
	h.store.set(func(f *fakeStore) { f.current = &m })
	h.usages.set(usage("f9", 10)) // of the snapshot
	h.graph.fetch(t.Context())
	got, err := h.Resolved(shop)
	if err != nil || len(got) != 4 || strings.Contains(texts(got), "include") || strings.Contains(texts(got), "f9") {
		t.Fatalf("%q, %v", texts(got), err)
	}
	h.schemas.Store(load(t, sdlV2))
	if got, err = h.Resolved(shop); err != nil || len(got) != 3 || strings.Contains(texts(got), "f0") {
		t.Errorf("under the next schema: %q, %v", texts(got), err)
	}
	h.store.set(func(f *fakeStore) { f.fail = errDown })
	h.graph.fetch(t.Context())
	if got, err = h.Resolved(shop); err != nil || len(got) != 3 {
		t.Errorf("bucket away: %q, %v", texts(got), err)
	}
	h.schemas.Store(nil)
	if _, err := h.Resolved(shop); !errors.Is(err, ErrNotFound) {
		t.Errorf("without a schema: %v", err)
	}
	if _, err := h.Resolved(manifest.Graph{Namespace: "default", Name: "other"}); !errors.Is(err, ErrUnknownGraph) {
		t.Errorf("another graph: %v", err)
	}
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, func(o *GraphOptions) {
			o.Routers = []RouterOptions{{Name: "a", Planner: &fakeRouter{}}, {Name: "b", Planner: &fakeRouter{}}}
		})
		p, err := h.Progress(shop)
		if err != nil || p.Fetched || p.Sequence != 0 || !maps.Equal(p.Generations, map[string]int{"a": 0, "b": 0}) {
			t.Fatalf("before the start: %+v, %v", p, err)
		}
		h.usages.set(usage("f1", 10))
		h.start(t)
		time.Sleep(20 * time.Second)
		p, err = h.Progress(shop)
		if err != nil || !p.Fetched || p.Sequence != 1 || !maps.Equal(p.Generations, map[string]int{"a": 1, "b": 1}) {
			t.Fatalf("after the start: %+v, %v", p, err)
		}
		if err := h.Pulled(t.Context(), shop); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if p, err = h.Progress(shop); err != nil || !maps.Equal(p.Generations, map[string]int{"a": 2, "b": 2}) {
			t.Fatalf("after a pull: %+v, %v", p, err)
		}
		if _, err := h.Progress(manifest.Graph{Namespace: "default", Name: "other"}); !errors.Is(err, ErrUnknownGraph) {
			t.Errorf("another graph: %v", err)
		}
	})
}
