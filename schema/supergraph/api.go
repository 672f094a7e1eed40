package supergraph

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// inaccessibleDefinition declares @inaccessible in the planning schema.
const inaccessibleDefinition = "directive @inaccessible on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION\n"

// API prints the schema without the machinery of the composition. Clients see
// it without what is @inaccessible; a planner needs those elements too, since
// keys and requirements may use them.
func (s *Supergraph) API(withInaccessible bool) string {
	p := apiPrinter{s: s, all: withInaccessible}
	if withInaccessible && s.doc.Directives.ForName("inaccessible") != nil {
		p.b.WriteString(inaccessibleDefinition)
	}
	s.printRoots(&p.b, func(string) bool { return true })
	for _, d := range s.Definitions() {
		if !p.hidden(d.Directives) {
			p.definition(d)
		}
	}
	for _, d := range s.doc.Directives {
		p.directive(d)
	}
	return p.b.String()
}

type apiPrinter struct {
	s   *Supergraph
	all bool // inaccessible elements too
	b   strings.Builder
}

// hidden says whether an element with these directives is left out.
func (p *apiPrinter) hidden(list ast.DirectiveList) bool {
	return !p.all && list.ForName("inaccessible") != nil
}

// visible is names without the types that are left out.
func (p *apiPrinter) visible(names []string) []string {
	var out []string
	for _, n := range names {
		if d := p.s.definitions[n]; d == nil || !p.hidden(d.Directives) {
			out = append(out, n)
		}
	}
	return out
}

// keep prints the directives of the given names. @inaccessible stays in the
// planning schema: the resolver turns inaccessible enum values and type names
// into null.
func (p *apiPrinter) keep(list ast.DirectiveList, names ...string) {
	for _, d := range list {
		if slices.Contains(names, d.Name) || (d.Name == "inaccessible" && p.all) {
			p.b.WriteString(" " + printDirective(d))
		}
	}
}

func (p *apiPrinter) definition(d *ast.Definition) {
	p.b.WriteString(keyword(d.Kind) + " " + d.Name)
	if list := p.visible(d.Interfaces); len(list) > 0 {
		p.b.WriteString(" implements " + strings.Join(list, " & "))
	}
	p.keep(d.Directives, "oneOf", "specifiedBy")
	switch {
	case d.Kind == ast.Union:
		p.b.WriteString(" = " + strings.Join(p.visible(d.Types), " | "))
	case d.Kind == ast.Enum:
		p.b.WriteString(" {\n")
		for _, v := range d.EnumValues {
			if !p.hidden(v.Directives) {
				p.b.WriteString("  " + v.Name)
				p.keep(v.Directives, "deprecated")
				p.b.WriteString("\n")
			}
		}
		p.b.WriteString("}")
	case hasFields(d.Kind):
		p.b.WriteString(" {\n")
		for _, f := range d.Fields {
			if !p.hidden(f.Directives) {
				p.field(f)
			}
		}
		p.b.WriteString("}")
	}
	p.b.WriteString("\n")
}

func (p *apiPrinter) field(f *ast.FieldDefinition) {
	p.b.WriteString("  " + f.Name)
	printParameters(&p.b, f.Arguments, p.hidden)
	p.b.WriteString(": " + f.Type.String() + defaultValue(f.DefaultValue))
	p.keep(f.Directives, "deprecated")
	p.b.WriteString("\n")
}

// executable are the locations at which a client may write a directive.
var executable = []ast.DirectiveLocation{
	ast.LocationQuery, ast.LocationMutation, ast.LocationSubscription, ast.LocationField,
	ast.LocationFragmentDefinition, ast.LocationFragmentSpread, ast.LocationInlineFragment, ast.LocationVariableDefinition,
}

// directive prints the definition of a directive that clients may write.
// Those of the GraphQL specification are left out: a reader adds its own.
func (p *apiPrinter) directive(d *ast.DirectiveDefinition) {
	if machinery(d.Name) || slices.Contains([]string{"link", "core", "skip", "include", "defer", "stream"}, d.Name) {
		return
	}
	var locations []string
	for _, l := range d.Locations {
		if slices.Contains(executable, l) {
			locations = append(locations, string(l))
		}
	}
	if len(locations) == 0 {
		return
	}
	p.b.WriteString("directive @" + d.Name)
	printParameters(&p.b, d.Arguments, nil)
	if d.IsRepeatable {
		p.b.WriteString(" repeatable")
	}
	p.b.WriteString(" on " + strings.Join(locations, " | ") + "\n")
}
