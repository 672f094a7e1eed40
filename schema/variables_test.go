package schema

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/validator"
)

// accepted makes variables up and has the schema check them, as a router does.
func accepted(s *Schema, text, name string, conditions map[string]bool) (json.RawMessage, error) {
	raw, err := s.Variables(text, name, conditions)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	if raw != nil {
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.UseNumber()
		if err := d.Decode(&values); err != nil {
			return nil, err
		}
	}
	c, _, err := s.load(text, name)
	if err != nil {
		return nil, err
	}
	if _, err := validator.VariableValues(s.types, c.op, values); err != nil {
		return raw, err
	}
	return raw, nil
}

const inputSDL = `
scalar DateTime scalar UUID scalar Email scalar Weight scalar BigInt scalar JSON
directive @oneOf on INPUT_OBJECT
enum Colour { OLD @deprecated RED GREEN }
input Point { x: Int!, y: Float! = 2, label: String, next: Point }
input Shape { corners: [Point!]!, centre: Point!, colour: Colour! }
input By @oneOf { self: By, id: ID, name: String }
input Endless @oneOf { again: Endless }
input Wide0 { a: Wide1!, b: Wide1!, c: Wide1!, d: Wide1! }
input Wide1 { a: Wide2!, b: Wide2!, c: Wide2!, d: Wide2! }
input Wide2 { a: Wide3!, b: Wide3!, c: Wide3!, d: Wide3! }
input Wide3 { a: Wide4!, b: Wide4!, c: Wide4!, d: Wide4! }
input Wide4 { a: Wide5!, b: Wide5!, c: Wide5!, d: Wide5! }
input Wide5 { a: Wide6!, b: Wide6!, c: Wide6!, d: Wide6! }
input Wide6 { a: Wide7!, b: Wide7!, c: Wide7!, d: Wide7! }
input Wide7 { a: Int! }
type Query { shape(s: Shape, by: By, i: Int, ids: [ID!], at: DateTime, u: UUID, e: Email, w: Weight, n: BigInt, j: JSON, endless: Endless, wide: Wide0): String }
`

func TestVariables(t *testing.T) {
	s, err := Load([]byte(inputSDL))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text       string
		conditions map[string]bool
		want       string
	}{
		{"{shape}", nil, ""},
		{"query($i: Int){shape(i: $i)}", nil, ""},
		{"query($i: Int! = 7){shape(i: $i)}", nil, ""},
		{"query($i: Int!, $ids: [ID!]!){shape(i: $i, ids: $ids)}", nil, `{"i":0,"ids":[]}`},
		{"query($s: Shape!){shape(s: $s)}", nil, `{"s":{"centre":{"x":0},"colour":"RED","corners":[]}}`},
		{"query($by: By!){shape(by: $by)}", nil, `{"by":{"id":"0"}}`},
		{"query($at: DateTime!, $u: UUID!, $e: Email!){shape(at: $at, u: $u, e: $e)}", nil,
			`{"at":"2000-01-01T00:00:00Z","e":"nobody@example.com","u":"00000000-0000-4000-8000-000000000000"}`},
		{"query($w: Weight!, $n: BigInt!, $j: JSON!){shape(w: $w, n: $n, j: $j)}", nil, `{"j":{},"n":0,"w":"0"}`},
		{"query($a: Boolean!, $b: Boolean!, $c: Boolean = true){x: shape @skip(if: $a) y: shape @include(if: $b) z: shape @include(if: $c)}",
			map[string]bool{"a": true, "c": false}, `{"a":true,"b":false,"c":false}`},
	} {
		raw, err := accepted(s, c.text, "", c.conditions)
		if err != nil || string(raw) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.text, raw, err, c.want)
		}
	}
}

