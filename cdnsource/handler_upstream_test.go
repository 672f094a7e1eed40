package cdnsource

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

func TestHandlerUpstream(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		seen = append(seen, fmt.Sprintf("%s %s %d %s %v", r.Method, r.URL.RequestURI(), len(body), r.Header.Get("Authorization"), err == nil))
		mu.Unlock()
		switch {
		case strings.HasSuffix(r.URL.Path, "/503"):
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasSuffix(r.URL.Path, "/429"):
			w.WriteHeader(http.StatusTooManyRequests)
		case strings.HasSuffix(r.URL.Path, "/302"):
			http.Redirect(w, r, "https://elsewhere.example/x", http.StatusFound)
		case strings.HasSuffix(r.URL.Path, "/large"):
			w.Header().Set("Content-Length", fmt.Sprint(maxUpstreamResponse+1))
		case strings.HasSuffix(r.URL.Path, "/cut"):
			panic(http.ErrAbortHandler)
		default:
			_, _ = io.WriteString(w, "from upstream")
		}
	}))
	defer up.Close()
	core, logs := observer.New(zap.DebugLevel)
	h := newTestHandler(t, func(o *HandlerOptions) { o.Upstream, o.Logger = mustURL(up.URL+"/base"), zap.New(core) })

	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/org-storefront/graph-storefront/operations/web/abc.json?v=1", 200},
		{"POST", "/org-storefront/graph-storefront/routerconfigs/latest.json", 200},
		{"GET", "/another-org/another-graph/cache_warmup/operations.json", 200},
		{"GET", "/x/302", 302},
		{"GET", "/x/503", 404},
		{"GET", "/x/429", 404},
		{"GET", "/x/large", 404},
		{"GET", "/x/cut", 404},
		{"DELETE", "/x/y", 404},
		{"GET", "/x/../../y", 404},
		{"GET", "/x/%2e%2e/y", 404},
		{"GET", "/x%2f..%2fy", 404},
		{"GET", `/x/..%5cy`, 404},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader("12345"))
		r.Header.Set("Authorization", "Bearer tok")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, w.Code, c.want)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if seen[0] != "GET /base/org-storefront/graph-storefront/operations/web/abc.json?v=1 5 Bearer tok true" || len(seen) != 8 {
		t.Errorf("upstream saw %q", seen)
	}
	// What is ours never goes there.
	if w := get(h, handlerPath, "wrong"); w.Code != 401 || len(seen) != 8 {
		t.Errorf("own path: %d", w.Code)
	}
	for _, e := range logs.All() {
		if s := fmt.Sprint(e.ContextMap()); strings.Contains(s, "tok") || strings.Contains(s, "/x/") {
			t.Errorf("logged %s", s)
		}
	}
}

func TestHandlerUpstreamUnreachable(t *testing.T) {
	up := httptest.NewServer(http.NotFoundHandler())
	addr := up.URL
	up.Close()
	h := newTestHandler(t, func(o *HandlerOptions) { o.Upstream = mustURL(addr) })
	if w := get(h, "/x/y", "tok"); w.Code != 404 {
		t.Errorf("status %d", w.Code)
	}
}

func TestHandlerUpstreamLoop(t *testing.T) {
	var h http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	defer srv.Close()
	h = newTestHandler(t, func(o *HandlerOptions) { o.Upstream = mustURL(srv.URL) })
	if w := get(h, "/x/y", ""); w.Code != 404 {
		t.Errorf("status %d", w.Code)
	}
}

func TestHandlerUpstreamRequestBound(t *testing.T) {
	var got atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got.Store(int64(len(b)))
	}))
	defer up.Close()
	h := newTestHandler(t, func(o *HandlerOptions) { o.Upstream = mustURL(up.URL) })
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/x/y", strings.NewReader(strings.Repeat("a", maxUpstreamRequest+1))))
	if w.Code != 404 || got.Load() > maxUpstreamRequest {
		t.Errorf("status %d, %d bytes passed on", w.Code, got.Load())
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestHandlerUpstreamIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: r.Context().Err()}
		})
		core, logs := observer.New(zap.DebugLevel)
		h := newTestHandler(t, nil)
		var err error
		if h.proxy, err = newUpstream(mustURL("http://cdn.test"), hangs, zap.New(core), h.metrics); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if w := get(h, "/x/hidden", ""); w.Code != 404 || time.Since(start) != upstreamTimeout {
			t.Errorf("%d in %v", w.Code, time.Since(start))
		}
		if logs.Len() != 1 || strings.Contains(fmt.Sprint(logs.All()[0].ContextMap()), "hidden") {
			t.Errorf("logged %v", logs.All())
		}
	})
}

func TestBoundedBody(t *testing.T) {
	for size, fits := range map[int]bool{0: true, 99: true, 100: true, 101: false, 5000: false} {
		b := &boundedBody{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("x", size))), left: 100}
		got, err := io.ReadAll(b)
		if (err == nil) != fits || len(got) > 100 {
			t.Errorf("%d bytes: %d read, %v", size, len(got), err)
		}
	}
}
