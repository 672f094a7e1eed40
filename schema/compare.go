package schema

import "github.com/vektah/gqlparser/v2/ast"

// comparisons counts the pairs of fields that OverlappingFieldsCanBeMerged
// would compare: those with the same response name at the same place once all
// selections are merged. The count itself is linear in the expanded fields.
type comparisons struct {
	fragments map[string]*ast.FragmentDefinition
	meter     *meter
	cost      int
}

// merged are the fields of one response name at one place.
type merged struct {
	fields    int
	arguments int // of all, plus one for each field
	squares   int // of what arguments is the sum of: a field is not compared with itself
	values    int // in all, counted for each argument, as those may repeat a name
	sets      []ast.SelectionSet
}

func (g *merged) add(m *meter, f *ast.Field) {
	own := 1 + len(f.Arguments)
	g.fields++
	g.arguments += own
	g.squares += own * own
	g.values += (m.arguments(f.Arguments) - len(f.Arguments)) * len(f.Arguments)
	if len(f.SelectionSet) > 0 {
		g.sets = append(g.sets, f.SelectionSet)
	}
}

func (g *merged) cost() int {
	return (g.arguments*g.arguments-g.squares)/2 + (g.fields-1)*g.values
}

func (c *comparisons) level(sets []ast.SelectionSet) {
	groups := map[string]*merged{}
	nodes, spreads := 0, 0
	var collect func(ast.SelectionSet)
	collect = func(set ast.SelectionSet) {
		for _, s := range set {
			nodes++
			switch x := s.(type) {
			case *ast.Field:
				g := groups[x.Alias]
				if g == nil {
					g = &merged{}
					groups[x.Alias] = g
				}
				g.add(c.meter, x)
			case *ast.InlineFragment:
				collect(x.SelectionSet)
			case *ast.FragmentSpread:
				spreads++
				if f := c.fragments[x.Name]; f != nil {
					collect(f.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		collect(set)
	}
	c.cost += spreads * nodes // fragments are compared with one another, and with every field beside them
	for _, g := range groups {
		c.cost += g.cost()
		if len(g.sets) > 0 && c.cost <= maxComparison {
			c.level(g.sets)
		}
	}
}
