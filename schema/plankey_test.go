package schema_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/planner/engine"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/testdata"
)

// keys tells the plan key that a Cosmo router would use.
type keys struct {
	*schema.Schema
	keyer *engine.Keyer
}

func storefrontKeys(t *testing.T) keys {
	t.Helper()
	data, err := fs.ReadFile(testdata.Storefront, "storefront/supergraph.graphql")
	if err != nil {
		t.Fatal(err)
	}
	s, err := schema.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	keyer, err := engine.NewKeyer(s.ClientSDL())
	if err != nil {
		t.Fatal(err)
	}
	return keys{s, keyer}
}

func (k keys) key(t *testing.T, text, name string, conditions map[string]bool) string {
	t.Helper()
	id, err := k.keyer.Key(text, name, conditions)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return id.PlanKey
}

// same checks that neither lifting nor resolving leads to another plan.
func (k keys) same(t *testing.T, text, name string) {
	t.Helper()
	op, err := k.Parse(text, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, values := range schema.Combinations(op.Conditions, 0) {
		live := k.key(t, text, name, values)
		if got := k.key(t, op.Canonical, name, values); got != live {
			t.Errorf("%s %v: the canonical text has another plan key:\n%s", name, values, op.Canonical)
		}
		for _, given := range []string{text, op.Canonical} {
			resolved, err := k.Resolve(given, name, values)
			if err != nil {
				t.Fatal(err)
			}
			if got := k.key(t, resolved, name, nil); got != live {
				t.Errorf("%s %v: the resolved text has another plan key:\n%s", name, values, resolved)
			}
		}
	}
}

func TestTheStorefrontKeepsItsPlanKeys(t *testing.T) {
	k := storefrontKeys(t)
	index, err := fs.ReadFile(testdata.Storefront, "storefront/operations/INDEX.tsv")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, line := range strings.Split(strings.TrimSpace(string(index)), "\n")[1:] {
		f := strings.Split(line, "\t")
		if f[9] == "" { // invalid, so without a plan
			continue
		}
		text, err := fs.ReadFile(testdata.Storefront, "storefront/operations/"+f[0])
		if err != nil {
			t.Fatal(err)
		}
		k.same(t, string(text), f[1])
		checked++
	}
	if checked != 82 {
		t.Errorf("%d operations checked, want 82", checked)
	}
}

func TestEmptiedSelectionsKeepTheirPlanKey(t *testing.T) {
	k := storefrontKeys(t)
	for _, text := range []string{
		`query A($id: ID!, $a: Boolean!) { product(id: $id) { title @skip(if: $a) } }`,
		`query A($id: ID!, $a: Boolean!) { product(id: $id) { id } me @skip(if: $a) { id } }`,
		`query A($a: Boolean!) { me @skip(if: $a) { id } }`,
		`query A($id: ID!, $a: Boolean!) { product(id: $id) { id ...F } } fragment F on Product { title @skip(if: $a) }`,
		`query A($id: ID!, $a: Boolean!) { product(id: $id) { id ...F @include(if: $a) } } fragment F on Product { title }`,
		`query A($id: ID!, $a: Boolean!) { product(id: $id) { id ... on Product @include(if: $a) { title } } }`,
		`query A($id: ID!, $a: Boolean! = true) { product(id: $id) { id title @skip(if: $a) } }`,
		`query A($id: ID!, $a: Boolean!, $b: Boolean!) { product(id: $id) { id title @skip(if: $a) @include(if: $b) } }`,
		`query A($a: Boolean!) { product(id: "p-1") { id reviews(first: 3) @include(if: $a) { rating } } }`,
	} {
		k.same(t, text, "A")
	}
}
