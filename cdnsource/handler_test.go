package cdnsource

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/planwarm/planwarm/manifest"
)

var (
	storefront   = manifest.Graph{Namespace: "default", Name: "storefront"}
	handlerPath  = "/org-storefront/graph-storefront/cache_warmup/operations.json"
	v1Path       = "/v1/graphs/default/storefront/manifest"
	handlerKey   = []byte("a secret for tests only, 32 bytes")
	pinnedForRun = "pinned-token-for-tests"
)

// sourceFunc is a Source made of a func.
type sourceFunc func(context.Context, manifest.Graph) (Document, error)

func (f sourceFunc) Current(ctx context.Context, g manifest.Graph) (Document, error) {
	return f(ctx, g)
}

func fixed(d Document) Source {
	return sourceFunc(func(context.Context, manifest.Graph) (Document, error) { return d, nil })
}

// numbered is a document of n operations with the plan keys 1 to n.
func numbered(n int) Document {
	ops := make([]string, n)
	for i := range ops {
		ops[i] = fmt.Sprintf(`{"request":{"query":"query{f%d}"},"planwarm":{"planKey":"%d"}}`, i+1, i+1)
	}
	return Document{Body: []byte(`{"operations":[` + strings.Join(ops, ",") + `]}`), ETag: fmt.Sprintf("v%d", n), Sequence: 7}
}

func withSecret() Credentials {
	return Credentials{JWTSecrets: [][]byte{handlerKey}, Tokens: []string{pinnedForRun}}
}

func served() ServedGraph {
	return ServedGraph{Graph: storefront, OrganizationID: "org-storefront", FederatedGraphID: "graph-storefront", Credentials: withSecret}
}

