// Package dryrundouble plays a router that answers dry runs, in every good and
// bad way that is known of one or can stand in front of it. It counts what a
// real one would have executed. It is for tests; the kinds of routers are in
// apollodouble and hivedouble, each of which names the fact behind what it does.
package dryrundouble

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// Request is a GraphQL request as the double got it.
type Request struct {
	Query         string          `json:"query"`
	OperationName string          `json:"operationName"`
	Variables     json.RawMessage `json:"variables"`

	Header http.Header              `json:"-"`
	Body   string                   `json:"-"`
	Doc    *ast.QueryDocument       `json:"-"`
	Op     *ast.OperationDefinition `json:"-"`
}

// Kind is what one kind of router does.
type Kind struct {
	Path      string // of the readiness endpoint
	Header    string // that asks for a dry run
	Extension string // that holds the plan
	Plan      string // the JSON of a plan
	// Key is what the plan cache keys on.
	Key func(Request) string
	// Before refuses a request before planning, After after it: a status and a
	// body, or 0.
	Before, After func(Request) (status int, body string)
	// Metrics writes the lines of the metrics page that tell of reloads.
	Metrics func(w io.Writer, reloads int)
}

// Options configure a Double.
type Options struct {
	Mode  Mode
	Delay time.Duration // of mode Slow
	// ReloadAfter: after so many GraphQL requests the router reloads and is in
	// mode ReloadTo from then on; 0: never.
	ReloadAfter int
	ReloadTo    Mode
	// Refuse says which operations the router cannot plan, by a part of their text.
	Refuse string
	// Token, when set, is the bearer token without which everything is 401.
	Token string
}

// Execution is one operation that was executed.
type Execution struct {
	Query    string
	Mutation bool
	Canary   bool
}

// Double is an http.Handler for the GraphQL endpoint at /, readiness and /metrics.
type Double struct {
	kind Kind

	mu       sync.Mutex
	o        Options
	ready    bool
	reloads  int
	plans    map[string]int // how often each was asked for
	requests []Request
	executed []Execution
}

var _ http.Handler = (*Double)(nil)

// New returns a Double that is ready.
func New(k Kind, o Options) *Double {
	return &Double{kind: k, o: o, ready: true, plans: map[string]int{}}
}

// SetMode changes the mode without a reload.
func (d *Double) SetMode(m Mode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.o.Mode = m
}

// SetReady sets what the readiness endpoint answers.
func (d *Double) SetReady(ready bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ready = ready
}

// Reload empties the plan cache, as another schema does.
func (d *Double) Reload() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reload()
}

func (d *Double) reload() {
	d.reloads++
	clear(d.plans)
}

// Restart is another process: counters begin again.
func (d *Double) Restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reloads = 0
	clear(d.plans)
}

// Executed returns what was executed so far.
func (d *Double) Executed() []Execution {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.executed)
}

// Requests returns the GraphQL requests so far.
func (d *Double) Requests() []Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.requests)
}

// Planned returns how many plans are in the cache.
func (d *Double) Planned() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.plans)
}

// Cached says whether a client that sends this now finds its plan.
func (d *Double) Cached(query, operationName string) bool {
	doc, err := parser.ParseQuery(&ast.Source{Input: query})
	if err != nil {
		return false
	}
	r := Request{Query: query, OperationName: operationName, Doc: doc, Op: doc.Operations.ForName(operationName)}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.plans[d.kind.Key(r)] > 0
}

// ServeHTTP answers one request.
func (d *Double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case d.kind.Path:
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	case "/metrics":
		d.mu.Lock()
		defer d.mu.Unlock()
		d.kind.Metrics(w, d.reloads)
	default:
		d.graphql(w, r)
	}
}

func (d *Double) graphql(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 2<<20))
	var req Request
	if err != nil || json.Unmarshal(body, &req) != nil {
		reply(w, http.StatusBadRequest, `{"errors":[{"message":"invalid request body"}]}`)
		return
	}
	req.Header, req.Body = r.Header.Clone(), string(body)
	o := d.arrived(req)
	if transport(w, r, o) {
		return
	}
	if o.Token != "" && r.Header.Get("Authorization") != "Bearer "+o.Token {
		reply(w, http.StatusUnauthorized, `{"errors":[{"message":"unauthenticated","extensions":{"code":"AUTH_ERROR"}}]}`)
		return
	}
	var perr error
	req.Doc, perr = parser.ParseQuery(&ast.Source{Input: req.Query})
	if perr == nil {
		req.Op = req.Doc.Operations.ForName(req.OperationName)
	}
	if perr != nil || req.Op == nil || o.Refuse != "" && strings.Contains(req.Query, o.Refuse) {
		reply(w, http.StatusBadRequest, `{"errors":[{"message":"invalid","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`)
		return
	}
	if status, text := d.kind.Before(req); status != 0 {
		reply(w, status, text)
		return
	}
	planned := d.plan(req)
	if status, text := d.kind.After(req); status != 0 {
		reply(w, status, text)
		return
	}
	dry := o.Mode.honours() && r.Header.Get(d.kind.Header) == "dry-run"
	if dry && planned {
		d.answerPlan(w, o.Mode)
		return
	}
	d.execute(w, req, o.Mode)
}

// arrived notes a request, and reloads when it is time.
func (d *Double) arrived(r Request) Options {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests = append(d.requests, r)
	if d.o.ReloadAfter > 0 && len(d.requests) == d.o.ReloadAfter+1 {
		d.o.Mode = d.o.ReloadTo
		d.reload()
	}
	return d.o
}

// plan puts the plan into the cache. __typename alone bypasses planning, on
// both kinds of routers, and so does introspection.
func (d *Double) plan(r Request) bool {
	if bypasses(r.Op.SelectionSet) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plans[d.kind.Key(r)]++
	return true
}

func bypasses(set ast.SelectionSet) bool {
	for _, s := range set {
		if f, ok := s.(*ast.Field); !ok || !strings.HasPrefix(f.Name, "__") {
			return false
		}
	}
	return true
}
