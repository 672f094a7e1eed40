package engine

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// join is the head of a small supergraph with two subgraphs.
const join = `
schema @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION) { query: Query subscription: Subscription }
directive @join__field(graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet, type: String, external: Boolean, override: String, usedOverridden: Boolean, overrideLabel: String, contextArguments: [join__ContextArgument!]) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @inaccessible on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION
enum join__Graph { A @join__graph(name: "a", url: "http://a.test") B @join__graph(name: "b", url: "http://b.test") }
scalar join__FieldSet
input In @join__type(graph: A) { text: String, inner: In }
type Subscription @join__type(graph: A) { ticks: Int }
type Query @join__type(graph: A) @join__type(graph: B) {
  thing(id: ID!): Thing @join__field(graph: A)
  media: [Media] @join__field(graph: A)
  find(in: In, limit: Int): [Thing] @join__field(graph: A)
}
type Thing @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") {
  id: ID!
  price: Int @join__field(graph: A, overrideLabel: "percent(10)") @join__field(graph: B, override: "a", overrideLabel: "percent(10)")
  weight: Int @join__field(graph: A) @join__field(graph: B, external: true) @inaccessible
  shipping: Int @join__field(graph: B, requires: "weight")
  size(unit: String, exact: Boolean): Int @join__field(graph: A)
  name: String
}
interface Media @join__type(graph: A, key: "id") @join__type(graph: B, key: "id", isInterfaceObject: true) {
  id: ID!
  title: String @join__field(graph: A)
  rating: Int @join__field(graph: B)
}
type Book implements Media @join__implements(graph: A, interface: "Media") @join__type(graph: A, key: "id") {
  id: ID! title: String rating: Int @join__field
}
`