func newTestHandler(t testing.TB, change func(*HandlerOptions)) *Handler {
	t.Helper()
	o := HandlerOptions{Source: fixed(numbered(3)), Graphs: []ServedGraph{served()}}
	if change != nil {
		change(&o)
	}
	h, err := NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func sign(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	s, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func graphToken(t testing.TB) string {
	return sign(t, jwt.SigningMethodHS256, handlerKey, jwt.MapClaims{
		"organization_id": "org-storefront", "federated_graph_id": "graph-storefront", "sub": "router-token"})
}

func get(h http.Handler, path, token string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestHandlerAnswersCapturedPulls sends what a real router sent, byte for byte
// but for the token, over a real connection.
func TestHandlerAnswersCapturedPulls(t *testing.T) {
	defer goleak.VerifyNone(t)
	raw, err := os.ReadFile("testdata/handler/manifest-requests.json")
	if err != nil {
		t.Fatal(err)
	}
	var captured []struct {
		Headers      map[string]string
		Method, Path string
	}
	if err := json.Unmarshal(raw, &captured); err != nil || len(captured) != 2 {
		t.Fatalf("captured requests: %d, %v", len(captured), err)
	}
	body, err := os.ReadFile("testdata/handler/operations.json")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var pulls []PullInfo
	srv := httptest.NewServer(newTestHandler(t, func(o *HandlerOptions) {
		o.Source = fixed(Document{Body: body, ETag: "x", Sequence: 12})
		o.OnPull = func(g manifest.Graph, p PullInfo) {
			mu.Lock()
			defer mu.Unlock()
			if g == storefront {
				pulls = append(pulls, p)
			}
		}
	}))
	token := graphToken(t)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	for _, c := range captured {
		r, err := http.NewRequest(c.Method, srv.URL+c.Path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range c.Headers {
			r.Header.Set(k, strings.ReplaceAll(v, "<graph token>", token))
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Cache-Control") != "private, no-store" {
			t.Fatalf("%d %v", res.StatusCode, res.Header)
		}
		zr, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(zr)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("body of %d bytes differs from %d: %v", len(got), len(body), err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	client.CloseIdleConnections()
	srv.Close() // waits for the handlers, and so for OnPull
	if len(pulls) != 2 {
		t.Fatalf("%d pulls told, want 2", len(pulls))
	}
	p := pulls[1]
	if p.Endpoint != "cosmo" || p.Remote != "127.0.0.1" || p.Subject != "router-token" || p.UserAgent != "Go-http-client/1.1" ||
		p.Status != 200 || p.Sequence != 12 || time.Since(p.At) > time.Minute {
		t.Fatalf("pull info %+v", p)
	}
}

// TestHandlerTokens covers each row of what a CDN must check of a graph token.
func TestHandlerTokens(t *testing.T) {
	both := jwt.MapClaims{"organization_id": "org-storefront", "federated_graph_id": "graph-storefront"}
	with := func(extra jwt.MapClaims) jwt.MapClaims {
		m := jwt.MapClaims{}
		for _, src := range []jwt.MapClaims{both, extra} {
			for k, v := range src {
				m[k] = v
			}
		}
		return m
	}
	good := graphToken(t)
	cases := []struct {
		name, path, auth string
		want             int
	}{
		{"good", handlerPath, "Bearer " + good, 200},
		{"scheme in another case", handlerPath, "bearer " + good, 200},
		{"pinned", handlerPath, "Bearer " + pinnedForRun, 200},
		{"not expired", handlerPath, "Bearer " + sign(t, jwt.SigningMethodHS256, handlerKey, with(jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix()})), 200},
		{"none", handlerPath, "", 401},
		{"no scheme", handlerPath, good, 401},
		{"basic", handlerPath, "Basic " + good, 401},
		{"empty", handlerPath, "Bearer ", 401},
		{"garbage", handlerPath, "Bearer a.b.c", 401},
		{"too long", handlerPath, "Bearer " + strings.Repeat("a", maxTokenBytes), 401},
		{"pinned and more", handlerPath, "Bearer " + pinnedForRun + "x", 401},
		{"tampered", handlerPath, "Bearer " + good[:len(good)-4] + "AAAA", 401},
		{"another secret", handlerPath, "Bearer " + sign(t, jwt.SigningMethodHS256, []byte("another"), both), 401},
		{"another method", handlerPath, "Bearer " + sign(t, jwt.SigningMethodHS512, handlerKey, both), 401},
		{"unsigned", handlerPath, "Bearer " + sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, both), 401},
		{"expired", handlerPath, "Bearer " + sign(t, jwt.SigningMethodHS256, handlerKey, with(jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()})), 401},
		{"not yet", handlerPath, "Bearer " + sign(t, jwt.SigningMethodHS256, handlerKey, with(jwt.MapClaims{"nbf": time.Now().Add(time.Hour).Unix()})), 401},
		{"no organization", handlerPath, "Bearer " + sign(t, jwt.SigningMethodHS256, handlerKey, jwt.MapClaims{"federated_graph_id": "graph-storefront"}), 403},
		{"organization of another type", handlerPath, "Bearer " + sign(t, jwt.SigningMethodHS256, handlerKey, with(jwt.MapClaims{"organization_id": 7})), 401},
		{"no graph", handlerPath, "Bearer " + sign(t, jwt.SigningMethodHS256, handlerKey, jwt.MapClaims{"organization_id": "org-storefront"}), 400},
		{"another graph", handlerPath, "Bearer " + sign(t, jwt.SigningMethodHS256, handlerKey, with(jwt.MapClaims{"federated_graph_id": "g"})), 400},
		{"another path", "/org-storefront/g/cache_warmup/operations.json", "Bearer " + good, 400},
		{"another path, pinned", "/org-storefront/g/cache_warmup/operations.json", "Bearer " + pinnedForRun, 400},
		{"another path, no token", "/org-storefront/g/cache_warmup/operations.json", "", 401},
		{"a graph that is not here", "/org-storefront/g/cache_warmup/operations.json",
			"Bearer " + sign(t, jwt.SigningMethodHS256, handlerKey, with(jwt.MapClaims{"federated_graph_id": "g"})), 404},
		{"persisted operation", "/org-storefront/graph-storefront/operations/web/abc.json", "Bearer " + good, 404},
		{"config", "/org-storefront/graph-storefront/routerconfigs/latest.json", "Bearer " + good, 404},
		{"root", "/", "Bearer " + good, 404},
		{"trailing slash", handlerPath + "/", "Bearer " + good, 404},
		{"doubled slash", "/" + handlerPath, "Bearer " + good, 404},
		{"climbing", "/x/.." + handlerPath, "Bearer " + good, 404},
	}
	core, logs := observer.New(zap.DebugLevel)
	registry := prometheus.NewRegistry()
	told := 0
	h := newTestHandler(t, func(o *HandlerOptions) {
		o.Logger, o.Registerer = zap.New(core), registry
		o.OnPull = func(manifest.Graph, PullInfo) { told++ }
	})
	ok := 0
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, c.path, nil)
			if c.auth != "" {
				r.Header.Set("Authorization", c.auth)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Fatalf("status %d, want %d", w.Code, c.want)
			}
			if c.want == 200 {
				ok++
				return
			}
			if w.Header().Get("Cache-Control") != "no-store" || strings.Contains(w.Body.String(), "operations") {
				t.Fatalf("refusal %v %q", w.Header(), w.Body)
			}
		})
	}
	if told != ok {
		t.Errorf("%d pulls told, want the %d authorised ones", told, ok)
	}
	for _, e := range logs.All() {
		line := fmt.Sprint(e.Message, e.ContextMap())
		if strings.Contains(line, good) || strings.Contains(line, pinnedForRun) || strings.Contains(line, string(handlerKey)) {
			t.Errorf("a secret in the log: %s", e.Message)
		}
	}
	want := fmt.Sprintf("# HELP planwarm_cdn_requests_total Requests that the CDN endpoint answered, by endpoint and status.\n"+
		"# TYPE planwarm_cdn_requests_total counter\n"+
		"planwarm_cdn_requests_total{code=\"200\",endpoint=\"cosmo\"} %d\nplanwarm_cdn_requests_total{code=\"200\",endpoint=\"v1\"} 0\n"+
		"planwarm_cdn_requests_total{code=\"400\",endpoint=\"cosmo\"} 4\nplanwarm_cdn_requests_total{code=\"401\",endpoint=\"cosmo\"} 15\n"+
		"planwarm_cdn_requests_total{code=\"401\",endpoint=\"v1\"} 0\nplanwarm_cdn_requests_total{code=\"403\",endpoint=\"cosmo\"} 1\n"+
		"planwarm_cdn_requests_total{code=\"404\",endpoint=\"cosmo\"} 1\nplanwarm_cdn_requests_total{code=\"404\",endpoint=\"other\"} 6\n"+
		"planwarm_cdn_requests_total{code=\"404\",endpoint=\"v1\"} 0\n", ok)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "planwarm_cdn_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestHandlerCredentialsRotateAndFailClosed(t *testing.T) {
	current := Credentials{Tokens: []string{"one"}}
	h := newTestHandler(t, func(o *HandlerOptions) {
		o.Graphs[0].Credentials = func() Credentials { return current }
	})
	if w := get(h, handlerPath, "one"); w.Code != 200 {
		t.Fatalf("first token: %d", w.Code)
	}
	current = Credentials{Tokens: []string{"two"}}
	if w := get(h, handlerPath, "one"); w.Code != 401 {
		t.Fatalf("old token: %d", w.Code)
	}
	if w := get(h, handlerPath, "two"); w.Code != 200 {
		t.Fatalf("new token: %d", w.Code)
	}
	// A file that was emptied by mistake must not open the door, and an empty
	// secret would let everybody sign.
	empty := sign(t, jwt.SigningMethodHS256, []byte{}, jwt.MapClaims{"organization_id": "org-storefront", "federated_graph_id": "graph-storefront"})
	current = Credentials{Tokens: []string{""}, JWTSecrets: [][]byte{nil}}
	for _, token := range []string{"", "two", empty} {
		if w := get(h, handlerPath, token); w.Code != 401 {
			t.Fatalf("no credentials: %d", w.Code)
		}
	}
}

