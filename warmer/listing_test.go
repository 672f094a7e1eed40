package warmer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/telemetry"
)

// pull returns what a router would get, decoded.
func (h *harness) pull(t *testing.T) (manifest.Manifest, Pullable) {
	t.Helper()
	doc, err := h.Document(t.Context(), shop)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.DecodeBytes(doc.Body)
	if err != nil {
		t.Fatal(err)
	}
	return m, doc
}

// Each row of the fallback table, from the fetch to the document.
func TestFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.usages.set(usage("f1", 10), usage("f2", 20))
		h.start(t)
		time.Sleep(time.Second)
		h.usages.set(usage("f5", 1), usage("f2", 20))
		time.Sleep(snapshotAge)
		m, doc := h.pull(t)
		if got := texts(m.Operations); got != "query F2{f2} query F1{f1} query F5{f5}" || doc.Origin != OriginManifest || doc.Sequence != 1 {
			t.Fatalf("with a manifest: %q, %+v", got, doc)
		}
		h.store.set(func(f *fakeStore) { f.fail = errDown })
		time.Sleep(15 * time.Second)
		m, doc = h.pull(t)
		if got := texts(m.Operations); got != "query F5{f5} query F2{f2} query F1{f1}" || doc.Origin != OriginSnapshot {
			t.Fatalf("bucket away: %q, %s", got, doc.Origin)
		}
		if s := h.Status().Graphs[0]; s.Fetched.Error == "" || s.Snapshot != 2 {
			t.Errorf("status %+v", s)
		}
		if last, err := h.Fetched(shop); err != nil || last.Sequence != 1 {
			t.Errorf("last good manifest: %d, %v", last.Sequence, err)
		}
		h.store.set(func(f *fakeStore) { f.fail = nil })
		time.Sleep(15 * time.Second)
		if _, doc = h.pull(t); doc.Origin != OriginManifest {
			t.Errorf("bucket is back: from %s", doc.Origin)
		}
		h.store.set(func(f *fakeStore) { m := *f.current; m.Operations, m.Sequence = nil, 2; f.current = &m })
		time.Sleep(15 * time.Second)
		if _, doc = h.pull(t); doc.Origin != OriginSnapshot {
			t.Errorf("manifest without operations: from %s", doc.Origin)
		}
	})
}

func TestFallbackOff(t *testing.T) {
	h := newHarness(t, func(o *GraphOptions) { o.Warm.Fallback = FallbackOff })
	h.usages.set(usage("f1", 10))
	h.store.set(func(f *fakeStore) { f.fail = errDown })
	h.graph.fetch(t.Context())
	if _, err := h.Document(t.Context(), shop); !errors.Is(err, ErrNotFound) {
		t.Errorf("document without a manifest: %v", err)
	}
}

func TestSnapshotIsPrimaryWithoutCDN(t *testing.T) {
	h := newHarness(t, func(o *GraphOptions) { o.Fetcher = nil })
	h.usages.set(usage("f1", 10), telemetry.Usage{Hash: "x", PlanKey: "77"}, telemetry.Usage{Text: "{__schema{types{name}}}", Hash: "i"})
	if m, doc := h.pull(t); texts(m.Operations) != "query F1{f1}" || doc.Origin != OriginSnapshot {
		t.Errorf("%q from %s", texts(m.Operations), doc.Origin)
	}
}

// What a new schema refuses is listed, with its reason, and not sent.
func TestBrokenOperationsAreListedAndNotSent(t *testing.T) {
	h := newHarness(t, nil)
	h.usages.set(usage("f0", 10), usage("f1", 20))
	h.recompute(t)
	h.graph.fetch(t.Context())
	h.schemas.Store(load(t, sdlV2))
	l := h.graph.listing(Capacity{})
	if got := texts(l.Entries); got != "query F1{f1}" {
		t.Errorf("to be sent: %q", got)
	}
	if len(l.Broken) != 1 || l.Broken[0].Name != "F0" || l.Broken[0].PlanKey == "" || l.Broken[0].Reason == "" {
		t.Errorf("broken %+v", l.Broken)
	}
	if m, _ := h.pull(t); texts(m.Operations) != "query F1{f1}" {
		t.Errorf("pulled: %q", texts(m.Operations))
	}
}

// A list is made once for one state of its sources.
func TestListsAreMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.usages.set(usage("f1", 10))
		h.recompute(t)
		h.graph.fetch(t.Context())
		_, first := h.pull(t)
		for range 100 {
			_, doc := h.pull(t)
			if &doc.Body[0] != &first.Body[0] {
				t.Fatal("an unchanged document was encoded again")
			}
			h.Status()
		}
		if h.usages.hottest != 1 {
			t.Errorf("%d snapshots in one moment", h.usages.hottest)
		}
		h.usages.set(usage("f1", 10), usage("f2", 10))
		time.Sleep(snapshotAge)
		if m, _ := h.pull(t); len(m.Operations) != 2 {
			t.Error("a new operation is not in the next snapshot")
		}
		h.schemas.Store(load(t, "type Query { f2: Int }"))
		if m, _ := h.pull(t); texts(m.Operations) != "query F2{f2}" {
			t.Error("a new schema does not make a new list")
		}
	})
}

