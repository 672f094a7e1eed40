package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Canary is a query that has to be planned, is planned in no time, and does the
// least where a router executes it all the same.
type Canary struct {
	Text      string
	Variables json.RawMessage // nil when it needs none
}

// guards are directives that keep a field from being planned for everybody.
var guards = []string{"authenticated", "requiresScopes", "policy", "inaccessible", "deprecated"}

// Canary chooses one root field of the schema: before all others one that needs
// no arguments and returns a scalar; lists and arguments only where nothing else
// is there. The query has a name and an alias of its own, so that its plan is
// nobody else's.
func (s *Schema) Canary() (Canary, error) {
	var best *ast.FieldDefinition
	least := 0
	for _, f := range s.types.Query.Fields {
		if strings.HasPrefix(f.Name, "__") || f.Name == "_service" || f.Name == "_entities" {
			continue
		}
		if r := s.risk(f); best == nil || r < least {
			best, least = f, r
		}
	}
	if best == nil {
		return Canary{}, errors.New("choose canary: the query type has no field")
	}
	m := &maker{types: s.types, open: map[string]bool{}, left: maxValues}
	values := map[string]any{}
	var defs, args []string
	for _, a := range required(best) {
		v, err := m.value(a.Type)
		if err != nil {
			return Canary{}, fmt.Errorf("choose canary: %w", err)
		}
		values[a.Name] = v
		defs = append(defs, "$"+a.Name+": "+a.Type.String())
		args = append(args, a.Name+": $"+a.Name)
	}
	c := Canary{Text: "query PlanwarmCanary" + inParens(defs) + "{planwarm: " + best.Name + inParens(args) + s.leaf(best.Type) + "}"}
	if len(values) > 0 {
		raw, err := json.Marshal(values)
		if err != nil {
			return Canary{}, fmt.Errorf("choose canary: %w", err)
		}
		c.Variables = raw
	}
	return c, nil
}

// risk orders root fields by what can go wrong with them.
func (s *Schema) risk(f *ast.FieldDefinition) int {
	def := s.types.Types[f.Type.Name()]
	risk := 0
	if !def.IsLeafType() {
		risk++
	}
	if f.Type.Elem != nil {
		risk += 2
	}
	if len(required(f)) > 0 {
		risk += 4
	}
	if guarded(f.Directives) || guarded(def.Directives) {
		risk += 8
	}
	return risk
}

func guarded(list ast.DirectiveList) bool {
	return slices.ContainsFunc(list, func(d *ast.Directive) bool { return slices.Contains(guards, d.Name) })
}

func required(f *ast.FieldDefinition) []*ast.ArgumentDefinition {
	var out []*ast.ArgumentDefinition
	for _, a := range f.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil {
			out = append(out, a)
		}
	}
	return out
}

// leaf selects one scalar of a type that needs a selection.
func (s *Schema) leaf(t *ast.Type) string {
	def := s.types.Types[t.Name()]
	if def.IsLeafType() {
		return ""
	}
	for _, f := range def.Fields {
		if d := s.types.Types[f.Type.Name()]; d.IsLeafType() && len(required(f)) == 0 && !guarded(f.Directives) && !strings.HasPrefix(f.Name, "__") {
			return "{" + f.Name + "}"
		}
	}
	return "{__typename}"
}

func inParens(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "(" + strings.Join(list, ", ") + ")"
}
