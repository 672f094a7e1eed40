package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/engine"
	"github.com/planwarm/planwarm/planner/engine/router"
	"github.com/planwarm/planwarm/planner/engine/subgraphs"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/testdata"
)

// rig is an engine router before fake subgraphs.
type rig struct {
	router    *router.Router
	subgraphs *subgraphs.Server
	url       string
}

func newRig(t *testing.T, o router.Options) rig {
	t.Helper()
	sdl := map[string]string{}
	names, err := fs.Glob(testdata.Storefront, "storefront/subgraphs/*.graphql")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range names {
		sdl[strings.TrimSuffix(filepath.Base(path), ".graphql")] = storefrontFile(t, strings.TrimPrefix(path, "storefront/"))
	}
	subs, err := subgraphs.New(subgraphs.Options{SDL: sdl})
	if err != nil {
		t.Fatal(err)
	}
	o.Supergraph, o.SubgraphURLs = storefrontFile(t, "supergraph.graphql"), subs.URLs()
	r, err := router.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	url, stop := serveRouter(t, ctx, cancel, r)
	t.Cleanup(func() {
		stop()
		if err := subs.Close(context.Background()); err != nil {
			t.Errorf("close subgraphs: %v", err)
		}
	})
	return rig{r, subs, url}
}

// serveRouter runs a router until stop is called and returns its endpoint once
// it serves.
func serveRouter(t testing.TB, ctx context.Context, cancel context.CancelFunc, r *router.Router) (url string, stop func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	srv := httptest.NewServer(r)
	for !r.Ready() {
		time.Sleep(time.Millisecond) // another goroutine builds its graph
	}
	return srv.URL + "/graphql", func() {
		cancel()
		srv.Close()
		if err := <-done; err != nil {
			t.Errorf("router: %v", err)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Errorf("close router: %v", err)
		}
	}
}

