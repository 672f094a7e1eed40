package gqlgen

import (
	"context"
	"errors"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// executable is a schema whose every execution is counted.
type executable struct {
	schema *ast.Schema
	count  *atomic.Int64
}

func (e executable) Schema() *ast.Schema { return e.schema }

func (executable) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (e executable) Exec(context.Context) graphql.ResponseHandler {
	e.count.Add(1)
	return graphql.OneShot(&graphql.Response{Data: []byte(`{"all":1}`)})
}

// countedCache is gqlgen's own cache, looked at from outside.
type countedCache struct {
	graphql.Cache[*ast.QueryDocument]
	added, hit atomic.Int64
}

func (c *countedCache) Get(ctx context.Context, key string) (*ast.QueryDocument, bool) {
	doc, ok := c.Cache.Get(ctx, key)
	if ok {
		c.hit.Add(1)
	}
	return doc, ok
}

func (c *countedCache) Add(ctx context.Context, key string, doc *ast.QueryDocument) {
	c.added.Add(1)
	c.Cache.Add(ctx, key, doc)
}

// TestRealServer: gqlgen itself keeps the document of a request without its
// variable, executes nothing of it, and finds it again for the first client.
func TestRealServer(t *testing.T) {
	sc, err := gqlparser.LoadSchema(&ast.Source{Input: sdl})
	if err != nil {
		t.Fatal(err)
	}
	var executed atomic.Int64
	cache := &countedCache{Cache: lru.New[*ast.QueryDocument](1000)}
	srv := handler.New(executable{sc, &executed})
	srv.AddTransport(transport.POST{})
	srv.SetQueryCache(cache)
	h := httptest.NewServer(srv)
	defer h.Close()
	p, err := New(Options{URL: h.URL, Client: h.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := cache.added.Load()
	for _, text := range []string{item, "mutation Buy($id: ID!) { buy(id: $id) }"} {
		if _, err := p.Plan(t.Context(), planner.Request{Query: text}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if n := cache.added.Load() - before; n != 2 || executed.Load() != 0 {
		t.Errorf("%d documents kept, %d operations executed", n, executed.Load())
	}
	if _, err := p.Plan(t.Context(), planner.Request{Query: "query U($id: ID!) { nothing(id: $id) }"}); !errors.Is(err, planner.ErrInvalid) {
		t.Errorf("what does not validate: %v", err)
	}
	// The first client, who sends the variable, finds the document and is answered.
	hits := cache.hit.Load()
	req, err := planhttp.NewRequest(t.Context(), h.URL, planner.Request{Query: item}, map[string]string{"id": "1"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close() // the counters tell
	if cache.hit.Load() != hits+1 || executed.Load() != 1 {
		t.Errorf("a client: %d hits, %d operations executed", cache.hit.Load()-hits, executed.Load())
	}
}