// A document holds no more than is worth pulling after conditions are resolved,
// and one entry that breaks the format does not cost the others.
func TestDocumentIsBounded(t *testing.T) {
	h := newHarness(t, func(o *GraphOptions) {
		o.Routers = []RouterOptions{
			{Name: "large", Planner: &fakeRouter{}, Capacity: Capacity{PlanCacheSize: 1000}},
			{Name: "small", Planner: &fakeRouter{}, Capacity: Capacity{PlanCacheSize: 100, PullRate: 1, PullTimeout: 4 * time.Second}},
		}
	})
	conditional := "query C($a:Boolean!){f1 f2 @include(if:$a)}"
	m := manifest.Manifest{Format: manifest.Format, Graph: shop, Sequence: 1, Operations: entries("")}
	for i, text := range []string{conditional, "{f3}", "{f4}", "{f5}"} {
		m.Operations = append(m.Operations, manifest.Entry{
			Request: manifest.Request{Query: text}, Planwarm: manifest.Details{Source: manifest.SourceManual, Type: manifest.Query, PlanKey: fmt.Sprint(1 + 10*i)},
		})
	}
	m.Operations[0].Request.OperationName = "C"
	m.Operations[0].Planwarm.Conditions = map[string]bool{"a": false}
	m.Operations[0].Planwarm.Variants = []manifest.Variant{{PlanKey: "2", Conditions: map[string]bool{"a": true}}}
	m.Operations[2].Client = &manifest.Client{Name: strings.Repeat("n", 10_000)}
	h.store.set(func(f *fakeStore) { f.current = &m })
	h.graph.fetch(t.Context())
	got, doc := h.pull(t)
	if n := len(got.Operations); n != 3 || doc.Origin != OriginManifest {
		t.Fatalf("%d entries: %q", n, texts(got.Operations))
	}
	if keysOf(got.Operations) != "1 2 11" || strings.Contains(texts(got.Operations), "include") {
		t.Errorf("keys %s, %q", keysOf(got.Operations), texts(got.Operations))
	}
	for _, e := range got.Operations {
		if len(e.Planwarm.Conditions) > 0 || len(e.Planwarm.Variants) > 0 {
			t.Errorf("an entry depends on variables, which no router sends when it pulls: %+v", e.Planwarm)
		}
	}
}

func TestDocumentFitsIntoAManifest(t *testing.T) {
	h := newHarness(t, func(o *GraphOptions) { o.Fetcher = nil })
	us := make([]telemetry.Usage, 100)
	for i := range us {
		us[i] = usage("f1", 1)
		us[i].Text = fmt.Sprintf("query F%d{f1 #%s\n}", i, strings.Repeat("x", 250<<10))
		us[i].Name = fmt.Sprintf("F%d", i)
	}
	h.usages.set(us...)
	m, doc := h.pull(t)
	if len(doc.Body) > manifest.MaxBytes || len(m.Operations) < 30 {
		t.Errorf("%d entries in %d bytes", len(m.Operations), len(doc.Body))
	}
}

// A first pull waits a moment for the manifest, later ones never.
func TestFirstPullWaitsForTheFirstFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.usages.set(usage("f1", 10))
		start := time.Now()
		_, doc := h.pull(t)
		if time.Since(start) != firstFetchWait || doc.Origin != OriginSnapshot {
			t.Errorf("first pull took %s, from %s", time.Since(start), doc.Origin)
		}
		start = time.Now()
		if h.pull(t); time.Since(start) != 0 {
			t.Errorf("second pull took %s", time.Since(start))
		}
	})
}

// Status has names, keys and reasons, and no text of an operation.
func TestStatusHasNoTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{}
		h := newHarness(t, func(o *GraphOptions) { o.Routers = []RouterOptions{{Name: "r", Planner: f}} })
		h.usages.set(usage("f0", 10), usage("f1", 20))
		h.schemas.Store(load(t, sdlV2))
		h.store.push("query Pushed{gone}")
		h.start(t)
		time.Sleep(5 * time.Second)
		body, err := json.Marshal(h.Status())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"ready":true`, `"broken":[{"name":"F0"`, `"phase":"warm"`, `"origin":"manifest"`, `"sequence":1`} {
			if !strings.Contains(string(body), want) {
				t.Errorf("status has no %s: %s", want, body)
			}
		}
		for _, not := range []string{"{f1}", "{f0}", "{gone}"} {
			if strings.Contains(string(body), not) {
				t.Errorf("status has the text %q", not)
			}
		}
	})
}

// A router that pulls is told of no persisted id but that of the text itself.
func TestPulledPersistedIDs(t *testing.T) {
	own, other := entry("1"), entry("2")
	sum := sha256.Sum256([]byte(own.Request.Query))
	for _, e := range []*manifest.Entry{&own, &other} {
		e.Request.Extensions = &manifest.Extensions{PersistedQuery: &manifest.PersistedQuery{SHA256Hash: hex.EncodeToString(sum[:]), Version: 1}}
	}
	entries, left := Unconditional([]manifest.Entry{own, other}, nil)
	if len(entries) != 2 || left != 0 || entries[0].Request.Extensions == nil || entries[1].Request.Extensions != nil || other.Request.Extensions == nil {
		t.Errorf("pulled %+v, %d left out", entries, left)
	}
}