func storefrontFile(t testing.TB, name string) string {
	t.Helper()
	data, err := testdata.Storefront.ReadFile("storefront/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// storefrontManifest writes a manifest of the given storefront operations.
func storefrontManifest(t *testing.T, files ...string) string {
	t.Helper()
	sc, err := schema.Load([]byte(storefrontFile(t, "supergraph.graphql")))
	if err != nil {
		t.Fatal(err)
	}
	k, err := engine.NewKeyer(sc.ClientSDL())
	if err != nil {
		t.Fatal(err)
	}
	m := manifest.Manifest{Format: manifest.Format, Graph: manifest.Graph{Namespace: "default", Name: "storefront"}, Sequence: 1, GeneratedAt: time.Unix(0, 0)}
	for _, f := range files {
		op, err := sc.Parse(storefrontFile(t, "operations/"+f+".graphql"), "")
		if err != nil {
			t.Fatal(err)
		}
		id, err := k.Key(op.Canonical, op.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		m.Operations = append(m.Operations, manifest.Entry{
			Request:  manifest.Request{OperationName: op.Name, Query: op.Canonical},
			Planwarm: manifest.Details{Source: manifest.SourceTelemetry, Type: manifest.OperationType(op.Type), PlanKey: id.PlanKey},
		})
	}
	body, err := manifest.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "manifest.json")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var warmFiles = []string{"me", "order-detail", "product-page", "home-page", "checkout", "submit-review"}

// planwarm runs a command line in this process.
func planwarm(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestWarmPlansAndExecutesNothing(t *testing.T) {
	r := newRig(t, router.Options{PlanOnly: router.PlanOnlyAllowed})
	path := storefrontManifest(t, warmFiles...)
	code, out, errs := planwarm("warm", "--router", r.url, "--manifest", path)
	if code != exitDone || !strings.Contains(out, "4 planned, 0 already warm, 0 failed, 2 skipped") || !strings.Contains(out, "verified: 100 %") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if s := r.router.Stats(); s.Executed != 0 || s.PlanOnlyIgnored != 0 || s.PlanOnlyMisses != 4+1 { // and the canary
		t.Errorf("router: %+v", s)
	}
	if n := r.subgraphs.Total().Requests(); n != 0 {
		t.Errorf("subgraphs saw %d requests", n)
	}
	code, out, _ = planwarm("warm", "--router", r.url, "--manifest", path, "--json")
	var said struct {
		Routers []warmedRouter `json:"routers"`
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil || code != exitDone || said.Routers[0].AlreadyWarm != 4 {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
}

// Where the header is not allowed, exactly one canary is executed, which needs
// no subgraph; the run stops and the command fails.
func TestWarmStopsAtARouterThatExecutes(t *testing.T) {
	r := newRig(t, router.Options{PlanOnly: router.PlanOnlyIgnored})
	code, out, errs := planwarm("warm", "--router", r.url, "--manifest", storefrontManifest(t, warmFiles...))
	if code != exitFailed || !strings.Contains(out, "does not allow the header") || !strings.Contains(errs, planner.ErrExecuted.Error()) {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if s := r.router.Stats(); s.PlanOnlyIgnored != 1 || s.Executed != 1 || s.Mutations != 0 {
		t.Errorf("router: %+v, want one executed canary", s)
	}
	if n := r.subgraphs.Total().Requests(); n != 0 {
		t.Errorf("subgraphs saw %d requests", n)
	}
	// The counter counts: a real field reaches a subgraph.
	res, err := http.Post(r.url, "application/json", strings.NewReader(`{"query":"{categories{id}}"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || r.subgraphs.Total().Requests() != 1 {
		t.Errorf("subgraphs saw %d requests of a real query, want 1", r.subgraphs.Total().Requests())
	}
}

// With a token that the router checks, mutations can be planned too.
func TestWarmPlansMutationsWhereTheRouterFailsClosed(t *testing.T) {
	r := newRig(t, router.Options{PlanOnly: router.PlanOnlyFailClosed, PlanOnlyToken: "right"})
	path := storefrontManifest(t, warmFiles...)
	dir := t.TempDir()
	for token, want := range map[string]string{"right": "6 planned", "wrong": "0 planned"} {
		file := filepath.Join(dir, token)
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := planwarm("warm", "--router", r.url, "--router-token-file", file, "--manifest", path)
		if (code == exitDone) != (token == "right") || !strings.Contains(out, want) {
			t.Errorf("%s token: exit %d\n%s%s", token, code, out, errs)
		}
		if strings.Contains(out+errs, "right") && token == "right" {
			t.Errorf("the token is in the output:\n%s%s", out, errs)
		}
	}
	if s := r.router.Stats(); s.Executed != 0 || s.Mutations != 0 || r.subgraphs.Total().Requests() != 0 {
		t.Errorf("router: %+v, subgraphs: %+v", s, r.subgraphs.Total())
	}
}

func TestWarmUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for want, args := range map[int][]string{
		exitUsage:    {"warm"},
		exitNotFound: {"warm", "nosuch"},
	} {
		if code, out, errs := planwarm(args...); code != want {
			t.Errorf("%v: exit %d, want %d\n%s%s", args, code, want, out, errs)
		}
	}
	path := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(path, []byte(`{"format":"planwarm/v9"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := planwarm("warm", "--router", "http://127.0.0.1:1/graphql", "--manifest", path); code != exitRefused || !strings.Contains(errs, path) {
		t.Errorf("broken manifest: exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs := planwarm("warm", "--router", "router:3002", "--manifest", path); code != exitUsage || !strings.Contains(errs, "--router is not a URL") {
		t.Errorf("no URL: exit %d, %s", code, errs)
	}
	if code, _, errs := planwarm("warm", "shop", "--config", emptyShop(t)); code != exitNotFound || !strings.Contains(errs, "nothing is published for default/shop") {
		t.Errorf("nothing published: exit %d, %s", code, errs)
	}
	good := storefrontManifest(t, "me")
	if code, _, errs := planwarm("warm", "--router", "http://127.0.0.1:1/graphql", "--manifest", good); code != exitFailed || !strings.Contains(errs, "unavailable") {
		t.Errorf("absent router: exit %d, %s", code, errs)
	}
}

// emptyShop is the configuration of a graph in an empty bucket.
func emptyShop(t *testing.T) string {
	t.Helper()
	return newShop(t, defaultManifest).path("planwarm.yaml")
}

// A router that is named by its URL is what it is configured as.
func TestWarmNamesAConfiguredRouter(t *testing.T) {
	g := config.DefaultGraph()
	g.Name = "shop"
	g.Routers = []config.Router{{Kind: config.RouterApollo, URL: "http://apollo/", TokenFile: "token"}}
	got, err := warmGraph(config.Config{Graphs: []config.Graph{g}}, warmFlags{routers: []string{"http://apollo/", "http://other/"}}, nil)
	if err != nil || len(got.Routers) != 2 {
		t.Fatalf("%v, %+v", err, got.Routers)
	}
	if a, b := got.Routers[0], got.Routers[1]; a.Kind != config.RouterApollo || a.TokenFile != "token" || b.Kind != config.RouterCosmo || b.TokenFile != "" {
		t.Errorf("%+v", got.Routers)
	}
}
