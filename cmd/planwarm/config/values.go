package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Duration is a time.Duration written as "5m".
type Duration time.Duration

// UnmarshalYAML reads a Go duration.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil {
		if n.Value == "0" {
			*d = 0
			return nil
		}
		return fault(n, "a duration such as 30s, 5m or 168h")
	}
	*d = Duration(v)
	return nil
}

// fault is a TypeError, so that the decoder goes on and collects the rest.
func fault(n *yaml.Node, want string) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q is not %s", n.Line, n.Value, want)}}
}

// MarshalYAML writes a Go duration.
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Bytes is a size written as "64MiB".
type Bytes int64

var units = []struct {
	suffix string
	size   float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}

// UnmarshalYAML reads a number of bytes with an optional unit.
func (b *Bytes) UnmarshalYAML(n *yaml.Node) error {
	number, size := n.Value, 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(n.Value, u.suffix); ok {
			number, size = rest, u.size
			break
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(v) || v < 0 || v*size > 1<<53 {
		return fault(n, "a size such as 512KiB or 64MiB")
	}
	*b = Bytes(v * size)
	return nil
}

// MarshalYAML writes the size with the largest binary unit that divides it.
func (b Bytes) MarshalYAML() (any, error) {
	for _, u := range []struct {
		suffix string
		size   Bytes
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if b >= u.size && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.suffix, nil
		}
	}
	return strconv.FormatInt(int64(b), 10), nil
}
