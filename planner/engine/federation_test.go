package engine

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/fetches.tsv anew")

// plain is the head of a small supergraph with three subgraphs.
const plain = `
schema { query: Query }
enum join__Graph { A @join__graph(name: "a", url: "http://a.test") B @join__graph(name: "b", url: "http://b.test") C @join__graph(name: "c", url: "http://c.test") }
`

// The metadata of the join specification, feature by feature: what is fetched
// from where, and how many fetches wait for one another.
func TestFederationFeatures(t *testing.T) {
	for _, c := range []struct {
		name, types, query string
		fetches, depth     int
		want, not          []string
	}{
		{
			name: "provides spares a fetch on its path only",
			types: `type Query @join__type(graph: A) { best: Item @join__field(graph: A, provides: "name") any: Item @join__field(graph: A) }
				type Item @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") { id: ID! name: String @join__field(graph: A, external: true) @join__field(graph: B) }`,
			query: `{ best { name } }`, fetches: 1, depth: 1, not: []string{`service: "b"`},
		},
		{
			name: "no provides, no short cut",
			types: `type Query @join__type(graph: A) { best: Item @join__field(graph: A, provides: "name") any: Item @join__field(graph: A) }
				type Item @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") { id: ID! name: String @join__field(graph: A, external: true) @join__field(graph: B) }`,
			query: `{ any { name } }`, fetches: 2, depth: 2, want: []string{`service: "b"`},
		},
		{
			name: "a subgraph hands over an entity without declaring its key",
			types: `type Query @join__type(graph: A) { item: Item @join__field(graph: A) }
				type Item @join__type(graph: A) @join__type(graph: B, key: "id") { id: ID! price: Int @join__field(graph: B) }`,
			query: `{ item { price } }`, fetches: 2, depth: 2, want: []string{`service: "b"`, "_entities"},
		},
		{
			name: "a nested key in another order is the same key",
			types: `type Query @join__type(graph: A) { line: Line @join__field(graph: A) }
				type Order @join__type(graph: A) @join__type(graph: B) { id: ID! market: String }
				type Line @join__type(graph: A, key: "number order { id market }") @join__type(graph: B, key: "order { market id } number") { number: Int order: Order total: Int @join__field(graph: B) }`,
			query: `{ line { total } }`, fetches: 2, depth: 2, want: []string{"market", "number"},
		},
		{
			name: "requires waits for a third subgraph",
			types: `type Query @join__type(graph: A) { item: Item @join__field(graph: A) }
				type Item @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") @join__type(graph: C, key: "id") {
					id: ID! weight: Int @join__field(graph: B) @join__field(graph: C, external: true) shipping: Int @join__field(graph: C, requires: "weight") }`,
			query: `{ item { shipping } }`, fetches: 3, depth: 3, want: []string{`service: "c"`},
		},
		{
			name: "independent fetches are parallel",
			types: `type Query @join__type(graph: A) { item: Item @join__field(graph: A) }
				type Item @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") @join__type(graph: C, key: "id") { id: ID! b: Int @join__field(graph: B) c: Int @join__field(graph: C) }`,
			query: `{ item { b c } }`, fetches: 3, depth: 2, want: []string{"Parallel {"},
		},
		{
			name: "a key that is not resolvable is no way in",
			types: `type Query @join__type(graph: A) @join__type(graph: B) { item: Item @join__field(graph: A) }
				type Item @join__type(graph: A, key: "id", resolvable: false) @join__type(graph: B, key: "id") { id: ID! name: String @join__field(graph: B) }`,
			query: `{ item { name } }`, fetches: 2, depth: 2, want: []string{`service: "b"`},
		},
		{
			name: "an interface with a key is entered as such",
			types: `type Query @join__type(graph: A) @join__type(graph: B) { node: Node @join__field(graph: A) }
				interface Node @join__type(graph: A, key: "id") @join__type(graph: B, key: "id", isInterfaceObject: true) { id: ID! views: Int @join__field(graph: B) }
				type Post implements Node @join__implements(graph: A, interface: "Node") @join__type(graph: A, key: "id") { id: ID! views: Int @join__field }
				type Page implements Node @join__implements(graph: A, interface: "Node") @join__type(graph: A, key: "id") { id: ID! views: Int @join__field }`,
			query: `{ node { views } }`, fetches: 2, depth: 2, want: []string{`service: "b"`, "... on Node"},
		},
		{
			name: "what an interface object requires is required of its concrete types",
			types: `type Query @join__type(graph: A) @join__type(graph: B) { node: Node @join__field(graph: A) }
				interface Node @join__type(graph: A, key: "id") @join__type(graph: B, key: "id", isInterfaceObject: true) { id: ID! title: String @join__field(graph: A) @join__field(graph: B, external: true) slug: String @join__field(graph: B, requires: "title") }
				type Post implements Node @join__implements(graph: A, interface: "Node") @join__type(graph: A, key: "id") { id: ID! title: String slug: String @join__field }`,
			query: `{ node { ... on Post { slug } } }`, fetches: 2, depth: 2, want: []string{`service: "b"`, "... on Node", "title"},
		},
		{
			name: "a key that is external is handed over where it is provided",
			types: `type Query @join__type(graph: A) { best: Item @join__field(graph: A, provides: "id") any: Item @join__field(graph: A) }
				type Item @join__type(graph: A) @join__type(graph: B, key: "id") { id: ID! @join__field(graph: A, external: true) @join__field(graph: B) price: Int @join__field(graph: B) }`,
			query: `{ best { price } }`, fetches: 2, depth: 2, want: []string{`service: "b"`, "_entities"},
		},
		{
			name: "join v0.1: a field belongs to the owner of its type",
			types: `type Query { user: User @join__field(graph: A) }
				type User @join__owner(graph: B) @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") { id: ID! name: String }`,
			query: `{ user { name } }`, fetches: 2, depth: 2, want: []string{`service: "b"`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := planned(t, newEngine(t, plain+c.types, Options{PlanOnly: true}), c.query)
			tree := out.Tree()
			if out.Fetches != c.fetches || out.Depth != c.depth {
				t.Errorf("%d fetches, depth %d; want %d, %d:\n%s", out.Fetches, out.Depth, c.fetches, c.depth, tree)
			}
			for _, text := range c.want {
				if !strings.Contains(tree, text) {
					t.Errorf("no %s in\n%s", text, tree)
				}
			}
			for _, text := range c.not {
				if strings.Contains(tree, text) {
					t.Errorf("%s in\n%s", text, tree)
				}
			}
		})
	}
}

