package router

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/planwarm/planwarm/planner/engine/subgraphs"
	"github.com/planwarm/planwarm/testdata"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// readFixture reads a file of the sample graph.
func readFixture(t testing.TB, name string) string {
	t.Helper()
	b, err := fs.ReadFile(testdata.Storefront, "storefront/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// subgraphSDL is the SDL of the subgraphs of a version of the sample graph.
func subgraphSDL(t testing.TB, folder string) map[string]string {
	t.Helper()
	files, err := fs.Glob(testdata.Storefront, "storefront/"+folder+"/*.graphql")
	if err != nil {
		t.Fatal(err)
	}
	sdl := map[string]string{}
	for _, f := range files {
		sdl[strings.TrimSuffix(path.Base(f), ".graphql")] = readFixture(t, folder+"/"+path.Base(f))
	}
	return sdl
}

// startSubgraphs serves the subgraphs of a version of the sample graph.
func startSubgraphs(t testing.TB, folder string) *subgraphs.Server {
	t.Helper()
	s, err := subgraphs.New(subgraphs.Options{SDL: subgraphSDL(t, folder)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// testRouter is a router that serves, with what a test needs around it.
type testRouter struct {
	*Router
	subgraphs *subgraphs.Server
	url       string
	client    *http.Client
	run       chan error // the result of Run, once
	stop      context.CancelFunc
}

// newTestRouter builds a router on the sample graph, without running it.
func newTestRouter(t testing.TB, change func(*Options)) *testRouter {
	t.Helper()
	s := startSubgraphs(t, "subgraphs")
	o := Options{Supergraph: readFixture(t, "supergraph.graphql"), SubgraphURLs: s.URLs()}
	if change != nil {
		change(&o)
	}
	r, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r)
	tr := &testRouter{Router: r, subgraphs: s, url: server.URL, client: server.Client(), run: make(chan error, 1), stop: func() {}}
	t.Cleanup(func() {
		tr.stop()
		server.Close()
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// start runs the router; the test ends it, and expects no error, unless it took the result.
func (r *testRouter) start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var once sync.Once
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = func() {
		once.Do(func() {
			cancel()
			err := <-done
			r.run <- err
		})
	}
}

// startReady runs the router and waits until it serves.
func startReady(t testing.TB, change func(*Options)) *testRouter {
	t.Helper()
	r := newTestRouter(t, change)
	r.start(t)
	eventually(t, "the router to be ready", r.Ready)
	return r
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(3 * time.Minute) // a bound for a hanging test, not a measure
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// answer is a GraphQL response.
type answer struct {
	status int
	header http.Header
	body   string
	data   json.RawMessage
	errors []struct{ Message string }
}

func (r *testRouter) post(t testing.TB, op call, header ...string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": op.query, "operationName": op.name, "variables": op.variables})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, r.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return r.do(t, req)
}

func (r *testRouter) do(t testing.TB, req *http.Request) answer {
	t.Helper()
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(out)}
	var parsed struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if json.Unmarshal(out, &parsed) == nil {
		a.data, a.errors = parsed.Data, parsed.Errors
	}
	return a
}

// get returns status and body of a GET.
func (r *testRouter) get(t testing.TB, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := r.do(t, req)
	return a.status, a.body
}

// call is one request of the sample traffic.
type call struct {
	file, name, query, kind string
	variables               map[string]any
	key, hash               string // as a real Cosmo router computed them; "" for the invalid one
	v2                      bool   // valid on the second version
}

// calls are all requests of the sample traffic: each operation with the
// variables that the captures were made with, the first set only unless all is set.
func calls(t testing.TB, all bool) []call {
	t.Helper()
	var sent map[string][]struct {
		OperationName string
		Variables     []map[string]any
	}
	if err := json.Unmarshal([]byte(readFixture(t, "operations/variables.json")), &sent); err != nil {
		t.Fatal(err)
	}
	var out []call
	for _, line := range strings.Split(strings.TrimSpace(readFixture(t, "operations/INDEX.tsv")), "\n")[1:] {
		c := strings.Split(line, "\t")
		file := strings.TrimSuffix(c[0], ".graphql")
		found := false
		for _, s := range sent[file] {
			if s.OperationName != c[1] && len(sent[file]) > 1 {
				continue
			}
			found = true
			for i, v := range s.Variables {
				if i > 0 && !all {
					break
				}
				out = append(out, call{file: file, name: s.OperationName, query: readFixture(t, "operations/"+c[0]), kind: c[2],
					variables: v, hash: c[8], key: c[9], v2: c[10] == "yes"})
			}
		}
		if !found {
			t.Fatalf("no variables for %s %s", c[0], c[1])
		}
	}
	return out
}

// valid leaves out what no schema takes.
func valid(cs []call) []call {
	var out []call
	for _, c := range cs {
		if c.key != "" {
			out = append(out, c)
		}
	}
	return out
}

// light leaves out the two operations that take seconds to plan under the race detector.
func light(cs []call) []call {
	return slices.DeleteFunc(cs, func(c call) bool { return c.file == "catalog-wall" || c.file == "season-landing" })
}

// find returns the first call of an operation file.
func find(t testing.TB, file string) call {
	t.Helper()
	for _, c := range calls(t, false) {
		if c.file == file {
			return c
		}
	}
	t.Fatalf("no operation %s", file)
	return call{}
}
