package supergraph

import (
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// SDL prints the schema of a subgraph with @key as its only directive: what a
// planner needs in order to write fetches for it.
func (s *Supergraph) SDL(g *Subgraph) string {
	var b strings.Builder
	query := s.roots[ast.Query]
	s.printRoots(&b, func(name string) bool {
		t := g.Type(name)
		return name == query || (t != nil && len(t.Fields) > 0)
	})
	if g.Type(query) == nil {
		fmt.Fprintf(&b, "type %s\n", query)
	}
	for _, t := range g.Types {
		if len(t.Fields) == 0 && hasFields(t.Kind) && t.Name != query {
			continue
		}
		t.print(&b)
	}
	return b.String()
}

func (t *Type) print(b *strings.Builder) {
	b.WriteString(keyword(t.Kind) + " " + t.Name)
	if len(t.Implements) > 0 {
		b.WriteString(" implements " + strings.Join(t.Implements, " & "))
	}
	for _, k := range t.Keys {
		fmt.Fprintf(b, " @key(fields: %q)", k.Fields)
	}
	switch {
	case t.Kind == ast.Union:
		b.WriteString(" = " + strings.Join(t.Members, " | "))
	case t.Kind == ast.Enum:
		b.WriteString(" { " + strings.Join(t.Values, " ") + " }")
	case hasFields(t.Kind) && len(t.Fields) > 0:
		b.WriteString(" {\n")
		for _, f := range t.Fields {
			b.WriteString("  " + f.Def.Name)
			printParameters(b, f.Def.Arguments, nil)
			b.WriteString(": " + f.Type.String() + defaultValue(f.Def.DefaultValue) + "\n")
		}
		b.WriteString("}")
	}
	b.WriteString("\n")
}

// hasFields says whether definitions of a kind have fields.
func hasFields(kind ast.DefinitionKind) bool {
	return kind == ast.Object || kind == ast.Interface || kind == ast.InputObject
}

// keyword is the word that a definition of a kind begins with.
func keyword(kind ast.DefinitionKind) string {
	switch kind {
	case ast.Object:
		return "type"
	case ast.Interface:
		return "interface"
	case ast.InputObject:
		return "input"
	case ast.Enum:
		return "enum"
	case ast.Union:
		return "union"
	}
	return "scalar"
}

// printRoots prints the schema block with the root types that has accepts.
func (s *Supergraph) printRoots(b *strings.Builder, has func(name string) bool) {
	b.WriteString("schema {")
	for _, op := range []ast.Operation{ast.Query, ast.Mutation, ast.Subscription} {
		if name := s.roots[op]; name != "" && has(name) {
			fmt.Fprintf(b, " %s: %s", op, name)
		}
	}
	b.WriteString(" }\n")
}

// printParameters prints argument definitions without those that hidden takes out.
func printParameters(b *strings.Builder, list ast.ArgumentDefinitionList, hidden func(ast.DirectiveList) bool) {
	open := false
	for _, a := range list {
		if hidden != nil && hidden(a.Directives) {
			continue
		}
		if open {
			b.WriteString(", ")
		} else {
			b.WriteString("(")
			open = true
		}
		b.WriteString(a.Name + ": " + a.Type.String() + defaultValue(a.DefaultValue))
	}
	if open {
		b.WriteString(")")
	}
}

func defaultValue(v *ast.Value) string {
	if v == nil {
		return ""
	}
	return " = " + v.String()
}

func printArguments(list ast.ArgumentList) string {
	if len(list) == 0 {
		return ""
	}
	parts := make([]string, len(list))
	for i, a := range list {
		parts[i] = a.Name + ": " + a.Value.String()
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func printDirective(d *ast.Directive) string { return "@" + d.Name + printArguments(d.Arguments) }
