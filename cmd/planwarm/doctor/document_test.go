package doctor

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
)

func TestReadBounds(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":         {"", nil},
		"only comments": {"# nothing\n", nil},
		"null":          {"null\n", nil},
		"too large":     {"a: " + strings.Repeat("x", MaxBytes), ErrTooLarge},
		"too deep":      {"a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), ErrTooLarge},
		"too many":      {"a: [" + strings.Repeat("1,", maxNodes) + "1]", ErrTooLarge},
		"a list":        {"- a\n", ErrMalformed},
		"a word":        {"hunter2\n", ErrMalformed},
		"twice":         {"engine: {}\nengine: {}\n", ErrMalformed},
		"two documents": {"a: 1\n---\na: 2\n", ErrMalformed},
		"no YAML":       {"token: 'hunter2\n", ErrMalformed},
		"no anchor":     {"a: *hunter2\n", ErrMalformed},
	} {
		_, err := Read(strings.NewReader(c.text), none)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error quotes the file: %v", name, err)
		}
	}
	if _, err := ReadSource(strings.NewReader(strings.Repeat("x", MaxBytes+1))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("source: %v", err)
	}
}

func TestValues(t *testing.T) {
	lookup := func(name string) (string, bool) { return "true", name == "SET" }
	d, err := Read(strings.NewReader(`
base: &base { enabled: true, rate: 5 }
merged: { <<: [ *base ], rate: 7 }
alias: *base
loop: &loop { <<: *loop }
set: ${SET}
unset: ${UNSET}
shell: $UNSET
fallback: ${env.UNSET:-true}
words: banana
computed: { expression: "1 < 2" }
nothing: null
`), lookup)
	if err != nil {
		t.Fatal(err)
	}
	r := &reading{doc: d}
	switch {
	case !r.at("merged", "enabled").boolean(false), r.at("merged", "rate").number(0) != 7, r.at("alias", "rate").number(0) != 5:
		t.Error("aliases and merged mappings are not followed")
	case r.at("loop", "enabled").boolean(false), r.at("nothing").set(), !r.at("nothing").boolean(true):
		t.Error("what is not there is there")
	case !r.at("set").boolean(false), !r.at("fallback").boolean(false):
		t.Error("environment variables are not put in")
	case r.unknown != "":
		t.Errorf("%s %s", r.unknown, r.why)
	}
	for _, key := range []string{"unset", "shell", "words", "computed"} {
		r := &reading{doc: d}
		if r.at(key).boolean(true) != true || r.unknown != key {
			t.Errorf("%s: unknown is %q", key, r.unknown)
		}
	}
}

// TestUnknownIsNoFault: what an environment variable decides is neither right
// nor wrong.
func TestUnknownIsNoFault(t *testing.T) {
	in := input(t, "", config.RouterCosmo)
	in.Router = read(t, "version: '1'\ncache_warmup: { enabled: \"${WARM}\" }\n")
	for _, f := range Run(in, Cosmo) {
		if f.ID == "cosmo-warmup-disabled" {
			if !f.OK || !f.Unknown || !strings.Contains(f.What, "cache_warmup.enabled") || strings.Contains(f.What, "WARM}") {
				t.Errorf("%+v", f)
			}
			return
		}
	}
	t.Error("the check is not there")
}

// TestNoValueIsPrinted: whatever stands in a router's configuration, findings
// have its keys alone.
func TestNoValueIsPrinted(t *testing.T) {
	const secret = "hunter2"
	for _, c := range []struct {
		subject Subject
		text    string
	}{
		{Cosmo, `
version: "1"
listen_addr: hunter2.example.com:3002
graph: { token: hunter2, sign_key: hunter2 }
cdn: { url: "https://user:hunter2@cdn.example.com/hunter2?key=hunter2" }
controlplane_url: http://hunter2:hunter2@127.0.0.1:1
graphql_metrics: { enabled: hunter2, collector_endpoint: "https://hunter2.example.com" }
client_header: { name: hunter2 }
cache_warmup: { enabled: true, items_per_second: hunter2, timeout: hunter2, source: { filesystem: { path: /hunter2/ } } }
storage_providers: { s3: [ { access_key: hunter2, secret_key: hunter2 } ] }
persisted_operations: { storage: { object_prefix: hunter2 }, manifest: { enabled: true, file_name: hunter2 } }
engine: { execution_plan_cache_size: "${HUNTER:-hunter2}" }
telemetry:
  attributes: [ { key: hunter2, value_from: { expression: hunter2 } }, hunter2 ]
  tracing:
    exporters: [ { exporter: http, endpoint: "https://hunter2@otel.example.com", headers: { Authorization: "Bearer hunter2" } } ]
  metrics:
    attributes: hunter2
    otlp: { exporters: [ { endpoint: "http://127.0.0.1:4318", temporality: hunter2 } ] }
    prometheus: { listen_addr: hunter2 }
`},
		{ApolloRouter, `
supergraph: { listen: hunter2, query_planning: { cache: { in_memory: { limit: 5 }, redis: { urls: [ "redis://:hunter2@cache" ] } } } }
authentication: { router: { jwt: { jwks: [ { url: hunter2 } ] } } }
telemetry: { exporters: { tracing: { common: { sampler: hunter2 }, otlp: { enabled: true, endpoint: hunter2, grpc: { metadata: { key: hunter2 } } } } } }
`},
		{HiveRouter, `
supergraph: { source: hive, key: hunter2 }
http: { host: hunter2 }
query_planner: { allow_expose: true }
telemetry: { hive: { token: hunter2 }, tracing: { exporters: [ { kind: otlp, endpoint: { expression: hunter2 }, http: { headers: { a: hunter2 } } } ] } }
`},
	} {
		in := input(t, "", c.subject.Kind())
		in.Router = read(t, c.text)
		if s, err := Detect(in.Router); s != c.subject {
			t.Errorf("detected %q, %v", s, err)
		}
		findings := Run(in, c.subject)
		out, err := json.Marshal(findings)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), secret) || Worst(findings) == "" {
			t.Errorf("%s", out)
		}
	}
}