func newEngine(t testing.TB, sdl string, o Options) *Engine {
	t.Helper()
	e, err := New(t.Context(), sdl, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func storefrontEngine(t testing.TB, o Options) *Engine {
	t.Helper()
	return newEngine(t, string(storefrontFile(t, "supergraph.graphql")), o)
}

func prepare(t testing.TB, e *Engine, text, name, variables string) *Prepared {
	t.Helper()
	p, err := e.Prepare(text, name, []byte(variables))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func planned(t testing.TB, e *Engine, text string) *Planned {
	t.Helper()
	out, err := e.Plan(prepare(t, e, text, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every operation that the router planned is planned here, under the same key.
func TestPlanStorefront(t *testing.T) {
	e := storefrontEngine(t, Options{PlanOnly: true})
	if len(e.Unsupported()) != 0 {
		t.Errorf("unsupported: %v", e.Unsupported())
	}
	plans := 0
	for _, op := range storefrontOperations(t) {
		variables, err := json.Marshal(op.conditions)
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.Prepare(op.text, op.name, variables)
		if op.planKey == "" {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: error %v, want %v", op.file, err, ErrInvalid)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", op.file, op.name, err)
			continue
		}
		if p.PlanKey != op.planKey || p.Hash != op.hash || p.Name != op.name {
			t.Errorf("%s: %s has key %s and hash %s, want %s, %s, %s", op.file, p.Name, p.PlanKey, p.Hash, op.name, op.planKey, op.hash)
		}
		out, err := e.Plan(p)
		if err != nil {
			t.Errorf("%s %s: %v", op.file, op.name, err)
			continue
		}
		plans++
		local := op.file == "typename.graphql" || op.file == "introspection.graphql"
		if out.Key != op.planKey || out.Type != op.kind || (out.Fetches == 0 && !local) || out.Depth > out.Fetches || out.Timings.Plan <= 0 {
			t.Errorf("%s %s: plan %+v", op.file, op.name, out)
		}
	}
	if plans != 82 {
		t.Errorf("%d of 82 operations planned", plans)
	}
}

// The index says of a file whether it is valid; of two operations in it one
// may be valid all the same.
func TestCheckAgainstNextVersion(t *testing.T) {
	e := newEngine(t, string(storefrontFile(t, "supergraph-v2.graphql")), Options{PlanOnly: true})
	valid := 0
	for _, op := range storefrontOperations(t) {
		err := e.Check(op.text, op.name)
		want := op.validOnV2 || op.name == "TabDelivery"
		if (err == nil) != want || (err != nil && !errors.Is(err, ErrInvalid)) {
			t.Errorf("%s %s: error %v, valid %v", op.file, op.name, err, want)
		}
		if err == nil {
			valid++
		}
	}
	if valid != 68 {
		t.Errorf("%d operations are valid, want 68", valid)
	}
}

func TestTreeAndMeasures(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	out := planned(t, e, `query A { thing(id: 1) { name shipping } }`)
	if out.Fetches != 2 || out.Depth != 2 {
		t.Errorf("%d fetches, depth %d", out.Fetches, out.Depth)
	}
	tree := out.Tree()
	for _, text := range []string{`Fetch(service: "a")`, `Fetch(service: "b")`, "Sequence {", "_entities"} {
		if !strings.Contains(tree, text) {
			t.Errorf("no %s in\n%s", text, tree)
		}
	}
	b, err := json.Marshal(out.QueryPlan())
	if err != nil || !strings.Contains(string(b), `"subgraphName":"b"`) {
		t.Errorf("query plan %s, error %v", b, err)
	}
	local := planned(t, e, `{ __typename }`)
	if local.Fetches != 0 || local.Tree() != "QueryPlan {}" {
		t.Errorf("%d fetches in %s", local.Fetches, local.Tree())
	}
}

func TestCost(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	light, err := e.Cost(`{ thing(id: 1) { price } }`, "")
	if err != nil {
		t.Fatal(err)
	}
	heavy, err := e.Cost(`{ thing(id: 1) { ... on Thing { id name } shipping } }`, "")
	if err != nil {
		t.Fatal(err)
	}
	// id and name are resolved by both subgraphs.
	if light.Shared != 0 || heavy.Shared != 2 || heavy.Fetches <= light.Fetches {
		t.Errorf("light %+v, heavy %+v", light, heavy)
	}
	if _, err := e.Cost(`{ nothing }`, ""); !errors.Is(err, ErrInvalid) {
		t.Errorf("error %v", err)
	}
}

// An anonymous operation is planned although the library wants a name.
func TestAnonymousIsPlanned(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	p := prepare(t, e, `{ thing(id: 1) { name } }`, "", "")
	out, err := e.Plan(p)
	if err != nil || p.Name != "" || out.Fetches != 1 || strings.Contains(out.Tree(), temporaryName) {
		t.Errorf("name %q, plan %v, error %v", p.Name, out, err)
	}
}

// Two leaves with the same arguments in another order are one field, which the
// library does not see.
func TestArgumentOrderOfMergeableFields(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	const mixed = `query A($u: String, $e: Boolean) { thing(id: 1) { size(unit: $u, exact: $e) ... on Thing { size(exact: $e, unit: $u) } } }`
	if _, err := e.normalizer.normalize(mixed, "", nil, false); !errors.Is(err, ErrInvalid) {
		t.Fatalf("the library takes it now: error %v", err)
	}
	p := prepare(t, e, mixed, "", "")
	if strings.Count(p.Normalized, "size") != 1 {
		t.Errorf("not merged: %s", p.Normalized)
	}
	if err := e.Check(mixed, ""); err != nil {
		t.Error(err)
	}
	// Sorting is the exception: the key of other operations keeps the order.
	a := prepare(t, e, `query A($u: String, $e: Boolean) { thing(id: 1) { size(unit: $u, exact: $e) } }`, "", "")
	b := prepare(t, e, `query A($u: String, $e: Boolean) { thing(id: 1) { size(exact: $e, unit: $u) } }`, "", "")
	if a.PlanKey == b.PlanKey {
		t.Error("the order of arguments does not count any more")
	}
}

func TestLiteralObjectAroundVariableIsPlanned(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	p := prepare(t, e, `query A($v: String) { find(in: {inner: {text: $v}}) { id } }`, "", `{"v":"x"}`)
	if want := `query($a: In){find(in: $a){id}}`; p.Normalized != want {
		t.Errorf("normalised to %s, want %s", p.Normalized, want)
	}
	if want := `:{"inner":{"text":"x"}}}`; !strings.HasSuffix(string(p.normalized.variables), want) {
		t.Errorf("variables %s do not end in %s", p.normalized.variables, want)
	}
	if _, err := e.Plan(p); err != nil {
		t.Error(err)
	}
}

func TestSubscriptionIsPlannedNotServed(t *testing.T) {
	e := newEngine(t, join, Options{})
	p := prepare(t, e, `subscription { ticks }`, "", "")
	out, err := e.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	if out.Type != "subscription" || out.Fetches != 1 {
		t.Errorf("plan %+v", out)
	}
	if _, err := e.Execute(t.Context(), p, out, nil); !errors.Is(err, ErrSubscription) {
		t.Errorf("error %v, want %v", err, ErrSubscription)
	}
}

func TestFromContextIsTold(t *testing.T) {
	e := newEngine(t, strings.Replace(join, "\n  name: String\n", "\n  name: String "+`@join__field(graph: A, contextArguments: [{context: "a__c", name: "n", type: "String", selection: "{ id }"}])`+"\n", 1), Options{PlanOnly: true})
	if want := []string{"Thing.name: @fromContext"}; !slices.Equal(e.Unsupported(), want) {
		t.Errorf("unsupported %v, want %v", e.Unsupported(), want)
	}
}

// A field of an interface object is fetched for concrete types, from the
// subgraph that knows none of them.
func TestInterfaceObject(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	for _, text := range []string{`{ media { title rating } }`, `{ media { ... on Book { title rating } } }`} {
		out := planned(t, e, text)
		tree := out.Tree()
		if out.Fetches != 2 || out.Depth != 2 || !strings.Contains(tree, `service: "b"`) || !strings.Contains(tree, "... on Media") {
			t.Errorf("%s: %s", text, tree)
		}
	}
}

// What is @inaccessible is refused when a client selects it and fetched when
// another field requires it.
func TestInaccessible(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	if err := e.Check(`{ thing(id: 1) { weight } }`, ""); !errors.Is(err, ErrInvalid) {
		t.Errorf("error %v, want %v", err, ErrInvalid)
	}
	if tree := planned(t, e, `{ thing(id: 1) { shipping } }`).Tree(); !strings.Contains(tree, "weight") {
		t.Errorf("weight is not fetched:\n%s", tree)
	}
}

func TestProgressiveOverride(t *testing.T) {
	for _, c := range []struct {
		labels  map[string]bool
		fetches int
	}{{nil, 1}, {map[string]bool{"percent(10)": true}, 2}} {
		e := newEngine(t, join, Options{PlanOnly: true, Labels: c.labels})
		if out := planned(t, e, `{ thing(id: 1) { price } }`); out.Fetches != c.fetches {
			t.Errorf("labels %v: %d fetches, want %d:\n%s", c.labels, out.Fetches, c.fetches, out.Tree())
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		sdl  string
		o    Options
		want string
	}{
		"plain schema": {sdl: "type Query { a: Int }", want: "not a supergraph"},
		"key":          {sdl: strings.Replace(join, `key: "id"`, `key: "id {"`, 1), want: "recover subgraph a"},
		"requires":     {sdl: strings.Replace(join, `requires: "weight"`, `requires: "weight {"`, 1), want: "Thing.shipping"},
		"provides":     {sdl: strings.Replace(join, `requires: "weight"`, `provides: "weight {"`, 1), want: "@provides of Thing.shipping"},
		"cache size":   {sdl: join, o: Options{PlanCacheSize: -1}, want: "plan cache size -1"},
	} {
		if _, err := New(t.Context(), c.sdl, c.o); err == nil || !strings.HasPrefix(err.Error(), "new engine: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	sdl := string(storefrontFile(b, "supergraph.graphql"))
	for b.Loop() {
		e, err := New(b.Context(), sdl, Options{PlanOnly: true})
		if err != nil {
			b.Fatal(err)
		}
		e.Close()
	}
}

// Each iteration prepares and plans all operations of the storefront.
func BenchmarkPlanStorefront(b *testing.B) {
	e := storefrontEngine(b, Options{PlanOnly: true})
	var ops []storefrontOperation
	for _, op := range storefrontOperations(b) {
		if op.planKey != "" {
			ops = append(ops, op)
		}
	}
	for b.Loop() {
		for _, op := range ops {
			if err := e.Check(op.text, op.name); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(ops)), "ops/iteration")
}
