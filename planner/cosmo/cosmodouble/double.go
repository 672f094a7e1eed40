// Package cosmodouble plays a Cosmo Router as far as plan-only requests, its
// readiness and its metrics go, in every good and bad way that was seen on the
// real one or can stand in front of it. It counts what a real one would have
// executed. It is for tests.
package cosmodouble

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"
)

// Mode is how the router behaves.
type Mode uint8

// The modes.
const (
	// Allowed: the plan-only header is honoured (dev_mode, or request tracing
	// forced for everybody): the plan is cached, the answer is {"data":null}.
	Allowed Mode = iota
	// Ignored: the header is not allowed, so it is ignored without a sign and
	// the operation executes, mutations included.
	Ignored
	// FailsClosed: the router has a key for X-WG-Token. A right token is
	// honoured, a wrong one is a 400, none at all executes.
	FailsClosed
	// NullRoots: the header is ignored, and every root field resolves to null.
	NullRoots
	// NullData: the header is ignored, and an error made "data" itself null.
	NullData
	// Starting: before its first warm-up the GraphQL endpoint is 404, readiness 503.
	Starting
	// Unavailable: 503 while it restarts.
	Unavailable
	// Limited: 429 with Retry-After.
	Limited
	// Redirect: a proxy in front sends everybody elsewhere, where it executes.
	Redirect
	// HTML: a login page answers with 200.
	HTML
	// Huge: the header is ignored, and the data has 10 MB.
	Huge
	// HugeExtensions: 10 MB that prove nothing until they end.
	HugeExtensions
	// Slow: no answer until Delay has passed or the client is gone.
	Slow
	// Broken: a 500 without a GraphQL answer.
	Broken
)

// HitHeaders is how the router was told to report plan-cache hits.
type HitHeaders uint8

// The ways to report a hit.
const (
	HitNone       HitHeaders = iota // it does not: the default
	HitDebug                        // engine.debug.enable_cache_response_headers
	HitExpression                   // headers.router.response with expressions
)

// hugeBytes is the size of a huge answer.
const hugeBytes = 10 << 20

// Options configure a Double.
type Options struct {
	Mode  Mode
	Token string // the right X-WG-Token in mode FailsClosed
	Hits  HitHeaders
	Delay time.Duration // of mode Slow
	// ReloadAfter: after so many GraphQL requests the router reloads and is in
	// mode ReloadTo from then on; 0: never.
	ReloadAfter int
	ReloadTo    Mode
	// Refuse says which operations the router cannot plan, by a part of their text.
	Refuse string
}

// Execution is one operation that was executed.
type Execution struct {
	Query    string
	Mutation bool
	Subgraph bool // it needed a subgraph: more than __typename
}

// Double is an http.Handler for /graphql, /health/ready and /metrics.
type Double struct {
	mu       sync.Mutex
	o        Options
	key      *ecdsa.PublicKey // from its registration, in place of Options.Token
	ready    bool
	added    int
	plans    map[uint64]bool
	requests []*http.Request // without bodies
	bodies   []string
	executed []Execution
}

var _ http.Handler = (*Double)(nil)

// New returns a Double that is ready.
func New(o Options) *Double {
	return &Double{o: o, ready: o.Mode != Starting, plans: map[uint64]bool{}}
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

// Reload empties the plan cache and puts its counter back, as a changed
// execution config does.
func (d *Double) Reload() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reload()
}

func (d *Double) reload() {
	d.added = 0
	clear(d.plans)
}

// Executed returns what was executed so far.
func (d *Double) Executed() []Execution {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.executed)
}

// Requests returns the headers of the GraphQL requests so far.
func (d *Double) Requests() []http.Header {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]http.Header, len(d.requests))
	for i, r := range d.requests {
		out[i] = r.Header.Clone()
	}
	return out
}

// Bodies returns the bodies of the GraphQL requests so far.
func (d *Double) Bodies() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.bodies)
}

// Planned returns how many plans are in the cache.
func (d *Double) Planned() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.plans)
}

// ServeHTTP answers one request.
func (d *Double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/graphql":
		d.graphql(w, r)
	case "/health/ready":
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	case "/metrics":
		d.metrics(w)
	default:
		http.NotFound(w, r)
	}
}

// metrics writes the lines of the router's Prometheus page that tell of its life.
func (d *Double) metrics(w io.Writer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _ = fmt.Fprintf(w, "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.79529642583e+09\n"+
		"# TYPE go_sched_gomaxprocs_threads gauge\ngo_sched_gomaxprocs_threads 2\n"+
		"# TYPE router_graphql_cache_keys_stats_total counter\n"+
		"router_graphql_cache_keys_stats_total{cache_type=\"plan\",operation=\"added\",wg_router_config_version=\"0\"} %d\n"+
		"router_graphql_cache_keys_stats_total{cache_type=\"plan\",operation=\"evicted\",wg_router_config_version=\"0\"} 0\n", d.added)
}

// request is the body of a GraphQL request.
type request struct {
	Query         string          `json:"query"`
	OperationName string          `json:"operationName"`
	Variables     map[string]bool `json:"variables"`
}

