package router

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// errNotServed is the answer before the first warm-up is over.
var errNotServed = errors.New("no graph is served yet")

// nullData is the answer to a plan-only request.
const nullData = `{"data":null}`

// serveGraphQL is the hot path: prepare, plan or take the plan from the cache, execute.
func (r *Router) serveGraphQL(w http.ResponseWriter, req *http.Request) {
	g := r.acquire()
	if g == nil {
		writeError(w, http.StatusNotFound, errNotServed)
		return
	}
	defer g.release()
	o := observation{start: time.Now(), client: clientOf(req.Header), graph: g.version}
	decision := r.opts.decide(req.Header)
	switch decision {
	case refuse:
		r.counters.refused.Add(1)
		writeError(w, http.StatusBadRequest, errToken)
		return
	case ignored:
		r.counters.ignored.Add(1)
	case planOnly:
		o.planOnly = true
	}
	in, status, err := readRequest(w, req)
	if err != nil {
		r.counters.invalid.Add(1)
		writeError(w, status, err)
		return
	}
	// Requests end with their client, and with a router that cannot wait any longer.
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer context.AfterFunc(r.base, cancel)()
	r.answer(ctx, w, req, g, in, &o)
	o.end = time.Now()
	r.observe(o)
}

// answer writes the response of one request and fills in what was observed.
func (r *Router) answer(ctx context.Context, w http.ResponseWriter, req *http.Request, g *graph, in graphQLRequest, o *observation) {
	fail := func(status int, err error) {
		o.status = status
		writeError(w, status, err)
	}
	prepare := g.prepare
	if o.planOnly {
		prepare = g.prepareToPlan
	}
	p, err := prepare(in.Query, in.OperationName, in.Variables)
	if err != nil {
		fail(http.StatusOK, err)
		return
	}
	o.op, o.stages = p.op, p.stages
	if req.Method == http.MethodGet && p.op.kind == "mutation" {
		w.Header().Set("Allow", http.MethodPost)
		fail(http.StatusMethodNotAllowed, errMethod)
		return
	}
	if err := g.plan(ctx, p); err != nil {
		fail(http.StatusOK, err)
		return
	}
	o.planned, o.hit, o.stages = true, p.hit, p.stages
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set(headerPlanCache, map[bool]string{true: "HIT", false: "MISS"}[p.hit])
	header.Set("X-Plan-Hit", strconv.FormatBool(p.hit))
	header.Set("X-Plan-Key", p.op.key)
	header.Set("X-Op-Hash", p.op.hash)
	header.Set("X-Plan-Time", p.stages.plan.String())
	o.status = http.StatusOK
	if o.planOnly {
		_, _ = w.Write([]byte(nullData)) // the client is gone: nobody to tell
		return
	}
	start := time.Now()
	body, began, err := g.execute(ctx, p, req.Header)
	o.stages.execute, o.executed = time.Since(start), began
	if err != nil {
		fail(http.StatusOK, err)
		return
	}
	_, _ = w.Write(body) // the client is gone: nobody to tell
}

// observe tells every counter and exporter of a request that is over.
func (r *Router) observe(o observation) {
	r.counters.request(o)
	if o.planned {
		r.prom.observe(o)
	}
	if o.op.kind != "" {
		r.observer.request(o)
	}
	r.usage.request(o)
}
