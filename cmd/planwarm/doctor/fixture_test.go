package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
	"go.yaml.in/yaml/v3"
)

// none is an environment without variables.
func none(string) (string, bool) { return "", false }

func read(t *testing.T, text string) *Document {
	t.Helper()
	d, err := Read(strings.NewReader(text), none)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func file(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// input has planwarm's configuration, "" for none, beside a router's.
func input(t *testing.T, planwarm string, kind config.RouterKind) *Input {
	t.Helper()
	in := &Input{Graph: config.DefaultGraph(), Target: config.DefaultRouter()}
	if err := yaml.Unmarshal([]byte("kind: "+string(kind)), &in.Target); kind != "" && err != nil {
		t.Fatal(err)
	}
	if planwarm == "" {
		return in
	}
	c, err := config.Parse([]byte(planwarm), none)
	if err != nil {
		t.Fatal(err)
	}
	in.Planwarm, in.Graph = &c, c.Graphs[0]
	if len(in.Graph.Routers) > 0 {
		in.Target = in.Graph.Routers[0]
	}
	return in
}

// fixture is the input of a check's fixture: the router's configuration, and
// planwarm's when there is one; or what a running router or sidecar told.
func fixture(t *testing.T, c Check, name string) *Input {
	t.Helper()
	path := filepath.Join("testdata", c.ID, name)
	planwarm := ""
	if data, err := os.ReadFile(path + ".planwarm.yaml"); err == nil {
		planwarm = string(data)
	}
	in := input(t, planwarm, c.Subject.Kind())
	switch c.Subject {
	case LiveRouter:
		in.Live = liveFixture(t, file(t, path+".yaml"))
	case LiveSidecar:
		in.Sidecar = sidecarFixture(t, file(t, path+".yaml"))
	case HiveGateway, ApolloGateway, Grafbase:
		ext := map[bool]string{true: ".toml", false: ".mjs"}[c.Subject == Grafbase]
		d, err := ReadSource(strings.NewReader(file(t, path+ext)))
		if err != nil {
			t.Fatal(err)
		}
		in.Router = d
	default:
		in.Router = read(t, file(t, path+".yaml"))
	}
	if data, err := os.ReadFile(path + ".config.json"); err == nil {
		sc, err := schema.Load(data)
		if err != nil {
			t.Fatal(err)
		}
		flags := sc.FeatureFlags()
		in.Flags = &flags
	}
	return in
}

func liveFixture(t *testing.T, text string) *Live {
	t.Helper()
	var f struct {
		Probe, Hit, Metrics, Ready string
		MutationSafe               bool `yaml:"mutation_safe"`
	}
	if err := yaml.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	pages := map[string]PageState{"": PageNone, "failed": PageFailed, "lacking": PageLacking, "good": PageGood}
	hits := map[string]planner.Hit{"": planner.HitYes, "yes": planner.HitYes, "no": planner.HitNo, "unknown": planner.HitUnknown}
	probes := map[string]error{
		"honoured": nil, "executed": planner.ErrExecuted, "refused": planner.ErrRefused, "unavailable": planner.ErrUnavailable,
	}
	probe, ok := probes[f.Probe]
	if !ok {
		t.Fatalf("probe %q", f.Probe)
	}
	return &Live{
		Router: "http://127.0.0.1:3002/graphql", Probe: probe, TellsHits: true, Hit: hits[f.Hit],
		MutationSafe: f.MutationSafe, Page: pages[f.Metrics], Ready: pages[f.Ready],
	}
}

func sidecarFixture(t *testing.T, text string) *Running {
	t.Helper()
	var f struct {
		Error   string
		Metrics string
		Status  *struct {
			Schema  string
			Fetched warmer.FetchStatus
		}
	}
	if err := yaml.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	r := &Running{Where: "http://127.0.0.1:7660", Graph: manifest.Graph{Namespace: "default", Name: "storefront"}, Pulls: true, Metrics: Metrics{}}
	if f.Error != "" {
		r.Err = errors.New(f.Error)
	}
	if f.Status != nil {
		r.Status = &warmer.GraphStatus{Graph: r.Graph, Schema: f.Status.Schema, Fetched: f.Status.Fetched}
	}
	series, err := planhttp.ReadPage(strings.NewReader(f.Metrics), MetricNames()...)
	if err != nil {
		t.Fatal(err)
	}
	r.Metrics = append(r.Metrics, series...)
	return r
}

// TestFixtures: every check has a fixture that it finds at fault and one that
// it does not.
func TestFixtures(t *testing.T) {
	for _, c := range Checks() {
		for name, want := range map[string]bool{"fail": false, "pass": true} {
			t.Run(c.ID+"/"+name, func(t *testing.T) {
				f, ok := c.look(fixture(t, c, name))
				switch {
				case !ok:
					t.Fatal("the check had nothing to look at")
				case f.Unknown:
					t.Fatalf("it could not be told: %s", f.What)
				case f.OK != want:
					t.Fatalf("%+v", f)
				case !f.OK && (f.Fix == "" || strings.ContainsAny(f.Fix, "\t") || placeholder.MatchString(f.Fix)):
					t.Fatalf("the lines to add are %q", f.Fix)
				}
			})
		}
	}
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// TestRegistry: ids are there once and say whose they are, and no folder of
// fixtures is left over.
func TestRegistry(t *testing.T) {
	prefix := map[Subject]string{
		Cosmo: "cosmo-", ApolloRouter: "apollo-", HiveRouter: "hive-router-", HiveGateway: "hive-gateway-", ApolloGateway: "apollo-gateway-", Grafbase: "grafbase-",
		LiveRouter: "live-", LiveSidecar: "sidecar-",
	}
	ids := map[string]bool{}
	for _, c := range Checks() {
		if ids[c.ID] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`).MatchString(c.ID) || !strings.HasPrefix(c.ID, prefix[c.Subject]) {
			t.Errorf("id %q is there twice, or no id of %s", c.ID, c.Subject)
		}
		ids[c.ID] = true
		if c.Good == "" || !strings.HasSuffix(c.Means, ".") || c.Topic == "" || c.Severity == "" {
			t.Errorf("%s does not say all", c.ID)
		}
	}
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !ids[e.Name()] && e.Name() != "fuzz" {
			t.Errorf("testdata/%s is of no check", e.Name())
		}
	}
}

// removals are the fixes that take something away.
var removals = map[string]bool{"cosmo-metrics-sent-twice": true}

// TestFixesMend puts the lines to add into the configuration at fault: the
// check passes then, and nothing that it said before is wrong with the YAML.
func TestFixesMend(t *testing.T) {
	mended := 0
	for _, c := range Checks() {
		if removals[c.ID] || c.Subject == Grafbase || c.In != RouterFile && c.In != PlanwarmFile {
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			in := fixture(t, c, "fail")
			f, _ := c.look(in)
			path := filepath.Join("testdata", c.ID, "fail")
			if c.In == PlanwarmFile {
				fix := input(t, merged(t, file(t, path+".planwarm.yaml"), f.Fix), c.Subject.Kind())
				in.Planwarm, in.Graph, in.Target = fix.Planwarm, fix.Graph, fix.Target
			} else {
				in.Router = read(t, merged(t, file(t, path+".yaml"), f.Fix))
			}
			if after, ok := c.look(in); ok && (!after.OK || after.Unknown) {
				t.Fatalf("with the lines added: %+v", after)
			}
		})
		mended++
	}
	if mended < 40 {
		t.Errorf("%d fixes were tried", mended)
	}
}

// merged is YAML with the lines of another put into it.
func merged(t *testing.T, text, lines string) string {
	t.Helper()
	var a, b any
	for text, into := range map[string]*any{text: &a, strings.ReplaceAll(lines, "./jwt.secret", "testdata/token"): &b} {
		if err := yaml.Unmarshal([]byte(text), into); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	out, err := yaml.Marshal(merge(a, b))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func merge(a, b any) any {
	switch b := b.(type) {
	case map[string]any:
		a, _ := a.(map[string]any)
		out := map[string]any{}
		for k, v := range a {
			out[k] = v
		}
		for k, v := range b {
			out[k] = merge(out[k], v)
		}
		return out
	case []any:
		old, _ := a.([]any)
		out := append([]any(nil), old...)
		for i, v := range b {
			if i < len(out) {
				out[i] = merge(out[i], v)
			} else {
				out = append(out, v)
			}
		}
		return out
	}
	return b
}

// yamlBlocks are the YAML blocks of a page, with files that are there.
func yamlBlocks(t *testing.T, path string) (out []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(file(t, path), -1) {
		out = append(out, secretFile.ReplaceAllString(m[1], "testdata/token"))
	}
	return out
}

var secretFile = regexp.MustCompile(`(?:secrets|shared|\.)/[a-z]+\.(?:secret|key|json)\b`)

// readme is what the README tells people to write.
func readme(t *testing.T) (planwarm, router string) {
	t.Helper()
	blocks := yamlBlocks(t, "../../../README.md")
	if len(blocks) < 2 {
		t.Fatal("README has no two configurations")
	}
	return blocks[0], blocks[1]
}

// TestReadmePasses: what the README tells people to write passes every check.
func TestReadmePasses(t *testing.T) {
	planwarm, router := readme(t)
	passesCosmo(t, planwarm, router)
}

// TestRoutersDocPasses: each pair of configurations for a Cosmo Router in
// docs/routers.md passes as well, with what that page leaves to the README.
func TestRoutersDocPasses(t *testing.T) {
	pairs, planwarm := 0, ""
	for _, b := range yamlBlocks(t, "../../../docs/routers.md") {
		if strings.HasPrefix(b, "# planwarm.yaml") {
			planwarm = b
			continue
		}
		r := &reading{doc: read(t, b)}
		if !r.at("version").set() || !r.at("execution_config").set() {
			continue // no Cosmo Router's, or not a whole one
		}
		pairs++
		basePlanwarm, baseRouter := readme(t)
		if r.at("controlplane_url").set() { // the token route must do without
			baseRouter = strings.Replace(baseRouter, "dev_mode: true", "", 1)
		}
		t.Run(fmt.Sprint("pair ", pairs), func(t *testing.T) {
			passesCosmo(t, merged(t, basePlanwarm, planwarm), merged(t, baseRouter, b))
		})
	}
	if pairs < 4 {
		t.Errorf("docs/routers.md has %d pairs of configurations", pairs)
	}
}

func passesCosmo(t *testing.T, planwarm, router string) {
	t.Helper()
	in := input(t, planwarm, config.RouterCosmo)
	// The token that `planwarm token cosmo` makes has these claims.
	claims := &reading{doc: read(t, file(t, "testdata/cosmo-token-claims/pass.yaml"))}
	token := claims.at("graph", "token").str("")
	d, err := Read(strings.NewReader(router), func(name string) (string, bool) { return token, name == "GRAPH_API_TOKEN" })
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Detect(d); err != nil || s != Cosmo {
		t.Fatalf("detected %q, %v", s, err)
	}
	in.Router = d
	n := 0
	for _, f := range Run(in, Cosmo) {
		if n++; !f.OK || f.Unknown {
			t.Errorf("%s: %s: %s", f.ID, f.Where, f.What)
		}
	}
	if n < 35 {
		t.Errorf("%d checks only", n)
	}
}