func (d *Double) graphql(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 5<<20)) // the router's own default bound
	var req request
	if err != nil || json.Unmarshal(body, &req) != nil {
		reply(w, http.StatusBadRequest, `{"errors":[{"message":"invalid request body"}]}`)
		return
	}
	d.mu.Lock()
	d.requests = append(d.requests, r)
	d.bodies = append(d.bodies, string(body))
	if d.o.ReloadAfter > 0 && len(d.requests) == d.o.ReloadAfter+1 {
		d.o.Mode = d.o.ReloadTo
		d.reload()
	}
	o := d.o
	d.mu.Unlock()
	if d.transport(w, r, o) {
		return
	}
	doc, perr := parser.ParseQuery(&ast.Source{Input: req.Query})
	if perr != nil || len(doc.Operations) == 0 || o.Refuse != "" && strings.Contains(req.Query, o.Refuse) {
		// Invalid operations are answered 200 with errors and without data.
		reply(w, http.StatusOK, `{"errors":[{"message":"Cannot query field \"gone\" on type \"Query\"."}]}`)
		return
	}
	allowed := o.Mode == Allowed
	if token := r.Header.Get("X-WG-Token"); o.Mode == FailsClosed && token != "" {
		if !d.takes(token, o) {
			reply(w, http.StatusBadRequest, `{"errors":[{"message":"invalid token"}]}`)
			return
		}
		allowed = true
	}
	d.plan(w, doc, req, o.Hits)
	if allowed && r.Header.Get("X-WG-Skip-Loader") == "true" {
		reply(w, http.StatusOK, `{"data":null}`)
		return
	}
	d.execute(w, doc, req, o.Mode)
}

// transport answers in the modes in which no GraphQL is spoken.
func (d *Double) transport(w http.ResponseWriter, r *http.Request, o Options) bool {
	switch o.Mode {
	case Starting:
		http.NotFound(w, r)
	case Unavailable:
		w.WriteHeader(http.StatusServiceUnavailable)
	case Limited:
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	case Redirect:
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>Sign in</title>")
	case HugeExtensions:
		_, _ = io.WriteString(w, `{"extensions":"`)
		_, _ = w.Write(bytes.Repeat([]byte("x"), hugeBytes))
		_, _ = io.WriteString(w, `","data":null}`)
	case Slow:
		select {
		case <-r.Context().Done():
		case <-time.After(o.Delay):
			w.WriteHeader(http.StatusGatewayTimeout)
		}
	case Broken:
		http.Error(w, "stack trace", http.StatusInternalServerError)
	default:
		return false
	}
	return true
}

// plan puts the plan into the cache. Its key ignores layout and operation name;
// each combination of skip and include values is a plan of its own.
func (d *Double) plan(w http.ResponseWriter, doc *ast.QueryDocument, req request, hits HitHeaders) {
	for _, op := range doc.Operations {
		op.Name = ""
	}
	var text strings.Builder
	formatter.NewFormatter(&text, formatter.WithCompacted()).FormatQueryDocument(doc)
	for _, name := range slices.Sorted(maps.Keys(req.Variables)) {
		_, _ = fmt.Fprintf(&text, "\n%s=%v", name, req.Variables[name])
	}
	key := xxhash.Sum64String(text.String())
	d.mu.Lock()
	hit := d.plans[key]
	if !hit {
		d.plans[key] = true
		d.added++
	}
	d.mu.Unlock()
	switch hits {
	case HitDebug:
		w.Header().Set("X-WG-Execution-Plan-Cache", map[bool]string{true: "HIT", false: "MISS"}[hit])
	case HitExpression:
		w.Header().Set("X-Plan-Hit", strconv.FormatBool(hit))
		w.Header().Set("X-Plan-Key", strconv.FormatUint(key, 10))
		w.Header().Set("X-Plan-Time", "756.836µs")
	}
}

// execute counts an execution and answers as if subgraphs had been called.
func (d *Double) execute(w http.ResponseWriter, doc *ast.QueryDocument, req request, m Mode) {
	e := Execution{Query: req.Query}
	var roots []string
	for _, op := range doc.Operations {
		e.Mutation = e.Mutation || op.Operation == ast.Mutation
		for _, s := range op.SelectionSet {
			if f, ok := s.(*ast.Field); ok {
				roots = append(roots, f.Alias)
				e.Subgraph = e.Subgraph || f.Name != "__typename"
			}
		}
	}
	d.mu.Lock()
	d.executed = append(d.executed, e)
	d.mu.Unlock()
	var data strings.Builder
	for i, root := range roots {
		if i > 0 {
			data.WriteByte(',')
		}
		value := `"Query"`
		if m == NullRoots {
			value = "null"
		}
		if m == Huge {
			value = `"` + strings.Repeat("x", hugeBytes) + `"`
		}
		_, _ = fmt.Fprintf(&data, "%q:%s", root, value)
	}
	if m == NullData {
		reply(w, http.StatusOK, `{"errors":[{"message":"Failed to fetch from Subgraph 'catalog'."}],"data":null}`)
		return
	}
	reply(w, http.StatusOK, `{"data":{`+data.String()+`}}`)
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}
