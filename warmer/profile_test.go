package warmer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// secretValue is a header's value, which must never be seen.
const secretValue = "hunter2"

// someProfiles has the profiles beta and gamma, and one whose file is gone.
func someProfiles(name string) (http.Header, error) {
	switch name {
	case "beta", "gamma":
		return http.Header{"X-Profile": {name + secretValue}}, nil
	case "gone":
		return nil, errors.New("read secret: no such file")
	}
	return nil, ErrNoProfile
}

func underProfiles(e manifest.Entry, names ...string) manifest.Entry {
	e.UnderProfiles(names)
	return e
}

// profiledRouter keys its plans on the profile too, as a router does that has a
// graph for each feature flag.
type profiledRouter struct {
	*fakeRouter
	refuses string // profile that it refuses; it then trusts nobody until the next canary
	shut    bool
}

func (p *profiledRouter) keyed(r planner.Request) planner.Request {
	r.PlanKey = r.Header.Get("X-Profile") + "|" + r.PlanKey
	return r
}

func (p *profiledRouter) Probe(ctx context.Context) error {
	err := p.fakeRouter.Probe(ctx)
	p.mu.Lock()
	p.shut = p.shut && err != nil
	p.mu.Unlock()
	return err
}

func (p *profiledRouter) Plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	p.mu.Lock()
	bad := p.refuses != "" && strings.HasPrefix(r.Header.Get("X-Profile"), p.refuses)
	p.shut = p.shut || bad
	shut := p.shut
	p.mu.Unlock()
	if shut && !bad {
		return planner.Result{}, fmt.Errorf("%w: not sent", planner.ErrRefused)
	}
	res, err := p.fakeRouter.Plan(ctx, p.keyed(r))
	if bad {
		return planner.Result{}, fmt.Errorf("%w: status 401", planner.ErrRefused)
	}
	return res, err
}

func (p *profiledRouter) Verify(ctx context.Context, r planner.Request) (planner.Hit, error) {
	return p.fakeRouter.Verify(ctx, p.keyed(r))
}

func (p *profiledRouter) keys() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, r := range p.sent {
		out = append(out, strings.ReplaceAll(r.PlanKey, secretValue, ""))
	}
	slices.Sort(out)
	return out
}

func TestItemsUnderProfiles(t *testing.T) {
	e := underProfiles(entry("1"), "beta", "gamma")
	e.Planwarm.Variants = append(e.Planwarm.Variants, manifest.Variant{Query: "query Op1{ a1 }", Profile: "beta"})
	show := func(exact bool) (out []string) {
		ids := map[string]bool{}
		for _, it := range Items([]manifest.Entry{e, entry("2")}, exact) {
			if ids[it.ID] || it.Request.Header != nil {
				t.Errorf("item %+v", it)
			}
			ids[it.ID] = true
			out = append(out, it.Profile+"/"+it.Request.OperationName+"/"+it.Request.Query)
		}
		return out
	}
	want := []string{"/Op1/query Op1{a1}", "beta/Op1/query Op1{a1}", "gamma/Op1/query Op1{a1}", "/Op2/query Op2{a2}"}
	if got := show(false); !slices.Equal(got, want) {
		t.Errorf("by plan key: %q", got)
	}
	want = []string{
		"/Op1/query Op1{a1}", "//query Op1{a1}", "beta/Op1/query Op1{a1}", "beta//query Op1{a1}", "gamma/Op1/query Op1{a1}", "gamma//query Op1{a1}",
		"beta/Op1/query Op1{ a1 }", "beta//query Op1{ a1 }", "/Op2/query Op2{a2}", "//query Op2{a2}",
	}
	if got := show(true); !slices.Equal(got, want) {
		t.Errorf("by text: %q", got)
	}
}

func TestRunSendsHeadersOfProfiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &profiledRouter{fakeRouter: &fakeRouter{}}
		list := Items([]manifest.Entry{underProfiles(entry("1"), "beta", "gamma"), underProfiles(entry("2"), "beta")}, false)
		rep, warm, err := Runner{Planner: p, Profiles: someProfiles}.Run(t.Context(), list)
		if err != nil || rep.Planned != 5 || rep.Verified != 5 || rep.Checked != 5 || len(warm) != 5 || rep.Profiles != nil {
			t.Fatalf("%+v, %v, %v", rep, warm, err)
		}
		if want := []string{"beta|1", "beta|2", "gamma|1", "|1", "|2"}; !slices.Equal(p.keys(), want) {
			t.Errorf("sent %q", p.keys())
		}
	})
}

