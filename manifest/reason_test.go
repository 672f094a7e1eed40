package manifest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

// Whoever counts by reason starts its counters from Reasons: a constant that it
// does not list would be missing there.
func TestReasonsListsAllConstants(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, r := range Reasons() {
		if listed[string(r)] {
			t.Errorf("%s is listed twice", r)
		}
		listed[string(r)] = true
	}
	constants := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, v := range spec.Values {
			name, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil || !listed[name] {
				t.Errorf("%s is not listed", name)
			}
			constants++
		}
		return true
	})
	if constants != len(Reasons()) {
		t.Errorf("%d constants, %d listed", constants, len(Reasons()))
	}
}
