package supergraph

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// Subgraph is one subgraph as far as the supergraph tells it.
type Subgraph struct {
	Graph
	Types []*Type // in the order of the supergraph

	byName map[string]*Type
}

// Type is the type of that name, or nil when the subgraph does not have it.
func (g *Subgraph) Type(name string) *Type { return g.byName[name] }

// Type is a type as one subgraph defines it.
type Type struct {
	Name string
	Kind ast.DefinitionKind // an object for an interface object
	Keys []Key
	// InterfaceObject: the subgraph has an object for what is an interface elsewhere.
	InterfaceObject bool
	// Extension: the subgraph extends a type that another one owns (Federation 1).
	Extension  bool
	Implements []string
	Members    []string // of a union
	Values     []string // of an enum
	Fields     []*Field

	byName map[string]*Field
}

// Field is the field of that name, or nil when the subgraph does not have it.
func (t *Type) Field(name string) *Field { return t.byName[name] }

// Key is one @key of a type in one subgraph.
type Key struct {
	Fields     string // canonical field set
	Resolvable bool
}

// Field is a field as one subgraph defines it.
type Field struct {
	Def *ast.FieldDefinition // as the supergraph has it
	// Type is the type in this subgraph; it may be stricter than the supergraph's.
	Type     *ast.Type
	External bool
	Requires string // field set, may be empty
	Provides string // field set, may be empty
}

// Subgraphs recovers every subgraph, in the order of Graphs. labels says which
// labels of progressive overrides are on: each set of labels is a set of
// subgraphs of its own.
func (s *Supergraph) Subgraphs(labels map[string]bool) ([]*Subgraph, error) {
	out := make([]*Subgraph, 0, len(s.Graphs))
	for _, graph := range s.Graphs {
		sub := &Subgraph{Graph: graph, byName: map[string]*Type{}}
		for _, d := range s.Definitions() {
			t, err := s.typeIn(d, graph.Enum, labels)
			if err != nil {
				return nil, fmt.Errorf("recover subgraph %s: %w", graph.Name, err)
			}
			if t != nil {
				sub.Types = append(sub.Types, t)
				sub.byName[t.Name] = t
			}
		}
		out = append(out, sub)
	}
	return out, nil
}

// typeIn is d as the subgraph graph defines it, nil when it does not.
func (s *Supergraph) typeIn(d *ast.Definition, graph string, labels map[string]bool) (*Type, error) {
	t := &Type{Name: d.Name, Kind: d.Kind, byName: map[string]*Field{}}
	in, keyed, err := s.readType(t, d, graph)
	if err != nil {
		return nil, err
	}
	if !in && !(s.v01 && s.IsRoot(d.Name)) {
		return nil, nil
	}
	if t.InterfaceObject {
		t.Kind = ast.Object
	}
	s.readMembers(t, d, graph)
	for _, def := range d.Fields {
		f, err := s.fieldIn(d, def, graph, labels, keyed[def.Name])
		if err != nil {
			return nil, fmt.Errorf("field %s.%s: %w", d.Name, def.Name, err)
		}
		if f == nil {
			continue
		}
		// Extensions of Federation 1 mark their key fields @external although
		// they always have them: the key comes with the representation.
		if f.External && keyed[def.Name] && t.Extension {
			f.External = false
		}
		t.Fields = append(t.Fields, f)
		t.byName[def.Name] = f
	}
	return t, nil
}

// readType reads @join__type: whether the subgraph has the type, its keys, and
// the names of the fields that are part of one.
func (s *Supergraph) readType(t *Type, d *ast.Definition, graph string) (in bool, keyed map[string]bool, err error) {
	keyed = map[string]bool{}
	list := d.Directives.ForNames("join__type")
	in = len(list) == 0 // a value type of join v0.1
	for _, jt := range list {
		if argument(jt, "graph") != graph {
			continue
		}
		in = true
		t.InterfaceObject = t.InterfaceObject || argument(jt, "isInterfaceObject") == "true"
		t.Extension = t.Extension || argument(jt, "extension") == "true"
		key := argument(jt, "key")
		if key == "" {
			continue
		}
		set, err := ParseFieldSet(key)
		if err != nil {
			return false, nil, fmt.Errorf("key of %s: %w", d.Name, err)
		}
		t.Keys = append(t.Keys, Key{Fields: printSelection(set, true), Resolvable: argument(jt, "resolvable") != "false"})
		for _, name := range topFields(set) {
			keyed[name] = true
		}
	}
	return in, keyed, nil
}

// readMembers reads interfaces, union members and enum values. A list without
// any directive belongs to every subgraph that has the type.
func (s *Supergraph) readMembers(t *Type, d *ast.Definition, graph string) {
	implements := d.Directives.ForNames("join__implements")
	for _, ji := range implements {
		if argument(ji, "graph") == graph {
			t.Implements = append(t.Implements, argument(ji, "interface"))
		}
	}
	if s.v01 && len(implements) == 0 && !t.InterfaceObject {
		t.Implements = d.Interfaces
	}
	members := d.Directives.ForNames("join__unionMember")
	for _, jm := range members {
		if argument(jm, "graph") == graph {
			t.Members = append(t.Members, argument(jm, "member"))
		}
	}
	if len(members) == 0 {
		t.Members = d.Types
	}
	for _, v := range d.EnumValues {
		values := v.Directives.ForNames("join__enumValue")
		in := len(values) == 0
		for _, jv := range values {
			in = in || argument(jv, "graph") == graph
		}
		if in {
			t.Values = append(t.Values, v.Name)
		}
	}
}

// fieldIn is the field as the subgraph graph defines it, nil when it does not.
func (s *Supergraph) fieldIn(d *ast.Definition, def *ast.FieldDefinition, graph string, labels map[string]bool, keyed bool) (*Field, error) {
	f := &Field{Def: def, Type: def.Type}
	list := def.Directives.ForNames("join__field")
	in := len(list) == 0
	if s.v01 {
		if owner := d.Directives.ForName("join__owner"); owner != nil && len(list) == 0 {
			in = argument(owner, "graph") == graph
		}
		in = in || keyed
	}
	for _, jf := range list {
		if argument(jf, "graph") != graph {
			continue
		}
		// Of a progressive override both sides carry the label; only the side
		// that takes over says what it overrides.
		if label := argument(jf, "overrideLabel"); label != "" && (argument(jf, "override") != "") != labels[label] {
			continue
		}
		in = true
		if text := argument(jf, "type"); text != "" {
			typ, err := parseType(text)
			if err != nil {
				return nil, err
			}
			f.Type = typ
		}
		f.External = argument(jf, "external") == "true" || argument(jf, "usedOverridden") == "true"
		f.Requires, f.Provides = argument(jf, "requires"), argument(jf, "provides")
	}
	if !in {
		return nil, nil
	}
	return f, nil
}

// parseType reads a type reference, such as "[Int!]!".
func parseType(text string) (*ast.Type, error) {
	if len(text) > maxFieldSet {
		return nil, fmt.Errorf("parse type: %w: %d bytes, at most %d", ErrTooLarge, len(text), maxFieldSet)
	}
	doc, err := parser.ParseSchema(&ast.Source{Name: "type", Input: "type T { f: " + text + " }"})
	if err != nil {
		return nil, fmt.Errorf("parse type: %w", err)
	}
	if len(doc.Definitions) != 1 || len(doc.Definitions[0].Fields) != 1 {
		return nil, fmt.Errorf("parse type: %q is not one type", text)
	}
	return doc.Definitions[0].Fields[0].Type, nil
}
