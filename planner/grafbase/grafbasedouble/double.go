// Package grafbasedouble plays a Grafbase gateway as far as its operation cache
// goes: the key is the text and the operation name, and only what is executed
// is kept. A request that it refuses has no data, and one whose subgraph refuses
// the values has data that is null, as grafbase 0.103 was seen to answer. It
// counts what reaches the subgraphs. It is for tests.
package grafbasedouble

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Execution is one operation that reached the subgraphs.
type Execution struct {
	Query, OperationName string
	Kind                 ast.Operation
	Client               string
}

// Double is an http.Handler for the GraphQL endpoint.
type Double struct {
	schema *ast.Schema

	mu       sync.Mutex
	nulls    bool
	cache    map[[2]string]bool
	executed []Execution
	bodies   []string
}

var _ http.Handler = (*Double)(nil)

// New returns a Double with an empty cache.
func New(sdl string) (*Double, error) {
	sc, err := gqlparser.LoadSchema(&ast.Source{Input: sdl})
	if err != nil {
		return nil, err
	}
	return &Double{schema: sc, cache: map[[2]string]bool{}}, nil
}

// SetNulls makes subgraphs refuse the values, so that data itself is null.
func (d *Double) SetNulls(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nulls = on
}

// Cached says whether a client that sends this finds its plan.
func (d *Double) Cached(text, operationName string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cache[[2]string{text, operationName}]
}

// Entries is how many plans are in the cache.
func (d *Double) Entries() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.cache)
}

// Executed returns what reached the subgraphs.
func (d *Double) Executed() []Execution {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Execution(nil), d.executed...)
}

// Bodies returns the requests as they came.
func (d *Double) Bodies() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.bodies...)
}

// ServeHTTP answers one request.
func (d *Double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Query         string         `json:"query"`
		OperationName string         `json:"operationName"`
		Variables     map[string]any `json:"variables"`
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil || json.Unmarshal(body, &req) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bodies = append(d.bodies, string(body))
	doc, errs := gqlparser.LoadQueryWithRules(d.schema, req.Query, rules.NewDefaultRules())
	var op *ast.OperationDefinition
	if len(errs) == 0 {
		op = doc.Operations.ForName(req.OperationName)
	}
	if op == nil {
		say(w, `{"errors":[{"message":"invalid","extensions":{"code":"OPERATION_VALIDATION_ERROR"}}]}`)
		return
	}
	if _, err := validator.VariableValues(d.schema, op, req.Variables); err != nil {
		say(w, `{"errors":[{"message":"Variable is missing","extensions":{"code":"VARIABLE_ERROR"}}]}`)
		return
	}
	d.cache[[2]string{req.Query, req.OperationName}] = true
	if touches(op.SelectionSet) {
		d.executed = append(d.executed, Execution{
			Query: req.Query, OperationName: req.OperationName, Kind: op.Operation, Client: r.Header.Get("X-Grafbase-Client-Name"),
		})
	}
	if d.nulls {
		say(w, `{"data":null,"errors":[{"message":"no such id","extensions":{"code":"SUBGRAPH_ERROR"}}]}`)
		return
	}
	say(w, `{"data":{"__typename":"Query"}}`)
}

// touches says whether a subgraph is asked at all.
func touches(set ast.SelectionSet) bool {
	for _, s := range set {
		if f, ok := s.(*ast.Field); !ok || !strings.HasPrefix(f.Name, "__") {
			return true
		}
	}
	return false
}

func say(w io.Writer, body string) { _, _ = io.WriteString(w, body) } // the client may be gone
