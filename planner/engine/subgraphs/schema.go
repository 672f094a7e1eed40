package subgraphs

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/planwarm/planwarm/schema/supergraph"
)

// maxSchemaTokens bounds the SDL of one subgraph.
const maxSchemaTokens = 1_000_000

// federation is what every subgraph adds to its own SDL. The union of
// entities is added only when there are some: an empty union is invalid.
const federation = `
scalar _Any
type _Service { sdl: String! }
extend type Query { _service: _Service! }
`

// schema is one subgraph: its types, and which of them are entities.
type schema struct {
	name     string
	sdl      string
	ast      *ast.Schema
	keys     map[string][]ast.SelectionSet // type name -> its keys, in the order of the SDL
	requires map[string]ast.SelectionSet   // "Type.field" -> what a representation must hold
}

// parse reads subgraph SDL. Directives need no declaration: apart from @key,
// which makes an entity, and @requires, without which a field is refused, none
// of them changes an answer, so they are dropped.
func parse(name, sdl string) (*schema, error) {
	doc, err := parser.ParseSchemaWithLimit(&ast.Source{Name: name, Input: sdl}, maxSchemaTokens)
	if err != nil {
		return nil, fmt.Errorf("parse subgraph %s: %w", name, err)
	}
	s := &schema{name: name, sdl: sdl, keys: map[string][]ast.SelectionSet{}, requires: map[string]ast.SelectionSet{}}
	for _, def := range slices.Concat(doc.Definitions, doc.Extensions) {
		if err := s.collect(def); err != nil {
			return nil, fmt.Errorf("parse subgraph %s: %w", name, err)
		}
	}
	own, err := parser.ParseSchema(&ast.Source{Name: "federation", Input: federation + s.entityUnion(), BuiltIn: true})
	if err != nil {
		return nil, fmt.Errorf("parse subgraph %s: %w", name, err)
	}
	prelude, err := parser.ParseSchema(validator.Prelude)
	if err != nil {
		return nil, fmt.Errorf("parse subgraph %s: %w", name, err)
	}
	strip(doc)
	prelude.Merge(doc)
	prelude.Merge(own)
	if s.ast, err = validator.ValidateSchemaDocument(prelude); err != nil {
		return nil, fmt.Errorf("validate subgraph %s: %w", name, err)
	}
	return s, nil
}

// collect remembers the field sets of each @key and @requires of def.
func (s *schema) collect(def *ast.Definition) error {
	for _, d := range def.Directives.ForNames("key") {
		set, err := fieldSet(d)
		if err != nil {
			return fmt.Errorf("read @key of %s: %w", def.Name, err)
		}
		s.keys[def.Name] = append(s.keys[def.Name], set)
	}
	for _, f := range def.Fields {
		d := f.Directives.ForName("requires")
		if d == nil {
			continue
		}
		set, err := fieldSet(d)
		if err != nil {
			return fmt.Errorf("read @requires of %s.%s: %w", def.Name, f.Name, err)
		}
		s.requires[def.Name+"."+f.Name] = set
	}
	return nil
}

// fieldSet is the argument of @key or @requires, in an order that does not
// depend on how this subgraph writes it.
func fieldSet(d *ast.Directive) (ast.SelectionSet, error) {
	fields := d.Arguments.ForName("fields")
	if fields == nil || fields.Value == nil {
		return nil, errors.New("no fields")
	}
	text, err := supergraph.Canonical(fields.Value.Raw)
	if err != nil {
		return nil, err
	}
	return supergraph.ParseFieldSet(text)
}

// entityUnion is the SDL of _Entity and the field that resolves it.
func (s *schema) entityUnion() string {
	if len(s.keys) == 0 {
		return ""
	}
	text := "extend type Query { _entities(representations: [_Any!]!): [_Entity]! }\nunion _Entity ="
	names := make([]string, 0, len(s.keys))
	for name := range s.keys {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text += " | " + name
	}
	return text
}

// strip removes every applied directive and every federation definition that
// the SDL may bring along, so that nothing has to be declared or is declared twice.
func strip(doc *ast.SchemaDocument) {
	doc.Directives, doc.DirectiveExtensions = nil, nil
	for _, sd := range slices.Concat(doc.Schema, doc.SchemaExtension) {
		sd.Directives = nil
	}
	// An extension that only carried @link says nothing any more.
	doc.SchemaExtension = slices.DeleteFunc(doc.SchemaExtension, func(d *ast.SchemaDefinition) bool { return len(d.OperationTypes) == 0 })
	reserved := func(d *ast.Definition) bool {
		return d.Name == "_Any" || d.Name == "_Service" || d.Name == "_Entity" || d.Name == "_FieldSet" || d.Name == "FieldSet"
	}
	doc.Definitions = slices.DeleteFunc(doc.Definitions, reserved)
	for _, def := range slices.Concat(doc.Definitions, doc.Extensions) {
		def.Directives = nil
		def.Fields = slices.DeleteFunc(def.Fields, func(f *ast.FieldDefinition) bool {
			return def.Name == "Query" && (f.Name == "_entities" || f.Name == "_service")
		})
		for _, f := range def.Fields {
			f.Directives = nil
			for _, a := range f.Arguments {
				a.Directives = nil
			}
		}
		for _, v := range def.EnumValues {
			v.Directives = nil
		}
	}
}

// concrete returns the object types of def in the order of their names.
func (s *schema) concrete(def *ast.Definition) []*ast.Definition {
	types := slices.Clone(s.ast.GetPossibleTypes(def))
	slices.SortFunc(types, func(a, b *ast.Definition) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return types
}
