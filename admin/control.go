package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
	"go.uber.org/zap"
)

// Sidecar is what control asks for.
type Sidecar interface {
	Status() warmer.Status
	Recompute(ctx context.Context, graph manifest.Graph) (warmer.PublishReport, error)
	Trigger(ctx context.Context, graph manifest.Graph, r warmer.Reason) error
}

// ControlOptions configure the control endpoints.
type ControlOptions struct {
	Sidecar Sidecar
	Token   string // bearer token; empty: none is asked for, right on loopback alone
	// Touch makes the routers of a graph rebuild; nil: there is no such thing.
	Touch  func(ctx context.Context, graph manifest.Graph) error
	Logger *zap.Logger
}

// control serves GET /status, POST /recompute and POST /warm.
type control struct {
	sidecar Sidecar
	toucher func(context.Context, manifest.Graph) error
	token   [sha256.Size]byte
	open    bool
	log     *zap.Logger
}

// NewControl returns the control endpoints.
//
//	GET  /status                               the state of every graph
//	POST /recompute?namespace=N&graph=G        build and publish now; the report, or 423 when the manifest is held,
//	                                           503 without a schema, 409 when other publishers were faster
//	POST /warm?namespace=N&graph=G             warm every router of the graph; 202
//	POST /touch?namespace=N&graph=G            have its routers rebuild and warm; 202, or 409 when it is not time
//
// Without graph, recompute and warm are for the only graph there is; without
// namespace, for the only one of that name.
func NewControl(o ControlOptions) (http.Handler, error) {
	if o.Sidecar == nil {
		return nil, errors.New("new control: no sidecar")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	c := &control{
		sidecar: o.Sidecar, toucher: o.Touch, token: sha256.Sum256([]byte(o.Token)), open: o.Token == "", log: o.Logger.With(zap.String("component", "admin")),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", c.status)
	mux.HandleFunc("POST /recompute", c.recompute)
	mux.HandleFunc("POST /warm", c.warm)
	mux.HandleFunc("POST /touch", c.touch)
	return c.guard(mux), nil
}

// guard asks for the token and refuses what a browser was tricked into: a page
// of another origin, or a name that was pointed at this address.
func (c *control) guard(next http.Handler) http.Handler {
	csrf := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<10) // no endpoint reads a body
		if err := csrf.Check(r); err != nil {
			fail(w, http.StatusForbidden, "cross-origin request")
			return
		}
		if c.open && !local(r.Host) {
			fail(w, http.StatusForbidden, "host is not a loopback address; set admin.token_file")
			return
		}
		if !c.open && !c.authorised(r) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, http.StatusUnauthorized, "token missing or wrong")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (c *control) authorised(r *http.Request) bool {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return ok && strings.EqualFold(scheme, "bearer") && subtle.ConstantTimeCompare(sum[:], c.token[:]) == 1
}

func local(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func (c *control) status(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, c.sidecar.Status())
}

func (c *control) recompute(w http.ResponseWriter, r *http.Request) {
	graph, err := c.graph(r)
	if err != nil {
		fail(w, http.StatusNotFound, err.Error())
		return
	}
	rep, err := c.sidecar.Recompute(r.Context(), graph)
	switch {
	case r.Context().Err() != nil: // nobody waits for the answer any more
	case errors.Is(err, warmer.ErrHeld):
		fail(w, http.StatusLocked, err.Error()+"; planwarm hold "+graph.Name+" -n "+graph.Namespace+" --off lifts it")
	case errors.Is(err, warmer.ErrNoSchema):
		fail(w, http.StatusServiceUnavailable, err.Error()+"; the log of the sidecar says why")
	case errors.Is(err, warmer.ErrConflict):
		fail(w, http.StatusConflict, err.Error()+"; try again")
	case err != nil:
		c.log.Warn("recompute failed", zap.Stringer("graph", graph), zap.Error(err))
		fail(w, http.StatusBadGateway, err.Error())
	default:
		answer(w, http.StatusOK, rep)
	}
}

func (c *control) warm(w http.ResponseWriter, r *http.Request) {
	graph, err := c.graph(r)
	if err == nil {
		err = c.sidecar.Trigger(r.Context(), graph, warmer.ReasonPerson)
	}
	switch {
	case errors.Is(err, warmer.ErrUnknownGraph):
		fail(w, http.StatusNotFound, err.Error())
		return
	case err != nil:
		fail(w, http.StatusBadGateway, err.Error())
		return
	}
	answer(w, http.StatusAccepted, map[string]string{"graph": graph.String(), "state": "triggered"})
}

// graph is the one that the query names, or the only one.
func (c *control) graph(r *http.Request) (manifest.Graph, error) {
	namespace, name := r.URL.Query().Get("namespace"), r.URL.Query().Get("graph")
	graphs := c.sidecar.Status().Graphs
	if name == "" {
		if len(graphs) != 1 {
			return manifest.Graph{}, fmt.Errorf("%w: there are %d, name one", warmer.ErrUnknownGraph, len(graphs))
		}
		return graphs[0].Graph, nil
	}
	var found []manifest.Graph
	for _, g := range graphs {
		if g.Graph.Name == name && (namespace == "" || g.Graph.Namespace == namespace) {
			found = append(found, g.Graph)
		}
	}
	switch len(found) {
	case 0:
		return manifest.Graph{}, warmer.ErrUnknownGraph
	case 1:
		return found[0], nil
	}
	return manifest.Graph{}, fmt.Errorf("%w: %d namespaces have it, name one", warmer.ErrUnknownGraph, len(found))
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // a reader that went away needs no answer
}

func fail(w http.ResponseWriter, status int, reason string) {
	answer(w, status, map[string]string{"error": reason})
}
