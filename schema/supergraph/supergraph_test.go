package supergraph

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/planwarm/planwarm/testdata"
)

// join is the head of a small supergraph with two subgraphs.
const join = `
schema @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION) { query: Query }
directive @join__field(graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet, type: String, external: Boolean, override: String, usedOverridden: Boolean, overrideLabel: String, contextArguments: [join__ContextArgument!]) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @inaccessible on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION
directive @track(as: String = "x") repeatable on FIELD | OBJECT
directive @internal on OBJECT
enum join__Graph { A @join__graph(name: "a", url: "http://a.test") B @join__graph(name: "b", url: "http://b.test") }
scalar join__FieldSet
`

func storefront(t testing.TB, file string) string {
	t.Helper()
	b, err := testdata.Storefront.ReadFile("storefront/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parse(t testing.TB, sdl string) *Supergraph {
	t.Helper()
	s, err := Parse(sdl)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// subgraph recovers one subgraph by the value of its enum.
func subgraph(t testing.TB, s *Supergraph, enum string, labels map[string]bool) *Subgraph {
	t.Helper()
	list, err := s.Subgraphs(labels)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range list {
		if g.Enum == enum {
			return g
		}
	}
	t.Fatalf("no subgraph %s", enum)
	return nil
}

// The subgraphs that composition was given are the truth for what is recovered.
func TestSubgraphsEqualWhatWasPublished(t *testing.T) {
	for version, supergraph := range map[string]string{"subgraphs": "supergraph.graphql", "subgraphs-v2": "supergraph-v2.graphql"} {
		list, err := parse(t, storefront(t, supergraph)).Subgraphs(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 6 {
			t.Fatalf("%s: %d subgraphs, want 6", version, len(list))
		}
		for _, g := range list {
			published, err := parser.ParseSchema(&ast.Source{Input: storefront(t, version+"/"+g.Name+".graphql")})
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]bool{}
			for _, d := range slices.Concat(published.Definitions, published.Extensions) {
				for _, f := range d.Fields {
					want[d.Name+"."+f.Name+": "+f.Type.String()] = true
				}
			}
			got := map[string]bool{}
			for _, typ := range g.Types {
				for _, f := range typ.Fields {
					got[typ.Name+"."+f.Def.Name+": "+f.Type.String()] = true
				}
			}
			for f := range want {
				if !got[f] {
					t.Errorf("%s/%s: %s is not recovered", version, g.Name, f)
				}
			}
			for f := range got {
				if !want[f] {
					t.Errorf("%s/%s: %s was never published", version, g.Name, f)
				}
			}
		}
	}
}

func TestStorefrontMetadata(t *testing.T) {
	s := parse(t, storefront(t, "supergraph.graphql"))
	if want := (Graph{Enum: "ACCOUNTS", Name: "accounts", URL: "http://127.0.0.1:25101/graphql"}); s.Graphs[0].Enum != want.Enum || s.Graphs[0].Name != want.Name || !strings.HasPrefix(s.Graphs[0].URL, "http://127.0.0.1:25101") {
		t.Errorf("first graph is %+v, want %+v", s.Graphs[0], want)
	}
	address := subgraph(t, s, "ORDERS", nil).Type("Address")
	if want := []Key{{Fields: "id", Resolvable: false}}; !slices.Equal(address.Keys, want) {
		t.Errorf("Address has keys %v in orders, want %v", address.Keys, want)
	}
	shipping := subgraph(t, s, "SHIPPING", nil)
	zone := shipping.Type("Address").Field("zone")
	if zone.Requires != "country postcode" {
		t.Errorf("Address.zone requires %q", zone.Requires)
	}
	if !shipping.Type("Address").Field("country").External {
		t.Error("Address.country is not external in shipping")
	}
	if s.Root(ast.Mutation) != "Mutation" || s.Root(ast.Subscription) != "" || !s.IsRoot("Query") || s.IsRoot("Product") {
		t.Error("root types are wrong")
	}
	if !slices.Contains(s.Implementors("Node"), "Brand") {
		t.Errorf("Brand is no implementor of Node: %v", s.Implementors("Node"))
	}
	if d := s.Definition("Brand"); d == nil || d.Kind != ast.Object {
		t.Error("Brand has no definition")
	}
	if len(s.Unsupported) != 0 || len(s.Labels) != 0 {
		t.Errorf("unsupported %v, labels %v", s.Unsupported, s.Labels)
	}
}

// Both printed schemas must be readable by gqlparser, which schema uses.
func TestAPIIsAValidSchema(t *testing.T) {
	for _, file := range []string{"supergraph.graphql", "supergraph-v2.graphql"} {
		s := parse(t, storefront(t, file))
		for _, all := range []bool{false, true} {
			api := s.API(all)
			if strings.Contains(api, "join__") || strings.Contains(api, "@link") {
				t.Errorf("%s: the schema still has the machinery of the composition", file)
			}
			if _, err := gqlparser.LoadSchema(&ast.Source{Name: file, Input: api}); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func TestAPIHidesInaccessible(t *testing.T) {
	s := parse(t, join+`
type Query { thing(id: ID!, secret: String @inaccessible): Thing old: Int @deprecated(reason: "gone") }
interface Hidden @inaccessible { id: ID! }
type Thing implements Hidden @track { id: ID! cost: Int @inaccessible color: Color any: Any by(in: In): Int }
type Other @inaccessible { id: ID! }
union Any = Thing | Other
enum Color { RED INFRARED @inaccessible }
input In { a: Int = 7, b: String @inaccessible }
`)
	client, planning := s.API(false), s.API(true)
	for _, text := range []string{"secret", "cost", "Hidden", "Other", "INFRARED", "inaccessible", "b: String"} {
		if strings.Contains(client, text) {
			t.Errorf("clients see %s", text)
		}
		if !strings.Contains(planning, text) {
			t.Errorf("the planner does not see %s", text)
		}
	}
	for _, text := range []string{`old: Int @deprecated(reason: "gone")`, "a: Int = 7", `directive @track(as: String = "x") repeatable on FIELD` + "\n", "thing(id: ID!): Thing"} {
		if !strings.Contains(client, text) {
			t.Errorf("clients do not see %s", text)
		}
	}
	if strings.Contains(client, "directive @internal") {
		t.Error("clients see a directive that they cannot write")
	}
}

func TestProgressiveOverride(t *testing.T) {
	s := parse(t, join+`
type Query @join__type(graph: A) { a: Int @join__field(graph: A) }
type Thing @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") {
  id: ID!
  price: Int @join__field(graph: A, overrideLabel: "percent(10)") @join__field(graph: B, override: "a", overrideLabel: "percent(10)")
}`)
	if !slices.Equal(s.Labels, []string{"percent(10)"}) {
		t.Fatalf("labels %v", s.Labels)
	}
	for _, c := range []struct {
		labels map[string]bool
		inA    bool
	}{{nil, true}, {map[string]bool{"percent(10)": true}, false}} {
		a := subgraph(t, s, "A", c.labels).Type("Thing").Field("price") != nil
		b := subgraph(t, s, "B", c.labels).Type("Thing").Field("price") != nil
		if a != c.inA || b == c.inA {
			t.Errorf("labels %v: price in a %v, in b %v", c.labels, a, b)
		}
	}
}

func TestInterfaceObject(t *testing.T) {
	s := parse(t, join+`
type Query @join__type(graph: A) @join__type(graph: B) { media: [Media] @join__field(graph: A) }
interface Media @join__type(graph: A, key: "id") @join__type(graph: B, key: "id", isInterfaceObject: true) {
  id: ID!
  title: String @join__field(graph: A)
  rating: Int @join__field(graph: B)
}
type Book implements Media @join__implements(graph: A, interface: "Media") @join__type(graph: A, key: "id") {
  id: ID! title: String rating: Int @join__field
}`)
	media := subgraph(t, s, "B", nil).Type("Media")
	if media.Kind != ast.Object || !media.InterfaceObject || media.Field("rating") == nil || media.Field("title") != nil {
		t.Errorf("Media in b: %+v", media)
	}
	book := subgraph(t, s, "A", nil).Type("Book")
	if book.Field("rating") != nil || !slices.Equal(book.Implements, []string{"Media"}) {
		t.Errorf("Book in a: %+v", book)
	}
	if subgraph(t, s, "B", nil).Type("Book") != nil {
		t.Error("Book is in b")
	}
}

func TestKeysAreCanonical(t *testing.T) {
	s := parse(t, join+`
type Query @join__type(graph: A) { a: Int }
type Line @join__type(graph: A, key: "number order { id market }") @join__type(graph: B, key: "order{market,id} number") { number: Int }
`)
	a, b := subgraph(t, s, "A", nil).Type("Line"), subgraph(t, s, "B", nil).Type("Line")
	if want := "number order { id market }"; a.Keys[0].Fields != want || b.Keys[0].Fields != want {
		t.Errorf("keys %q and %q, want %q", a.Keys[0].Fields, b.Keys[0].Fields, want)
	}
	if !strings.Contains(s.SDL(subgraph(t, s, "B", nil)), `@key(fields: "number order { id market }")`) {
		t.Error("the SDL of b does not have the key")
	}
}

// Extensions of Federation 1 call their key fields external; they have them.
func TestExtensionHasItsKeyFields(t *testing.T) {
	s := parse(t, join+`
type Query @join__type(graph: A) { a: Int }
type User @join__type(graph: A, key: "id") @join__type(graph: B, key: "id", extension: true) {
  id: ID! @join__field(graph: A) @join__field(graph: B, external: true)
  name: String @join__field(graph: A, type: "String!") @join__field(graph: B, external: true)
}`)
	user := subgraph(t, s, "B", nil).Type("User")
	if user.Field("id").External || !user.Field("name").External {
		t.Errorf("external: id %v, name %v", user.Field("id").External, user.Field("name").External)
	}
	if got := subgraph(t, s, "A", nil).Type("User").Field("name").Type.String(); got != "String!" {
		t.Errorf("name is %s in a, want String!", got)
	}
}

// In join v0.1 a field without a directive belongs to the owner of its type,
// and types without any belong to everyone.
func TestJoinV01(t *testing.T) {
	s := parse(t, join+`
type Query { a: Int @join__field(graph: A) b: Money @join__field(graph: B) }
type User @join__owner(graph: A) @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") { id: ID! name: String posts: Int @join__field(graph: B) }
type Money { amount: Int }
`)
	a, b := subgraph(t, s, "A", nil), subgraph(t, s, "B", nil)
	if a.Type("User").Field("name") == nil || b.Type("User").Field("name") != nil || b.Type("User").Field("id") == nil {
		t.Error("fields of User are with the wrong owner")
	}
	if a.Type("Money") == nil || b.Type("Money") == nil || a.Type("Query").Field("b") != nil {
		t.Error("value types or root fields are misplaced")
	}
}

func TestUnsupportedIsTold(t *testing.T) {
	s := parse(t, join+`
type Query @join__type(graph: A) { a: Int }
type User @join__type(graph: A, key: "id") {
  id: ID!
  price: Int @join__field(graph: A, contextArguments: [{context: "a__ctx", name: "c", type: "String", selection: "{ currency }"}])
  feed: Int @join__directive(graphs: [A], name: "connect", args: {source: "v1"})
}`)
	if want := []string{"User.price: @fromContext", "User.feed: @connect"}; !slices.Equal(s.Unsupported, want) {
		t.Errorf("unsupported %v, want %v", s.Unsupported, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		sdl  string
		want string
		is   error
	}{
		"plain schema": {sdl: "type Query { a: Int }", is: ErrNotSupergraph},
		"syntax":       {sdl: "type Query {", want: "supergraph:1"},
		"graph":        {sdl: "enum join__Graph { A } type Query { a: Int }", want: "join__Graph.A: @join__graph is missing"},
		"too large":    {sdl: strings.Repeat("#", MaxSDL+1), is: ErrTooLarge},
		"nesting":      {sdl: "type Query { a(b: X = " + strings.Repeat("[", 100_000), want: "nesting"},
	} {
		_, err := Parse(c.sdl)
		if err == nil || !strings.Contains(err.Error(), c.want) || (c.is != nil && !errors.Is(err, c.is)) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSubgraphsRefuseBadFieldSets(t *testing.T) {
	for name, types := range map[string]string{
		"key":  `type T @join__type(graph: A, key: "id {") { id: ID! }`,
		"two":  `type T @join__type(graph: A, key: "{ id } { id }") { id: ID! }`,
		"type": `type T @join__type(graph: A) { id: ID! @join__field(graph: A, type: "[ID") }`,
		"long": `type T @join__type(graph: A, key: "` + strings.Repeat("a ", maxFieldSet) + `") { id: ID! }`,
	} {
		s := parse(t, join+"type Query @join__type(graph: A) { a: Int }\n"+types)
		if _, err := s.Subgraphs(nil); err == nil || !strings.Contains(err.Error(), "recover subgraph a: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(storefront(f, "supergraph.graphql"))
	f.Add(join + `type Query @join__type(graph: A) { a(b: [Int!] = [1]): Int @join__field(graph: A, type: "Int!", requires: "x { y }") }`)
	f.Fuzz(func(t *testing.T, sdl string) {
		s, err := Parse(sdl)
		if err != nil {
			return
		}
		api := s.API(false)
		if again := s.API(false); again != api {
			t.Error("the same supergraph printed two schemas")
		}
		list, err := s.Subgraphs(nil)
		if err != nil {
			return
		}
		for _, g := range list {
			s.SDL(g)
		}
	})
}

func BenchmarkParseAndRecover(b *testing.B) {
	sdl := storefront(b, "supergraph.graphql")
	b.SetBytes(int64(len(sdl)))
	for b.Loop() {
		s, err := Parse(sdl)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Subgraphs(nil); err != nil {
			b.Fatal(err)
		}
		s.API(false)
	}
}