func TestHandlerKeepsGraphsApart(t *testing.T) {
	other := ServedGraph{Graph: manifest.Graph{Namespace: "default", Name: "other"}, OrganizationID: "org-storefront", FederatedGraphID: "graph-other",
		Credentials: func() Credentials {
			return Credentials{JWTSecrets: [][]byte{[]byte("of the other graph")}, Tokens: []string{"other"}}
		}}
	h := newTestHandler(t, func(o *HandlerOptions) { o.Graphs = append(o.Graphs, other) })
	forged := sign(t, jwt.SigningMethodHS256, []byte("of the other graph"), jwt.MapClaims{"organization_id": "org-storefront", "federated_graph_id": "graph-storefront"})
	for _, token := range []string{forged, "other"} {
		if w := get(h, handlerPath, token); w.Code != 401 {
			t.Errorf("credentials of another graph: %d", w.Code)
		}
	}
	if w := get(h, "/org-storefront/graph-other/cache_warmup/operations.json", "other"); w.Code != 200 {
		t.Errorf("the graph's own token: %d", w.Code)
	}
}

func TestHandlerOpenGraph(t *testing.T) {
	h := newTestHandler(t, func(o *HandlerOptions) { o.Graphs[0].Credentials = nil })
	for _, token := range []string{"", "anything", graphToken(t)} {
		if w := get(h, handlerPath, token); w.Code != 200 {
			t.Errorf("open graph: %d", w.Code)
		}
		if w := get(h, "/a/b/cache_warmup/operations.json", token); w.Code != 404 {
			t.Errorf("no graph: %d", w.Code)
		}
	}
}

func TestHandlerMethods(t *testing.T) {
	told := 0
	h := newTestHandler(t, func(o *HandlerOptions) { o.OnPull = func(manifest.Graph, PullInfo) { told++ } })
	for _, path := range []string{handlerPath, v1Path} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "PURGE"} {
			r := httptest.NewRequest(method, path, nil)
			r.Header.Set("Authorization", "Bearer "+pinnedForRun)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
		r := httptest.NewRequest(http.MethodHead, path, nil)
		r.Header.Set("Authorization", "Bearer "+pinnedForRun)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != fmt.Sprint(len(numbered(3).Body)) {
			t.Errorf("HEAD %s: %d, %d bytes, %v", path, w.Code, w.Body.Len(), w.Header())
		}
	}
	if told != 0 {
		t.Errorf("%d pulls told, but nobody pulled", told)
	}
}

func TestNewHandlerRefuses(t *testing.T) {
	half, twice, named := served(), served(), served()
	half.FederatedGraphID = ""
	twice.Graph.Name = "twin"
	named.Graph.Name = "../x"
	for name, o := range map[string]HandlerOptions{
		"no source":    {},
		"half a path":  {Source: fixed(numbered(1)), Graphs: []ServedGraph{half}},
		"same graph":   {Source: fixed(numbered(1)), Graphs: []ServedGraph{served(), served()}},
		"same path":    {Source: fixed(numbered(1)), Graphs: []ServedGraph{served(), twice}},
		"unsafe name":  {Source: fixed(numbered(1)), Graphs: []ServedGraph{named}},
		"bad upstream": {Source: fixed(numbered(1)), Upstream: mustURL("ftp://x")},
	} {
		if h, err := NewHandler(o); err == nil || h != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
