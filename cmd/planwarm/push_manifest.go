package main

import (
	"fmt"
	"slices"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
)

// manifest reads the operations of a manifest of planwarm's.
func (r *operationReader) manifest(name string, data []byte) {
	m, err := manifest.DecodeBytes(data)
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
		r.operations = append(r.operations, pushed{source: s, request: o.Request, client: o.Client, profiles: namedProfiles(o)})
	}
	if len(m.Operations) == 0 {
		r.fail(choiceFault(name, "the manifest has no operation"))
	}
}
