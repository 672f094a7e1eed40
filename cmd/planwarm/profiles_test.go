package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/apollo/apollodouble"
	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
	"github.com/planwarm/planwarm/warmer"
)

func TestProfilesOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	profiles := profilesOf(config.Graph{Profiles: map[string]config.Profile{
		"beta": {Headers: config.Headers{"x-feature-flag": "beta"}, HeaderFiles: config.HeaderFiles{"authorization": file}},
	}})
	for _, secret := range []string{"Bearer one", "Bearer two"} {
		write(secret + "\n")
		h, err := profiles("beta")
		if err != nil || len(h) != 2 || h.Get("X-Feature-Flag") != "beta" || h.Get("Authorization") != secret {
			t.Errorf("%v, %v", h, err)
		}
	}
	write("hunter2\nInjected: yes")
	if h, err := profiles("beta"); err == nil || h != nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), file) {
		t.Errorf("two lines: %v, %v", h, err)
	}
	write("")
	if _, err := profiles("beta"); err == nil || errors.Is(err, warmer.ErrNoProfile) {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := profiles("nobody"); !errors.Is(err, warmer.ErrNoProfile) {
		t.Errorf("not configured: %v", err)
	}
}

func TestPushUnderProfiles(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.configure(defaultManifest, "")
	config, err := os.ReadFile(s.path("planwarm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("planwarm.yaml", strings.Replace(string(config), "    manifest:", "    profiles: { beta: { headers: { X-Feature-Flag: hunter2 } } }\n    manifest:", 1))

	got := s.must("push", "shop", "-f", "./product.graphql", "--profile", "beta", "--profile", "gamma", "--profile", "beta")
	got.check(t, exitDone, "added  Product under beta, gamma")
	if n := strings.Count(got.out, "note: header profile"); n != 1 || !strings.Contains(got.out, "note: header profile gamma is not configured here") {
		t.Errorf("it says\n%s", got.out)
	}
	s.must("list", "shop").check(t, exitDone, "Product under beta, gamma")
	if p := s.listing().Pins[0]; strings.Join(p.Profiles, " ") != "beta gamma" || p.State != stateActive {
		t.Errorf("%+v", p)
	}
	// Pushed again without a profile it is warmed under none.
	s.must("push", "shop", "-f", "./product.graphql")
	if p := s.listing().Pins[0]; p.Profiles != nil {
		t.Errorf("profiles left: %v", p.Profiles)
	}
	for _, args := range [][]string{{"--profile", "Bad Name"}, {"--profile", ""}} {
		if got := s.run(append([]string{"push", "shop", "-f", "./product.graphql"}, args...)...); got.code != exitUsage {
			t.Errorf("%q: exit code %d", args, got.code)
		}
	}
}

// A manifest's entry keeps its profiles when it is pushed.
func TestPushManifestWithProfiles(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	e := manifest.Entry{Request: manifest.Request{OperationName: "Product", Query: productText}, Planwarm: manifest.Details{Source: manifest.SourceManual, Type: manifest.Query, PlanKey: "1"}}
	e.UnderProfiles([]string{"beta"})
	m := manifest.Manifest{Format: manifest.Format, Graph: manifest.Graph{Namespace: "default", Name: "shop"}, Sequence: 1, Operations: []manifest.Entry{e}}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s.write("manifest.json", string(data))
	s.must("push", "shop", "-f", "./manifest.json")
	if p := s.listing().Pins[0]; strings.Join(p.Profiles, " ") != "beta" {
		t.Errorf("profiles %v", p.Profiles)
	}
}

func TestPushTellsWhatHasNoRoom(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.write("cond.graphql", "query Cond($a: Boolean!, $b: Boolean!, $c: Boolean!) { me { id @include(if: $a) name @skip(if: $b) n: name @skip(if: $c) } }")
	s.must("push", "shop", "-f", "./cond.graphql", "--profile", "beta").check(t, exitDone, "added  Cond under beta")
	s.must("push", "shop", "-f", "./cond.graphql", "--profile", "beta", "--profile", "gamma").
		check(t, exitDone, "note: Cond has 24 plans under its conditions and header profiles; the first 17 are warmed")
}

// The one-shot command warms under the configured profiles, and tells of the
// operations whose profile it does not have.
func TestWarmUnderProfiles(t *testing.T) {
	types := loadedOnce(t.Context(), config.Schema{File: supergraphFile(t)})
	d := apollodouble.New(apollodouble.Options{Options: dryrundouble.Options{Mode: dryrundouble.Allowed}})
	var seen []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v := r.Header.Get("Authorization"); v != "" {
			seen = append(seen, v)
		}
		d.ServeHTTP(w, r)
	}))
	defer srv.Close()
	g := config.DefaultGraph()
	g.Warm.Concurrency = 1
	g.Profiles = map[string]config.Profile{"beta": {Headers: config.Headers{"Authorization": "hunter2"}}}
	e := manifest.Entry{Request: manifest.Request{Query: "{me{id}}"}, Planwarm: manifest.Details{Type: manifest.Query, PlanKey: "1"}}
	e.UnderProfiles([]string{"beta", "gamma"})
	var out strings.Builder
	c := &cli{json: true, stdout: &out, stderr: &out}
	w := c.warmRouter(t.Context(), g, config.Router{Kind: config.RouterApollo, URL: srv.URL}, destination{name: srv.URL}, types, manifest.Manifest{Operations: []manifest.Entry{e}})
	if w.Error != "" || w.Planned != 2 || w.Skipped != 1 || len(seen) != 1 || seen[0] != "hunter2" {
		t.Fatalf("%+v, sent %q", w, seen)
	}
	if err := c.printWarmed([]warmedRouter{w}); err != nil {
		t.Fatal(err)
	}
	if err := c.printJSON(w); err != nil {
		t.Fatal(err)
	}
	if got := lastRunText(&warmer.RunRecord{Report: w.Report}); !strings.HasSuffix(got, ", 1 not sent under header profile gamma: header profile is not configured here") {
		t.Errorf("status: %s", got)
	}
	if s := out.String(); !strings.Contains(s, "skipped: 1 operation under header profile gamma: header profile is not configured here") || strings.Contains(s, "hunter2") {
		t.Errorf("it says\n%s", s)
	}
}
