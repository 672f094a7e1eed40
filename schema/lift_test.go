package schema

import (
	"strings"
	"testing"
)

const trapsSDL = `
directive @tr(lang: String!) repeatable on FIELD | QUERY | FRAGMENT_DEFINITION | FRAGMENT_SPREAD | INLINE_FRAGMENT | VARIABLE_DEFINITION
enum Color { RED BLUE }
scalar JSON
input In { name: String, n: Int! = 7, tags: [String!], nested: In, color: Color, any: JSON }
input One @oneOf { a: String, b: In }
interface Node { id: ID!, name(lang: String = "en", c: Color): String }
type Thing implements Node { id: ID!, name(lang: String = "en", c: Color): String, kids(first: Int): [Thing!]! }
type Query {
  thing(id: ID!): Thing
  node(id: ID!): Node
  need(in: In!, l: [In!]): Thing
  search(in: In, list: [Int!], deep: [[Int]], ins: [In!], c: Color, cs: [Color], j: JSON, js: [JSON!], f: Float, b: Boolean, s: String, one: One): [Thing!]!
}
type Mutation { set(in: In!): Thing }
type Subscription { thing(id: ID!): Thing }
`

func traps(t testing.TB) *Schema {
	t.Helper()
	s, err := Load([]byte(trapsSDL))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLift(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a literal becomes a variable of the argument's type",
			`query A { thing(id: "secret@mail") { id } }`,
			`query A($l1: ID!){thing(id: $l1){id}}`},
		{"equal literals share a variable, or fields stop merging",
			`query A { thing(id: 1) { name(c: RED, lang: "secret") ...F } } fragment F on Thing { name(lang: "secret", c: RED) }`,
			`query A($l1: ID!,$l2: Color,$l3: String){thing(id: $l1){name(c: $l2,lang: $l3)...F}}` + "\n" + `fragment F on Thing{name(lang: $l3,c: $l2)}`},
		{"fields of an interface and of its object still merge",
			`query A { node(id: 1) { name(lang: "secret") ... on Thing { name(lang: "secret") } } }`,
			`query A($l1: ID!,$l2: String){node(id: $l1){name(lang: $l2)... on Thing{name(lang: $l2)}}}`},
		{"equal literals of two types do not share",
			`query A { search(s: "secret") { id } thing(id: "secret") { id } }`,
			`query A($l1: String,$l2: ID!){search(s: $l1){id}thing(id: $l2){id}}`},
		{"an input object with variables is entered",
			`query A($n: String) { search(in: {name: $n, n: 3, nested: {name: "secret", tags: ["secret"], color: RED}}) { id } }`,
			`query A($l1: Int!,$l2: In,$n: String){search(in: {name:$n,n:$l1,nested:$l2}){id}}`},
		{"items of a list keep the item type",
			`query A($n: Int!) { search(list: [1, $n, 3]) { id } }`,
			`query A($l1: Int!,$l2: Int!,$n: Int!){search(list: [$l1,$n,$l2]){id}}`},
		{"so do items of a list in a list, given without one",
			`query A($n: [Int]) { search(deep: [5, $n, [6]]) { id } }`,
			`query A($l1: [Int],$l2: [Int],$n: [Int]){search(deep: [$l1,$n,$l2]){id}}`},
		{"one object where a list is expected",
			`query A($n: String) { search(ins: {name: $n, tags: "secret"}) { id } }`,
			`query A($l1: [String!],$n: String){search(ins: {name:$n,tags:$l1}){id}}`},
		{"null stays nullable, a single item keeps the list type",
			`query A { search(list: 5, s: null) { id } }`,
			`query A($l1: [Int!],$l2: String){search(list: $l1,s: $l2){id}}`},
		{"a custom scalar is lifted whole",
			`query A { search(j: {a: "secret", b: [1, RED]}) { id } }`,
			`query A($l1: JSON){search(j: $l1){id}}`},
		{"literals beside a variable inside a custom scalar have only its type",
			`query A($v: JSON) { search(j: {a: "secret", b: [1, $v]}, js: [{c: $v, d: 7}]) { id } }`,
			`query A($l1: JSON,$l2: JSON,$l3: JSON,$v: JSON){search(j: {a:$l1,b:[$l2,$v]},js: [{c:$v,d:$l3}]){id}}`},
		{"enums, booleans and numbers are values too",
			`query A { search(c: RED, b: true, f: -1.5e3, cs: [BLUE]) { id } }`,
			`query A($l1: Color,$l2: Boolean,$l3: Float,$l4: [Color]){search(c: $l1,b: $l2,f: $l3,cs: $l4){id}}`},
		{"block strings", `query A { search(s: """
		  se"cret
		  two
		""") { id } }`, `query A($l1: String){search(s: $l1){id}}`},
		{"one-of objects", `query A($v: String) { search(one: {b: {name: $v, n: 9}}) { id } }`,
			`query A($l1: Int!,$v: String){search(one: {b:{name:$v,n:$l1}}){id}}`},
		{"directive arguments, everywhere; @skip and @include stay",
			`query A($x: ID!, $w: Boolean!) @tr(lang: "q") { thing(id: $x) { id @tr(lang: "secret") name @include(if: $w) kids @skip(if: true) { id } ...F @tr(lang: "s") ... @tr(lang: "i") { id } } } fragment F on Thing @tr(lang: "f") { id }`,
			`query A($l1: String!,$l2: String!,$l3: String!,$l4: String!,$l5: String!,$w: Boolean!,$x: ID!)@tr(lang: $l1){thing(id: $x){id@tr(lang: $l2)name@include(if: $w)kids@skip(if: true){id}...F@tr(lang: $l3)...@tr(lang: $l4){id}}}` + "\n" + `fragment F on Thing@tr(lang: $l5){id}`},
		{"the label of @defer goes, its condition stays",
			`query A { ... @defer(if: true, label: "secret") { thing(id: "1") { id } } }`,
			`query A($l1: ID!){...@defer(if: true){thing(id: $l1){id}}}`},
		{"directives on variable definitions hold constants",
			`query A($s: String @tr(lang: "secret")) { search(s: $s) { id } }`,
			`query A($s: String){search(s: $s){id}}`},
		{"other operations and their fragments go",
			`query B { search(b: true) { ...Z } } query A { thing(id: 1) { id } } fragment Z on Thing { id }`,
			`query A($l1: ID!){thing(id: $l1){id}}`},
		{"names that exist are not taken again",
			`query A($l1: ID!, $l2: Int) { thing(id: $l1) { kids(first: $l2) { kids(first: 3) { id } } } }`,
			`query A($l1: ID!,$l2: Int,$l3: Int){thing(id: $l1){kids(first: $l2){kids(first: $l3){id}}}}`},
		{"aliases, names and the order of arguments are part of the plan key",
			`query A { second: search(s: "x", b: true) { id } first: search(b: true, s: "x") { id } }`,
			`query A($l1: String,$l2: Boolean){second: search(s: $l1,b: $l2){id}first: search(b: $l2,s: $l1){id}}`},
		{"comments and descriptions go",
			"\"\"\"secret\"\"\" query A(\"secret\" $x: ID!) { # secret\n thing(id: $x) { id } }",
			`query A($x: ID!){thing(id: $x){id}}`},
	}
	s := traps(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op, err := s.Parse(tt.text, "A")
			if err != nil {
				t.Fatal(err)
			}
			if squeeze(op.Canonical) != squeeze(tt.want) {
				t.Errorf("got  %s\nwant %s", op.Canonical, tt.want)
			}
			if !op.Literals {
				t.Error("literals not seen")
			}
			again, err := s.Parse(op.Canonical, "A")
			if err != nil {
				t.Fatalf("canonical text is invalid: %v", err)
			}
			if again.Canonical != op.Canonical || again.Literals {
				t.Errorf("canonical text changes to %s (literals %v)", again.Canonical, again.Literals)
			}
		})
	}
}

