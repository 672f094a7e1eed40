package cdnsource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/planwarm/planwarm/manifest"
)

// scripted answers with whatever next is set to.
type scripted struct {
	next  func(ctx context.Context) (Document, error)
	calls atomic.Int32
}

func (s *scripted) Current(ctx context.Context, _ manifest.Graph) (Document, error) {
	s.calls.Add(1)
	return s.next(ctx)
}

// TestHandlerWaitsForTheFirstDocumentOnly covers the rows "slow" of what a CDN
// may answer: a router waits as long as we do.
func TestHandlerWaitsForTheFirstDocumentOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		src := &scripted{next: func(context.Context) (Document, error) { // deaf to its context
			<-release
			return numbered(2), nil
		}}
		h := newTestHandler(t, func(o *HandlerOptions) { o.Source = src })
		for i, want := range []time.Duration{3 * time.Second, 250 * time.Millisecond, 250 * time.Millisecond} {
			start := time.Now()
			if w := get(h, handlerPath, pinnedForRun); w.Code != 404 {
				t.Fatalf("pull %d: %d", i, w.Code)
			}
			if took := time.Since(start); took != want {
				t.Errorf("pull %d took %v, want %v", i, took, want)
			}
		}
		if n := src.calls.Load(); n != 1 {
			t.Errorf("a source that hangs was called %d times", n)
		}
		close(release)
		synctest.Wait()
		start := time.Now()
		if w := get(h, handlerPath, pinnedForRun); w.Code != 200 || time.Since(start) != 0 {
			t.Errorf("after the first document: %d in %v", w.Code, time.Since(start))
		}
	})
}

func TestHandlerFirstDocumentInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &scripted{next: func(context.Context) (Document, error) {
			time.Sleep(2 * time.Second)
			return numbered(2), nil
		}}
		h := newTestHandler(t, func(o *HandlerOptions) { o.Source = src })
		start := time.Now()
		if w := get(h, handlerPath, pinnedForRun); w.Code != 200 || time.Since(start) != 2*time.Second {
			t.Fatalf("%d in %v", w.Code, time.Since(start))
		}
		// From now on the last good one is served while a slow source is asked again.
		start = time.Now()
		if w := get(h, handlerPath, pinnedForRun); w.Code != 200 || time.Since(start) != 250*time.Millisecond {
			t.Fatalf("%d in %v", w.Code, time.Since(start))
		}
		time.Sleep(3 * time.Second) // the call under way ends before the bubble does
	})
}

func TestHandlerRequestThatIsGoneDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &scripted{next: func(ctx context.Context) (Document, error) {
			<-ctx.Done()
			return Document{}, ctx.Err()
		}}
		h := newTestHandler(t, func(o *HandlerOptions) { o.Source = src })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, handlerPath, nil)
		r.Header.Set("Authorization", "Bearer "+pinnedForRun)
		w := httptest.NewRecorder()
		start := time.Now()
		h.ServeHTTP(w, r)
		if w.Code != 404 || time.Since(start) != time.Second {
			t.Errorf("%d in %v", w.Code, time.Since(start))
		}
		time.Sleep(5 * time.Second) // the source's own deadline passes
	})
}

