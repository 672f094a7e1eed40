package doctor

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Bounds of a router's configuration.
const (
	MaxBytes = 1 << 20
	maxNodes = 100_000
	maxDepth = 100
	maxMerge = 16 // "<<" within "<<"
)

// What a configuration can be refused for. No error quotes its content.
var (
	ErrTooLarge  = errors.New("configuration is too large")
	ErrMalformed = errors.New("configuration cannot be read")
)

// Document is a router's configuration: YAML, or source code of a gateway that
// is configured in code.
type Document struct {
	root   *yaml.Node // nil for source code and for an empty file
	source string
	lookup func(string) (string, bool)
}

// Read reads a configuration within its bounds. lookup gives the values of
// environment variables; what it does not know stays unknown.
func Read(r io.Reader, lookup func(string) (string, bool)) (*Document, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return &Document{lookup: lookup}, nil
	} else if err != nil {
		return nil, malformed(err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one YAML document", ErrMalformed)
	}
	left := maxNodes
	if err := bound(&doc, 0, &left); err != nil {
		return nil, err
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode && root.Tag != "!!null" {
		return nil, fmt.Errorf("%w: not a YAML mapping", ErrMalformed)
	}
	return &Document{root: root, lookup: lookup}, nil
}

// ReadSource reads the source code in which a gateway is configured.
func ReadSource(r io.Reader) (*Document, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, err
	}
	return &Document{source: comments.ReplaceAllString(string(data), " $1")}, nil
}

// comments finds comments and, so that none is seen inside one, strings.
var comments = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|` + "`(?:\\\\.|[^`\\\\])*`" + `)`)

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxBytes)
	}
	return data, nil
}

var lineNumber = regexp.MustCompile(`line \d+`)

// malformed keeps the line of a YAML error: the rest can quote the file.
func malformed(err error) error {
	at := "somewhere"
	if line := lineNumber.FindString(err.Error()); line != "" {
		at = "at " + line
	}
	return fmt.Errorf("%w: not YAML %s", ErrMalformed, at)
}

// bound refuses what is too deep, too much, or says one thing twice. Aliases
// are not followed, so a few of them cannot stand for a million nodes.
func bound(n *yaml.Node, depth int, left *int) error {
	if *left--; *left < 0 || depth > maxDepth {
		return fmt.Errorf("%w: too many or too deep values at line %d", ErrTooLarge, n.Line)
	}
	if n.Kind == yaml.MappingNode {
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind == yaml.ScalarNode && key.Value != "<<" && seen[key.Value] {
				return fmt.Errorf("%w: line %d: a key is there twice", ErrMalformed, key.Line)
			}
			seen[key.Value] = true
		}
	}
	for _, c := range n.Content {
		if err := bound(c, depth+1, left); err != nil {
			return err
		}
	}
	return nil
}

// reading is one check's look at a document. It notes what could not be told.
type reading struct {
	doc     *Document
	unknown string // key of the first value that could not be told
	why     string
}

func (r *reading) at(keys ...string) value {
	v := value{r: r}
	if r.doc != nil {
		v.n = r.doc.root
	}
	return v.at(keys...)
}

// value is one place in a document, whether there is something or not.
type value struct {
	r    *reading
	n    *yaml.Node
	path string
}

func (v value) at(keys ...string) value {
	for _, k := range keys {
		path := k
		if v.path != "" {
			path = v.path + "." + k
		}
		v = value{r: v.r, n: child(v.n, k, maxMerge), path: path}
	}
	return v
}

// child finds a key of a mapping, also in mappings that are merged into it.
func child(n *yaml.Node, key string, merges int) *yaml.Node {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch n.Content[i].Value {
		case key:
			return n.Content[i+1]
		case "<<":
			if m := resolve(n.Content[i+1]); m != nil && m.Kind == yaml.SequenceNode {
				merged = append(merged, m.Content...)
			} else {
				merged = append(merged, m)
			}
		}
	}
	for _, m := range merged {
		if merges == 0 {
			return nil
		}
		if c := child(m, key, merges-1); c != nil {
			return c
		}
	}
	return nil
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for range maxMerge {
		if n == nil || n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return nil
}

// set says whether something other than null is there.
func (v value) set() bool {
	n := resolve(v.n)
	return n != nil && n.Tag != "!!null"
}

// items are the values of a list.
func (v value) items() []value {
	n := resolve(v.n)
	if n == nil || n.Kind != yaml.SequenceNode {
		if v.set() {
			v.cannotTell("is not a list")
		}
		return nil
	}
	out := make([]value, len(n.Content))
	for i, c := range n.Content {
		out[i] = value{r: v.r, n: c, path: fmt.Sprintf("%s[%d]", v.path, i)}
	}
	return out
}

// keys are the keys of a mapping.
func (v value) keys() []string {
	n := resolve(v.n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var out []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, n.Content[i].Value)
	}
	return out
}

var (
	reference = regexp.MustCompile(`\$\{(?:env\.)?([A-Za-z_][A-Za-z0-9_]*)(?::-?([^}]*))?\}`)
	anyDollar = regexp.MustCompile(`\$\{|\$[A-Za-z_]`)
)

// text is the scalar with environment variables put in; ok is false, and the
// reading knows why, where that cannot be told.
func (v value) text() (s string, ok bool) {
	n := resolve(v.n)
	if n == nil || n.Kind != yaml.ScalarNode {
		v.cannotTell("is computed when the router starts")
		return "", false
	}
	s = n.Value
	if !anyDollar.MatchString(s) {
		return s, true
	}
	known := true
	s = reference.ReplaceAllStringFunc(s, func(ref string) string {
		m := reference.FindStringSubmatch(ref)
		if v.r.doc.lookup != nil {
			if got, set := v.r.doc.lookup(m[1]); set {
				return got
			}
		}
		known = known && strings.Contains(ref, ":")
		return m[2]
	})
	if !known || !reference.MatchString(n.Value) {
		v.cannotTell("is an environment variable that is not set here")
		return "", false
	}
	return s, true
}

func (v value) cannotTell(why string) {
	if v.r.unknown == "" {
		v.r.unknown, v.r.why = v.path, why
	}
}

// str is the scalar, or what the router takes when there is none.
func (v value) str(otherwise string) string {
	if !v.set() {
		return otherwise
	}
	if s, ok := v.text(); ok {
		return s
	}
	return otherwise
}

// scalar reads a value with parse.
func scalar[T any](v value, otherwise T, what string, parse func(string) (T, error)) T {
	if !v.set() {
		return otherwise
	}
	s, ok := v.text()
	if !ok {
		return otherwise
	}
	got, err := parse(strings.TrimSpace(s))
	if err != nil {
		v.cannotTell("is not " + what)
		return otherwise
	}
	return got
}

func (v value) boolean(otherwise bool) bool {
	return scalar(v, otherwise, "true or false", func(s string) (bool, error) {
		switch strings.ToLower(s) {
		case "true", "yes", "on":
			return true, nil
		case "false", "no", "off":
			return false, nil
		}
		return strconv.ParseBool(s)
	})
}

func (v value) number(otherwise float64) float64 {
	return scalar(v, otherwise, "a number", func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
}

func (v value) duration(otherwise time.Duration) time.Duration {
	return scalar(v, otherwise, "a duration", time.ParseDuration)
}
