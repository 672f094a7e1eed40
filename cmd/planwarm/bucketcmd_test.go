package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"go.uber.org/zap"
)

// shopSchema is the schema of the graph that the tests push to.
const shopSchema = `type Query { me: User  product(id: ID!): Product  search(text: String!, first: Int): [Product!]! }
type Mutation { rename(id: ID!, to: String!): Product }
type Subscription { changed: Product }
type User { id: ID! name: String! }
type Product { id: ID! title: String! price: Int reviews(first: Int): [Review!]! }
type Review { id: ID! body: String! }
`

const (
	meText      = "query Me { me { id name } }\n"
	productText = "# kept as it is\nquery Product($id: ID!) {\n  product(id: $id) { id title }\n}\n"
	titleText   = "query Title($id: ID!) { product(id: $id) { title } }\n"
	tabsText    = `query Tabs($id: ID!, $more: Boolean!) { product(id: $id) { ...P price reviews(first: 2) @include(if: $more) { id } } }
fragment P on Product { id title }
query Head($id: ID!) { product(id: $id) { ...P } }
`
)

// shop is a directory with a configuration, a schema and operations.
type shop struct {
	t   *testing.T
	dir string

	bucket    *cdnsource.Memory // of newS3Shop
	elsewhere string            // the configuration of that bucket
}

// said is what a command line gave.
type said struct {
	code     int
	out, err string
}

const defaultManifest = "max_operations: 3"

// newShop configures the graph default/shop over an embedded bucket.
func newShop(t *testing.T, manifestSettings string) *shop {
	t.Helper()
	s := &shop{t: t, dir: t.TempDir()}
	s.write("schema.graphql", shopSchema)
	s.write("me.graphql", meText)
	s.write("product.graphql", productText)
	s.write("title.graphql", titleText)
	s.write("tabs.graphql", tabsText)
	s.configure(manifestSettings, "")
	return s
}

func (s *shop) configure(manifestSettings, rest string) {
	s.t.Helper()
	s.write("planwarm.yaml", fmt.Sprintf(`data_dir: %q
graphs:
  - name: shop
    schema: { file: %q }
    manifest: { %s }
admin: { listen: "127.0.0.1:1" }
%s`, s.path("data"), s.path("schema.graphql"), manifestSettings, rest))
}

func (s *shop) path(name string) string { return filepath.Join(s.dir, name) }

func (s *shop) write(name, text string) string {
	s.t.Helper()
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// run runs a command line in this process. Arguments that start with ./ are
// files of the shop.
func (s *shop) run(args ...string) said { return s.runWith("", args...) }

func (s *shop) runWith(stdin string, args ...string) said {
	s.t.Helper()
	var out, errs bytes.Buffer
	code := run(s.args(args), strings.NewReader(stdin), &out, &errs)
	return said{code, strings.ReplaceAll(out.String(), s.dir, "."), strings.ReplaceAll(errs.String(), s.dir, ".")}
}

func (s *shop) args(args []string) []string {
	full := []string{"--config", s.path("planwarm.yaml")}
	for _, a := range args {
		if rest, ok := strings.CutPrefix(a, "./"); ok {
			a = s.path(rest)
		}
		full = append(full, a)
	}
	return full
}

// must is run for a command that has to succeed.
func (s *shop) must(args ...string) said {
	s.t.Helper()
	got := s.run(args...)
	if got.code != exitDone {
		s.t.Fatalf("planwarm %s: exit %d\n%s%s", strings.Join(args, " "), got.code, got.out, got.err)
	}
	return got
}

// refused is run for a command that has to end with code and say each of texts.
func (s *shop) refused(code int, texts []string, args ...string) said {
	s.t.Helper()
	got := s.run(args...)
	got.check(s.t, code, texts...)
	return got
}

func (g said) check(t *testing.T, code int, texts ...string) {
	t.Helper()
	if g.code != code {
		t.Errorf("exit %d, want %d\n%s%s", g.code, code, g.out, g.err)
	}
	for _, text := range texts {
		if !strings.Contains(g.out+g.err, text) {
			t.Errorf("does not say %q:\n%s%s", text, g.out, g.err)
		}
	}
}

var anyMoment = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ?`)

// golden compares output, moments left out.
func golden(t *testing.T, got, want string) {
	t.Helper()
	if got = anyMoment.ReplaceAllString(got, "TIME"); got != want {
		t.Errorf("output is\n%s\nwant\n%s", got, want)
	}
}

// decode reads the one JSON document that a command printed.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("output is no JSON: %v\n%s", err, text)
	}
	if dec.More() {
		t.Fatalf("more than one document:\n%s", text)
	}
	return v
}

func (s *shop) listing() listing {
	s.t.Helper()
	return decode[listing](s.t, s.must("list", "shop", "--json").out)
}

// names are those of the stack, newest first.
func (l listing) names() string {
	var out []string
	for _, p := range l.Pins {
		out = append(out, p.Request.OperationName+":"+p.State)
	}
	return strings.Join(out, " ")
}

// inBucket works on the bucket as a publisher would.
func (s *shop) inBucket(work func(context.Context, *cdnsource.Store)) {
	s.t.Helper()
	cfg, err := config.Load(s.path("planwarm.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	st, err := openStorage(s.t.Context(), cfg, false, zap.NewNop())
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := st.store(cfg, nil, zap.NewNop())
	if err != nil {
		s.t.Fatal(err)
	}
	work(s.t.Context(), store)
	if err := st.close(); err != nil {
		s.t.Fatal(err)
	}
}

// publish puts manifests with entries of these names and P90s in force, one after another.
func (s *shop) publish(versions ...[]manifest.Entry) {
	s.t.Helper()
	s.inBucket(func(ctx context.Context, store *cdnsource.Store) {
		g := manifest.Graph{Namespace: "default", Name: "shop"}
		for _, entries := range versions {
			m := manifest.Manifest{Format: manifest.Format, Graph: g, GeneratedAt: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC), Window: "168h", Rank: manifest.RankP90, Operations: entries}
			if _, err := store.Publish(ctx, g, m); err != nil {
				s.t.Fatal(err)
			}
		}
	})
}

func measuredEntry(name, text, key string, p90 float64) manifest.Entry {
	return manifest.Entry{
		Request: manifest.Request{OperationName: name, Query: text}, Client: &manifest.Client{Name: "web", Version: "3"},
		Planwarm: manifest.Details{Source: manifest.SourceTelemetry, Type: manifest.Query, PlanKey: key, P90Ms: p90, Samples: 7, Executions: 90},
	}
}
