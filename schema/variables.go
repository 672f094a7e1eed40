package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// ErrNoValue is wrapped by errors about variables that no value of bounded size fits.
var ErrNoValue = errors.New("no value")

// maxValues bounds the values of one operation's variables: input types that
// need one another twice each grow without end.
const maxValues = 10_000

// Variables returns the smallest values with which the operation called name
// is accepted, as the JSON object that stands under "variables", or nil when it
// needs none. Conditions get the values given for them; of the other variables
// only those that are required get any, made up out of their type alone. No
// literal of the text and no value of a user is ever in it.
func (s *Schema) Variables(text, name string, conditions map[string]bool) (json.RawMessage, error) {
	c, _, err := s.load(text, name)
	if err != nil {
		return nil, err
	}
	m := &maker{types: s.types, open: map[string]bool{}, left: maxValues}
	values := map[string]any{}
	for _, v := range c.op.VariableDefinitions {
		if given, ok := conditions[v.Variable]; ok {
			if v.Type.Name() != "Boolean" || v.Type.Elem != nil {
				return nil, fmt.Errorf("make variables: %w: $%s has a condition and is no Boolean", ErrNoValue, v.Variable)
			}
			values[v.Variable] = given
			continue
		}
		if !v.Type.NonNull || v.DefaultValue != nil {
			continue
		}
		if values[v.Variable], err = m.value(v.Type); err != nil {
			return nil, fmt.Errorf("make variables: $%s: %w", v.Variable, err)
		}
	}
	if len(values) == 0 {
		return nil, nil
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("make variables: %w", err)
	}
	return raw, nil
}

// maker makes values up.
type maker struct {
	types *ast.Schema
	open  map[string]bool // input types that are being made: needing one again is without end
	left  int
}

// value returns the smallest value of a type that is not null.
func (m *maker) value(t *ast.Type) (any, error) {
	if m.left--; m.left < 0 {
		return nil, fmt.Errorf("%w: more than %d values are needed", ErrNoValue, maxValues)
	}
	if t.Elem != nil {
		return []any{}, nil
	}
	def := m.types.Types[t.NamedType]
	if def == nil {
		return nil, fmt.Errorf("%w: unknown type %s", ErrNoValue, t.NamedType)
	}
	switch def.Kind {
	case ast.Scalar:
		return scalar(def.Name), nil
	case ast.Enum:
		return enum(def)
	case ast.InputObject:
		return m.input(def)
	default:
		return nil, fmt.Errorf("%w: %s is no input type", ErrNoValue, def.Name)
	}
}

// enum returns the first value, where possible one that is still in use.
func enum(def *ast.Definition) (any, error) {
	for _, v := range def.EnumValues {
		if v.Directives.ForName("deprecated") == nil {
			return v.Name, nil
		}
	}
	if len(def.EnumValues) == 0 {
		return nil, fmt.Errorf("%w: %s has no values", ErrNoValue, def.Name)
	}
	return def.EnumValues[0].Name, nil
}

func (m *maker) input(def *ast.Definition) (any, error) {
	if m.open[def.Name] {
		return nil, fmt.Errorf("%w: %s needs itself", ErrNoValue, def.Name)
	}
	m.open[def.Name] = true
	defer delete(m.open, def.Name)
	if def.Directives.ForName("oneOf") != nil {
		return m.oneOf(def)
	}
	out := map[string]any{}
	for _, f := range def.Fields {
		if !f.Type.NonNull || f.DefaultValue != nil {
			continue
		}
		v, err := m.value(f.Type)
		if err != nil {
			return nil, err
		}
		out[f.Name] = v
	}
	return out, nil
}

// oneOf gives the first field that has a value: exactly one must be there.
func (m *maker) oneOf(def *ast.Definition) (any, error) {
	err := fmt.Errorf("%w: %s has no fields", ErrNoValue, def.Name)
	for _, f := range def.Fields {
		var v any
		if v, err = m.value(f.Type); err == nil {
			return map[string]any{f.Name: v}, nil
		}
	}
	return nil, err
}

// scalars are plausible values of custom scalars by what their names contain,
// the longer name before the shorter. Routers take custom scalars as they come;
// what is plausible is for those that look closer.
var scalars = []struct {
	part  string
	value any
}{
	{"datetime", "2000-01-01T00:00:00Z"}, {"timestamp", "2000-01-01T00:00:00Z"}, {"date", "2000-01-01"}, {"time", "00:00:00Z"},
	{"duration", "PT0S"}, {"uuid", "00000000-0000-4000-8000-000000000000"}, {"guid", "00000000-0000-4000-8000-000000000000"},
	{"email", "nobody@example.com"}, {"url", "https://example.com/"}, {"uri", "https://example.com/"}, {"phone", "+10000000000"},
	{"json", map[string]any{}}, {"object", map[string]any{}}, {"map", map[string]any{}},
	{"bool", false}, {"id", "0"}, {"string", ""},
	{"positive", 1}, {"int", 0}, {"long", 0}, {"float", 0}, {"decimal", 0}, {"number", 0}, {"money", 0}, {"amount", 0}, {"cent", 0},
	{"percent", 0}, {"second", 0},
}

func scalar(name string) any {
	switch name {
	case "Int", "Float":
		return 0
	case "String":
		return ""
	case "Boolean":
		return false
	case "ID":
		return "0"
	}
	lower := strings.ToLower(name)
	for _, s := range scalars {
		if strings.Contains(lower, s.part) {
			return s.value
		}
	}
	return "0" // reads as a string, and as a number where one is parsed
}