// squeeze takes the layout out of a text without strings.
func squeeze(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(text, ",", "")), "")
}

func TestCanonicalIsOneLine(t *testing.T) {
	op, err := traps(t).Parse("query A($x: ID!) {\n  thing(id: $x) {\n    id\n ...F\n  }\n}\nfragment F on Thing { name }", "")
	if err != nil {
		t.Fatal(err)
	}
	if want := `query A($x: ID!) {thing(id: $x) {id ...F}} fragment F on Thing {name}`; op.Canonical != want {
		t.Errorf("got  %s\nwant %s", op.Canonical, want)
	}
}

func TestLiftDefaults(t *testing.T) {
	tests := []struct{ name, variable, use, want string }{
		{"string", `$v: String = "secret"`, `search(s: $v) { id }`, `$v: String = ""`},
		{"block string", `$v: String = """secret"""`, `search(s: $v) { id }`, `$v: String = ""`},
		{"number", `$v: Float = 4.2`, `search(f: $v) { id }`, `$v: Float = 0`},
		{"id", `$v: ID = 77`, `thing(id: $v) { id }`, `$v: ID = 0`},
		{"enum: the first one of the schema", `$v: Color = BLUE`, `search(c: $v) { id }`, `$v: Color = RED`},
		{"boolean that selects no plan", `$v: Boolean = true`, `search(b: $v) { id }`, `$v: Boolean = false`},
		{"boolean that does", `$v: Boolean! = true`, `search { id @skip(if: $v) name }`, `$v: Boolean! = true`},
		{"null", `$v: String = null`, `search(s: $v) { id }`, `$v: String = null`},
		{"list", `$v: [Int!] = [1, 2]`, `search(list: $v) { id }`, `$v: [Int!] = []`},
		{"list given as one item", `$v: [Int!] = 7`, `search(list: $v) { id }`, `$v: [Int!] = []`},
		{"custom scalar", `$v: JSON = RED`, `search(j: $v) { id }`, `$v: JSON = ""`},
		{"list in a custom scalar", `$v: JSON = ["secret"]`, `search(j: $v) { id }`, `$v: JSON = []`},
		{"object in a custom scalar", `$v: JSON = {a: "secret"}`, `search(j: $v) { id }`, `$v: JSON`},
		{"input object can only be dropped", `$v: In = {name: "secret"}`, `search(in: $v) { id }`, `$v: In`},
		{"dropped where it made up for null", `$v: In = {name: "secret"}`, `need(in: $v) { id }`, `$v: In!`},
		{"dropped inside a list", `$v: In = {name: "secret"}`, `need(in: {}, l: [$v]) { id }`, `$v: In!`},
	}
	s := traps(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op, err := s.Parse("query A("+tt.variable+") { "+tt.use+" }", "")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(op.Canonical, tt.want+")") {
				t.Errorf("got %s, want %s", op.Canonical, tt.want)
			}
			if _, err := s.Parse(op.Canonical, "A"); err != nil {
				t.Errorf("canonical text is invalid: %v", err)
			}
			if changed := !strings.Contains(tt.want, tt.variable); changed && !op.Literals {
				t.Error("the default is not seen as a literal")
			}
		})
	}
}

