package schema

import (
	"fmt"
	"strings"
	"testing"
)

const hostileSDL = `
interface Node { node(x: Int, y: String): Node, id: ID, list(a: In): [Node] }
input In { a: In, b: Int }
type A implements Node { node(x: Int, y: String): Node, id: ID, list(a: In): [Node] }
type B implements Node { node(x: Int, y: String): Node, id: ID, list(a: In): [Node] }
type Query implements Node { node(x: Int, y: String): Node, id: ID, list(a: In): [Node], sum(of: [Int]): ID }
`

func hostile(t testing.TB) *Schema {
	t.Helper()
	s, err := Load([]byte(hostileSDL))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// doubling returns fragments of which each spreads the next twice.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString("{ ...F0 }")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Query { a%d: node { id } ...F%d ...F%d }", i, i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Query { id }", n)
	return b.String()
}

// chain returns fragments of which each nests the next in a field.
func chain(n int, each string) string {
	var b strings.Builder
	b.WriteString("{ ...F0 }")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Node { %s node { ...F%d } }", i, each, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Node { id }", n)
	return b.String()
}

// spread returns n fragments that are all spread at one place.
func spread(n int, body func(i int) string) string {
	var b, defs strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "...F%d ", i)
		fmt.Fprintf(&defs, " fragment F%d on Node { %s }", i, body(i))
	}
	return "{ " + b.String() + "}" + defs.String()
}

func nested(n int) string {
	return "{" + strings.Repeat("node{", n) + "id" + strings.Repeat("}", n) + "}"
}

// twins returns a tree of fields with one name in which every set holds two.
func twins(depth int) string {
	if depth == 0 {
		return "id"
	}
	below := twins(depth - 1)
	return "node{" + below + "} node{" + below + "}"
}

var tooExpensive = map[string]string{
	"long text":                            "{ id " + strings.Repeat(" ", MaxTextBytes) + "}",
	"many tokens":                          "{" + strings.Repeat("a:id ", maxTokens/3+1) + "}",
	"deep selections":                      nested(maxDepth + 1),
	"very deep selections":                 nested(5_000),
	"deep through fragments":               chain(maxDepth, "id"),
	"a deep value":                         `{ list(a: ` + strings.Repeat("{a:", maxDepth) + "{b:1}" + strings.Repeat("}", maxDepth) + `) { id } }`,
	"a very deep value":                    `{ list(a: ` + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000) + `) { id } }`,
	"a deep default":                       `query($v: In = ` + strings.Repeat("{a:", maxDepth) + "{b:1}" + strings.Repeat("}", maxDepth) + `) { list(a: $v) { id } }`,
	"one name, many times":                 "{" + strings.Repeat("id ", 10_000) + "}",
	"twins of twins":                       "{" + twins(11) + "}",
	"fragments that double":                doubling(30),
	"fragments that double often":          doubling(45),
	"fragments and fields":                 spread(400, func(i int) string { return strings.Repeat(fmt.Sprintf("f%d: id ", i), 20) }),
	"many fragments":                       spread(maxFragments+1, func(int) string { return "id" }),
	"many variables":                       "query(" + manyVariables(maxVariables+1) + ") { id }",
	"many literals":                        literals(maxVariables+1, 1),
	"literals that make the text too long": literals(2_000, 110),
	"literals that make too many tokens":   literals(2_900, 1),
	"many arguments":                       "{ node(" + strings.Repeat("x: 1 ", maxArguments+1) + ") { id } }",
	"many arguments of a directive":        "{ id @skip(" + strings.Repeat("if: true ", maxArguments+1) + ") }",
	"arguments, compared":                  "{" + strings.Repeat("node("+strings.Repeat("x: 1 ", 150)+"){id} ", 20) + "}",
}

// literals returns n fields with a literal of their own each.
func literals(n, padding int) string {
	var b strings.Builder
	b.WriteString("{")
	for i := range n {
		fmt.Fprintf(&b, "a%0*d: node(x: %d) { id } ", padding, i, i)
	}
	return b.String() + "}"
}

func manyVariables(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "$v%d: Int ", i)
	}
	return b.String()
}

func TestExpensiveOperationsAreRefused(t *testing.T) {
	s := hostile(t)
	for name, text := range tooExpensive {
		t.Run(name, func(t *testing.T) {
			f := faults(t, s, text, "")
			if len(f) != 1 || f[0].Rule != RuleLimit {
				t.Errorf("got %v", f)
			}
		})
	}
}

// nearBounds are operations near the bounds: they pass, and the benchmark says
// what they cost.
var nearBounds = map[string]string{
	"one name":              "{" + strings.Repeat("id ", 1_000) + "}",
	"many variables":        "query(" + manyVariables(maxVariables) + ") {" + uses(maxVariables) + "}",
	"a long list":           "{ sum(of: [" + strings.Repeat("1 ", 20_000) + "]) }",
	"two long lists":        "{ " + strings.Repeat("sum(of: ["+strings.Repeat("1 ", 5_000)+"]) ", 2) + "}",
	"deep":                  nested(maxDepth - 2),
	"chain of fragments":    chain(45, strings.Repeat("id ", 8)),
	"twins":                 "{" + twins(7) + "}",
	"fragments that double": doubling(8),
	"fragments":             spread(400, func(i int) string { return fmt.Sprintf("f%d: id", i) }),
	"aliases":               "{" + aliases(9_000) + "}",
	"unions of objects":     "{ node {" + strings.Repeat("... on A { id } ... on B { id } ", 400) + "} }",
}

// uses returns a field that takes n variables, and the last one once more for each.
func uses(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "$v%d $v%d ", i, n-1)
	}
	return "sum(of: [" + b.String() + "])"
}

func aliases(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: id ", i)
	}
	return b.String()
}

func TestOperationsWithinTheBoundsPass(t *testing.T) {
	s := hostile(t)
	for name, text := range nearBounds {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Parse(text, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

func BenchmarkHostile(b *testing.B) {
	s := hostile(b)
	for _, set := range []map[string]string{tooExpensive, nearBounds} {
		for name, text := range set {
			b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
				for b.Loop() {
					_, _ = s.Parse(text, "") // what it costs to find out
				}
			})
		}
	}
	b.Run("wrong-names", func(b *testing.B) {
		text := "{" + strings.Repeat("nodd ", 12_000) + "}"
		for b.Loop() {
			_, _ = s.Parse(text, "")
		}
	})
}