func TestDetect(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Subject
		err  error
	}{
		"cosmo":            {"version: \"1\"\nlisten_addr: localhost:3002\n", Cosmo, nil},
		"cosmo by version": {"version: \"1\"\n", Cosmo, nil},
		"apollo":           {"supergraph: { listen: 127.0.0.1:4000 }\ntelemetry: { exporters: {} }\n", ApolloRouter, nil},
		"hive router":      {"supergraph: { source: file, path: a.graphql }\nquery_planner: { allow_expose: true }\n", HiveRouter, nil},
		"planwarm's own":   {"graphs: [ { name: storefront } ]\n", "", ErrOwn},
		"empty":            {"", "", ErrUnknownRouter},
		"something else":   {"services: { web: { image: nginx } }\n", "", ErrUnknownRouter},
		"in between":       {"homepage: {}\nquery_planner: {}\n", "", ErrUnknownRouter},
	} {
		if s, err := Detect(read(t, c.text)); s != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", name, s, err)
		}
	}
	for _, c := range []struct {
		path, text string
		want       Subject
	}{
		{"gateway.config.ts", "import { defineConfig } from '@graphql-hive/gateway'", HiveGateway},
		{"index.mjs", "import { ApolloGateway } from '@apollo/gateway'", ApolloGateway},
		{"grafbase.toml", "[network]\nlisten_address = \"127.0.0.1:5000\"\n", Grafbase},
		{"index.js", "// import { ApolloGateway } from '@apollo/gateway'", ""},
	} {
		d, err := ReadSource(strings.NewReader(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := Detect(d); s != c.want || !IsSource(c.path) || IsSource("router.yaml") {
			t.Errorf("%s: %q", c.path, s)
		}
	}
}

func TestReaches(t *testing.T) {
	for _, c := range []struct {
		url, listen string
		want        bool
	}{
		{"http://127.0.0.1:7661", "127.0.0.1:7661", true},
		{"http://localhost:7661/", "127.0.0.1:7661", true},
		{"127.0.0.1:7661", "127.0.0.1:7661", true},
		{"http://planwarm:7661", "127.0.0.1:7661", false},
		{"http://planwarm:7661", ":7661", true},
		{"http://planwarm:7661", "0.0.0.0:7661", true},
		{"http://planwarm:7661", "10.0.0.5:7661", true},
		{"http://10.0.0.6:7661", "10.0.0.5:7661", false},
		{"http://127.0.0.1:7660", "127.0.0.1:7661", false},
		{"http://127.0.0.1", "127.0.0.1:80", true},
		{"https://127.0.0.1", "127.0.0.1:443", true},
		{"", "127.0.0.1:7661", false},
		{"http://127.0.0.1:7661", "", false},
		{"http://%zz", ":80", false},
	} {
		if got := reaches(c.url, c.listen); got != c.want {
			t.Errorf("reaches(%q, %q) = %v", c.url, c.listen, got)
		}
	}
}

// FuzzDoctor: no configuration makes a check panic, and no check prints what
// stands in it.
func FuzzDoctor(f *testing.F) {
	for _, s := range []string{
		"version: '1'\ncdn: { url: hunter2 }", "telemetry: { metrics: { otlp: { exporters: [ hunter2, [], { endpoint: [hunter2] } ] } } }",
		"a: &a [ *a ]", "engine: &e { <<: *e, debug: hunter2 }", "graph: { token: a.b.c }", "http: { host: '${hunter2:-hunter2}' }",
	} {
		f.Add(s)
	}
	const secret = "hunter2"
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Read(strings.NewReader(text), none)
		if err != nil {
			return
		}
		_, _ = Detect(d)
		in := &Input{Router: d, Graph: config.DefaultGraph(), Target: config.DefaultRouter()}
		out, err := json.Marshal(Run(in, Cosmo, ApolloRouter, HiveRouter, HiveGateway, ApolloGateway))
		if err != nil || strings.Contains(string(out), secret) {
			t.Fatalf("%s, %v", out, err)
		}
	})
}
