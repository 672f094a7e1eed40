package engine

import (
	"fmt"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/plan"

	"github.com/planwarm/planwarm/schema/supergraph"
)

// provided has, for an external field ("Type.field"), the paths on which a
// @provides of the subgraph makes it available.
type provided map[string][]plan.KeyCondition

func providedFields(g *supergraph.Subgraph) (provided, error) {
	p := provided{}
	for _, t := range g.Types {
		for _, f := range t.Fields {
			if f.Provides == "" {
				continue
			}
			set, err := supergraph.ParseFieldSet(f.Provides)
			if err != nil {
				return nil, fmt.Errorf("read @provides of %s.%s: %w", t.Name, f.Def.Name, err)
			}
			start := plan.KeyCondition{
				Coordinates: []plan.FieldCoordinate{{TypeName: t.Name, FieldName: f.Def.Name}},
				FieldPath:   []string{f.Def.Name},
			}
			p.walk(g, f.Type.Name(), set, start)
		}
	}
	return p, nil
}

// walk adds the external fields of a selection on the type parent, which is
// reached on path.
func (p provided) walk(g *supergraph.Subgraph, parent string, set ast.SelectionSet, path plan.KeyCondition) {
	for _, sel := range set {
		switch x := sel.(type) {
		case *ast.InlineFragment:
			on := x.TypeCondition
			if on == "" {
				on = parent
			}
			p.walk(g, on, x.SelectionSet, path)
		case *ast.Field:
			t := g.Type(parent)
			if t == nil || t.Field(x.Name) == nil {
				continue
			}
			f := t.Field(x.Name)
			here := plan.KeyCondition{
				Coordinates: append(slices.Clone(path.Coordinates), plan.FieldCoordinate{TypeName: parent, FieldName: x.Name}),
				FieldPath:   append(slices.Clone(path.FieldPath), x.Name),
			}
			if f.External {
				p[parent+"."+x.Name] = append(p[parent+"."+x.Name], here)
			}
			p.walk(g, f.Type.Name(), x.SelectionSet, here)
		}
	}
}
