package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/cmd/planwarm/doctor"
	"github.com/planwarm/planwarm/planner/apollo/apollodouble"
	"github.com/planwarm/planwarm/planner/cosmo/cosmodouble"
	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
	"github.com/planwarm/planwarm/planner/engine/router"
	"github.com/planwarm/planwarm/planner/engine/subgraphs"
)

// examined is what doctor --json prints.
type examined struct {
	Checks   []doctor.Finding `json:"checks"`
	Canaries struct {
		Sent     int `json:"sent"`
		Executed int `json:"executed"`
	} `json:"canaries"`
	Notes []string `json:"notes"`
}

// examine runs doctor --json.
func examine(t *testing.T, code int, args ...string) examined {
	t.Helper()
	var out, said bytes.Buffer
	if got := run(append([]string{"doctor", "--json"}, args...), nil, &out, &said); got != code {
		t.Fatalf("doctor %v: exit code %d, want %d\n%s%s", args, got, code, &out, &said)
	}
	var e examined
	if code == exitUsage {
		return e
	}
	if err := json.Unmarshal(out.Bytes(), &e); err != nil {
		t.Fatalf("%v in\n%s", err, &out)
	}
	return e
}

// finding is "ok", "unknown", the severity of what is wrong, or "" when the
// check had nothing to look at.
func (e examined) finding(id string) string {
	for _, f := range e.Checks {
		switch {
		case f.ID != id:
		case f.Unknown:
			return "unknown"
		case f.OK:
			return "ok"
		default:
			return string(f.Severity)
		}
	}
	return ""
}

func (e examined) expect(t *testing.T, want map[string]string) {
	t.Helper()
	for id, w := range want {
		if got := e.finding(id); got != w {
			t.Errorf("%s: %q, want %q", id, got, w)
		}
	}
}

// writeConfig writes a planwarm.yaml for a graph with these keys.
func writeConfig(t *testing.T, graph string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "planwarm.yaml")
	text := fmt.Sprintf("data_dir: %q\ngraphs:\n  - name: storefront\n    schema: { file: %q }\n%s\n", filepath.Join(dir, "data"), supergraphFile(t), graph)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDoctorCosmoModes: whatever a router does, one canary is executed at most,
// and what is found is what is wrong.
func TestDoctorCosmoModes(t *testing.T) {
	for name, c := range map[string]struct {
		options  cosmodouble.Options
		code     int
		executed int
		want     map[string]string
	}{
		"all well": {cosmodouble.Options{Hits: cosmodouble.HitDebug}, exitDone, 0, map[string]string{
			"live-router-unavailable": "ok", "live-plan-only-executed": "ok", "live-plan-only-refused": "ok", "live-hit-signal": "ok",
			"live-hit-stays": "ok", "live-metrics-page": "ok", "live-ready-url": "ok", "live-mutations": "info",
		}},
		"no hit header": {cosmodouble.Options{}, exitDone, 0, map[string]string{"live-hit-signal": "warning", "live-hit-stays": ""}},
		"ignored": {cosmodouble.Options{Mode: cosmodouble.Ignored, Hits: cosmodouble.HitDebug}, exitDone, 1, map[string]string{
			"live-plan-only-executed": "warning", "live-plan-only-refused": "ok", "live-hit-signal": "", "live-mutations": "",
		}},
		"ignored after the canary": {cosmodouble.Options{ReloadAfter: 1, ReloadTo: cosmodouble.Ignored}, exitDone, 1, map[string]string{
			"live-plan-only-executed": "warning", "live-hit-signal": "unknown",
		}},
		"html": {cosmodouble.Options{Mode: cosmodouble.HTML}, exitFailed, 0, map[string]string{
			"live-plan-only-refused": "error", "live-plan-only-executed": "unknown",
		}},
		"redirect": {cosmodouble.Options{Mode: cosmodouble.Redirect}, exitFailed, 0, map[string]string{"live-plan-only-refused": "error"}},
		"starting": {cosmodouble.Options{Mode: cosmodouble.Starting}, exitFailed, 0, map[string]string{
			"live-router-unavailable": "error", "live-ready-url": "info",
		}},
		"huge": {cosmodouble.Options{Mode: cosmodouble.Huge}, exitDone, 1, map[string]string{"live-plan-only-executed": "warning"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := cosmodouble.New(c.options)
			srv := httptest.NewServer(d)
			defer srv.Close()
			cfg := writeConfig(t, fmt.Sprintf("    routers: [ { url: %q, ready_url: %q, metrics_url: %q } ]", srv.URL+"/graphql", srv.URL+"/health/ready", srv.URL+"/metrics"))
			e := examine(t, c.code, "--config", cfg)
			e.expect(t, c.want)
			if n := len(d.Executed()); n != c.executed || e.Canaries.Executed != c.executed || e.Canaries.Sent != 1 {
				t.Errorf("%d executed, told %+v, want %d", n, e.Canaries, c.executed)
			}
			for _, x := range d.Executed() {
				if x.Subgraph || x.Mutation {
					t.Errorf("executed at a subgraph: %q", x.Query)
				}
			}
		})
	}
}

