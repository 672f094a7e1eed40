package planhttp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
)

// maxTokens bounds the work of parsing one operation.
const maxTokens = 100_000

// Kind is the type of the operation that a router would pick from a document.
type Kind uint8

// The kinds, the more dangerous the later.
const (
	Query Kind = iota
	Mutation
	Subscription
)

// String is the keyword of the kind.
func (k Kind) String() string {
	switch k {
	case Mutation:
		return "mutation"
	case Subscription:
		return "subscription"
	default:
		return "query"
	}
}

// Operation is what the text of an operation says of it. What a caller says is
// not enough to send something that could be executed.
type Operation struct {
	Name     string // "" for an anonymous one
	Kind     Kind
	Required []string // variables that are not null and have no default
	Deferred bool     // @defer stands somewhere in the document
	Meta     bool     // nothing is asked for but the schema and root type names: there is nothing to plan
}

// LeftOut returns the required variables that are missing when only conditions
// are sent. No GraphQL server executes an operation that misses one.
func (o Operation) LeftOut(conditions map[string]bool) []string {
	var out []string
	for _, name := range o.Required {
		if _, sent := conditions[name]; !sent {
			out = append(out, name)
		}
	}
	return out
}

// Read reads an operation out of the text itself. Errors wrap
// planner.ErrInvalid and name no text.
func Read(query, operationName string) (Operation, error) {
	if len(query) > manifest.MaxQueryBytes {
		return Operation{}, fmt.Errorf("%w: %d bytes of text", planner.ErrInvalid, len(query))
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, maxTokens)
	if err != nil {
		return Operation{}, fmt.Errorf("%w: the text does not parse", planner.ErrInvalid)
	}
	var o Operation
	found := 0
	for _, op := range doc.Operations {
		if operationName != "" && op.Name != operationName {
			continue
		}
		found++
		o.Name = op.Name
		switch op.Operation {
		case ast.Mutation:
			o.Kind = max(o.Kind, Mutation)
		case ast.Subscription:
			o.Kind = Subscription
		}
		for _, v := range op.VariableDefinitions {
			if v.Type.NonNull && v.DefaultValue == nil {
				o.Required = append(o.Required, v.Variable)
			}
		}
		o.Deferred = o.Deferred || deferred(op.SelectionSet)
		o.Meta = meta(op.SelectionSet, doc.Fragments, map[string]bool{})
	}
	if found != 1 {
		return Operation{}, fmt.Errorf("%w: the name selects %d operations", planner.ErrInvalid, found)
	}
	for _, f := range doc.Fragments {
		o.Deferred = o.Deferred || deferred(f.SelectionSet)
	}
	return o, nil
}

// deferred looks for @defer. Fragments are looked at on their own, each once.
func deferred(set ast.SelectionSet) bool {
	return slices.ContainsFunc(set, func(s ast.Selection) bool {
		switch x := s.(type) {
		case *ast.Field:
			return deferred(x.SelectionSet)
		case *ast.InlineFragment:
			return x.Directives.ForName("defer") != nil || deferred(x.SelectionSet)
		case *ast.FragmentSpread:
			return x.Directives.ForName("defer") != nil
		}
		return false
	})
}

// meta says whether all root fields are those of introspection. Each fragment is
// entered once, so that a cycle ends.
func meta(set ast.SelectionSet, fragments ast.FragmentDefinitionList, seen map[string]bool) bool {
	return !slices.ContainsFunc(set, func(s ast.Selection) bool {
		switch x := s.(type) {
		case *ast.Field:
			return !strings.HasPrefix(x.Name, "__")
		case *ast.InlineFragment:
			return !meta(x.SelectionSet, fragments, seen)
		case *ast.FragmentSpread:
			f := fragments.ForName(x.Name)
			if f == nil || seen[x.Name] {
				return false
			}
			seen[x.Name] = true
			return !meta(f.SelectionSet, fragments, seen)
		}
		return false
	})
}
