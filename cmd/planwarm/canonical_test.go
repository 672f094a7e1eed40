package main

import (
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/telemetry"
	"github.com/planwarm/planwarm/testdata"
)

func storefrontCanonicaliser(t *testing.T, p textPolicy) *canonicaliser {
	t.Helper()
	sdl, err := testdata.Storefront.ReadFile("storefront/supergraph.graphql")
	if err != nil {
		t.Fatal(err)
	}
	sc, err := schema.Load(sdl)
	if err != nil {
		t.Fatal(err)
	}
	c := new(canonicaliser)
	c.use(sc)
	c.keep(p)
	return c
}

// TestTextPolicy: what is stored of a text under each policy. A router that
// keys on the text has a plan for each layout, so that a layout is a text.
func TestTextPolicy(t *testing.T) {
	const (
		plain   = "query Supplier($id: ID!) {\n  supplier(id: $id) { id name }\n}\n"
		layout  = "query Supplier($id: ID!) { supplier(id: $id) { id name } }"
		literal = "query Supplier { supplier(id: \"secret\") { id name } }"
		comment = "# secret\n" + plain
		two     = plain + "query Other { supplier(id: \"secret\") { name } }"
	)
	type kept struct{ exact, lifted bool }
	cases := []struct {
		policy textPolicy
		want   map[string]kept
	}{
		{keepLifted, map[string]kept{plain: {}, layout: {}, literal: {}, comment: {}, two: {}}},
		{keepExact, map[string]kept{plain: {exact: true}, layout: {exact: true}, literal: {lifted: true}, comment: {lifted: true}, two: {lifted: true}}},
		{keepLiterals, map[string]kept{
			plain: {exact: true}, layout: {exact: true}, literal: {exact: true}, comment: {exact: true}, two: {exact: true},
		}},
	}
	for _, c := range cases {
		canon := storefrontCanonicaliser(t, c.policy)
		keys, identities := map[string]bool{}, map[string]bool{}
		for text, want := range c.want {
			got, err := canon.canonical(text, "Supplier")
			if err != nil {
				t.Fatal(err)
			}
			if (got.Text == text) != want.exact || (got.Identity != "") != want.exact || got.Lifted != want.lifted || got.Type != "query" {
				t.Errorf("policy %d, %q: %+v", c.policy, text, got)
			}
			if c.policy != keepLiterals && strings.Contains(got.Text, "secret") {
				t.Errorf("policy %d, %q: kept a value", c.policy, text)
			}
			keys[got.Key] = true
			identities[got.Identity] = true
		}
		if len(keys) > 2 { // with a variable of its own or a lifted one
			t.Errorf("policy %d: %d keys for one plan", c.policy, len(keys))
		}
		// A pushed operation with the literal is found by its plan.
		lifted, err := canon.canonical(literal, "Supplier")
		if err != nil {
			t.Fatal(err)
		}
		k, err := canon.state.Load().keyer()
		if err != nil {
			t.Fatal(err)
		}
		pushed, err := k.Key(literal, "Supplier", nil)
		seen, errSeen := k.Key(lifted.Text, "Supplier", nil)
		if err != nil || errSeen != nil || pushed.PlanKey != seen.PlanKey {
			t.Errorf("policy %d: plan %s of what was pushed, %s of what was seen: %v, %v", c.policy, pushed.PlanKey, seen.PlanKey, err, errSeen)
		}
		if n := len(identities); c.policy == keepExact && n != 3 || c.policy == keepLiterals && n != 5 {
			t.Errorf("policy %d: %d identities", c.policy, n)
		}
	}
}

// TestTextsOfExactRouters: layouts of one operation stay apart in the table, and
// requests that differ in literals do not.
func TestTextsOfExactRouters(t *testing.T) {
	table, err := telemetry.NewTable(telemetry.Options{Canonical: storefrontCanonicaliser(t, keepExact).canonical})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	texts := []string{
		"query S($id: ID!) { supplier(id: $id) { name } }", "query S($id: ID!) {\n supplier(id: $id) { name } }",
		`query S { supplier(id: "1") { name } }`, `query S { supplier(id: "2") { name } }`,
	}
	for i, text := range texts {
		s := telemetry.Span{TraceID: [16]byte{1}, SpanID: [8]byte{byte(i + 1)}, Hit: true, Document: text}
		s.Op.Name = "S"
		table.Span(at, s)
	}
	lifted, exact := 0, 0
	for _, u := range table.Usages(at, telemetry.DefaultWindow) {
		if u.Lifted {
			lifted++
		} else if u.Text == texts[0] || u.Text == texts[1] {
			exact++
		}
	}
	if lifted != 1 || exact != 2 {
		t.Errorf("%d lifted, %d exact", lifted, exact)
	}
}

// TestTextPolicyOfGraph: exact texts are kept where a router needs them, and
// literals only where the owner wants them too.
func TestTextPolicyOfGraph(t *testing.T) {
	cases := []struct {
		kinds []config.RouterKind
		keep  string
		want  textPolicy
	}{
		{nil, config.KeepExact, keepLifted},
		{[]config.RouterKind{config.RouterCosmo}, config.KeepExact, keepLifted},
		{[]config.RouterKind{config.RouterCosmo, config.RouterHiveGateway}, config.KeepLifted, keepExact},
		{[]config.RouterKind{config.RouterApolloGateway}, config.KeepLifted, keepExact},
		{[]config.RouterKind{config.RouterApolloGateway}, config.KeepExact, keepLiterals},
	}
	for _, c := range cases {
		p := &graphPart{g: &generation{config: config.Config{Telemetry: config.Telemetry{KeepText: c.keep}}}}
		for _, k := range c.kinds {
			p.config.Routers = append(p.config.Routers, config.Router{Kind: k})
		}
		if got := p.textPolicy(); got != c.want {
			t.Errorf("%v with %s: policy %d, want %d", c.kinds, c.keep, got, c.want)
		}
	}
}
