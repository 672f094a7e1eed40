package cosmo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/planwarm/planwarm/manifest"
)

// Bounds of a persisted-query manifest.
const (
	MaxPersistedBytes      = 16 << 20
	MaxPersistedOperations = 10_000
)

// What keeps a persisted-query manifest from being read or replaced.
var (
	// ErrPersisted says that a list of persisted operations has faults.
	ErrPersisted = errors.New("invalid list of persisted operations")
	// ErrForeign says that an object was not written by planwarm: replacing it
	// would take operations away that clients are allowed to send.
	ErrForeign = errors.New("the object is a list that planwarm did not write")
)

const (
	persistedVersion = 1
	ownRevision      = "planwarm-" // begins every revision of ours
	maxFaults        = 20          // told of one list
	persistedTokens  = 100_000
)

// PersistedManifest is the object that a Cosmo router polls for its persisted
// operations: their texts by SHA-256.
type PersistedManifest struct {
	Version     int               `json:"version"`
	Revision    string            `json:"revision"`
	GeneratedAt time.Time         `json:"generatedAt"`
	Operations  map[string]string `json:"operations"`
}

// DecodePersisted reads a list of persisted operations: a persisted-query
// manifest, or only its map of texts by SHA-256. It reports every fault, each
// naming its entry and never its text, in one error that wraps ErrPersisted.
func DecodePersisted(data []byte) (map[string]string, error) {
	if len(data) > MaxPersistedBytes {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrPersisted, MaxPersistedBytes)
	}
	var whole struct {
		Version    *int            `json:"version"`
		Operations json.RawMessage `json:"operations"`
	}
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, fmt.Errorf("%w: not a JSON object of operations", ErrPersisted)
	}
	list := data
	if whole.Operations != nil {
		list = whole.Operations
		if whole.Version != nil && *whole.Version != persistedVersion {
			return nil, fmt.Errorf("%w: version %d is not known", ErrPersisted, *whole.Version)
		}
	}
	ops, err := decodeTexts(list)
	if err != nil {
		return nil, err
	}
	var faults []error
	for _, id := range slices.Sorted(maps.Keys(ops)) {
		if err := checkPersisted(id, ops[id]); err != nil {
			faults = append(faults, err)
		}
	}
	if n := len(faults); n > maxFaults {
		faults = append(faults[:maxFaults], fmt.Errorf("and %d more", n-maxFaults))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrPersisted, errors.Join(faults...))
	}
	return ops, nil
}

// decodeTexts reads a JSON object of strings. A key that stands twice is a
// fault, which a map would swallow.
func decodeTexts(data []byte) (map[string]string, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("%w: operations are not a JSON object", ErrPersisted)
	}
	ops := map[string]string{}
	for dec.More() {
		t, err := dec.Token()
		id, ok := t.(string)
		var text string
		if err == nil {
			err = dec.Decode(&text)
		}
		if err != nil || !ok {
			return nil, fmt.Errorf("%w: entry %s is not a text", ErrPersisted, shortID(id))
		}
		if _, twice := ops[id]; twice {
			return nil, fmt.Errorf("%w: entry %s is there twice", ErrPersisted, shortID(id))
		}
		if ops[id] = text; len(ops) > MaxPersistedOperations {
			return nil, fmt.Errorf("%w: more than %d operations", ErrPersisted, MaxPersistedOperations)
		}
	}
	return ops, nil
}

// shortID shows an id, which may be anything, in an error.
func shortID(id string) string {
	const most = 64
	return fmt.Sprintf("%.*q", most, id)
}

func checkPersisted(id, text string) error {
	if want := persistedID(text); id != want {
		return fmt.Errorf("entry %s: the SHA-256 of its text is %s", shortID(id), want)
	}
	if fault := singleOperation(text); fault != "" {
		return fmt.Errorf("entry %s: %s", shortID(id), fault)
	}
	return nil
}

func persistedID(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// singleOperation returns what keeps a document out of a list that has no
// operation names, or "".
func singleOperation(text string) string {
	if len(text) > manifest.MaxQueryBytes {
		return "the text is too long"
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, persistedTokens)
	switch {
	case err != nil:
		return "the text does not parse"
	case len(doc.Operations) != 1:
		return fmt.Sprintf("%d operations in one document: the list has no names to choose by", len(doc.Operations))
	}
	return ""
}

// MergePersisted returns the owner's operations and, as far as there is room,
// those of entries, which come without conditions. left counts the entries that
// cannot be in such a list.
func MergePersisted(own map[string]string, entries []manifest.Entry) (ops map[string]string, left int) {
	ops = maps.Clone(own)
	if ops == nil {
		ops = map[string]string{}
	}
	room := MaxPersistedBytes / 2 // JSON writes a quote as two bytes
	for _, text := range own {
		room -= len(text)
	}
	for _, e := range entries {
		text := e.Request.Query
		id := persistedID(text)
		if _, there := ops[id]; there {
			continue
		}
		if len(ops) >= MaxPersistedOperations || len(text) > room || len(e.Planwarm.Conditions) > 0 || singleOperation(text) != "" {
			left++
			continue
		}
		ops[id] = text
		room -= len(text)
	}
	return ops, left
}

// NextPersisted returns the object that follows current (nil: there is none)
// when it is to hold ops: nil when it holds them already. A revision is never
// used twice, whatever the content was before. The error wraps ErrForeign when
// current was not written by planwarm.
func NextPersisted(current []byte, ops map[string]string, now time.Time) ([]byte, error) {
	var last PersistedManifest
	if current != nil {
		if err := json.Unmarshal(current, &last); err != nil || !strings.HasPrefix(last.Revision, ownRevision) {
			return nil, ErrForeign
		}
		if last.Version == persistedVersion && maps.Equal(last.Operations, ops) {
			return nil, nil
		}
	}
	next := PersistedManifest{Version: persistedVersion, GeneratedAt: now.UTC(), Operations: ops}
	if next.Operations == nil {
		next.Operations = map[string]string{}
	}
	if !next.GeneratedAt.After(last.GeneratedAt) { // a clock that was put back
		next.GeneratedAt = last.GeneratedAt.Add(time.Nanosecond)
	}
	next.Revision = ownRevision + next.GeneratedAt.Format("20060102T150405.000000000Z")
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // texts stay readable, and within their bound
	if err := enc.Encode(next); err != nil {
		return nil, fmt.Errorf("encode persisted operations: %w", err)
	}
	return body.Bytes(), nil
}