// TestDoctorApolloModes: a router without a warm-up of its own that executes
// leaves nothing to warm with.
func TestDoctorApolloModes(t *testing.T) {
	for mode, c := range map[dryrundouble.Mode]struct {
		code     int
		executed int
		finding  string
	}{
		dryrundouble.Allowed: {exitDone, 0, "ok"},
		dryrundouble.Ignored: {exitFailed, 1, "error"},
	} {
		d := apollodouble.New(apollodouble.Options{Options: dryrundouble.Options{Mode: mode}})
		srv := httptest.NewServer(d)
		e := examine(t, c.code, "--config", writeConfig(t, ""), "--kind", "apollo", "--router", srv.URL)
		srv.Close()
		e.expect(t, map[string]string{"live-plan-only-executed": c.finding, "live-hit-signal": "", "live-metrics-page": "warning"})
		if len(d.Executed()) != c.executed || e.Canaries.Executed != c.executed {
			t.Errorf("mode %d: executed %+v, told %+v", mode, d.Executed(), e.Canaries)
		}
	}
}

// TestDoctorEngineRouter: a router that ignores the header, one that allows it,
// and the metrics page of a real one.
func TestDoctorEngineRouter(t *testing.T) {
	for mode, want := range map[router.PlanOnly]map[string]string{
		router.PlanOnlyAllowed: {"live-plan-only-executed": "ok", "live-hit-signal": "ok", "live-hit-stays": "ok", "live-metrics-page": "ok"},
		router.PlanOnlyIgnored: {"live-plan-only-executed": "warning", "live-hit-signal": "", "live-metrics-page": "ok"},
	} {
		r := newRig(t, router.Options{PlanOnly: mode})
		cfg := writeConfig(t, fmt.Sprintf("    routers: [ { url: %q, metrics_url: %q } ]", r.url, strings.TrimSuffix(r.url, "/graphql")+"/metrics"))
		examine(t, exitDone, "--config", cfg).expect(t, want)
		if s := r.router.Stats(); mode == router.PlanOnlyIgnored && s.PlanOnlyIgnored != 1 {
			t.Errorf("%d plan-only requests were sent to a router that ignores them", s.PlanOnlyIgnored)
		}
		if n := r.subgraphs.Total(); n != (subgraphs.Count{}) {
			t.Errorf("%s: subgraphs saw %+v", mode, n)
		}
	}
}

// TestDoctorSidecar follows a sidecar from its start to what real routers sent.
func TestDoctorSidecar(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	e := examine(t, exitFailed, "storefront", "--config", s.configPath())
	e.expect(t, map[string]string{
		"sidecar-unreachable": "ok", "sidecar-graph-unknown": "ok", "sidecar-schema-missing": "ok", "sidecar-telemetry-missing": "error",
		"sidecar-pull-unseen": "warning", "sidecar-pull-refused": "ok", "sidecar-unattributed": "ok", "sidecar-texts-missing": "",
	})
	s.send(requests(t, "defaults/metrics-http-cumulative")...) // of a router without attributes
	url := "http://" + s.addresses["cdn"] + "/org-storefront/graph-storefront/cache_warmup/operations.json"
	if status, _ := s.do(http.MethodGet, url, map[string]string{"Authorization": "Bearer wrong"}, nil); status != http.StatusUnauthorized {
		t.Fatalf("a wrong graph token is answered %d", status)
	}
	examine(t, exitFailed, "--config", s.configPath()).expect(t, map[string]string{
		"sidecar-telemetry-missing": "error", "sidecar-unattributed": "warning", "sidecar-pull-unseen": "ok", "sidecar-pull-refused": "error",
	})
	s.send(requests(t, "defaults/traces-http")...)
	examine(t, exitFailed, "--config", s.configPath()).expect(t, map[string]string{
		"sidecar-telemetry-missing": "ok", "sidecar-texts-missing": "error",
	})
	s.send(requests(t, "defaults/graphqlmetrics")...)
	token := graphToken(t, jwt.MapClaims{"organization_id": "org-storefront", "federated_graph_id": "graph-storefront"})
	s.do(http.MethodGet, url, map[string]string{"Authorization": "Bearer " + token}, nil)
	e = examine(t, exitFailed, "--config", s.configPath())
	e.expect(t, map[string]string{"sidecar-telemetry-missing": "ok", "sidecar-texts-missing": "ok", "sidecar-pull-refused": "error"})
	s.stop()
	e = examine(t, exitDone, "--config", s.configPath(), "--server", "http://"+s.addresses["admin"])
	e.expect(t, map[string]string{"sidecar-unreachable": "warning", "sidecar-telemetry-missing": ""})
}