func TestVariablesWithoutAValue(t *testing.T) {
	s, err := Load([]byte(inputSDL))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"query($e: Endless!){shape(endless: $e)}": "Endless needs itself",
		"query($w: Wide0!){shape(wide: $w)}":      "more than 10000 values",
		"query($i: Int!){shape(i: $i)}":           "is no Boolean",
	} {
		raw, err := s.Variables(text, "", map[string]bool{"i": true})
		if !errors.Is(err, ErrNoValue) || !strings.Contains(err.Error(), want) || raw != nil {
			t.Errorf("%s: %s, %v", text, raw, err)
		}
	}
	if _, err := s.Variables("query($i: Int!){gone(i: $i)}", "", nil); err == nil || errors.Is(err, ErrNoValue) {
		t.Errorf("an invalid operation: %v", err)
	}
}

// TestVariablesOfTheStorefront: for every operation, under every condition.
func TestVariablesOfTheStorefront(t *testing.T) {
	for _, file := range []string{"supergraph.graphql", "supergraph-v2.graphql"} {
		s := loadFile(t, file)
		checked := 0
		for _, src := range sources(t) {
			op, err := s.Parse(src.Text, src.Name)
			if err != nil {
				continue // told by other tests
			}
			for _, conditions := range Combinations(op.Conditions, 0) {
				for _, text := range []string{op.Exact, op.Canonical} {
					raw, err := accepted(s, text, src.Name, conditions)
					if err != nil {
						t.Errorf("%s %s %v: %v\n%s", src.File, src.Name, conditions, err, raw)
					}
					checked++
				}
			}
		}
		if checked < 2*70 {
			t.Errorf("%s: only %d checked", file, checked)
		}
	}
}

func TestCanary(t *testing.T) {
	for name, c := range map[string]struct{ sdl, text, variables string }{
		"a scalar":       {`type Query { list: [Int] thing: T now: String } type T { id: ID }`, "query PlanwarmCanary{planwarm: now}", ""},
		"an object":      {`type Query { list: [Int] thing(of: ID): T } type T { sub: T, of(x: ID!): ID, id: ID }`, "query PlanwarmCanary{planwarm: thing{id}}", ""},
		"a list":         {`type Query { list: [T] thing(of: ID!): T } union T = A type A { id: ID }`, "query PlanwarmCanary{planwarm: list{__typename}}", ""},
		"an argument":    {`type Query { t(of: ID!, n: Int! = 1, by: [E!]!): T } type T { id: ID } enum E { A }`, "query PlanwarmCanary($of: ID!, $by: [E!]!){planwarm: t(of: $of, by: $by){id}}", `{"by":[],"of":"0"}`},
		"not deprecated": {`type Query { old: Int @deprecated thing: T } type T { old: ID @deprecated id: ID }`, "query PlanwarmCanary{planwarm: thing{id}}", ""},
		"not guarded":    {`directive @authenticated on OBJECT|FIELD_DEFINITION type Query { a: Int @authenticated me: Me thing: T } type Me @authenticated { id: ID } type T { id: ID }`, "query PlanwarmCanary{planwarm: thing{id}}", ""},
		"of a subgraph":  {`type Query { _service: Int _entities: Int thing: T } type T { id: ID }`, "query PlanwarmCanary{planwarm: thing{id}}", ""},
	} {
		s, err := Load([]byte(c.sdl))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Canary()
		if err != nil || got.Text != c.text || string(got.Variables) != c.variables {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		if _, err := s.Parse(got.Text, ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, sdl := range map[string]string{
		"no field": `type Query { _service: Int }`,
		"no value": `directive @oneOf on INPUT_OBJECT type Query { a(in: In!): Int } input In @oneOf { in: In }`,
	} {
		s, err := Load([]byte(sdl))
		if err != nil {
			t.Fatal(err)
		}
		if c, err := s.Canary(); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestCanaryOfTheStorefront(t *testing.T) {
	for _, file := range []string{"supergraph.graphql", "supergraph-v2.graphql", "cosmo-execution-config.json"} {
		s := loadFile(t, file)
		c, err := s.Canary()
		if err != nil {
			t.Fatal(err)
		}
		if op, err := s.Parse(c.Text, "PlanwarmCanary"); err != nil || op.Introspection || op.Literals {
			t.Errorf("%s: %s: %+v, %v", file, c.Text, op, err)
		}
		t.Logf("%s: %s", file, c.Text)
	}
}
