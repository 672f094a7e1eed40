// Package gqlgendouble plays a server that is built with gqlgen as far as the
// cache of documents goes. It parses, validates and coerces with the library
// that gqlgen uses for it, in gqlgen's order, and counts what a real one would
// have executed. It is for tests.
package gqlgendouble

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Options configure a Double.
type Options struct {
	SDL string
	// Lenient executes although a required variable is missing, as something that
	// is no GraphQL server may do.
	Lenient bool
	// Mute hides what errors are about, as an error presenter can.
	Mute bool
}

// Double is an http.Handler for the GraphQL endpoint.
type Double struct {
	schema *ast.Schema

	mu       sync.Mutex
	o        Options
	cache    map[string]bool // documents by their text: facts, "LRU 1000 by query text"
	executed []string
}

var _ http.Handler = (*Double)(nil)

// New returns a Double with an empty cache.
func New(o Options) (*Double, error) {
	sc, err := gqlparser.LoadSchema(&ast.Source{Input: o.SDL})
	if err != nil {
		return nil, err
	}
	return &Double{schema: sc, o: o, cache: map[string]bool{}}, nil
}

// Set changes how the server behaves.
func (d *Double) Set(change func(*Options)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.o)
}

// Cached says whether a document needs no more parsing and validation.
func (d *Double) Cached(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cache[text]
}

// Executed returns the texts that were executed.
func (d *Double) Executed() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.executed...)
}

// ServeHTTP answers one request.
func (d *Double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Query         string         `json:"query"`
		OperationName string         `json:"operationName"`
		Variables     map[string]any `json:"variables"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&req); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	doc, errs := gqlparser.LoadQueryWithRules(d.schema, req.Query, rules.NewDefaultRules())
	if len(errs) > 0 {
		d.refuse(w, errs)
		return
	}
	d.cache[req.Query] = true
	op := doc.Operations.ForName(req.OperationName)
	if op == nil {
		d.refuse(w, gqlerror.List{gqlerror.Errorf("operation not found")})
		return
	}
	if _, err := validator.VariableValues(d.schema, op, req.Variables); err != nil && !d.o.Lenient {
		d.refuse(w, gqlerror.List{gqlerror.WrapIfUnwrapped(err)})
		return
	}
	d.executed = append(d.executed, req.Query)
	_, _ = io.WriteString(w, `{"data":{"__typename":"Query"}}`) // the client may be gone
}

// refuse answers 422, as gqlgen does to faults of the protocol.
func (d *Double) refuse(w http.ResponseWriter, errs gqlerror.List) {
	for _, e := range errs {
		e.Extensions = map[string]any{"code": "GRAPHQL_VALIDATION_FAILED"}
		if d.o.Mute {
			e.Path = nil
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnprocessableEntity)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": errs, "data": nil}) // the client may be gone
}