// Where an external key is not provided there is no way to the other subgraph.
func TestExternalKeyThatIsNotProvided(t *testing.T) {
	e := newEngine(t, plain+`type Query @join__type(graph: A) { best: Item @join__field(graph: A, provides: "id") any: Item @join__field(graph: A) }
		type Item @join__type(graph: A) @join__type(graph: B, key: "id") { id: ID! @join__field(graph: A, external: true) @join__field(graph: B) price: Int @join__field(graph: B) }`, Options{PlanOnly: true})
	if err := e.Check(`{ any { price } }`, ""); !errors.Is(err, ErrUnplannable) {
		t.Errorf("error %v, want %v", err, ErrUnplannable)
	}
}

// Fetch counts and depths of the storefront are as they were when plans were
// compared with those of an independent implementation.
func TestFetchesOfStorefront(t *testing.T) {
	e := storefrontEngine(t, Options{PlanOnly: true})
	var got bytes.Buffer
	got.WriteString("file\toperation\tfetches\tdepth\n")
	for _, op := range storefrontOperations(t) {
		// The heaviest ones are planned by another test; they take seconds
		// under the race detector.
		if op.planKey == "" || len(op.text) > 4<<10 {
			continue
		}
		out, err := e.Plan(prepare(t, e, op.text, op.name, ""))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%s\t%s\t%d\t%d\n", op.file, op.name, out.Fetches, out.Depth)
	}
	const golden = "testdata/fetches.tsv"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wantLines, gotLines := strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")
	if len(wantLines) != len(gotLines) {
		t.Fatalf("%d lines, want %d", len(gotLines), len(wantLines))
	}
	for i := range wantLines {
		if gotLines[i] != wantLines[i] {
			t.Errorf("line %d: %q, want %q", i+1, gotLines[i], wantLines[i])
		}
	}
}
