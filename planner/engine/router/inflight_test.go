package router

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/planner/engine"
)

// slowSubgraph answers when it is told to, or when its caller goes away.
func slowSubgraph(t testing.TB) (url string, asked, hold chan struct{}) {
	t.Helper()
	asked, hold = make(chan struct{}, 1), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The body is read first: only then does the server notice that the caller went.
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		select {
		case <-hold:
			_, _ = io.WriteString(w, `{"data":{"me":{"id":"slow"}}}`)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, asked, hold
}

// TestRequestOutlivesItsGraph: a request that began before a reload is
// answered by the graph it began on, which is not closed before.
func TestRequestOutlivesItsGraph(t *testing.T) {
	url, asked, hold := slowSubgraph(t)
	r := startReady(t, func(o *Options) { o.SubgraphURLs["accounts"] = url })
	old := r.current
	done := make(chan answer, 1)
	go func() { done <- r.post(t, call{query: `{ me { id } }`}) }()
	<-asked
	if err := r.Reload(t.Context(), readFixture(t, "supergraph-v2.graphql")); err != nil {
		t.Fatal(err)
	}
	if r.Stats().Reloads != 1 {
		t.Error("the reload waited for the request, or did not happen")
	}
	p, err := old.prepare(`{ __typename }`, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.plan(t.Context(), p); err != nil {
		t.Errorf("the old graph is closed under its request: %v", err)
	}
	close(hold)
	if a := <-done; !strings.Contains(a.body, `"id":"slow"`) || len(a.errors) > 0 {
		t.Errorf("the old request: %s", a.body)
	}
	eventually(t, "the old graph to be closed", func() bool {
		p, err := old.prepare(`{ a: __typename }`, "", nil)
		return err == nil && errors.Is(old.plan(t.Context(), p), engine.ErrClosed)
	})
}

// TestCloseEndsRequests that do not end in time, and says so.
func TestCloseEndsRequests(t *testing.T) {
	url, asked, _ := slowSubgraph(t)
	r := startReady(t, func(o *Options) { o.SubgraphURLs["accounts"] = url })
	done := make(chan answer, 1)
	go func() { done <- r.post(t, call{query: `{ me { id } }`}) }()
	<-asked
	r.stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Close(ctx); err == nil || !strings.Contains(err.Error(), "requests in flight") {
		t.Errorf("Close: %v", err)
	}
	if a := <-done; len(a.errors) == 0 {
		t.Errorf("the request was answered: %s", a.body)
	}
}
