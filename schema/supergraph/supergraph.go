// Package supergraph reads a composed supergraph, SDL that carries the
// directives of the join specification, and recovers from it what each
// subgraph defines and what clients see. It plans nothing and opens nothing.
package supergraph

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// Bounds of what Parse accepts. The parser itself bounds the nesting of
// types, values and selections.
const (
	MaxSDL    = 32 << 20 // bytes of SDL
	MaxTokens = 8 << 20  // tokens of SDL
	MaxGraphs = 4096     // subgraphs
)

// Outcomes that a caller acts on.
var (
	// ErrNotSupergraph: the SDL is not a supergraph; it may be a plain schema.
	ErrNotSupergraph = errors.New("not a supergraph: enum join__Graph is missing")
	// ErrTooLarge: the SDL exceeds one of the bounds of this package.
	ErrTooLarge = errors.New("supergraph too large")
)

// Graph is a value of the enum join__Graph: a subgraph as the router knows it.
type Graph struct {
	Enum string // the enum value, unique in the supergraph
	Name string // the name it was published under
	URL  string // its routing URL, may be empty
}

// Supergraph is a parsed supergraph. It is not changed after Parse, so it may
// be shared.
type Supergraph struct {
	Graphs []Graph
	// Labels are the labels of progressive overrides, sorted.
	Labels []string
	// Unsupported names each place that uses a feature which this package does
	// not model, such as "User.price: @fromContext". A plan through one of them
	// differs from the plan of a router that has the feature.
	Unsupported []string

	doc          *ast.SchemaDocument
	definitions  map[string]*ast.Definition
	roots        map[ast.Operation]string
	implementors map[string][]string
	// v01 says that the SDL follows join v0.1, where value types carry no
	// directive and a field without one belongs to the owner of its type.
	v01 bool
}

// Parse reads the SDL of a supergraph.
func Parse(sdl string) (*Supergraph, error) {
	if len(sdl) > MaxSDL {
		return nil, fmt.Errorf("parse supergraph: %w: %d bytes, at most %d", ErrTooLarge, len(sdl), MaxSDL)
	}
	doc, err := parser.ParseSchemaWithLimit(&ast.Source{Name: "supergraph", Input: sdl}, MaxTokens)
	if err != nil {
		return nil, fmt.Errorf("parse supergraph: %w", err)
	}
	s := &Supergraph{
		doc:          doc,
		definitions:  make(map[string]*ast.Definition, len(doc.Definitions)),
		implementors: map[string][]string{},
	}
	for _, d := range doc.Definitions {
		s.definitions[d.Name] = d
	}
	s.readRoots()
	if err := s.readGraphs(); err != nil {
		return nil, fmt.Errorf("parse supergraph: %w", err)
	}
	s.survey()
	return s, nil
}

// Definitions lists the types of the supergraph in its order, without those
// that only describe the composition.
func (s *Supergraph) Definitions() []*ast.Definition {
	out := make([]*ast.Definition, 0, len(s.doc.Definitions))
	for _, d := range s.doc.Definitions {
		if !machinery(d.Name) {
			out = append(out, d)
		}
	}
	return out
}

// Definition is the type of that name as the supergraph has it, or nil.
func (s *Supergraph) Definition(name string) *ast.Definition { return s.definitions[name] }

// Implementors lists the object types that implement an interface in any subgraph.
func (s *Supergraph) Implementors(name string) []string { return s.implementors[name] }

// Root is the name of the root type of an operation type, or "".
func (s *Supergraph) Root(op ast.Operation) string { return s.roots[op] }

// IsRoot says whether the type of that name is a root type.
func (s *Supergraph) IsRoot(name string) bool {
	for _, root := range s.roots {
		if root == name {
			return true
		}
	}
	return false
}

func (s *Supergraph) readRoots() {
	s.roots = map[ast.Operation]string{ast.Query: "Query"}
	for op, name := range map[ast.Operation]string{ast.Mutation: "Mutation", ast.Subscription: "Subscription"} {
		if s.definitions[name] != nil {
			s.roots[op] = name
		}
	}
	for _, list := range []ast.SchemaDefinitionList{s.doc.Schema, s.doc.SchemaExtension} {
		for _, schema := range list {
			for _, o := range schema.OperationTypes {
				s.roots[o.Operation] = o.Type
			}
		}
	}
}

func (s *Supergraph) readGraphs() error {
	enum := s.definitions["join__Graph"]
	if enum == nil || enum.Kind != ast.Enum {
		return ErrNotSupergraph
	}
	if len(enum.EnumValues) > MaxGraphs {
		return fmt.Errorf("%w: %d subgraphs, at most %d", ErrTooLarge, len(enum.EnumValues), MaxGraphs)
	}
	for _, v := range enum.EnumValues {
		d := v.Directives.ForName("join__graph")
		if d == nil {
			return fmt.Errorf("join__Graph.%s: @join__graph is missing", v.Name)
		}
		s.Graphs = append(s.Graphs, Graph{Enum: v.Name, Name: argument(d, "name"), URL: argument(d, "url")})
	}
	return nil
}

// survey collects what depends on all definitions: implementors, labels, the
// version of the join specification, and what is not supported.
func (s *Supergraph) survey() {
	labels := map[string]bool{}
	for _, d := range s.doc.Definitions {
		if d.Directives.ForName("join__owner") != nil {
			s.v01 = true
		}
		if d.Kind == ast.Object {
			for _, i := range d.Interfaces {
				s.implementors[i] = append(s.implementors[i], d.Name)
			}
		}
		s.tellConnectors(d.Name, d.Directives)
		for _, f := range d.Fields {
			s.tellConnectors(d.Name+"."+f.Name, f.Directives)
			for _, jf := range f.Directives.ForNames("join__field") {
				if l := argument(jf, "overrideLabel"); l != "" {
					labels[l] = true
				}
				if jf.Arguments.ForName("contextArguments") != nil {
					s.Unsupported = append(s.Unsupported, d.Name+"."+f.Name+": @fromContext")
				}
			}
		}
	}
	for l := range labels {
		s.Labels = append(s.Labels, l)
	}
	slices.Sort(s.Labels)
}

// tellConnectors records a connector: its subgraph has no GraphQL endpoint, so
// the router plans it by rules of its own.
func (s *Supergraph) tellConnectors(where string, list ast.DirectiveList) {
	for _, d := range list.ForNames("join__directive") {
		if argument(d, "name") == "connect" {
			s.Unsupported = append(s.Unsupported, where+": @connect")
			return
		}
	}
}

// machinery says whether a name belongs to the composition, not to the graph.
func machinery(name string) bool {
	for _, prefix := range []string{"join__", "link__", "core__", "connect__", "federation__"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// argument is the raw value of a directive's argument; null is the same as absent.
func argument(d *ast.Directive, name string) string {
	a := d.Arguments.ForName(name)
	if a == nil || a.Value == nil || a.Value.Kind == ast.NullValue {
		return ""
	}
	return a.Value.Raw
}
