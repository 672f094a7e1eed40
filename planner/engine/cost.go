package engine

import (
	"fmt"
	"math"

	"github.com/wundergraph/graphql-go-tools/v2/pkg/ast"

	"github.com/planwarm/planwarm/schema/supergraph"
)

// Cost is what can be said of an operation's planning before a router plans it.
// Milliseconds of different planners are not comparable; their order mostly is.
type Cost struct {
	Timings Timings
	Fetches int
	Depth   int
	// Shared is the sum, over the selected fields, of log2 of the number of
	// subgraphs that resolve the field. It grows with the choices that a
	// planner has, and tells what Timings miss of planners that try them all.
	Shared float64
}

// Cost plans the operation name of a document once and measures it.
func (e *Engine) Cost(text, name string) (Cost, error) {
	p, err := e.Prepare(text, name, nil)
	if err != nil {
		return Cost{}, fmt.Errorf("estimate cost: %w", err)
	}
	planned, err := e.Plan(p)
	if err != nil {
		return Cost{}, fmt.Errorf("estimate cost: %w", err)
	}
	return e.Measure(p, planned), nil
}

// Measure is the cost of an operation that was planned already.
func (e *Engine) Measure(p *Prepared, planned *Planned) Cost {
	return Cost{Timings: planned.Timings, Fetches: planned.Fetches, Depth: planned.Depth, Shared: e.shared(p.normalized)}
}

// fieldResolvers has the number of subgraphs that resolve a field ("Type.field").
type fieldResolvers map[string]int

func countResolvers(s *supergraph.Supergraph, labels map[string]bool) (fieldResolvers, error) {
	subgraphs, err := s.Subgraphs(labels)
	if err != nil {
		return nil, err
	}
	out := fieldResolvers{}
	for _, g := range subgraphs {
		for _, t := range g.Types {
			for _, f := range t.Fields {
				if !f.External {
					out[t.Name+"."+f.Def.Name]++
				}
			}
		}
	}
	return out, nil
}

func (e *Engine) shared(n *normalized) float64 {
	sum := 0.0
	for _, op := range n.doc.OperationDefinitions {
		if root, ok := e.normalizer.schema.Index.FirstNodeByNameBytes(rootTypeName(e.normalizer.schema, op.OperationType)); ok && op.HasSelections {
			sum += e.sharedIn(n.doc, op.SelectionSet, root)
		}
	}
	return sum
}

// sharedIn sums over a selection set on the type parent.
func (e *Engine) sharedIn(doc *ast.Document, set int, parent ast.Node) float64 {
	schema, sum := e.normalizer.schema, 0.0
	for _, s := range doc.SelectionSets[set].SelectionRefs {
		switch sel := doc.Selections[s]; sel.Kind {
		case ast.SelectionKindField:
			name := doc.FieldNameBytes(sel.Ref)
			if count := e.resolvers[schema.NodeNameString(parent)+"."+string(name)]; count > 1 {
				sum += math.Log2(float64(count))
			}
			f := doc.Fields[sel.Ref]
			def, ok := schema.NodeFieldDefinitionByName(parent, name)
			if !ok || !f.HasSelections {
				continue
			}
			if child, ok := schema.Index.FirstNodeByNameBytes(schema.FieldDefinitionTypeNameBytes(def)); ok {
				sum += e.sharedIn(doc, f.SelectionSet, child)
			}
		case ast.SelectionKindInlineFragment:
			on, f := parent, doc.InlineFragments[sel.Ref]
			if doc.InlineFragmentHasTypeCondition(sel.Ref) {
				if node, ok := schema.Index.FirstNodeByNameBytes(doc.InlineFragmentTypeConditionName(sel.Ref)); ok {
					on = node
				}
			}
			if f.HasSelections {
				sum += e.sharedIn(doc, f.SelectionSet, on)
			}
		}
	}
	return sum
}

func rootTypeName(schema *ast.Document, kind ast.OperationType) []byte {
	switch kind {
	case ast.OperationTypeMutation:
		return schema.Index.MutationTypeName
	case ast.OperationTypeSubscription:
		return schema.Index.SubscriptionTypeName
	}
	return schema.Index.QueryTypeName
}