// TestHandlerServesLastGood walks a source through every way to fail.
func TestHandlerServesLastGood(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	src := &scripted{}
	h := newTestHandler(t, func(o *HandlerOptions) { o.Source, o.Logger = src, zap.New(core) })
	give := func(d Document, err error) func(context.Context) (Document, error) {
		return func(context.Context) (Document, error) { return d, err }
	}
	broken := map[string]func(context.Context) (Document, error){
		"error":       give(Document{}, errors.New("bucket is away")),
		"panic":       func(context.Context) (Document, error) { panic("query { secretLiteral }") },
		"no request":  give(Document{Body: []byte(`{"operations":[{"request":{"query":"{a}"}},{"client":{"name":"web"}}]}`)}, nil),
		"null":        give(Document{Body: []byte(`{"operations":[null]}`)}, nil),
		"no query":    give(Document{Body: []byte(`{"operations":[{"request":{"operationName":"A"}}]}`)}, nil),
		"not JSON":    give(Document{Body: []byte(`<html>`)}, nil),
		"empty":       give(Document{}, nil),
		"too large":   give(Document{Body: make([]byte, manifest.MaxBytes+1)}, nil),
		"wrong shape": give(Document{Body: []byte(`{"operations":{}}`)}, nil),
	}
	for name, next := range broken {
		src.next = next
		if w := get(h, handlerPath, pinnedForRun); w.Code != 404 {
			t.Errorf("%s at first: %d", name, w.Code)
		}
	}
	src.next = give(numbered(2), nil)
	if w := get(h, handlerPath, pinnedForRun); w.Code != 200 {
		t.Fatalf("good: %d", w.Code)
	}
	for name, next := range broken {
		src.next = next
		if w := get(h, handlerPath, pinnedForRun); w.Code != 200 || w.Body.String() != string(numbered(2).Body) {
			t.Errorf("%s after a good one: %d", name, w.Code)
		}
	}
	src.next = give(Document{}, fmt.Errorf("fetch: %w", ErrNotFound))
	if w := get(h, handlerPath, pinnedForRun); w.Code != 404 {
		t.Errorf("withdrawn: %d", w.Code)
	}
	if logs.Len() == 0 {
		t.Error("nothing logged")
	}
	for _, e := range logs.All() {
		if strings.Contains(fmt.Sprint(e.Message, e.ContextMap()), "secretLiteral") {
			t.Errorf("text of an operation in the log: %s", e.Message)
		}
	}
}

func TestHandlerComputesETag(t *testing.T) {
	doc := numbered(2)
	for _, etag := range []string{"", `"`, "a b", "a\"b", "ü"} {
		doc.ETag = etag
		h := newTestHandler(t, func(o *HandlerOptions) { o.Source = fixed(doc) })
		got := get(h, v1Path, "").Header().Get("ETag")
		if len(got) != 34 || get(h, v1Path, "", "If-None-Match", got).Code != 304 {
			t.Errorf("%q gave %q", etag, got)
		}
	}
}

func TestHandlerSurvivesItsCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, change := range map[string]func(*HandlerOptions){
			"OnPull panics":      func(o *HandlerOptions) { o.OnPull = func(manifest.Graph, PullInfo) { panic("x") } },
			"guard panics":       func(o *HandlerOptions) { o.Graphs[0].Guard = panicGuard{} },
			"credentials panics": func(o *HandlerOptions) { o.Graphs[0].Credentials = func() Credentials { panic("x") } },
		} {
			h := newTestHandler(t, change)
			if w := get(h, handlerPath, pinnedForRun); w.Code >= 500 {
				t.Errorf("%s: %d", name, w.Code)
			}
		}
	})
}

type panicGuard struct{}

func (panicGuard) Pull(time.Time, string, []string) Verdict { panic("x") }

func TestHandlerAnswersBeforeOnPullReturns(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(newTestHandler(t, func(o *HandlerOptions) {
		o.OnPull = func(manifest.Graph, PullInfo) { <-release }
	}))
	defer srv.Close()
	defer close(release)
	r, err := http.NewRequest(http.MethodGet, srv.URL+handlerPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+pinnedForRun)
	// The body is complete although the callback still hangs.
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != 200 {
		t.Fatalf("status %d", res.StatusCode)
	}
}

// TestHandlerUnderConcurrentPulls: while documents change and fail, every pull
// gets one whole document.
func TestHandlerUnderConcurrentPulls(t *testing.T) {
	var n atomic.Int64
	src := sourceFunc(func(context.Context, manifest.Graph) (Document, error) {
		i := int(n.Add(1))
		if i%5 == 4 {
			return Document{}, errors.New("bucket is away")
		}
		return numbered(1 + i%3), nil
	})
	h := newTestHandler(t, func(o *HandlerOptions) { o.Source = src; o.Wait = time.Minute })
	valid := map[string]bool{}
	for i := range 3 {
		valid[string(numbered(1+i).Body)] = true
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if w := get(h, handlerPath, pinnedForRun); w.Code != 200 || !valid[w.Body.String()] {
					t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
				}
			}
		})
	}
	wg.Wait()
}
