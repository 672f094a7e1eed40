package schema

import (
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// lifter replaces the literals of one valid operation by variables, in place.
type lifter struct {
	types      *ast.Schema
	chosen     *chosen
	conditions []string
	taken      map[string]bool   // variable names that exist
	shared     map[string]string // type and literal to the variable that stands for it
	required   map[string]bool   // variables that some position needs to be non-null
	added      ast.VariableDefinitionList
	last       int // number in the last name made up
	changed    bool
}

func newLifter(types *ast.Schema, c *chosen, conditions []string) *lifter {
	l := &lifter{types: types, chosen: c, conditions: conditions,
		taken: map[string]bool{}, shared: map[string]string{}, required: map[string]bool{}}
	for _, v := range c.op.VariableDefinitions {
		l.taken[v.Variable] = true
	}
	return l
}

func (l *lifter) run() {
	l.chosen.op.Directives = l.directives(l.chosen.op.Directives)
	l.set(l.chosen.op.SelectionSet)
	for _, f := range l.chosen.fragments {
		f.Directives = l.directives(f.Directives)
		l.set(f.SelectionSet)
	}
	for _, v := range l.chosen.op.VariableDefinitions {
		l.definition(v)
	}
	defs := append(l.chosen.op.VariableDefinitions, l.added...)
	slices.SortFunc(defs, func(a, b *ast.VariableDefinition) int { return strings.Compare(a.Variable, b.Variable) })
	l.chosen.op.VariableDefinitions = defs
	// Fields and arguments keep their order, which is part of the plan key;
	// the order of fragments is not, as routers expand them.
	slices.SortFunc(l.chosen.fragments, func(a, b *ast.FragmentDefinition) int { return strings.Compare(a.Name, b.Name) })
}

func (l *lifter) set(set ast.SelectionSet) {
	for _, s := range set {
		switch x := s.(type) {
		case *ast.Field:
			for _, a := range x.Arguments {
				if def := x.Definition.Arguments.ForName(a.Name); def != nil {
					a.Value = l.lift(a.Value, def.Type)
				}
			}
			x.Directives = l.directives(x.Directives)
			l.set(x.SelectionSet)
		case *ast.InlineFragment:
			x.Directives = l.directives(x.Directives)
			l.set(x.SelectionSet)
		case *ast.FragmentSpread:
			x.Directives = l.directives(x.Directives)
		}
	}
}

// directives lifts out of directive arguments. What selects the plan stays;
// the label of @defer and @stream goes, as it may be neither a variable nor kept.
func (l *lifter) directives(list ast.DirectiveList) ast.DirectiveList {
	for _, d := range list {
		incremental := d.Name == "defer" || d.Name == "stream"
		if incremental {
			n := len(d.Arguments)
			d.Arguments = slices.DeleteFunc(d.Arguments, func(a *ast.Argument) bool { return a.Name == "label" })
			l.changed = l.changed || len(d.Arguments) < n
		}
		for _, a := range d.Arguments {
			if a.Name == "if" && (incremental || isCondition(d)) {
				continue
			}
			if def := d.Definition.Arguments.ForName(a.Name); def != nil {
				a.Value = l.lift(a.Value, def.Type)
			}
		}
	}
	return list
}

// lift returns what stands in for a value of type t. A value without
// variables is lifted whole; one with variables is entered, so that they survive.
func (l *lifter) lift(v *ast.Value, t *ast.Type) *ast.Value {
	if v.Kind == ast.Variable {
		if t.NonNull {
			l.required[v.Raw] = true
		}
		return v
	}
	if !hasVariable(v) {
		l.changed = true
		return &ast.Value{Kind: ast.Variable, Raw: l.variable(v, t)}
	}
	var fields ast.FieldList
	if def := l.types.Types[t.Name()]; def != nil && def.Kind == ast.InputObject {
		fields = def.Fields
	}
	for _, c := range v.Children {
		// Below a custom scalar nothing has a type of its own. The scalar
		// itself, nullable, takes any value.
		below := ast.NamedType(t.Name(), nil)
		if v.Kind == ast.ListValue && t.Elem != nil {
			below = t.Elem
		} else if f := fields.ForName(c.Name); v.Kind == ast.ObjectValue && f != nil {
			below = f.Type
		}
		c.Value = l.lift(c.Value, below)
	}
	return v
}

// variable returns the name of the variable for a literal. Equal literals of
// one type share a variable: fields that were merged before still have equal arguments.
func (l *lifter) variable(v *ast.Value, t *ast.Type) string {
	key := t.String() + " " + v.String()
	if name, ok := l.shared[key]; ok {
		return name
	}
	name := ""
	for name == "" || l.taken[name] {
		l.last++
		name = "l" + strconv.Itoa(l.last)
	}
	l.taken[name] = true
	l.shared[key] = name
	l.added = append(l.added, &ast.VariableDefinition{Variable: name, Type: t})
	return name
}

// definition takes the values out of a variable's definition.
func (l *lifter) definition(v *ast.VariableDefinition) {
	// Arguments of directives here must be constant: they cannot be lifted.
	// No router plans by these directives, so they go.
	l.changed = l.changed || len(v.Directives) > 0
	v.Directives = nil

	old := v.DefaultValue
	if old == nil || old.Kind == ast.BooleanValue && slices.Contains(l.conditions, v.Variable) {
		return
	}
	v.DefaultValue = l.blank(old, v.Type)
	if v.DefaultValue == nil && l.required[v.Variable] && !v.Type.NonNull {
		// The default is what made a nullable variable good enough there.
		with := *v.Type
		with.NonNull = true
		v.Type = &with
	}
	l.changed = l.changed || v.DefaultValue == nil || v.DefaultValue.String() != old.String() || old.Kind == ast.BlockValue
}

// blank keeps that there is a default, which decides nullability, but not its
// value. It returns nil for an object: its required fields cannot be made up.
func (l *lifter) blank(v *ast.Value, t *ast.Type) *ast.Value {
	if v.Kind == ast.NullValue {
		return v
	}
	if t.Elem != nil {
		return &ast.Value{Kind: ast.ListValue}
	}
	switch v.Kind {
	case ast.BooleanValue:
		return &ast.Value{Kind: ast.BooleanValue, Raw: "false"}
	case ast.IntValue, ast.FloatValue:
		return &ast.Value{Kind: ast.IntValue, Raw: "0"}
	case ast.ObjectValue:
		return nil
	case ast.ListValue: // of a custom scalar
		return &ast.Value{Kind: ast.ListValue}
	}
	if def := l.types.Types[t.Name()]; def != nil && def.Kind == ast.Enum && len(def.EnumValues) > 0 {
		return &ast.Value{Kind: ast.EnumValue, Raw: def.EnumValues[0].Name}
	}
	return &ast.Value{Kind: ast.StringValue}
}

func hasVariable(v *ast.Value) bool {
	if v.Kind == ast.Variable {
		return true
	}
	return slices.ContainsFunc(v.Children, func(c *ast.ChildValue) bool { return hasVariable(c.Value) })
}
