package subgraphs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

const (
	maxQueryTokens = 200_000
	maxValues      = 1_000_000 // fields and items of one answer
)

// errTooLarge: lists nested in lists would make an answer without an end.
var errTooLarge = errors.New("write answer: too many values")

// request is one GraphQL request.
type request struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
}

// execution answers one operation of a validated document.
type execution struct {
	schema *schema
	doc    *ast.QueryDocument
	vars   map[string]any
	buf    bytes.Buffer
	left   int
}

// prepare parses and validates a request and picks its operation.
func (s *schema) prepare(r request) (*execution, *ast.OperationDefinition, gqlerror.List) {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: r.Query}, maxQueryTokens)
	if err != nil {
		return nil, nil, gqlerror.List{gqlerror.WrapIfUnwrapped(err)}
	}
	if errs := validator.ValidateWithRules(s.ast, doc, rules.NewDefaultRules()); len(errs) > 0 {
		return nil, nil, errs
	}
	op := doc.Operations.ForName(r.OperationName)
	switch {
	case op == nil:
		return nil, nil, gqlerror.List{gqlerror.Errorf("find operation: none of that name, or several without one")}
	case op.Operation == ast.Subscription:
		return nil, nil, gqlerror.List{gqlerror.Errorf("execute operation: subscriptions are not served")}
	}
	vars, err := validator.VariableValues(s.ast, op, r.Variables)
	if err != nil {
		return nil, nil, gqlerror.List{gqlerror.WrapIfUnwrapped(err)}
	}
	return &execution{schema: s, doc: doc, vars: vars, left: maxValues}, op, nil
}

// run writes the whole response of op.
func (e *execution) run(op *ast.OperationDefinition) ([]byte, error) {
	root := e.schema.ast.Query
	if op.Operation == ast.Mutation {
		root = e.schema.ast.Mutation
	}
	e.buf.WriteString(`{"data":`)
	// The roots have no identity: a field of a root depends on its name, and on
	// its arguments as far as they are echoed.
	if err := e.object(&object{def: root, identity: "root", own: map[string]any{}}, op.SelectionSet); err != nil {
		return nil, err
	}
	e.buf.WriteByte('}')
	return e.buf.Bytes(), nil
}

// collected are the fields of one response key.
type collected struct {
	key    string
	fields []*ast.Field
}

// collect flattens a selection set for objects of def, in response order.
func (e *execution) collect(def *ast.Definition, sets ...ast.SelectionSet) []*collected {
	var out []*collected
	index := map[string]*collected{}
	var walk func(set ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, sel := range set {
			switch x := sel.(type) {
			case *ast.Field:
				if !e.included(x.Directives) {
					continue
				}
				c := index[x.Alias]
				if c == nil {
					c = &collected{key: x.Alias}
					index[x.Alias] = c
					out = append(out, c)
				}
				c.fields = append(c.fields, x)
			case *ast.InlineFragment:
				if e.included(x.Directives) && e.applies(def, x.TypeCondition) {
					walk(x.SelectionSet)
				}
			case *ast.FragmentSpread:
				if e.included(x.Directives) && e.applies(def, x.Definition.TypeCondition) {
					walk(x.Definition.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		walk(set)
	}
	return out
}

// included evaluates @skip and @include.
func (e *execution) included(ds ast.DirectiveList) bool {
	if d := ds.ForName("skip"); d != nil && d.ArgumentMap(e.vars)["if"] == true {
		return false
	}
	if d := ds.ForName("include"); d != nil && d.ArgumentMap(e.vars)["if"] == false {
		return false
	}
	return true
}

// applies reports whether an object of def matches a type condition.
func (e *execution) applies(def *ast.Definition, condition string) bool {
	if condition == "" || condition == def.Name {
		return true
	}
	abstract := e.schema.ast.Types[condition]
	if abstract == nil {
		return false
	}
	for _, t := range e.schema.ast.GetPossibleTypes(abstract) {
		if t.Name == def.Name {
			return true
		}
	}
	return false
}

func (e *execution) object(o *object, sets ...ast.SelectionSet) error {
	e.buf.WriteByte('{')
	for i, c := range e.collect(o.def, sets...) {
		if i > 0 {
			e.buf.WriteByte(',')
		}
		if err := e.scalar(c.key); err != nil {
			return err
		}
		e.buf.WriteByte(':')
		v, err := e.resolve(o, c.fields[0])
		if err != nil {
			return err
		}
		children := make([]ast.SelectionSet, len(c.fields))
		for j, f := range c.fields {
			children[j] = f.SelectionSet
		}
		if err := e.value(v, children); err != nil {
			return err
		}
	}
	e.buf.WriteByte('}')
	return nil
}

// resolve returns the value of one field of o.
func (e *execution) resolve(o *object, f *ast.Field) (any, error) {
	switch f.Name {
	case "__typename":
		return o.def.Name, nil
	case "__schema", "__type":
		return nil, errors.New("resolve field: introspection is not served, ask for _service")
	case "_service":
		def := e.schema.ast.Types["_Service"]
		return &object{def: def, identity: "service", own: map[string]any{"sdl": e.schema.sdl}}, nil
	case "_entities":
		return e.entities(f)
	}
	if set, ok := e.schema.requires[o.def.Name+"."+f.Name]; ok && !o.holds(set) {
		return nil, fmt.Errorf("resolve field: %s.%s requires what was not sent", o.def.Name, f.Name)
	}
	return e.schema.field(o, f.Definition, f.ArgumentMap(e.vars)), nil
}

// entities resolves the representations of an _entities field.
func (e *execution) entities(f *ast.Field) (any, error) {
	reps, ok := f.ArgumentMap(e.vars)["representations"].([]any)
	if !ok {
		return nil, errors.New("read representations: not a list")
	}
	list := make([]any, len(reps))
	for i, rep := range reps {
		o, err := e.schema.entity(rep)
		if err != nil {
			return nil, err
		}
		list[i] = o
	}
	return list, nil
}

func (e *execution) value(v any, sets []ast.SelectionSet) error {
	if e.left--; e.left < 0 {
		return errTooLarge
	}
	switch x := v.(type) {
	case *object:
		return e.object(x, sets...)
	case []any:
		e.buf.WriteByte('[')
		for i, item := range x {
			if i > 0 {
				e.buf.WriteByte(',')
			}
			if err := e.value(item, sets); err != nil {
				return err
			}
		}
		e.buf.WriteByte(']')
		return nil
	}
	return e.scalar(v)
}

func (e *execution) scalar(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	e.buf.Write(b)
	return nil
}
