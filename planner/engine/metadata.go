package engine

import (
	"fmt"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/plan"

	"github.com/planwarm/planwarm/schema/supergraph"
)

// metadata collects what the planner needs to know of one subgraph: which
// fields it resolves, by which keys it is entered, and what it requires.
type metadata struct {
	s        *supergraph.Supergraph
	g        *supergraph.Subgraph
	provided provided
	nodes    map[string]*node
	order    []string // of nodes, so that the configuration is always the same
	out      *plan.DataSourceMetadata
}

// node is a type in one subgraph.
type node struct {
	fields   []string
	external []string
	root     bool // reachable from outside: a root type or an entity
	keys     []plan.FederationFieldConfiguration
}

func (n *node) addKey(k plan.FederationFieldConfiguration) bool {
	for _, known := range n.keys {
		if known.SelectionSet == k.SelectionSet {
			return false
		}
	}
	n.keys = append(n.keys, k)
	return true
}

// subgraphMetadata describes g; targets are the keys by which any subgraph
// resolves a type.
func subgraphMetadata(s *supergraph.Supergraph, g *supergraph.Subgraph, targets map[string][]string) (*plan.DataSourceMetadata, error) {
	provided, err := providedFields(g)
	if err != nil {
		return nil, err
	}
	m := &metadata{
		s: s, g: g, provided: provided,
		nodes: map[string]*node{},
		out:   &plan.DataSourceMetadata{Directives: plan.NewDirectiveConfigurations(nil)},
	}
	for _, t := range g.Types {
		if (t.Kind != ast.Object && t.Kind != ast.Interface) || len(t.Fields) == 0 {
			continue
		}
		if err := m.addType(t); err != nil {
			return nil, err
		}
	}
	m.spreadInterfaceObjects()
	if err := m.addImplicitKeys(targets); err != nil {
		return nil, err
	}
	for _, name := range m.order {
		n := m.nodes[name]
		field := plan.TypeField{TypeName: name, FieldNames: n.fields, ExternalFieldNames: n.external}
		if n.root {
			m.out.RootNodes = append(m.out.RootNodes, field)
		} else {
			m.out.ChildNodes = append(m.out.ChildNodes, field)
		}
		m.out.Keys = append(m.out.Keys, n.keys...)
	}
	return m.out, nil
}

func (m *metadata) node(name string) *node {
	n := m.nodes[name]
	if n == nil {
		n = &node{}
		m.nodes[name] = n
		m.order = append(m.order, name)
	}
	return n
}

func (m *metadata) addType(t *supergraph.Type) error {
	n := m.node(t.Name)
	n.root = len(t.Keys) > 0 || m.s.IsRoot(t.Name)
	for _, f := range t.Fields {
		if f.External {
			n.external = append(n.external, f.Def.Name)
		} else {
			n.fields = append(n.fields, f.Def.Name)
		}
		for _, list := range []struct {
			text string
			to   *plan.FederationFieldConfigurations
		}{{f.Requires, &m.out.Requires}, {f.Provides, &m.out.Provides}} {
			if list.text == "" {
				continue
			}
			set, err := supergraph.Tidy(list.text)
			if err != nil {
				return fmt.Errorf("read field set of %s.%s: %w", t.Name, f.Def.Name, err)
			}
			*list.to = append(*list.to, plan.FederationFieldConfiguration{TypeName: t.Name, FieldName: f.Def.Name, SelectionSet: set})
		}
	}
	for _, k := range t.Keys {
		n.addKey(plan.FederationFieldConfiguration{TypeName: t.Name, SelectionSet: k.Fields, DisableEntityResolver: !k.Resolvable})
	}
	if len(t.Keys) > 0 && m.s.Definition(t.Name).Kind == ast.Interface {
		m.addEntityInterface(t)
	}
	return nil
}

// addEntityInterface describes an interface with keys: as such, or as the
// object that stands for it.
func (m *metadata) addEntityInterface(t *supergraph.Type) {
	c := plan.EntityInterfaceConfiguration{InterfaceTypeName: t.Name}
	if t.InterfaceObject {
		c.ConcreteTypeNames = m.s.Implementors(t.Name)
		m.out.InterfaceObjects = append(m.out.InterfaceObjects, c)
		return
	}
	for _, name := range m.s.Implementors(t.Name) {
		if concrete := m.g.Type(name); concrete != nil && slices.Contains(concrete.Implements, t.Name) {
			c.ConcreteTypeNames = append(c.ConcreteTypeNames, name)
		}
	}
	m.out.EntityInterfaces = append(m.out.EntityInterfaces, c)
}

// spreadInterfaceObjects gives every concrete type the fields, keys and
// requirements of the interface object that stands for it.
func (m *metadata) spreadInterfaceObjects() {
	for _, object := range m.out.InterfaceObjects {
		from := m.nodes[object.InterfaceTypeName]
		for _, name := range object.ConcreteTypeNames {
			n := m.node(name)
			n.root = true
			for _, f := range from.fields {
				if !slices.Contains(n.fields, f) {
					n.fields = append(n.fields, f)
				}
			}
			for _, k := range from.keys {
				k.TypeName = name
				n.addKey(k)
			}
			for _, r := range slices.Clone(m.out.Requires) {
				if r.TypeName == object.InterfaceTypeName {
					r.TypeName = name
					m.out.Requires = append(m.out.Requires, r)
				}
			}
		}
	}
}

// addImplicitKeys adds the keys of other subgraphs whose fields this subgraph
// has too: it can hand over an entity without declaring the key.
func (m *metadata) addImplicitKeys(targets map[string][]string) error {
	for _, name := range slices.Clone(m.order) {
		t, n := m.g.Type(name), m.nodes[name]
		if t == nil || t.Kind != ast.Object {
			continue
		}
		want := slices.Clone(targets[name])
		for _, i := range m.s.Definition(name).Interfaces {
			want = append(want, targets[i]...)
		}
		for _, text := range want {
			set, err := supergraph.ParseFieldSet(text)
			if err != nil {
				return fmt.Errorf("read key of %s: %w", name, err)
			}
			ok, conditions := m.supplies(t, set)
			if !ok {
				continue
			}
			added := n.addKey(plan.FederationFieldConfiguration{TypeName: name, SelectionSet: text, DisableEntityResolver: true, Conditions: conditions})
			n.root = n.root || added
		}
	}
	return nil
}

// supplies says whether the fields of t in this subgraph cover a field set, and
// through which @provides when some of them are external.
func (m *metadata) supplies(t *supergraph.Type, set ast.SelectionSet) (bool, []plan.KeyCondition) {
	var conditions []plan.KeyCondition
	for _, sel := range set {
		selected, ok := sel.(*ast.Field)
		if !ok {
			return false, nil
		}
		if selected.Name == "__typename" {
			continue
		}
		f := t.Field(selected.Name)
		if f == nil || len(f.Def.Arguments) > 0 {
			return false, nil
		}
		if f.External {
			paths := m.provided[t.Name+"."+f.Def.Name]
			if len(paths) == 0 {
				return false, nil
			}
			conditions = append(conditions, paths...)
		}
		if len(selected.SelectionSet) == 0 {
			continue
		}
		child := m.g.Type(f.Type.Name())
		if child == nil || child.Kind != ast.Object {
			return false, nil
		}
		ok, more := m.supplies(child, selected.SelectionSet)
		if !ok {
			return false, nil
		}
		conditions = append(conditions, more...)
	}
	return true, conditions
}