// TestDoctorExecutesNothing: a router that can only be warmed by executing is
// not asked.
func TestDoctorExecutesNothing(t *testing.T) {
	sent := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent++ }))
	defer srv.Close()
	cfg := writeConfig(t, fmt.Sprintf("    routers: [ { kind: grafbase, url: %q, allow_execution: true } ]", srv.URL))
	file := filepath.Join(filepath.Dir(cfg), "grafbase.toml")
	if err := os.WriteFile(file, []byte("[operation_caching]\nlimit = 20\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := examine(t, exitDone, "--config", cfg, "--router-config", file, "--router", srv.URL)
	e.expect(t, map[string]string{"grafbase-manifest-above-cache": "warning", "live-plan-only-executed": ""})
	if sent != 0 || e.Canaries.Sent != 0 || !strings.Contains(strings.Join(e.Notes, "\n"), "is not asked") {
		t.Errorf("%d sent, told %+v, notes %q", sent, e.Canaries, e.Notes)
	}
}

// TestDoctorUsage: what cannot be examined is a fault of the command line, and
// nothing of a file is quoted.
// TestDoctorCountsFeatureFlags: they are read from the execution config that
// planwarm.yaml names.
func TestDoctorCountsFeatureFlags(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	router := write("router.yaml", "version: \"1\"\ncdn: { url: http://127.0.0.1:7661 }\ncache_warmup: { enabled: true }\n")
	sdl := write("schema.graphql", "type Query { a: Int }")
	config := write("config.json", `{"engineConfig":{"graphqlSchema":"type Query { a: Int }"},"featureFlagConfigs":{"configByFeatureFlagName":{"beta":{},"gamma":{}}}}`)
	for _, c := range []struct {
		schema string
		flags  int
		want   string
	}{{config, 0, "warning"}, {config, 2, "ok"}, {sdl, 0, ""}, {filepath.Join(dir, "none.json"), 0, ""}} {
		own := write("planwarm.yaml", fmt.Sprintf("graphs: [ { name: shop, schema: { file: %q }, routers: [ { url: http://127.0.0.1:1/graphql, pull: { feature_flags: %d } } ] } ]", c.schema, c.flags))
		if got := examine(t, exitFailed, "--config", own, "--router-config", router).finding("cosmo-feature-flags-differ"); got != c.want {
			t.Errorf("%s with %d flags: %q, want %q", filepath.Base(c.schema), c.flags, got, c.want)
		}
	}
}

func TestDoctorUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"broken.yaml": "token: 'hunter2\n", "other.yaml": "services: { hunter2: {} }\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{}, {"--router-config", "none.yaml"}, {"--router-config", "broken.yaml"}, {"--router-config", "other.yaml"},
		{"--kind", "nginx"}, {"a", "b"}, {"--config", "none.yaml"},
	} {
		var out, said bytes.Buffer
		if code := run(append([]string{"doctor"}, args...), nil, &out, &said); code != exitUsage || strings.Contains(said.String()+out.String(), "hunter2") {
			t.Errorf("%v: exit code %d: %s", args, code, &said)
		}
	}
	examine(t, exitNotFound, "storefront", "--config", writeConfig(t, ""), "--namespace", "other")
}

// TestDoctorText is what a person sees.
func TestDoctorText(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("router.yaml", []byte("version: \"1\"\nengine: { execution_plan_cache_size: 64 }\ngraph: { token: \"${NOT_SET_HERE}\" }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	if code := run([]string{"doctor", "--router-config", "router.yaml"}, nil, &out, &said); code != exitFailed || said.Len() > 0 {
		t.Fatalf("exit code %d, said %s", code, &said)
	}
	for _, want := range []string{
		"Cosmo Router, router.yaml\n", "its defaults are taken", "\nTelemetry\n  ✗ error    telemetry  [cosmo-otlp-elsewhere]\n",
		"Here: room for 64 plans, a list of up to 100.", "execution_plan_cache_size: 1024 }", "? unknown  not told: graph.token is an environment variable",
		"lines for the router's configuration:\n", "  ✓ ok       ", "cdn: { url: http://127.0.0.1:7661 }",
	} {
		if !strings.Contains(out.String(), want) && !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}

func TestPublicURL(t *testing.T) {
	for in, want := range map[string]string{
		"http://user:hunter2@127.0.0.1:3002/graphql?key=hunter2#hunter2": "http://127.0.0.1:3002/graphql",
		"hunter2": "router",
	} {
		if got := publicURL(in); got != want {
			t.Errorf("publicURL = %q, want %q", got, want)
		}
	}
	c := config.Default()
	if got := healthURL("http://10.0.0.5:7660", "", c); got != "http://10.0.0.5:7662" {
		t.Errorf("health at %q", got)
	}
	if got := healthURL("http://10.0.0.5:7660", "127.0.0.1:999", c); got != "http://127.0.0.1:999" {
		t.Errorf("health at %q", got)
	}
}
