// Package hookdouble plays a gateway with planwarm's plug-in in its process, in
// every good and bad way that was seen on real ones (deploy/*/test) or can stand
// in front of one. It counts what a real one would have executed. It is for
// tests.
package hookdouble

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/planwarm/planwarm/planner/planhttp"
)

// Mode is how the gateway behaves.
type Mode uint8

// The modes.
const (
	// Honoured: the plug-in is there. A right token is planned, a wrong one is 403.
	Honoured Mode = iota
	// NotInstalled: the gateway knows no token, and executes.
	NotInstalled
	// FailingSubgraphs: it executes, every subgraph fails, and the answer has
	// errors and no data, as Hive Gateway's has then.
	FailingSubgraphs
	// NotWired: the plug-in of Apollo Gateway without didResolveQueryPlan.
	NotWired
	// StateOnly: the question is answered, everything else is executed: another
	// plug-in answers before ours, or the canary is the only thing that works.
	StateOnly
	// BadCanary: the plug-in names a mutation as its canary.
	BadCanary
	// AnyToken: what answers is no plug-in of ours: it takes every token.
	AnyToken
	// Busy: too many operations wait: 503 with Retry-After.
	Busy
	// Starting: 404, its endpoint is not there yet.
	Starting
	// Broken: a 500 without a GraphQL answer.
	Broken
	// Redirect: a proxy in front sends everybody elsewhere, where it executes.
	Redirect
	// HTML: a login page answers with 200.
	HTML
	// Huge: it executes, and the data has 10 MB.
	Huge
	// HugeExtensions: 10 MB that prove nothing until they end.
	HugeExtensions
	// Slow: no answer until the client is gone.
	Slow
)

const hugeBytes = 10 << 20

// Options configure a Double.
type Options struct {
	Mode  Mode
	Token string
	// Refuse is a part of the text of operations that the gateway cannot plan.
	Refuse string
	// Crash is a part of the text of operations on which it fails with a 500.
	Crash string
	// TTL is how long a document stays in the parse cache; 0: for ever.
	TTL time.Duration
	// Names is whether the plug-in names a canary.
	Names bool
	// Delay is how long planning takes.
	Delay time.Duration
}

// Execution is one operation that was executed.
type Execution struct {
	Query    string
	Mutation bool
	Subgraph bool // it needed a subgraph: more than __typename
}

type document struct {
	since time.Time
	names map[string]bool
}

// Double is an http.Handler.
type Double struct {
	mu         sync.Mutex
	o          Options
	start      int
	schema     int
	documents  map[string]document
	plannings  int
	executed   []Execution
	requests   []*http.Request
	bodies     []Body
	underWay   int
	mostAtOnce int
}

// Body is what a request asked for.
type Body struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
}

var _ http.Handler = (*Double)(nil)

// New returns a Double.
func New(o Options) *Double {
	return &Double{o: o, start: 1, schema: 1, documents: map[string]document{}}
}

// SetMode changes the mode without a reload.
func (d *Double) SetMode(m Mode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.o.Mode = m
}

// Reload loads another schema: all plans are gone.
func (d *Double) Reload() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.schema++
	clear(d.documents)
}

// Restart starts the process anew.
func (d *Double) Restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start, d.schema = d.start+1, 1
	clear(d.documents)
}

// Executed returns what was executed.
func (d *Double) Executed() []Execution {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.executed)
}

// Plannings counts the calls of the gateway's planner.
func (d *Double) Plannings() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.plannings
}

// Bodies returns what was asked for, Requests the requests themselves.
func (d *Double) Bodies() []Body {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.bodies)
}

// Requests returns the requests, without bodies.
func (d *Double) Requests() []*http.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.requests)
}

// MostAtOnce is the largest number of operations that were planned at once.
func (d *Double) MostAtOnce() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mostAtOnce
}

// ServeHTTP answers /graphql, /metrics and /readiness.
func (d *Double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/metrics":
		d.metrics(w)
		return
	case "/readiness":
		d.readiness(w)
		return
	}
	var b Body
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	d.mu.Lock()
	d.requests, d.bodies = append(d.requests, r), append(d.bodies, b)
	o := d.o
	d.mu.Unlock()
	if d.inFront(w, r, o, b) {
		return
	}
	token := r.Header.Get("X-Planwarm-Token")
	switch {
	case token == "" || o.Mode == NotInstalled || o.Mode == FailingSubgraphs || o.Mode == Huge:
		d.execute(w, o, b)
	case token != o.Token && o.Mode != AnyToken:
		fail(w, http.StatusForbidden, "PLANWARM_REFUSED")
	case o.Mode == NotWired:
		fail(w, http.StatusNotImplemented, "PLANWARM_NOT_PLANNED")
	case typenameOnly(b.Query):
		d.answer(w, o, map[string]any{"planned": false})
	case o.Mode == StateOnly:
		d.execute(w, o, b)
	default:
		d.plan(w, o, b)
	}
}

