package warmer

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/telemetry"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var shop = manifest.Graph{Namespace: "default", Name: "shop"}

// sdlV1 has the fields f0 to f9 and cond; sdlV2 has lost f0.
const (
	sdlV1 = "type Query { f0: Int f1: Int f2: Int f3: Int f4: Int f5: Int f6: Int f7: Int f8: Int f9: Int } type Mutation { buy: Int }"
	sdlV2 = "type Query { f1: Int f2: Int f3: Int f4: Int f5: Int f6: Int f7: Int f8: Int f9: Int } type Mutation { buy: Int }"
)

func load(t testing.TB, sdl string) *schema.Schema {
	t.Helper()
	sc, err := schema.Load([]byte(sdl))
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// fakeSchemas is a SchemaSource that a test changes.
type fakeSchemas struct{ atomic.Pointer[schema.Schema] }

func (f *fakeSchemas) Current() *schema.Schema { return f.Load() }

// fakeKeyer keys on the text and its conditions.
type fakeKeyer struct{}

func (fakeKeyer) Key(text, _ string, conditions map[string]bool) (planKey, hash string, err error) {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, text, conditions)
	key := fmt.Sprint(h.Sum64())
	return key, "h" + key, nil
}

func keyOf(text string) string {
	key, _, _ := fakeKeyer{}.Key(text, "", nil)
	return key
}

// fakeUsages is a UsageSource that a test fills.
type fakeUsages struct {
	mu          sync.Mutex
	usages      []telemetry.Usage
	err         error
	hottest     int // how often it was asked
	checkpoints int
	noCopy      error // of the local checkpoint
}

func (f *fakeUsages) set(us ...telemetry.Usage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.usages = us
}

func (f *fakeUsages) Usages(_ context.Context, _ time.Time, _ time.Duration, _ func(telemetry.Usage) string) ([]telemetry.Usage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.usages), f.err
}

func (f *fakeUsages) Hottest(n int) []telemetry.Usage {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hottest++
	return slices.Clone(f.usages[:min(n, len(f.usages))])
}

func (f *fakeUsages) Checkpoint() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkpoints++
	return []byte("state"), f.noCopy
}

// usage is an operation that asks for one field.
func usage(field string, p90 float64) telemetry.Usage {
	text := "query " + strings.ToUpper(field) + "{" + field + "}"
	return telemetry.Usage{
		Hash: "h" + field, Hashes: []string{"h" + field}, Name: strings.ToUpper(field), Type: "query", Text: text,
		Executions: 100, Samples: 10, P90: p90, Mean: p90, Max: p90, Sum: 10 * p90, MeasuredAt: time.Unix(1_700_000_000, 0),
	}
}

// fakeStore is a Store in memory. It gives conflicts and faults on demand.
type fakeStore struct {
	mu        sync.Mutex
	current   *manifest.Manifest
	pins      manifest.Pins
	tag       string
	held      bool
	fail      error
	overtake  func(current *manifest.Manifest) *manifest.Manifest // another publisher, faster once
	published []manifest.Manifest
	builds    int
	saved     int
	pinsRead  int
}

var _ Store = (*fakeStore)(nil)

func (f *fakeStore) PublishIf(ctx context.Context, _ manifest.Graph, build func(context.Context, *manifest.Manifest) (manifest.Manifest, error)) (manifest.Manifest, error) {
	for {
		f.mu.Lock()
		current, held, fail := f.current, f.held, f.fail
		f.builds++
		f.mu.Unlock()
		if fail != nil {
			return manifest.Manifest{}, fail
		}
		if held {
			return manifest.Manifest{}, fmt.Errorf("%w: by a test", ErrHeld)
		}
		m, err := build(ctx, current)
		if err != nil {
			return manifest.Manifest{}, fmt.Errorf("publish: %w", err)
		}
		f.mu.Lock()
		if f.overtake != nil {
			f.current, f.overtake = f.overtake(current), nil
		}
		if f.current == current {
			m.Writer = "w"
			f.current = &m
			f.published = append(f.published, m)
			f.mu.Unlock()
			return m, nil
		}
		f.mu.Unlock() // a conflict: build again
	}
}

func (f *fakeStore) Pins(context.Context, manifest.Graph) (manifest.Pins, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pinsRead++
	return f.pins, f.tag, f.fail
}

func (f *fakeStore) SaveCheckpoint(context.Context, manifest.Graph, []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.saved++
	return f.fail
}

func (f *fakeStore) push(texts ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, text := range texts {
		r := manifest.Request{Query: text}
		f.pins.Pins = slices.Insert(slices.Clone(f.pins.Pins), 0, manifest.Pin{ID: manifest.PinID(r), Request: r, PushedAt: time.Now()})
	}
	f.tag = fmt.Sprint("tag", len(f.pins.Pins))
}

func (f *fakeStore) set(change func(*fakeStore)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeStore) sequence() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == nil {
		return 0
	}
	return f.current.Sequence
}

// Fetch makes the store its own CDN.
func (f *fakeStore) Fetch(context.Context, manifest.Graph) (manifest.Manifest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.fail != nil:
		return manifest.Manifest{}, f.fail
	case f.current == nil:
		return manifest.Manifest{}, fmt.Errorf("fetch: %w", ErrNotFound)
	}
	return *f.current, nil
}

var errDown = errors.New("bucket is down")

// texts are the operations of a manifest, in order.
func texts(es []manifest.Entry) string {
	var out []string
	for _, e := range es {
		out = append(out, e.Request.Query)
	}
	return strings.Join(out, " ")
}

// harness is one graph with everything around it faked.
type harness struct {
	*Warmer
	graph    *graph
	schemas  *fakeSchemas
	usages   *fakeUsages
	store    *fakeStore
	registry *prometheus.Registry
}

// newHarness builds a warmer that publishes and fetches; change may take parts away.
func newHarness(t testing.TB, change func(*GraphOptions)) *harness {
	t.Helper()
	h := &harness{schemas: &fakeSchemas{}, usages: &fakeUsages{}, store: &fakeStore{}, registry: prometheus.NewRegistry()}
	h.schemas.Store(load(t, sdlV1))
	settings := manifest.DefaultSettings()
	settings.MinPlanningTime = 0
	o := GraphOptions{
		Graph: shop, Schema: h.schemas, Usages: h.usages, Fetcher: h.store, Store: h.store,
		NewKeyer: func(*schema.Schema) (Keyer, error) { return fakeKeyer{}, nil },
		Publish: PublishOptions{
			Settings: settings, Window: 168 * time.Hour, RecomputeInterval: 10 * time.Minute, MinPublishInterval: 5 * time.Minute,
		},
		Warm: WarmOptions{Fallback: FallbackSnapshot, Merge: true, Poll: 15 * time.Second},
	}
	if change != nil {
		change(&o)
	}
	w, err := New(Options{Graphs: []GraphOptions{o}, Registerer: h.registry})
	if err != nil {
		t.Fatal(err)
	}
	h.Warmer, h.graph = w, w.order[0]
	return h
}

// start runs the warmer until the test, or stop, ends it.
func (h *harness) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func (h *harness) recompute(t *testing.T) PublishReport {
	t.Helper()
	rep, err := h.Recompute(t.Context(), shop)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// operations are those of the manifest in force.
func (f *fakeStore) operations() []manifest.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == nil {
		return nil
	}
	return f.current.Operations
}

// asked is how often a publication was begun.
func (f *fakeStore) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.builds
}

// checkpoints is how many were saved.
func (f *fakeStore) checkpoints() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.saved
}
