package schema

import (
	"fmt"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// DefaultConditions is how many conditional variables Combinations varies
// when it is not told otherwise: 16 combinations.
const DefaultConditions = 4

// maxConditions bounds what Combinations can be told: 4,096 combinations.
const maxConditions = 12

// placeholder is the alias under which routers of the graphql-go-tools family
// put a __typename where @skip and @include left nothing. Using the same one
// gives the resolved text the plan key of the live request.
const placeholder = "__internal_typename"

// Resolve returns the operation called name with @skip and @include applied
// for the given values of variables, and without the variables and fragments
// that nothing needs any more. A variable without a value takes its default;
// one without either is an error. Literals stay as they are.
func (s *Schema) Resolve(text, name string, conditions map[string]bool) (string, error) {
	c, _, err := s.load(text, name)
	if err != nil {
		return "", err
	}
	r := &resolver{values: map[string]bool{}}
	for _, v := range c.op.VariableDefinitions {
		if d := v.DefaultValue; d != nil && d.Kind == ast.BooleanValue {
			r.values[v.Variable] = d.Raw == "true"
		}
	}
	for variable, value := range conditions {
		r.values[variable] = value
	}
	c.op.SelectionSet = r.set(c.op.SelectionSet)
	for _, f := range c.fragments {
		f.SelectionSet = r.set(f.SelectionSet)
	}
	if r.err != nil {
		return "", r.err
	}
	used := map[string]bool{}
	reach(c.op.SelectionSet, c.byName, used)
	c.fragments = slices.DeleteFunc(c.fragments, func(f *ast.FragmentDefinition) bool { return !used[f.Name] })
	variables := usedVariables(c)
	c.op.VariableDefinitions = slices.DeleteFunc(c.op.VariableDefinitions, func(v *ast.VariableDefinition) bool { return !variables[v.Variable] })
	return printed(c), nil
}

// resolver applies @skip and @include.
type resolver struct {
	values map[string]bool
	err    error
}

func (r *resolver) set(set ast.SelectionSet) ast.SelectionSet {
	if len(set) == 0 {
		return set
	}
	out := make(ast.SelectionSet, 0, len(set))
	for _, s := range set {
		switch x := s.(type) {
		case *ast.Field:
			if x.Directives = r.directives(x.Directives); x.Directives == nil {
				continue
			}
			x.SelectionSet = r.set(x.SelectionSet)
		case *ast.InlineFragment:
			if x.Directives = r.directives(x.Directives); x.Directives == nil {
				continue
			}
			x.SelectionSet = r.set(x.SelectionSet)
		case *ast.FragmentSpread:
			if x.Directives = r.directives(x.Directives); x.Directives == nil {
				continue
			}
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return ast.SelectionSet{&ast.Field{Alias: placeholder, Name: "__typename"}}
	}
	return out
}

// directives returns the other directives of a selection that is selected,
// and nil for one that is not.
func (r *resolver) directives(list ast.DirectiveList) ast.DirectiveList {
	rest := make(ast.DirectiveList, 0, len(list))
	for _, d := range list {
		if !isCondition(d) {
			rest = append(rest, d)
			continue
		}
		if r.value(d.Arguments.ForName("if").Value) == (d.Name == "skip") {
			return nil
		}
	}
	return rest
}

func (r *resolver) value(v *ast.Value) bool {
	if v.Kind != ast.Variable {
		return v.Raw == "true"
	}
	value, ok := r.values[v.Raw]
	if !ok && r.err == nil {
		r.err = fmt.Errorf("resolve conditions: no value for $%s", v.Raw)
	}
	return value
}

// usedVariables returns the variables that some argument needs.
func usedVariables(c *chosen) map[string]bool {
	used := map[string]bool{}
	var value func(*ast.Value)
	value = func(v *ast.Value) {
		if v.Kind == ast.Variable {
			used[v.Raw] = true
		}
		for _, child := range v.Children {
			value(child.Value)
		}
	}
	directives := func(list ast.DirectiveList) {
		for _, d := range list {
			for _, a := range d.Arguments {
				value(a.Value)
			}
		}
	}
	directives(c.op.Directives)
	for _, f := range c.fragments {
		directives(f.Directives)
	}
	eachSelection(c, func(s ast.Selection) {
		directives(directivesOf(s))
		if f, ok := s.(*ast.Field); ok {
			for _, a := range f.Arguments {
				value(a.Value)
			}
		}
	})
	return used
}

// Combinations returns every combination of values of the conditions, in a
// fixed order that starts with all false. At most limit variables vary
// (DefaultConditions when limit is 0, never more than 12); the others, last
// in the order given, stay false. Without conditions there is one empty combination.
func Combinations(conditions []string, limit int) []map[string]bool {
	if limit <= 0 {
		limit = DefaultConditions
	}
	vary := min(len(conditions), limit, maxConditions)
	out := make([]map[string]bool, 0, 1<<vary)
	for bits := range 1 << vary {
		values := make(map[string]bool, len(conditions))
		for i, name := range conditions {
			values[name] = i < vary && bits&(1<<i) != 0
		}
		out = append(out, values)
	}
	return out
}