// Values are read when they are used: the last request has the new secret.
func TestProfilesAreReadForEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		profiles := func(string) (http.Header, error) {
			reads++
			return http.Header{"X-Profile": {fmt.Sprint(reads)}}, nil
		}
		f := &fakeRouter{silent: true}
		list := Items([]manifest.Entry{underProfiles(entry("1"), "beta"), underProfiles(entry("2"), "beta")}, false)
		if _, _, err := (Runner{Planner: plainRouter{f}, Profiles: profiles, Settings: Settings{Concurrency: 1}}).Run(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		var seen []string
		for _, r := range f.sent {
			if v := r.Header.Get("X-Profile"); v != "" && !slices.Contains(seen, v) {
				seen = append(seen, v)
			}
		}
		if len(seen) != 2 {
			t.Errorf("values sent: %q", seen)
		}
	})
}

// plainRouter is a Planner and nothing else.
type plainRouter struct{ planner.Planner }

func TestUnknownProfileIsSkippedWithReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, profiles := range map[string]Profiles{"others": someProfiles, "none": nil} {
			p := &profiledRouter{fakeRouter: &fakeRouter{}}
			var done int
			list := Items([]manifest.Entry{underProfiles(entry("1"), "nobody"), underProfiles(entry("2"), "nobody"), entry("3")}, false)
			rep, _, err := Runner{Planner: p, Profiles: profiles, Progress: func(n, _ int) { done = n }}.Run(t.Context(), list)
			if err != nil || rep.Planned != 3 || rep.Skipped != 2 || rep.Failed != 0 || done != 5 {
				t.Fatalf("%s: %+v, %d done, %v", name, rep, done, err)
			}
			if want := []ProfileSkip{{"nobody", 2, ErrNoProfile.Error()}}; !slices.Equal(rep.Profiles, want) {
				t.Errorf("%s: %+v", name, rep.Profiles)
			}
		}
	})
}

func TestUnreadableProfileFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &profiledRouter{fakeRouter: &fakeRouter{}}
		list := Items([]manifest.Entry{underProfiles(entry("1"), "gone", "beta"), entry("2")}, false)
		rep, _, err := Runner{Planner: p, Profiles: someProfiles}.Run(t.Context(), list)
		if err != nil || rep.Planned != 3 || rep.Failed != 1 || len(rep.Failures) != 1 {
			t.Fatalf("%+v, %v", rep, err)
		}
		if f := rep.Failures[0]; f.Profile != "gone" || f.Name != "Op1" || f.Reason != "header profile gone: read secret: no such file" {
			t.Errorf("%+v", f)
		}
	})
}

// A token that is refused is the profile's fault when the canary is taken, and
// keeps nothing else from being warmed.
func TestRefusedProfileStopsNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &profiledRouter{fakeRouter: &fakeRouter{}, refuses: "beta"}
		var es []manifest.Entry
		for i := range 10 {
			es = append(es, underProfiles(entry(fmt.Sprint(i)), "beta", "gamma"))
		}
		rep, _, err := Runner{Planner: p, Profiles: someProfiles}.Run(t.Context(), Items(es, false))
		if err != nil || rep.Planned != 20 || rep.Failed != 1 || rep.Skipped != 9 {
			t.Fatalf("%+v, %v", rep, err)
		}
		if f := rep.Failures[0]; f.Profile != "beta" || f.Reason != planner.ErrProfile.Error() {
			t.Errorf("%+v", f)
		}
		if want := []ProfileSkip{{"beta", 9, planner.ErrProfile.Error()}}; !slices.Equal(rep.Profiles, want) {
			t.Errorf("%+v", rep.Profiles)
		}
	})
}

// A refusal that the canary meets too is the router's, and ends the run.
func TestRefusalUnderProfileOfTheRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{probe: func(n int) error {
			if n > solo+1 { // those before the first operation, and the one behind it
				return planner.ErrRefused
			}
			return nil
		}}
		p := &profiledRouter{fakeRouter: f, refuses: "beta"}
		rep, _, err := Runner{Planner: p, Profiles: someProfiles}.Run(t.Context(), Items([]manifest.Entry{underProfiles(entry("1"), "beta"), entry("2")}, false))
		if !errors.Is(err, planner.ErrRefused) || rep.Stopped != planner.ErrRefused.Error() || rep.Planned != 1 {
			t.Errorf("%+v, %v", rep, err)
		}
	})
}

