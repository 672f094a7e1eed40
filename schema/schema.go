// Package schema holds a graph's schema and everything that is decided by it
// alone: whether an operation is valid, what its text looks like once every
// literal has been lifted out, which conditions select its plan, and what a
// new schema breaks.
//
// Operation texts come from strangers, through telemetry. Every bound of this
// package is checked before the work that it bounds, and no error carries a
// literal of an operation.
package schema

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/planwarm/planwarm/schema/supergraph"
)

// MaxBytes is the size up to which Load accepts a schema.
const MaxBytes = 32 << 20

// ErrTooLarge is wrapped by errors about schemas and documents above their bound.
var ErrTooLarge = errors.New("too large")

// Kind says what a schema was loaded from.
type Kind string

// The kinds of schema.
const (
	KindSDL        Kind = "sdl"        // a client schema
	KindSupergraph Kind = "supergraph" // a composed schema with join directives
	KindCosmo      Kind = "cosmo"      // the schema inside a Cosmo execution config
)

// Schema is a graph's schema, parsed. It is immutable and safe for use by
// several goroutines.
type Schema struct {
	id         string
	kind       Kind
	version    string
	flags      int
	clientSDL  string
	supergraph string
	types      *ast.Schema
}

// ID identifies what decides plans: "sha256:<hex>" of the client schema, of
// the whole text for a supergraph, of the engine configuration for Cosmo.
func (s *Schema) ID() string { return s.id }

// Kind says what the schema was loaded from.
func (s *Schema) Kind() Kind { return s.kind }

// Version is the version of a Cosmo execution config, "" for other kinds.
func (s *Schema) Version() string { return s.version }

// FeatureFlags is how many feature flags a Cosmo execution config has; a router
// builds a graph of its own for each.
func (s *Schema) FeatureFlags() int { return s.flags }

// ClientSDL is the schema that clients see.
func (s *Schema) ClientSDL() string { return s.clientSDL }

// Supergraph is the text of the supergraph, "" for other kinds.
func (s *Schema) Supergraph() string { return s.supergraph }

// supergraphMark is what only a supergraph defines.
var supergraphMark = regexp.MustCompile(`(?m)^[ \t]*enum[ \t]+join__Graph\b`)

// Load reads a schema and finds out by itself what it is: SDL, a supergraph,
// or the JSON of a Cosmo execution config.
func Load(data []byte) (*Schema, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("load schema: %w: %d bytes, at most %d", ErrTooLarge, len(data), MaxBytes)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	s, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("load schema: %w", err)
	}
	s.types, err = gqlparser.LoadSchema(&ast.Source{Name: "schema", Input: s.clientSDL})
	if err != nil {
		return nil, fmt.Errorf("load schema: %w", located(err))
	}
	if s.types.Query == nil {
		return nil, errors.New("load schema: no query type")
	}
	return s, nil
}

// read tells the kinds apart and gets the client schema out.
func read(data []byte) (*Schema, error) {
	trimmed := bytes.TrimSpace(data)
	switch {
	case len(trimmed) == 0:
		return nil, errors.New("empty")
	case trimmed[0] == '{':
		return readCosmo(trimmed)
	case supergraphMark.Match(data):
		text := string(data)
		super, err := supergraph.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("read supergraph: %w", err)
		}
		return &Schema{id: digest(data), kind: KindSupergraph, supergraph: text, clientSDL: super.API(false)}, nil
	}
	return &Schema{id: digest(data), kind: KindSDL, clientSDL: string(data)}, nil
}

// readCosmo takes the schema out of an execution config. The rest, which is
// most of it, is not kept.
func readCosmo(data []byte) (*Schema, error) {
	var config struct {
		Version      string          `json:"version"`
		EngineConfig json.RawMessage `json:"engineConfig"`
		FeatureFlags struct {
			ByName map[string]struct{} `json:"configByFeatureFlagName"`
		} `json:"featureFlagConfigs"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("read execution config: %w", err)
	}
	if len(config.EngineConfig) == 0 {
		return nil, errors.New("read execution config: engineConfig is missing")
	}
	var engine struct {
		Schema       string `json:"graphqlSchema"`
		ClientSchema string `json:"graphqlClientSchema"`
	}
	if err := json.Unmarshal(config.EngineConfig, &engine); err != nil {
		return nil, fmt.Errorf("read execution config: engineConfig: %w", err)
	}
	sdl := engine.Schema
	if engine.ClientSchema != "" { // a contract: what clients may use is less than what is planned
		sdl = engine.ClientSchema
	}
	if sdl == "" {
		return nil, errors.New("read execution config: engineConfig.graphqlSchema is missing")
	}
	return &Schema{id: digest(config.EngineConfig), kind: KindCosmo, version: config.Version, flags: len(config.FeatureFlags.ByName), clientSDL: sdl}, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// located puts the position of a schema error before its message.
func located(err error) error {
	var at *gqlerror.Error
	if !errors.As(err, &at) || len(at.Locations) == 0 {
		return err
	}
	return fmt.Errorf("line %d, column %d: %s", at.Locations[0].Line, at.Locations[0].Column, at.Message)
}
