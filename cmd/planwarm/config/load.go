package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxBytes bounds a configuration file.
const MaxBytes = 1 << 20

// Faults are everything that is wrong with a configuration.
type Faults []error

// Error lists the faults, one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, err := range f {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.Is and errors.As the faults.
func (f Faults) Unwrap() []error { return f }

// Load reads and checks a configuration file. A fault of the content is a Faults.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("open configuration: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return Config{}, fmt.Errorf("read configuration %s: %w", path, err)
	}
	if len(data) > MaxBytes {
		return Config{}, fmt.Errorf("read configuration %s: larger than %d bytes", path, MaxBytes)
	}
	c, err := Parse(data, os.LookupEnv)
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s:\n%w", path, err)
	}
	return c, nil
}

// Parse decodes YAML over the defaults and checks it. lookup gives the value
// of ${NAME}; values are put in after the YAML was read, so they cannot change
// its structure. The error is a Faults with every fault found.
func Parse(data []byte, lookup func(string) (string, bool)) (Config, error) {
	c := Default()
	doc, err := readDocument(data)
	if err != nil {
		return c, Faults{err}
	}
	var faults Faults
	faults = append(faults, expand(&doc, lookup)...)
	faults = append(faults, fit(&doc, reflect.TypeFor[Config](), "")...)
	faults = append(faults, decode(&doc, &c)...)
	c.complete()
	faults = append(faults, c.check()...)
	if len(faults) > 0 {
		return c, faults
	}
	return c, nil
}

// readDocument reads the one document of a file: a second one would be dropped
// in silence, with whatever somebody meant by it.
func readDocument(data []byte) (doc yaml.Node, err error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return doc, fmt.Errorf("read YAML: %w", err)
	}
	if len(doc.Content) > 0 && doc.Content[0].Kind != yaml.MappingNode && doc.Content[0].Tag != "!!null" {
		return doc, fmt.Errorf("line %d: the document is not a mapping of keys", doc.Content[0].Line)
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return doc, fmt.Errorf("line %d: a second document begins; one file has one", max(second.Line, 1))
	}
	return doc, nil
}

// decode reads the document; yaml.TypeError carries all faults of one pass.
func decode(doc *yaml.Node, c *Config) Faults {
	if doc.Kind == 0 { // an empty file
		return nil
	}
	err := doc.Decode(c)
	var te *yaml.TypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &te):
		var fs Faults
		for _, e := range te.Errors {
			fs = append(fs, errors.New(e))
		}
		return fs
	}
	return Faults{err}
}

// UnmarshalYAML decodes over the defaults of a graph.
func (g *Graph) UnmarshalYAML(n *yaml.Node) error {
	type plain Graph
	p := plain(DefaultGraph())
	err := n.Decode(&p)
	*g = Graph(p)
	return err
}

// UnmarshalYAML decodes over the defaults of the router's kind.
func (r *Router) UnmarshalYAML(n *yaml.Node) error {
	type plain Router
	var head struct {
		Kind RouterKind `yaml:"kind"`
	}
	_ = n.Decode(&head) // what is wrong with it, decoding it again tells
	p := plain(defaultsOf(head.Kind))
	err := n.Decode(&p)
	*r = Router(p)
	return err
}

var reference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand puts environment variables into scalar values.
func expand(n *yaml.Node, lookup func(string) (string, bool)) (faults Faults) {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "${") {
		n.Value = reference.ReplaceAllStringFunc(n.Value, func(ref string) string {
			name := ref[2 : len(ref)-1]
			v, ok := lookup(name)
			if !ok {
				faults = append(faults, fmt.Errorf("line %d: environment variable %s is not set", n.Line, name))
			}
			return v
		})
		n.Tag = "" // "${PORT}" may stand for a number
		n.Style = 0
	}
	for _, c := range n.Content {
		faults = append(faults, expand(c, lookup)...)
	}
	return faults
}

// complete fills in what depends on the machine or on other values.
func (c *Config) complete() {
	if c.Instance == "" {
		if h, err := os.Hostname(); err == nil {
			c.Instance = h
		} else {
			c.Instance = "planwarm"
		}
	}
	for i := range c.Graphs {
		g := &c.Graphs[i]
		for j := range g.Routers {
			g.Routers[j].cosmo = g.Cosmo
		}
	}
}

// Publishes says whether this process publishes manifests.
func (c Config) Publishes() bool { return c.has(RolePublish) }

// Warms says whether this process warms routers.
func (c Config) Warms() bool { return c.has(RoleWarm) }

func (c Config) has(r Role) bool {
	for _, x := range c.Roles {
		if x == r {
			return true
		}
	}
	return false
}

// Print writes the effective configuration. It has no secrets: they are in
// files that it only names; user information in URLs is left out.
func (c Config) Print(w io.Writer) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(c.redacted()); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return enc.Close()
}
