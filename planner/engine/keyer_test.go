package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/planwarm/planwarm/schema/supergraph"
)

// clientSchemas are the two places that a client schema comes from.
func clientSchemas(t testing.TB) map[string]string {
	t.Helper()
	s, err := supergraph.Parse(string(storefrontFile(t, "supergraph.graphql")))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		EngineConfig struct{ GraphqlSchema string }
	}
	if err := json.Unmarshal(storefrontFile(t, "cosmo-execution-config.json"), &config); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"supergraph": s.API(false), "cosmo config": config.EngineConfig.GraphqlSchema}
}

func newKeyer(t testing.TB, sdl string, options ...KeyerOption) *Keyer {
	t.Helper()
	k, err := NewKeyer(sdl, options...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func storefrontKeyer(t testing.TB, options ...KeyerOption) *Keyer {
	t.Helper()
	return newKeyer(t, clientSchemas(t)["supergraph"], options...)
}

// Keys and hashes are those that a real Cosmo router reported.
func TestKeysOfStorefront(t *testing.T) {
	for from, sdl := range clientSchemas(t) {
		k, met := newKeyer(t, sdl), 0
		for _, op := range storefrontOperations(t) {
			if op.planKey == "" {
				continue
			}
			got, err := k.Key(op.text, op.name, op.conditions)
			switch {
			case err != nil:
				t.Errorf("%s: %s %s: %v", from, op.file, op.name, err)
			case got.PlanKey != op.planKey || got.Hash != op.hash || got.Type != op.kind:
				t.Errorf("%s: %s %s: key %s, hash %s, type %s; want %s, %s, %s", from, op.file, op.name, got.PlanKey, got.Hash, got.Type, op.planKey, op.hash, op.kind)
			default:
				met++
			}
		}
		if met != 82 {
			t.Errorf("%s: %d of 82 keys", from, met)
		}
	}
}

// The documents that a router reports in its schema usage have the keys that
// it plans them under.
func TestKeysOfReportedDocuments(t *testing.T) {
	k, met := storefrontKeyer(t), 0
	for _, d := range reportedDocuments(t) {
		got, err := k.Key(d.Document, d.Name, nil)
		if d.Error {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: error %v, want %v", d.Name, err, ErrInvalid)
			}
			continue
		}
		if err != nil || got.PlanKey != d.PlanKey {
			t.Errorf("%s: key %s, error %v; want %s", d.Name, got.PlanKey, err, d.PlanKey)
			continue
		}
		met++
	}
	if met != 84 {
		t.Errorf("%d of 84 documents", met)
	}
}

// What the traffic sent is planned under the keys that the router reported, and
// of all variables only the conditions matter.
func TestKeysOfTraffic(t *testing.T) {
	reported := map[string]bool{}
	for _, d := range reportedDocuments(t) {
		reported[d.Name+" "+d.PlanKey] = !d.Error
	}
	k, e := storefrontKeyer(t), storefrontEngine(t, Options{PlanOnly: true})
	traffic, keys := storefrontTraffic(t), map[string]map[string]bool{}
	for _, op := range storefrontOperations(t) {
		if op.planKey == "" {
			continue
		}
		keys[op.file] = map[string]bool{}
		for _, sent := range traffic[strings.TrimSuffix(op.file, ".graphql")] {
			if sent.OperationName != op.name {
				continue
			}
			for _, variables := range sent.Variables {
				id, err := k.Key(op.text, op.name, conditionsOf(t, variables))
				if err != nil {
					t.Fatal(err)
				}
				keys[op.file][id.PlanKey] = true
				if p := prepare(t, e, op.text, op.name, string(variables)); p.PlanKey != id.PlanKey || p.Hash != id.Hash {
					t.Errorf("%s %s: keys %s and %s of one request", op.file, op.name, p.PlanKey, id.PlanKey)
				}
				if !reported[op.name+" "+id.PlanKey] {
					t.Errorf("%s %s: key %s was never reported", op.file, op.name, id.PlanKey)
				}
			}
		}
	}
	for file, want := range map[string]int{"skip-include-variables.graphql": 3, "include-fragment.graphql": 2} {
		if len(keys[file]) != want {
			t.Errorf("%s: %d keys, want %d", file, len(keys[file]), want)
		}
	}
}

// The text of an identity has the same key, so it can stand for the operation
// in a manifest.
func TestNormalizedTextKeepsItsKey(t *testing.T) {
	k := storefrontKeyer(t)
	for _, op := range storefrontOperations(t) {
		if op.planKey == "" {
			continue
		}
		first, err := k.Key(op.text, op.name, op.conditions)
		if err != nil {
			t.Fatal(err)
		}
		again, err := k.Key(first.Normalized, "", nil)
		if err != nil || again.PlanKey != first.PlanKey {
			t.Errorf("%s %s: key %s of the normalised text, error %v; want %s", op.file, op.name, again.PlanKey, err, first.PlanKey)
		}
	}
}

func TestKeyOfConditions(t *testing.T) {
	const text = `query A($id: ID!, $more: Boolean!) { product(id: $id) { id title @include(if: $more) } }`
	k := storefrontKeyer(t)
	keys := map[string]string{}
	for name, conditions := range map[string]map[string]bool{"on": {"more": true}, "off": {"more": false}, "none": nil} {
		id, err := k.Key(text, "A", conditions)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = id.PlanKey
		if got := strings.Contains(id.Normalized, "@include"); got != (name == "none") {
			t.Errorf("%s: normalised to %s", name, id.Normalized)
		}
	}
	plain, err := k.Key(`query B($x: ID!) { product(id: $x) { id title } }`, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if keys["on"] != plain.PlanKey || keys["off"] == keys["on"] || keys["none"] == keys["on"] || keys["none"] == keys["off"] {
		t.Errorf("keys %v, without the directive %s", keys, plain.PlanKey)
	}
}

// A literal object around a variable is lifted; the variable in it goes too.
func TestLiteralObjectAroundVariable(t *testing.T) {
	id, err := newKeyer(t, `type Query { find(in: In): Int } input In { a: String b: In }`).Key(
		`query A($v: String) { find(in: {a: "secret", b: {a: $v}}) }`, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := `query($a: In){find(in: $a)}`; id.Normalized != want {
		t.Errorf("normalised to %s, want %s", id.Normalized, want)
	}
}

func TestAnonymousOperation(t *testing.T) {
	k := storefrontKeyer(t)
	anonymous, err := k.Key(`{ categories { id } }`, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	named, err := k.Key(`query `+temporaryName+` { categories { id } }`, temporaryName, nil)
	if err != nil {
		t.Fatal(err)
	}
	if anonymous != named || strings.Contains(anonymous.Normalized, temporaryName) {
		t.Errorf("anonymous %+v, named %+v", anonymous, named)
	}
}

func TestKeyRefuses(t *testing.T) {
	k := storefrontKeyer(t)
	bomb := &strings.Builder{}
	bomb.WriteString("{ categories { ...F0 } }\n")
	for i := range 40 {
		fmt.Fprintf(bomb, "fragment F%d on Category { id ...F%d ...F%d }\n", i, i+1, i+1)
	}
	bomb.WriteString("fragment F40 on Category { id }")
	repeat := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	// Each fragment is nested far less than a text may be, all together are not.
	chain := &strings.Builder{}
	chain.WriteString("{ categories { ...F0 } }\n")
	for i := range MaxDepth / 10 {
		fmt.Fprintf(chain, "fragment F%d on Category {%s ...F%d %s}\n", i, strings.Repeat("parent{", 10), i+1, strings.Repeat("}", 10))
	}
	fmt.Fprintf(chain, "fragment F%d on Category { id }", MaxDepth/10)
	for name, c := range map[string]struct {
		text, op string
		is       error
	}{
		"empty":                  {text: "", is: ErrInvalid},
		"syntax":                 {text: "query {", is: ErrInvalid},
		"unknown field":          {text: "{ nothing }", is: ErrInvalid},
		"unknown name":           {text: "query A { categories { id } }", op: "B", is: ErrInvalid},
		"several, no name":       {text: "query A { categories { id } } query B { categories { id } }", is: ErrInvalid},
		"anonymous, another":     {text: "{ categories { id } } query B { categories { id } }", op: "B", is: ErrInvalid},
		"only fragments":         {text: "fragment F on Category { id }", is: ErrInvalid},
		"fragment cycle":         {text: "{ categories { ...F } } fragment F on Category { ...G } fragment G on Category { ...F }", is: ErrInvalid},
		"fragment bomb":          {text: bomb.String(), is: ErrTooLarge},
		"deep":                   {text: strings.Repeat("{a", 100_000), is: ErrTooLarge},
		"deep list":              {text: "{ product(id: " + strings.Repeat("[", 100_000), is: ErrTooLarge},
		"long":                   {text: "{ categories { id } } #" + strings.Repeat("x", MaxText), is: ErrTooLarge},
		"deep through fragments": {text: chain.String(), is: ErrTooLarge},
		"long when expanded":     {text: "{" + repeat(100, "a%d: categories { ...F } ") + "} fragment F on Category { " + strings.Repeat("z", maxExpanded/100) + ": id }", is: ErrTooLarge},
		"long values expanded":   {text: "{" + repeat(100, "a%d: categories { ...F } ") + `} fragment F on Category { x: id @include(if: "` + strings.Repeat("z", maxExpanded/100) + `") }`, is: ErrTooLarge},
		"many literals":          {text: "{" + repeat(maxLiterals+1, `a%[1]d: product(id: "p-%[1]d") { id } `) + "}", is: ErrTooLarge},
		"many expanded literals": {text: "{" + repeat(101, "a%d: product(id: 1) { ...F } ") + "} fragment F on Product {" + repeat(10, "r%[1]d: reviews(first: %[1]d) { id } ") + "}", is: ErrTooLarge},
		"many variables":         {text: "query(" + repeat(maxDefined+1, "$v%d: ID! ") + ") { categories { id } }", is: ErrTooLarge},
		"many fragments":         {text: "{ categories { id } }" + strings.Repeat(" fragment F on Category { id }", maxOperations), is: ErrTooLarge},
	} {
		for range 2 { // the second answer comes from the memo
			if _, err := k.Key(c.text, c.op, nil); !errors.Is(err, c.is) {
				t.Errorf("%s: error %v, want %v", name, err, c.is)
			}
		}
	}
	many := map[string]bool{}
	for i := range maxConditions + 1 {
		many[fmt.Sprint("v", i)] = true
	}
	if _, err := k.Key("{ categories { id } }", "", many); !errors.Is(err, ErrTooLarge) {
		t.Errorf("many conditions: error %v", err)
	}
}

// Brackets in strings and comments do not nest.
func TestBracketsInStrings(t *testing.T) {
	open := strings.Repeat("[", 2*MaxNesting)
	for _, text := range []string{`{ a(s: "` + open + `") }`, `{ a(s: """` + open + `""") }`, "{ a # " + open + "\n }", `{ a(s: "\"` + open + `") }`, `{ a(s: """\"""` + open + `""") }`} {
		if err := checkText(text, MaxText); err != nil {
			t.Errorf("%.20s: %v", text, err)
		}
		if err := checkText(text+open, MaxText); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%.20s, then brackets: error %v", text, err)
		}
	}
}

// A router of this library refuses the same field with its arguments in another
// order, so there is no key for it.
func TestNoKeyForArgumentsInAnotherOrder(t *testing.T) {
	k := newKeyer(t, `type Query { size(unit: String, exact: Boolean): Int }`)
	if _, err := k.Key(`query A($u: String, $e: Boolean) { size(unit: $u, exact: $e) size(exact: $e, unit: $u) }`, "", nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("error %v", err)
	}
}

// What the library quotes of values is cut out of its messages.
func TestErrorsHoldNoValues(t *testing.T) {
	k := newKeyer(t, `type Query { f(i: Int, b: Boolean, e: E, s: String, id: ID, x: Float, in: In, l: [Int!]): Int } enum E { A } input In { n: Int! e: E }
directive @d(n: Int!) on FIELD`)
	for _, text := range []string{
		`{ f(i: "secret") }`, `{ f(i: 777777777777) }`, `{ f(b: "secret") }`, `{ f(e: SECRET) }`, `{ f(e: "secret") }`, `{ f(s: 777) }`, `{ f(id: {a: "secret"}) }`,
		`{ f(x: "secret") }`, `{ f(in: "secret") }`, `{ f(in: {n: "secret"}) }`, `{ f(in: {e: SECRET, n: 1}) }`, `{ f(l: ["secret"]) }`, `{ f @d(n: "secret") }`,
		`query A($v: Int = "secret") { f(i: $v) }`, `{ f(s: "secret) }`, `{ f(s: "a") g(s: "secret") }`, `{ f(s: "secret" "secret") }`, `{ f(i: 777x) }`, `{ a: f(s: "secret") a: f(s: "other") }`,
		`{ f(in: SECRET) }`, `{ f(in: 777) }`, `{ f(in: [777]) }`, `{ f(l: {a: SECRET}) }`, `{ f(l: SECRET) }`, `{ f(i: SECRET) }`, `{ f(i: {k: 777}) }`, `{ f(s: SECRET) }`, `{ f(s: {k: "secret"}) }`,
		`{ f(s: ["secret", 1]) }`, `{ f(b: 777) }`, `{ f(x: SECRET) }`, `{ f(id: SECRET) }`, `{ f(id: 7.77e3) }`, `{ f(e: 777) }`, `{ f(i: """secret""") }`, `query A($v: In = {n: "secret"}) { f(in: $v) }`, `query A($v: E = SECRET) { f(e: $v) }`,
		`{ f @include(if: "secret") }`, `{ f @d(n: SECRET) }`, `{ f @d(n: 777777777777) }`,
	} {
		_, err := k.Key(text, "", nil)
		if err == nil {
			t.Errorf("%s is taken", text)
			continue
		}
		if m := strings.ToLower(err.Error()); strings.Contains(m, "secret") || strings.Contains(m, "777") || strings.Contains(m, "7.77") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestErrorsNameTheFault(t *testing.T) {
	_, err := storefrontKeyer(t).Key("{\n  product(id: 1) { nothing } }", "", nil)
	if err == nil || !strings.Contains(err.Error(), `Cannot query field "nothing" on type "Product"`) {
		t.Errorf("error %v", err)
	}
	_, err = storefrontKeyer(t).Key("{\n  product(id: }", "", nil)
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("error %v", err)
	}
}

// The memo keeps errors, which quote names that may be as long as the text.
func TestErrorsAreBounded(t *testing.T) {
	name := strings.Repeat("é", 50_000)
	for _, text := range []string{
		"{ " + strings.Repeat("n", 100_000) + " }",
		"query A($" + strings.Repeat("v", 100_000) + ": ID) { categories { id } }",
		"{ categories { ..." + strings.Repeat("F", 100_000) + " } }",
		"{ " + name + " }",
	} {
		_, err := storefrontKeyer(t).Key(text, "", nil)
		if err == nil || len(err.Error()) > 4*maxMessage || !utf8.ValidString(err.Error()) {
			t.Errorf("%.20s: error %.500v", text, err)
		}
	}
}

func TestMemoIsBounded(t *testing.T) {
	k := storefrontKeyer(t, WithMemo(3))
	for i := range 10 {
		if _, err := k.Key(fmt.Sprintf("{ a%d: categories { id } }", i), "", nil); err != nil {
			t.Fatal(err)
		}
	}
	sum := 0
	for _, v := range k.memo.Values() {
		sum += len(v.identity.Normalized)
	}
	if k.memo.Len() != 3 || k.bytes != sum {
		t.Errorf("%d entries of %d bytes, %d counted", k.memo.Len(), sum, k.bytes)
	}
	none := storefrontKeyer(t, WithMemo(0))
	if _, err := none.Key("{ categories { id } }", "", nil); err != nil {
		t.Error(err)
	}
}

func TestMemoIsBoundedInBytes(t *testing.T) {
	k := storefrontKeyer(t)
	text := strings.Repeat("x", maxMemoBytes/4)
	for i := range 8 {
		k.remember(memoKeyOf(fmt.Sprint(i), "", nil), memoValue{identity: Identity{Normalized: text}})
	}
	if k.bytes > maxMemoBytes || k.memo.Len() != 4 {
		t.Errorf("%d bytes in %d entries", k.bytes, k.memo.Len())
	}
}

func TestMemoKeysDiffer(t *testing.T) {
	keys := []memoKey{
		memoKeyOf("ab", "", nil), memoKeyOf("a", "b", nil), memoKeyOf("a", "", map[string]bool{"b": true}), memoKeyOf("a", "", map[string]bool{"b": false}),
		memoKeyOf("a", "b", map[string]bool{"b": true, "c": true}),
	}
	slices.SortFunc(keys, func(a, b memoKey) int { return bytes.Compare(a[:], b[:]) })
	if len(slices.Compact(keys)) != 5 {
		t.Error("two inputs have one key")
	}
}

func TestKeyerIsSafeForConcurrentUse(t *testing.T) {
	k, ops := storefrontKeyer(t, WithMemo(8)), storefrontOperations(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, op := range ops {
				if op.planKey == "" {
					continue
				}
				if got, err := k.Key(op.text, op.name, op.conditions); err != nil || got.PlanKey != op.planKey {
					t.Errorf("%s %s: key %s, error %v", op.file, op.name, got.PlanKey, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNewKeyerRefuses(t *testing.T) {
	for name, sdl := range map[string]string{"syntax": "type Query {", "too deep": "type Query { a(b: X = " + strings.Repeat("[", 1000)} {
		if _, err := NewKeyer(sdl); err == nil || !strings.HasPrefix(err.Error(), "new keyer: read schema: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func FuzzKey(f *testing.F) {
	k := storefrontKeyer(f, WithMemo(0))
	for _, op := range storefrontOperations(f) {
		f.Add(op.text, op.name)
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		id, err := k.Key(text, name, nil)
		if err != nil {
			return
		}
		again, err := k.Key(text, name, nil)
		if err != nil || again != id {
			t.Errorf("%+v, then %+v, %v", id, again, err)
		}
	})
}

func BenchmarkKey(b *testing.B) {
	ops := storefrontOperations(b)
	for name, memo := range map[string]int{"computed": 0, "remembered": DefaultMemo} {
		b.Run(name, func(b *testing.B) {
			k := storefrontKeyer(b, WithMemo(memo))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				op := ops[i%len(ops)]
				if _, err := k.Key(op.text, op.name, op.conditions); err != nil && op.planKey != "" {
					b.Fatal(err)
				}
			}
		})
	}
}
