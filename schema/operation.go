package schema

import (
	"bytes"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
)

// Operation is one valid operation.
type Operation struct {
	Name string // "" for an anonymous one
	Type string // query, mutation or subscription
	// Exact is the text as it was given.
	Exact string
	// Canonical is the operation alone, with the fragments that it uses,
	// compact, without any literal: each one is a variable. Names, aliases and
	// the order of fields and arguments are kept, since plans depend on them.
	Canonical string
	// Literals says whether Exact holds anything that Canonical must not: a
	// literal, a variable's default, a comment, a description, or another
	// operation (which may hold any of these).
	Literals bool
	// Conditions are the boolean variables in @skip and @include, sorted.
	Conditions []string
	// Introspection says that the operation asks for nothing but the schema.
	Introspection bool
}

// Parse reads the operation called name out of text, validates it and lifts
// its literals. An empty name is enough when text has one operation. Faults
// of the operation are OperationErrors.
func (s *Schema) Parse(text, name string) (*Operation, error) {
	c, operations, err := s.load(text, name)
	if err != nil {
		return nil, err
	}
	out := &Operation{
		Name:          c.op.Name,
		Type:          string(c.op.Operation),
		Exact:         text,
		Conditions:    conditions(c),
		Introspection: introspects(c.op.SelectionSet, c.byName),
	}
	l := newLifter(s.types, c, out.Conditions)
	l.run()
	out.Literals = l.changed || operations > 1 || hasDescription(c) || hasComment(text)
	out.Canonical = printed(c)
	if err := checkCanonical(c.op, out.Canonical); err != nil {
		return nil, err
	}
	return out, nil
}

// load parses text, chooses an operation and validates it. It also says how
// many operations the text has.
func (s *Schema) load(text, name string) (*chosen, int, error) {
	doc, err := parse(text)
	if err != nil {
		return nil, 0, err
	}
	c, err := choose(doc, name)
	if err != nil {
		return nil, 0, err
	}
	if err := s.validate(c, len(text)); err != nil {
		return nil, 0, err
	}
	return c, len(doc.Operations), nil
}

// oneLine takes the line breaks out of printed text. They are all layout: a
// line break of a string is printed as an escape.
var oneLine = strings.NewReplacer("{\n", "{", "\n}", "}", "\n", " ")

// printed writes the operation and its fragments as compact text.
func printed(c *chosen) string {
	var b bytes.Buffer
	f := formatter.NewFormatter(&b, formatter.WithIndent(""), formatter.WithCompacted(), formatter.WithoutDescription())
	f.FormatQueryDocument(&ast.QueryDocument{Operations: ast.OperationList{c.op}, Fragments: c.fragments})
	return oneLine.Replace(strings.TrimSpace(b.String()))
}

func hasDescription(c *chosen) bool {
	if c.op.Description != "" {
		return true
	}
	for _, v := range c.op.VariableDefinitions {
		if v.Description != "" {
			return true
		}
	}
	return slices.ContainsFunc(c.fragments, func(f *ast.FragmentDefinition) bool { return f.Description != "" })
}

// conditions returns the variables that decide which fields are planned.
func conditions(c *chosen) []string {
	found := map[string]bool{}
	collect := func(list ast.DirectiveList) {
		for _, d := range list {
			if !isCondition(d) {
				continue
			}
			if a := d.Arguments.ForName("if"); a != nil && a.Value.Kind == ast.Variable {
				found[a.Value.Raw] = true
			}
		}
	}
	eachSelection(c, func(s ast.Selection) { collect(directivesOf(s)) })
	out := make([]string, 0, len(found))
	for name := range found {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func isCondition(d *ast.Directive) bool { return d.Name == "skip" || d.Name == "include" }

// eachSelection calls f for each selection of the operation and of its fragments.
func eachSelection(c *chosen, f func(ast.Selection)) {
	var walk func(ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			f(s)
			switch x := s.(type) {
			case *ast.Field:
				walk(x.SelectionSet)
			case *ast.InlineFragment:
				walk(x.SelectionSet)
			}
		}
	}
	walk(c.op.SelectionSet)
	for _, fragment := range c.fragments {
		walk(fragment.SelectionSet)
	}
}

func directivesOf(s ast.Selection) ast.DirectiveList {
	switch x := s.(type) {
	case *ast.Field:
		return x.Directives
	case *ast.InlineFragment:
		return x.Directives
	case *ast.FragmentSpread:
		return x.Directives
	}
	return nil
}

// introspects reports whether a root selection set has no field of the graph.
// There are no cycles: validation is over.
func introspects(set ast.SelectionSet, fragments map[string]*ast.FragmentDefinition) bool {
	for _, s := range set {
		switch x := s.(type) {
		case *ast.Field:
			if !strings.HasPrefix(x.Name, "__") {
				return false
			}
		case *ast.InlineFragment:
			if !introspects(x.SelectionSet, fragments) {
				return false
			}
		case *ast.FragmentSpread:
			if f := fragments[x.Name]; f != nil && !introspects(f.SelectionSet, fragments) {
				return false
			}
		}
	}
	return true
}
