// Package subgraphs is one server that plays every subgraph of a federated
// graph from nothing but their SDL. Answers are deterministic: a value depends
// on its type, its field and the identity of its parent alone, so two servers,
// and two paths to one entity, agree. It counts what it is asked, which is how
// the demo and the tests prove that warming executes nothing.
package subgraphs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

const (
	maxBody     = 4 << 20 // of a request
	idleTimeout = 10 * time.Minute
)

// Options of a Server.
type Options struct {
	// SDL has the SDL of each subgraph by its name. Required.
	SDL map[string]string
	// Listen is the address to listen on; empty: a free loopback port.
	Listen string
}

// Count is how often one subgraph was asked.
type Count struct {
	Queries   uint64 `json:"queries"`
	Mutations uint64 `json:"mutations"`
	Refused   uint64 `json:"refused"` // malformed or invalid requests
}

// Requests is the number of all requests.
func (c Count) Requests() uint64 { return c.Queries + c.Mutations + c.Refused }

// counters are the live counters behind a Count.
type counters struct{ queries, mutations, refused atomic.Uint64 }

// Server serves each subgraph below a path of its own.
type Server struct {
	listener net.Listener
	http     *http.Server
	serve    chan error // the result of http.Serve, once

	mu       sync.RWMutex
	schemas  map[string]*schema
	counters map[string]*counters
}

// New parses the subgraphs and starts to serve them.
func New(o Options) (*Server, error) {
	if len(o.SDL) == 0 {
		return nil, errors.New("start subgraphs: no SDL")
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	s := &Server{serve: make(chan error, 1), counters: map[string]*counters{}}
	if err := s.Update(o.SDL); err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("start subgraphs: %w", err)
	}
	s.listener = ln
	// Idle connections outlast those of any client: one that is closed just when
	// a client takes it from its pool fails a request that cannot be sent again.
	// That holds for their first request too, since clients open some ahead.
	s.http = &http.Server{Handler: s.handler(), ReadHeaderTimeout: idleTimeout, IdleTimeout: idleTimeout}
	go func() { s.serve <- s.http.Serve(ln) }()
	return s, nil
}

// Update replaces the subgraphs while the server runs, as a deploy of all of
// them at once. When one SDL is bad, nothing changes. Counters go on.
func (s *Server) Update(sdl map[string]string) error {
	schemas := make(map[string]*schema, len(sdl))
	for name, text := range sdl {
		parsed, err := parse(name, text)
		if err != nil {
			return err
		}
		schemas[name] = parsed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schemas = schemas
	for name := range schemas {
		if s.counters[name] == nil {
			s.counters[name] = &counters{}
		}
	}
	return nil
}

// URL is the GraphQL endpoint of a subgraph.
func (s *Server) URL(name string) string {
	return "http://" + s.listener.Addr().String() + "/" + name
}

// URLs has the endpoint of every subgraph by its name.
func (s *Server) URLs() map[string]string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	urls := make(map[string]string, len(s.schemas))
	for name := range s.schemas {
		urls[name] = s.URL(name)
	}
	return urls
}

// CountsURL is where the counters can be read as JSON.
func (s *Server) CountsURL() string { return "http://" + s.listener.Addr().String() + "/counts" }

// Counts returns the requests of each subgraph since the start or the last Reset.
func (s *Server) Counts() map[string]Count {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make(map[string]Count, len(s.counters))
	for name, c := range s.counters {
		out[name] = Count{Queries: c.queries.Load(), Mutations: c.mutations.Load(), Refused: c.refused.Load()}
	}
	return out
}

// Total is the sum of all counts.
func (s *Server) Total() Count {
	var t Count
	for _, c := range s.Counts() {
		t.Queries += c.Queries
		t.Mutations += c.Mutations
		t.Refused += c.Refused
	}
	return t
}

// Reset sets all counters to zero.
func (s *Server) Reset() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range s.counters {
		c.queries.Store(0)
		c.mutations.Store(0)
		c.refused.Store(0)
	}
}

// Close stops the server; requests in flight may end within ctx.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if served := <-s.serve; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	s.serve <- http.ErrServerClosed // a second Close finds it stopped
	if err != nil {
		return fmt.Errorf("stop subgraphs: %w", err)
	}
	return nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Counts()) // the client is gone: nobody to tell
	})
	mux.HandleFunc("POST /{name}", s.serveGraphQL)
	return mux
}

func (s *Server) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	s.mu.RLock()
	sc, c := s.schemas[name], s.counters[name]
	s.mu.RUnlock()
	if sc == nil {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		c.refused.Add(1)
		http.Error(w, "body too large or unreadable", http.StatusRequestEntityTooLarge)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer(sc, c, body)) // the client is gone: nobody to tell
}

// answer executes one request and counts it.
func answer(s *schema, c *counters, body []byte) []byte {
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		c.refused.Add(1)
		return failure(gqlerror.List{gqlerror.Errorf("decode request: malformed JSON")})
	}
	e, op, errs := s.prepare(r)
	if len(errs) > 0 {
		c.refused.Add(1)
		return failure(errs)
	}
	if op.Operation == ast.Mutation {
		c.mutations.Add(1)
	} else {
		c.queries.Add(1)
	}
	out, err := e.run(op)
	if err != nil {
		return failure(gqlerror.List{gqlerror.Errorf("%s", err.Error())})
	}
	return out
}

// failure is a response without data.
func failure(errs gqlerror.List) []byte {
	b, err := json.Marshal(map[string]any{"errors": errs})
	if err != nil {
		return []byte(`{"errors":[{"message":"encode errors"}]}`)
	}
	return b
}
