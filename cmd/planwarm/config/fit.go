package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fit takes everything out of a document that does not fit t and names it with
// its line and key: unknown keys, and values of another type. The decoder would
// drop a whole graph for one bad value in it, and its other faults with it.
func fit(n *yaml.Node, t reflect.Type, path string) (faults Faults) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.DocumentNode:
		for _, c := range n.Content {
			faults = append(faults, fit(c, t, path)...)
		}
	case n.Tag == "!!null":
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		n.Content = keep(n.Content, 1, func(i int, c []*yaml.Node) bool {
			fs, ok := fits(c[0], t.Elem(), fmt.Sprintf("%s[%d]", path, i))
			faults = append(faults, fs...)
			return ok
		})
	case t.Kind() == reflect.Map && n.Kind == yaml.MappingNode:
		n.Content = keep(n.Content, 2, func(_ int, c []*yaml.Node) bool {
			fs, ok := fits(c[1], t.Elem(), path+"."+c[0].Value)
			faults = append(faults, fs...)
			return ok
		})
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		fields := fieldsOf(t)
		n.Content = keep(n.Content, 2, func(_ int, c []*yaml.Node) bool {
			at := strings.TrimPrefix(path+"."+c[0].Value, ".")
			ft, known := fields[c[0].Value]
			if !known {
				faults = append(faults, fmt.Errorf("line %d: %s: unknown key", c[0].Line, at))
				return false
			}
			fs, ok := fits(c[1], ft, at)
			faults = append(faults, fs...)
			return ok
		})
	}
	return faults
}

// fits says whether a value can be decoded as t once fit has cleaned it.
func fits(n *yaml.Node, t reflect.Type, path string) (Faults, bool) {
	faults := fit(n, t, path)
	err := n.Decode(reflect.New(t).Interface())
	if err == nil {
		return faults, true
	}
	var te *yaml.TypeError
	if errors.As(err, &te) && len(te.Errors) > 0 {
		_, what, _ := strings.Cut(te.Errors[0], ": ")    // it begins with "line N: "
		if strings.HasPrefix(what, "cannot unmarshal") { // into a type of Go, which says nothing to people
			what = notA(n, t)
		}
		return append(faults, fmt.Errorf("line %d: %s: %s", n.Line, path, what)), false
	}
	return append(faults, fmt.Errorf("line %d: %s: %w", n.Line, path, err)), false
}

// notA says that a node is no value of type t.
func notA(n *yaml.Node, t reflect.Type) string {
	want := "a text"
	switch t.Kind() {
	case reflect.Bool:
		want = "true or false"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		want = "a whole number"
	case reflect.Float64:
		want = "a number"
	case reflect.Slice:
		want = "a list"
	case reflect.Struct, reflect.Map:
		want = "a mapping of keys"
	}
	if n.Kind == yaml.ScalarNode {
		return fmt.Sprintf("%q is not %s", n.Value, want)
	}
	return "is not " + want
}

// keep filters nodes in groups of size.
func keep(nodes []*yaml.Node, size int, ok func(i int, group []*yaml.Node) bool) []*yaml.Node {
	var kept []*yaml.Node
	for i := 0; i+size <= len(nodes); i += size {
		if group := nodes[i : i+size]; ok(i/size, group) {
			kept = append(kept, group...)
		}
	}
	return kept
}

func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type, t.NumField())
	for i := range t.NumField() {
		fields[t.Field(i).Tag.Get("yaml")] = t.Field(i).Type
	}
	return fields
}
