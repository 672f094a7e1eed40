package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/manifest/persisted"
	"github.com/planwarm/planwarm/schema"
)

// refusedEntry is an entry of a persisted-operation file that was not pushed.
// Such files are written by tools and grow old, so one bad entry does not keep
// the others out.
type refusedEntry struct {
	File   string `json:"file"`
	Entry  string `json:"entry,omitempty"` // "" for the whole file
	Reason string `json:"reason"`

	err error // the same for people: it names file and entry itself
}

func (x refusedEntry) Error() string { return x.err.Error() }

// Unwrap is what the schema says of the entry, where that is the reason.
func (x refusedEntry) Unwrap() error { return x.err }

// refuse notes an entry that cannot be used.
func (r *operationReader) refuse(file, entry, reason string) {
	r.refused = append(r.refused, refusedEntry{File: file, Entry: entry, Reason: reason, err: fmt.Errorf("%s %s: %s", file, entry, reason)})
}

// refuseFault notes an entry that the schema, or GraphQL's syntax, refuses.
func (r *operationReader) refuseFault(file, entry string, err error) {
	r.refused = append(r.refused, refusedEntry{File: file, Entry: entry, Reason: err.Error(), err: err})
}

// refusals are the entries that were refused as one error; nil when there are none.
func (r *operationReader) refusals() error {
	errs := make([]error, 0, len(r.refused))
	for _, x := range r.refused {
		errs = append(errs, x)
	}
	return withCode(exitRefused, errors.Join(errs...))
}

// isOwnManifest says whether a JSON document is a manifest of planwarm's, of whichever version.
func isOwnManifest(data []byte) bool {
	var head struct {
		Format any `json:"format"`
	}
	if json.Unmarshal(data, &head) != nil {
		return false // a list
	}
	name, _ := head.Format.(string)
	return strings.HasPrefix(name, "planwarm")
}

// json reads the operations of a JSON file: a manifest, or persisted operations.
func (r *operationReader) json(name string, data []byte) {
	switch {
	case !json.Valid(data):
		r.fail(withCode(exitRefused, fmt.Errorf("%s: %w: not one JSON document", name, manifest.ErrMalformed)))
		return
	case isOwnManifest(data):
		r.manifest(name, data)
		return
	}
	f, err := persisted.Read(name, data)
	if err != nil {
		r.refused = append(r.refused, refusedEntry{File: name, Reason: err.Error(), err: err})
		return
	}
	for _, p := range f.Problems {
		r.refuse(name, p.Entry, p.Reason)
	}
	// What stands first in a list is what matters most, last pushed is on top.
	for _, op := range slices.Backward(f.Operations) {
		r.persisted(name, op)
	}
	if len(f.Operations)+len(f.Problems) == 0 {
		r.refuseFault(name, "", choiceFault(name, "the file has no operation"))
	}
}

func (r *operationReader) persisted(file string, op persisted.Operation) {
	at := file + " " + op.Entry
	sources, err := schema.ParseDocument(at, []byte(op.Text))
	if err != nil {
		r.refuseFault(file, op.Entry, err)
		return
	}
	s, ok := choose(sources, op.Name)
	if !ok {
		r.refuse(file, op.Entry, "the text has no operation of that name")
		return
	}
	// The text is kept whole: what is sent is what it is planned for.
	p := pushed{
		source:  schema.Source{File: at, Name: s.Name, Type: s.Type, Text: op.Text, Line: 1},
		request: manifest.Request{OperationName: op.Sent, Query: op.Text},
		client:  op.Client, file: file, entry: op.Entry,
	}
	if hash := op.SHA256(); hash != "" {
		p.request.Extensions = &manifest.Extensions{PersistedQuery: &manifest.PersistedQuery{SHA256Hash: hash, Version: 1}}
	}
	r.operations = append(r.operations, p)
}

// tellRefused prints what was left out of a push that went through, and turns
// it into the exit code.
func (c *cli) tellRefused(refused []refusedEntry) error {
	if len(refused) == 0 {
		return nil
	}
	if !c.json {
		for _, x := range refused {
			c.warn("not pushed: %s", printableLines(x.err.Error()))
		}
	}
	return &silentError{exitFailed}
}
