package subgraphs

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

const (
	listLength = 2 // items of every list, unless an argument asks for fewer
	keyDepth   = 8 // entities nested in keys, so that keys that need each other end
)

// epoch is the first instant that a DateTime can take.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// object is one value of an object type. Its fields are what it was given
// (arguments, an entity representation), and for the rest a function of its identity.
type object struct {
	def      *ast.Definition
	identity string
	own      map[string]any
}

// newObject makes an object of def. An entity is known by its key and by
// nothing else, so that it has the same fields however it is reached.
func (s *schema) newObject(def *ast.Definition, seed string, own map[string]any, depth int) *object {
	o := &object{def: def, identity: def.Name + ":" + strconv.FormatUint(uint64(sum(seed)), 36), own: own}
	keys := s.keys[def.Name]
	if len(keys) == 0 || depth >= keyDepth {
		return o
	}
	key := keys[0]
	if i := slices.IndexFunc(keys, o.has); i >= 0 {
		key = keys[i]
	}
	var b strings.Builder
	s.writeKey(&b, o, key, depth)
	o.identity = def.Name + "#" + b.String()
	return o
}

// has reports whether o was given all fields of a key.
func (o *object) has(key ast.SelectionSet) bool {
	for _, sel := range key {
		f, ok := sel.(*ast.Field)
		if !ok {
			return false
		}
		v, ok := o.own[f.Name]
		if !ok || v == nil {
			return false
		}
		if child, ok := v.(*object); ok && !child.has(f.SelectionSet) {
			return false
		}
	}
	return true
}

// holds reports whether o was given all fields of a @requires, which may be null.
func (o *object) holds(set ast.SelectionSet) bool {
	for _, sel := range set {
		f, ok := sel.(*ast.Field)
		if !ok {
			continue // of one type among several: not looked into
		}
		v, ok := o.own[f.Name]
		if !ok {
			return false
		}
		if child, ok := v.(*object); ok && !child.holds(f.SelectionSet) {
			return false
		}
	}
	return true
}

// writeKey writes the values of a key, making those that o was not given.
func (s *schema) writeKey(b *strings.Builder, o *object, key ast.SelectionSet, depth int) {
	for _, sel := range key {
		f, ok := sel.(*ast.Field)
		if !ok {
			continue
		}
		def := o.def.Fields.ForName(f.Name)
		if def == nil {
			continue
		}
		if _, ok := o.own[f.Name]; !ok {
			o.own[f.Name] = s.fake(def.Type, o.identity+"."+f.Name, f.Name, nil, depth+1)
		}
		b.WriteString(f.Name)
		b.WriteByte('=')
		if child, ok := o.own[f.Name].(*object); ok {
			b.WriteByte('{')
			s.writeKey(b, child, f.SelectionSet, depth+1)
			b.WriteByte('}')
		} else {
			fmt.Fprintf(b, "%v;", o.own[f.Name])
		}
	}
}

// field returns the value of a field of o.
func (s *schema) field(o *object, def *ast.FieldDefinition, args map[string]any) any {
	if v, ok := o.own[def.Name]; ok && (v != nil || !def.Type.NonNull) {
		return v
	}
	return s.fake(def.Type, o.identity+"."+def.Name, def.Name, args, 0)
}

// fake makes a value of a type from a seed.
func (s *schema) fake(t *ast.Type, seed, field string, args map[string]any, depth int) any {
	if t.Elem != nil {
		list := make([]any, length(args))
		for i := range list {
			list[i] = s.fake(t.Elem, fmt.Sprintf("%s[%d]", seed, i), field, nil, depth)
		}
		return list
	}
	def := s.ast.Types[t.NamedType]
	switch def.Kind {
	case ast.Interface, ast.Union:
		types := s.concrete(def)
		if len(types) == 0 {
			return nil
		}
		def = types[int(sum(seed))%len(types)]
		return s.newObject(def, seed, echo(args, def), depth)
	case ast.Object:
		return s.newObject(def, seed, echo(args, def), depth)
	case ast.Enum:
		return def.EnumValues[int(sum(seed))%len(def.EnumValues)].Name
	}
	return scalar(def.Name, sum(seed), field)
}

// scalar makes a leaf value.
func scalar(typ string, h uint32, field string) any {
	switch typ {
	case "ID":
		return fmt.Sprintf("%s-%d", field, h%500)
	case "Int":
		return int(h % 100)
	case "Float":
		return float64(h%10000) / 100
	case "Boolean":
		return h%2 == 0
	case "DateTime":
		return epoch.Add(time.Duration(h%31536000) * time.Second).Format(time.RFC3339)
	}
	return fmt.Sprintf("%s %d", field, h%1000)
}

// echo takes the arguments that are called like a field of the result:
// product(id: "p1") has the id p1.
func echo(args map[string]any, def *ast.Definition) map[string]any {
	own := map[string]any{}
	for name, v := range args {
		if def.Fields.ForName(name) == nil {
			continue
		}
		switch v.(type) {
		case string, bool, int, int64, float64, json.Number:
			own[name] = v
		}
	}
	return own
}

// length is the number of items of a list, which first or last can lower.
func length(args map[string]any) int {
	for _, name := range []string{"first", "last"} {
		if n, err := strconv.Atoi(fmt.Sprint(args[name])); err == nil {
			return max(0, min(n, listLength))
		}
	}
	return listLength
}

// entity makes the object that a representation stands for.
func (s *schema) entity(rep any) (*object, error) {
	m, ok := rep.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("read representation: not an object")
	}
	name, _ := m["__typename"].(string)
	if len(s.keys[name]) == 0 {
		return nil, fmt.Errorf("read representation: its __typename is no entity of this subgraph")
	}
	return s.ingest(s.ast.Types[name], m, 0), nil
}

// ingest turns the JSON of (a part of) a representation into an object.
func (s *schema) ingest(def *ast.Definition, m map[string]any, depth int) *object {
	own := make(map[string]any, len(m))
	for name, v := range m {
		f := def.Fields.ForName(name)
		if f == nil {
			continue
		}
		own[name] = s.ingestValue(s.ast.Types[f.Type.Name()], v, depth+1)
	}
	// encoding/json writes maps in the order of their keys: a stable seed.
	seed, err := json.Marshal(m)
	if err != nil {
		seed = []byte(def.Name)
	}
	return s.newObject(def, string(seed), own, depth)
}

func (s *schema) ingestValue(def *ast.Definition, v any, depth int) any {
	switch x := v.(type) {
	case map[string]any:
		if name, ok := x["__typename"].(string); ok && s.ast.Types[name] != nil {
			def = s.ast.Types[name]
		}
		if def.Kind != ast.Object {
			return v
		}
		return s.ingest(def, x, depth)
	case []any:
		list := make([]any, len(x))
		for i := range x {
			list[i] = s.ingestValue(def, x[i], depth)
		}
		return list
	}
	return v
}

// sum is the only source of "randomness".
func sum(text string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text)) // a hash never fails
	// FNV of short texts that differ at the end has poor low bits.
	v := h.Sum32()
	v ^= v >> 15
	v *= 0x2c1b3c6d
	v ^= v >> 12
	return v & 0x7fffffff // stays positive as an int of any size
}