// The first request under a profile goes alone: it shows whether the router
// takes the profile, and whether it still plans only.
func TestFirstRequestUnderProfileGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{answer: func(_ int, r planner.Request) (planner.Result, error) {
			if r.Header.Get("X-Profile") != "" {
				return planner.Result{}, planner.ErrExecuted
			}
			return planner.Result{}, nil
		}}
		es := entries("1 2 3 4 5 6 7 8")
		for i := range 10 {
			es = append(es, underProfiles(entry(fmt.Sprint(100+i)), "beta"))
		}
		rep, _, err := Runner{Planner: f, Profiles: someProfiles, Settings: Settings{Concurrency: 8}}.Run(t.Context(), Items(es, false))
		if !errors.Is(err, planner.ErrExecuted) || rep.Executed != 1 {
			t.Errorf("%+v, %v", rep, err)
		}
	})
}

// What is pushed under a profile is warmed under it, a router that pulls gets
// it without, and no value of a header is seen anywhere.
func TestProfilesFromPinToRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		p := &profiledRouter{fakeRouter: &fakeRouter{}}
		registry := prometheus.NewRegistry()
		h := newHarness(t, nil)
		o := h.graph.opts
		o.Profiles = someProfiles
		o.Routers = []RouterOptions{{Name: "r", Planner: p}}
		w, err := New(Options{Graphs: []GraphOptions{o}, Registerer: registry, Logger: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		h.Warmer, h.graph = w, w.order[0]
		h.store.push("{f1}", "{f2}")
		h.store.set(func(f *fakeStore) { f.pins.Pins[0].Profiles = []string{"beta", "gone", "nobody"} })
		h.recompute(t)
		h.start(t)
		time.Sleep(time.Minute)

		want := []string{"beta|" + keyOf("{f2}"), "|" + keyOf("{f1}"), "|" + keyOf("{f2}")}
		slices.Sort(want)
		if got := slices.Compact(p.keys()); !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		run := h.Status().Graphs[0].Routers[0].LastRun
		if run == nil || !slices.Equal(run.Profiles, []ProfileSkip{{"nobody", 1, ErrNoProfile.Error()}}) || len(run.Failures) != 1 {
			t.Errorf("last run %+v", run)
		}
		if n := logs.FilterField(zap.Any("profiles_skipped", run.Profiles)).Len(); n == 0 {
			t.Error("the log does not say what was skipped")
		}
		m, doc := h.pull(t)
		if got := texts(m.Operations); got != "{f2} {f1}" || strings.Contains(string(doc.Body), "beta") {
			t.Errorf("pulled %q:\n%s", got, doc.Body)
		}
		seenNowhere(t, h, logs, registry, doc)
	})
}

func seenNowhere(t *testing.T, h *harness, logs *observer.ObservedLogs, registry *prometheus.Registry, doc Pullable) {
	t.Helper()
	var all []string
	for _, l := range logs.All() {
		all = append(all, fmt.Sprint(l.Message, l.ContextMap()))
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	status, err := json.Marshal(h.Status())
	if err != nil {
		t.Fatal(err)
	}
	published, err := manifest.Encode(*h.store.current)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(published), `"profile":"beta"`) {
		t.Errorf("the manifest does not name the profile: %s", published)
	}
	all = append(all, fmt.Sprint(families), string(status), string(published), string(doc.Body))
	if text := strings.Join(all, "\n"); strings.Contains(text, secretValue) || len(logs.All()) == 0 {
		t.Errorf("a header's value is seen:\n%s", text)
	}
}

func TestPulledWithoutProfiles(t *testing.T) {
	own := entry("1")
	own.Planwarm.Profile = "beta"
	other := entry("2")
	other.Planwarm.Variants = []manifest.Variant{{PlanKey: "3", Profile: "beta"}, {PlanKey: "4"}}
	long := entry("5")
	long.Client = &manifest.Client{Name: strings.Repeat("x", manifest.MaxBytes)}
	entries, left := Unconditional([]manifest.Entry{own, other, long}, nil)
	if got := keysOf(entries); got != "2 4" || left != 3 {
		t.Errorf("pulled %q, %d left out", got, left)
	}
}