// inFront answers what never reaches the plug-in.
func (d *Double) inFront(w http.ResponseWriter, r *http.Request, o Options, b Body) bool {
	switch o.Mode {
	case Busy:
		w.Header().Set("Retry-After", "7")
		fail(w, http.StatusServiceUnavailable, "PLANWARM_BUSY")
	case Starting:
		http.NotFound(w, r)
	case Broken:
		http.Error(w, "broken", http.StatusInternalServerError)
	case Redirect:
		w.Header().Set("Location", "http://elsewhere.test/graphql")
		w.WriteHeader(http.StatusTemporaryRedirect)
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, "<html>log in</html>")
	case HugeExtensions:
		_, _ = fmt.Fprintf(w, `{"extensions":{"planwarm":{"planned":true,"generation":"x","pad":%q}}}`, strings.Repeat("x", hugeBytes))
	case Slow:
		<-r.Context().Done()
	default:
		return o.Crash != "" && strings.Contains(b.Query, o.Crash) && d.crash(w)
	}
	return true
}

func (d *Double) crash(w http.ResponseWriter) bool {
	fail(w, http.StatusInternalServerError, "INTERNAL_SERVER_ERROR")
	return true
}

func (d *Double) plan(w http.ResponseWriter, o Options, b Body) {
	op, err := planhttp.Read(b.Query, b.OperationName)
	if err != nil || o.Refuse != "" && strings.Contains(b.Query, o.Refuse) {
		fail(w, http.StatusUnprocessableEntity, "PLANWARM_NOT_PLANNED")
		return
	}
	if op.Kind == planhttp.Subscription {
		fail(w, http.StatusUnprocessableEntity, "PLANWARM_NOT_PLANNED")
		return
	}
	hit, age := d.keep(b, o.TTL)
	if !hit && o.Delay > 0 {
		d.enter(1)
		time.Sleep(o.Delay)
		d.enter(-1)
	}
	d.answer(w, o, map[string]any{"planned": true, "hit": hit, "ms": 1.5, "ageMs": float64(age) / float64(time.Millisecond)})
}

func (d *Double) enter(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.underWay += n
	d.mostAtOnce = max(d.mostAtOnce, d.underWay)
}

// keep is the plan cache: by text, then by the name that was sent; it ends with
// the document, an age after it came, used or not.
func (d *Double) keep(b Body, ttl time.Duration) (hit bool, age time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	doc, ok := d.documents[b.Query]
	if !ok || ttl > 0 && time.Since(doc.since) > ttl {
		doc = document{since: time.Now(), names: map[string]bool{}}
		d.documents[b.Query] = doc
	}
	hit = doc.names[b.OperationName]
	if !hit {
		d.plannings++
		doc.names[b.OperationName] = true
	}
	return hit, time.Since(doc.since)
}

func (d *Double) answer(w http.ResponseWriter, o Options, state map[string]any) {
	d.mu.Lock()
	state["generation"] = fmt.Sprintf("start%d.%d", d.start, d.schema)
	d.mu.Unlock()
	if o.Names {
		state["canary"] = "query PlanwarmCanary{products{__typename}}"
	}
	if o.Mode == BadCanary {
		state["canary"] = "mutation { clear }"
	}
	write(w, http.StatusOK, map[string]any{"extensions": map[string]any{"planwarm": state}})
}

// execute is what every GraphQL server does: without a required variable nothing.
func (d *Double) execute(w http.ResponseWriter, o Options, b Body) {
	op, err := planhttp.Read(b.Query, b.OperationName)
	if err != nil {
		fail(w, http.StatusBadRequest, "GRAPHQL_VALIDATION_FAILED")
		return
	}
	for _, name := range op.Required {
		if _, sent := b.Variables[name]; !sent {
			if !typenameOnly(b.Query) {
				d.keep(b, o.TTL) // Hive Gateway plans before it looks at variables
			}
			write(w, http.StatusOK, map[string]any{"errors": []any{map[string]any{"message": "variable"}}})
			return
		}
	}
	d.mu.Lock()
	d.executed = append(d.executed, Execution{Query: b.Query, Mutation: op.Kind == planhttp.Mutation, Subgraph: !typenameOnly(b.Query)})
	d.mu.Unlock()
	switch {
	case o.Mode == FailingSubgraphs && !typenameOnly(b.Query):
		write(w, http.StatusOK, map[string]any{"errors": []any{map[string]any{"message": "down"}}})
	case o.Mode == Huge:
		write(w, http.StatusOK, map[string]any{"data": map[string]any{"x": strings.Repeat("x", hugeBytes)}})
	default:
		write(w, http.StatusOK, map[string]any{"data": map[string]any{"__typename": "Query"}})
	}
}

func (d *Double) metrics(w http.ResponseWriter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _ = fmt.Fprintf(w, "graphql_envelop_schema_change{schema=\"x\"} %d\n", d.schema)
}

func (d *Double) readiness(w http.ResponseWriter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.o.Mode == Starting {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// typenameOnly is for the texts of our own canaries.
func typenameOnly(query string) bool {
	_, body, _ := strings.Cut(query, "{")
	return strings.HasPrefix(strings.TrimSpace(body), "__typename")
}

func fail(w http.ResponseWriter, status int, code string) {
	write(w, status, map[string]any{"errors": []any{map[string]any{"message": "no", "extensions": map[string]any{"code": code}}}})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
