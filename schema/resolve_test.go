package schema

import (
	"maps"
	"reflect"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	tests := []struct {
		name, text string
		values     map[string]bool
		want       string
	}{
		{"what is not skipped stays, without its directive",
			`query A($a: Boolean!, $x: ID!) { thing(id: $x) { id name @skip(if: $a) } }`, map[string]bool{"a": false},
			`query A($x: ID!) {thing(id: $x) {id name}}`},
		{"what is skipped goes, with its variables",
			`query A($a: Boolean!, $n: Int, $x: ID!) { thing(id: $x) { id kids(first: $n) @skip(if: $a) { id } } }`, map[string]bool{"a": true},
			`query A($x: ID!) {thing(id: $x) {id}}`},
		{"and with its fragments, and theirs",
			`query A($a: Boolean!, $x: ID!) { thing(id: $x) { id ...F @include(if: $a) } } fragment F on Thing { ...G } fragment G on Thing { name }`, map[string]bool{"a": false},
			`query A($x: ID!) {thing(id: $x) {id}}`},
		{"inside of fragments",
			`query A($a: Boolean!, $x: ID!) { thing(id: $x) { ...F } } fragment F on Thing { id name @skip(if: $a) ... @include(if: $a) { kids { id } } }`, map[string]bool{"a": true},
			`query A($x: ID!) {thing(id: $x) {...F}} fragment F on Thing {id ... {kids {id}}}`},
		{"both directives must agree",
			`query A($a: Boolean!, $b: Boolean!) { thing(id: "x") { id name @skip(if: $a) @include(if: $b) } }`, map[string]bool{"a": false, "b": false},
			`query A{thing(id: "x") {id}}`},
		{"an emptied selection gets the router's own placeholder",
			`query A($a: Boolean!) { thing(id: "x") { name @skip(if: $a) } }`, map[string]bool{"a": true},
			`query A{thing(id: "x") {__internal_typename: __typename}}`},
		{"constants",
			`query A { thing(id: "x") { id name @skip(if: true) kids @include(if: true) { id } } }`, nil,
			`query A{thing(id: "x") {id kids {id}}}`},
		{"a default stands in",
			`query A($a: Boolean! = true) { thing(id: "x") { id name @skip(if: $a) } }`, nil,
			`query A{thing(id: "x") {id}}`},
		{"a value goes before the default",
			`query A($a: Boolean! = true) { thing(id: "x") { id name @skip(if: $a) } }`, map[string]bool{"a": false},
			`query A{thing(id: "x") {id name}}`},
		{"a variable that is used elsewhere too stays",
			`query A($a: Boolean!) { search(b: $a) { id name: id @skip(if: $a) } }`, map[string]bool{"a": true},
			`query A($a: Boolean!) {search(b: $a) {id}}`},
		{"other directives stay",
			`query A($a: Boolean!, $l: String!) { thing(id: "x") { id @tr(lang: $l) @skip(if: $a) } }`, map[string]bool{"a": false},
			`query A($l: String!) {thing(id: "x") {id @tr(lang: $l)}}`},
		{"strings stay what they are",
			"query A($a: Boolean!) { search(s: \"a {\\n b\\n}\") { id @skip(if: $a) name: id } }", map[string]bool{"a": true},
			`query A{search(s: "a {\n b\n}") {name: id}}`},
	}
	s := traps(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Resolve(tt.text, "A", tt.values)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			op, err := s.Parse(got, "A")
			if err != nil {
				t.Fatalf("resolved text is invalid: %v", err)
			}
			if len(op.Conditions) != 0 || strings.Contains(got, "@skip") || strings.Contains(got, "@include") {
				t.Errorf("conditions are left: %s", got)
			}
		})
	}
}

func TestResolveNeedsEveryValue(t *testing.T) {
	s := traps(t)
	_, err := s.Resolve(`query A($a: Boolean!) { thing(id: "secret") { id @skip(if: $a) } }`, "A", map[string]bool{"b": true})
	if err == nil || err.Error() != "resolve conditions: no value for $a" {
		t.Errorf("got %v", err)
	}
	if _, err := s.Resolve(`query A{ nope }`, "A", nil); err == nil {
		t.Error("an invalid operation was resolved")
	}
}

func TestResolveTheStorefront(t *testing.T) {
	s := loadFile(t, "supergraph.graphql")
	seen := 0
	for _, src := range sources(t) {
		op, err := s.Parse(src.Text, src.Name)
		if err != nil || len(op.Conditions) == 0 {
			continue
		}
		texts := map[string]bool{}
		for _, values := range Combinations(op.Conditions, 0) {
			text, err := s.Resolve(op.Canonical, op.Name, values)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Parse(text, op.Name); err != nil {
				t.Errorf("%s %v: %v", src.File, values, err)
			}
			texts[text] = true
			seen++
		}
		if len(texts) != 1<<len(op.Conditions) {
			t.Errorf("%s: %d different texts of %d conditions", src.File, len(texts), len(op.Conditions))
		}
	}
	if seen != 6 { // two conditions in one operation, one in another
		t.Errorf("%d combinations, want 6", seen)
	}
}

func TestCombinations(t *testing.T) {
	if got := Combinations(nil, 0); len(got) != 1 || len(got[0]) != 0 {
		t.Errorf("without conditions: %v", got)
	}
	want := []map[string]bool{{"a": false, "b": false}, {"a": true, "b": false}, {"a": false, "b": true}, {"a": true, "b": true}}
	if got := Combinations([]string{"a", "b"}, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	many := strings.Split("abcdefghijklmnopqrst", "")
	for limit, n := range map[int]int{0: 16, 2: 4, 100: 1 << maxConditions} {
		got := Combinations(many, limit)
		if len(got) != n || len(got[0]) != len(many) {
			t.Errorf("limit %d: %d combinations of %d variables", limit, len(got), len(got[0]))
		}
		if maps.Equal(got[0], got[1]) || got[n-1]["t"] {
			t.Errorf("limit %d: %v", limit, got[n-1])
		}
	}
}
