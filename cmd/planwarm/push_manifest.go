package main

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
)

// cosmoManifest is the part of Cosmo's operations.json that is read; planwarm's
// own manifest is one as well.
type cosmoManifest struct {
	Format     *string `json:"format"`
	Operations []struct {
		Request manifest.Request `json:"request"`
		Client  *manifest.Client `json:"client"`
	} `json:"operations"`
}

// manifest reads the operations of a JSON file.
func (r *operationReader) manifest(name string, data []byte) {
	m, err := decodeOperations(data)
	if err != nil {
		r.fail(withCode(exitRefused, fmt.Errorf("%s: %w", name, err)))
		return
	}
	// First in a manifest is most worth warming, last pushed is on top.
	for i, o := range slices.Backward(m.Operations) {
		at := fmt.Sprintf("%s operations[%d]", name, i)
		sources, err := schema.ParseDocument(at, []byte(o.Request.Query))
		if err != nil {
			r.fail(err)
			continue
		}
		s, ok := choose(sources, o.Request.OperationName)
		if !ok {
			r.fail(choiceFault(at, "the text has no operation of that name"))
			continue
		}
		// The request is kept whole: what it is sent with is what it is planned for.
		s = schema.Source{File: at, Name: s.Name, Type: s.Type, Text: o.Request.Query, Line: 1}
		r.operations = append(r.operations, pushed{source: s, request: o.Request, client: o.Client})
	}
	if len(m.Operations) == 0 {
		r.fail(choiceFault(name, "the manifest has no operation"))
	}
}

func decodeOperations(data []byte) (cosmoManifest, error) {
	var m cosmoManifest
	err := json.Unmarshal(data, &m)
	switch {
	case err == nil && m.Format != nil:
		if _, err := manifest.DecodeBytes(data); err != nil {
			return m, fmt.Errorf("%w (persisted-operation manifests are not read: push GraphQL documents)", err)
		}
		return m, nil
	case !json.Valid(data):
		return m, fmt.Errorf("%w: not one JSON document", manifest.ErrMalformed)
	case err != nil || m.Operations == nil:
		return m, fmt.Errorf("%w: neither planwarm's nor Cosmo's manifest (persisted-operation manifests are not read: push GraphQL documents)", manifest.ErrFormat)
	}
	return m, check(m)
}

// check looks for what the format of manifests does not allow.
func check(m cosmoManifest) error {
	if len(m.Operations) > manifest.MaxEntries {
		return fmt.Errorf("%w: %d operations, at most %d", manifest.ErrTooLarge, len(m.Operations), manifest.MaxEntries)
	}
	for i, o := range m.Operations {
		e := manifest.Entry{Request: o.Request, Client: o.Client, Planwarm: manifest.Details{Source: manifest.SourceManual, Type: manifest.Query}}
		if err := e.Validate(); err != nil {
			return fmt.Errorf("operations[%d]: %w", i, err)
		}
	}
	return nil
}