func TestOperation(t *testing.T) {
	s := traps(t)
	op, err := s.Parse(`query A($x: ID!, $b: Boolean!, $a: Boolean = true) { thing(id: $x) { id @skip(if: $b) ...F @include(if: $a) } } fragment F on Thing { name @skip(if: $b) kids @include(if: false) { id } }`, "A")
	if err != nil {
		t.Fatal(err)
	}
	if op.Literals {
		t.Error("conditions are no literals")
	}
	if got := strings.Join(op.Conditions, " "); got != "a b" {
		t.Errorf("conditions %q", got)
	}
	for text, want := range map[string]bool{
		`{ __typename }`:                  true,
		`{ __schema { types { name } } }`: true,
		`{ ...F } fragment F on Query { ... { __type(name: "Thing") { name } } }`: true,
		`{ __typename thing(id: 1) { id } }`:                                      false,
		`{ ...F } fragment F on Query { thing(id: 1) { id } }`:                    false,
		`mutation { __typename }`:                                                 true,
	} {
		op, err := s.Parse(text, "")
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if op.Introspection != want {
			t.Errorf("%s: introspection %v", text, op.Introspection)
		}
	}
	for text, want := range map[string]string{`subscription { thing(id: 1) { id } }`: "subscription", `{ __typename }`: "query", `mutation { set(in: {}) { id } }`: "mutation"} {
		if op, err := s.Parse(text, ""); err != nil || op.Type != want {
			t.Errorf("%s: %v, %v", text, op, err)
		}
	}
}
