package cdnsource

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/planwarm/planwarm/manifest"
)

// ErrName says that a name cannot be part of a key.
var ErrName = errors.New("invalid name")

const (
	maxNameLen     = 100
	maxPrefixLen   = 256
	sequenceDigits = 20
)

// CheckName reports whether a name of a namespace, graph, instance or
// organization is safe as one part of a key: ASCII letters, digits and
// single . _ - @ between them, at most 100. So no name is hidden, climbs up,
// or hides another one.
func CheckName(name string) error {
	if name == "" || len(name) > maxNameLen {
		return fmt.Errorf("check name: %w: 1 to %d characters", ErrName, maxNameLen)
	}
	for i := range len(name) {
		c := name[i]
		edge := i == 0 || i == len(name)-1
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case !edge && (c == '_' || c == '-' || c == '@'):
		case !edge && c == '.' && name[i+1] != '.':
		default:
			return fmt.Errorf("check name: %w: letters, digits, and . _ - @ between them", ErrName)
		}
	}
	return nil
}

// CheckGraph reports whether both names of a graph are safe.
func CheckGraph(g manifest.Graph) error {
	if err := CheckName(g.Namespace); err != nil {
		return fmt.Errorf("namespace: %w", err)
	}
	if err := CheckName(g.Name); err != nil {
		return fmt.Errorf("graph: %w", err)
	}
	return nil
}

// cleanPrefix returns a prefix without slashes around it.
func cleanPrefix(prefix string) (string, error) {
	prefix = strings.Trim(prefix, "/")
	if prefix == "" {
		return "", nil
	}
	if len(prefix) > maxPrefixLen {
		return "", fmt.Errorf("prefix: %w: at most %d characters", ErrName, maxPrefixLen)
	}
	for part := range strings.SplitSeq(prefix, "/") {
		if err := CheckName(part); err != nil {
			return "", fmt.Errorf("prefix: %w", err)
		}
	}
	return prefix, nil
}

// keys are the keys of one graph.
type keys struct{ base string }

func (s *Store) keys(g manifest.Graph) (keys, error) {
	if err := CheckGraph(g); err != nil {
		return keys{}, err
	}
	return keys{base: s.namespacePrefix(g.Namespace) + g.Name + "/"}, nil
}

func (s *Store) namespacePrefix(namespace string) string {
	if s.prefix == "" {
		return namespace + "/"
	}
	return s.prefix + "/" + namespace + "/"
}

func (k keys) pointer() string   { return k.base + "latest.json" }
func (k keys) pins() string      { return k.base + "pins.json" }
func (k keys) versions() string  { return k.base + "versions/" }
func (k keys) telemetry() string { return k.base + "telemetry/" }
func (k keys) pending() string   { return k.base + "pending.json" }

func (k keys) version(sequence uint64) string {
	return fmt.Sprintf("%s%0*d.json", k.versions(), sequenceDigits, sequence)
}

func (k keys) checkpoint(instance string) string { return k.telemetry() + instance + checkpointSuffix }

// sequenceOf reads the number out of a version's key. Whatever else lies
// there, such as a temporary file that a killed server left, is not a version.
func (k keys) sequenceOf(key string) (uint64, bool) {
	digits, ok := strings.CutPrefix(key, k.versions())
	if !ok {
		return 0, false
	}
	digits, ok = strings.CutSuffix(digits, ".json")
	if !ok || len(digits) != sequenceDigits {
		return 0, false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0
}
