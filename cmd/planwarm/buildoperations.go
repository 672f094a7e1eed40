package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
)

// operationEndings are the files of a folder that are taken for operations.
var operationEndings = []string{".graphql", ".gql"}

// givenOperations are the operations of --operations.
type givenOperations struct {
	list []givenOperation
	at   time.Time // the newest that a manifest was generated
}

type givenOperation struct {
	request manifest.Request
	client  *manifest.Client
}

// readOperations reads GraphQL documents and manifests.
func readOperations(paths []string) (givenOperations, error) {
	var out givenOperations
	for _, path := range paths {
		data, err := readInputFile(path, manifest.MaxBytes)
		if err != nil {
			return out, err
		}
		if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(trimmed) {
			err = out.addManifest(trimmed)
		} else {
			err = out.addDocument(path, data)
		}
		if err != nil {
			return out, refusedDocument(path, err)
		}
	}
	if len(out.list) > manifest.MaxEntries {
		return out, withCode(exitRefused, fmt.Errorf("%d operations, at most %d", len(out.list), manifest.MaxEntries))
	}
	return out, nil
}

func (g *givenOperations) addDocument(path string, data []byte) error {
	sources, err := schema.ParseDocument(path, data)
	if err != nil {
		return err
	}
	for _, s := range sources {
		g.list = append(g.list, givenOperation{request: manifest.Request{OperationName: s.Name, Query: s.Text}})
	}
	return nil
}

// addManifest takes a manifest of planwarm's, or one as Cosmo writes it, which
// names no format.
func (g *givenOperations) addManifest(data []byte) error {
	var head struct {
		Format     string `json:"format"`
		Operations []struct {
			Request manifest.Request `json:"request"`
			Client  *manifest.Client `json:"client"`
		} `json:"operations"`
	}
	if err := json.Unmarshal(data, &head); err != nil || head.Operations == nil {
		return errors.New("neither a GraphQL document nor a manifest")
	}
	if head.Format == "" {
		for _, o := range head.Operations {
			g.list = append(g.list, givenOperation{o.Request, o.Client})
		}
		return nil
	}
	m, err := manifest.DecodeBytes(data)
	if err != nil {
		return err
	}
	for _, e := range m.Operations {
		g.list = append(g.list, givenOperation{e.Request, e.Client})
	}
	if m.GeneratedAt.After(g.at) {
		g.at = m.GeneratedAt
	}
	return nil
}

// pins are the operations as if pushed at that time, each once.
func (g *givenOperations) pins(at time.Time) []manifest.Pin {
	var out []manifest.Pin
	seen := map[string]bool{}
	for _, o := range g.list {
		id := manifest.PinID(o.request)
		if seen[id] {
			continue
		}
		seen[id] = true
		out = append(out, manifest.Pin{ID: id, Request: o.request, Client: o.client, PushedAt: at})
	}
	return out
}
