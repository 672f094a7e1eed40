package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const controlToken = "a-token-of-tests"

var controlled = manifest.Graph{Namespace: "default", Name: "storefront"}

// fakeSidecar notes what it is asked for.
type fakeSidecar struct {
	graphs []manifest.Graph
	asked  []string
	err    error
}

func (f *fakeSidecar) Status() warmer.Status {
	s := warmer.Status{Ready: true, Graphs: []warmer.GraphStatus{}}
	for _, g := range f.graphs {
		s.Graphs = append(s.Graphs, warmer.GraphStatus{Graph: g})
	}
	return s
}

func (f *fakeSidecar) Recompute(_ context.Context, g manifest.Graph) (warmer.PublishReport, error) {
	f.asked = append(f.asked, "recompute "+g.String())
	return warmer.PublishReport{Sequence: 7, Published: true}, f.err
}

func (f *fakeSidecar) Trigger(_ context.Context, g manifest.Graph, r warmer.Reason) error {
	f.asked = append(f.asked, string(r)+" "+g.String())
	return f.err
}

// ask sends one request, by default from a command on this machine.
func ask(t *testing.T, o ControlOptions, method, target string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := NewControl(o)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, target, strings.NewReader(strings.Repeat("x", 1<<20)))
	r.Host = "127.0.0.1:7660"
	for k, v := range header {
		if k == "Host" {
			r.Host = v
		}
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestControlNeedsASidecar(t *testing.T) {
	if _, err := NewControl(ControlOptions{}); err == nil {
		t.Error("built without a sidecar")
	}
}

func TestControlAsksForItsToken(t *testing.T) {
	for name, tc := range map[string]struct {
		authorization string
		want          int
	}{
		"none":           {"", 401},
		"right":          {"Bearer " + controlToken, 200},
		"lower case":     {"bearer " + controlToken, 200},
		"wrong":          {"Bearer another", 401},
		"start of it":    {"Bearer " + controlToken[:5], 401},
		"longer":         {"Bearer " + controlToken + "x", 401},
		"empty":          {"Bearer ", 401},
		"another scheme": {"Basic " + controlToken, 401},
		"no scheme":      {controlToken, 401},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeSidecar{graphs: []manifest.Graph{controlled}}
			for _, target := range []string{"GET /status", "POST /recompute", "POST /warm", "GET /nothing"} {
				method, path, _ := strings.Cut(target, " ")
				w := ask(t, ControlOptions{Sidecar: f, Token: controlToken}, method, path, map[string]string{"Authorization": tc.authorization, "Host": "planwarm.example:7660"})
				if (w.Code == 401) != (tc.want == 401) {
					t.Errorf("%s answered %d, want %d", target, w.Code, tc.want)
				}
				if w.Code == 401 && w.Header().Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("%s does not say how to authenticate", target)
				}
				if strings.Contains(w.Body.String(), controlToken) {
					t.Errorf("%s answered with the token", target)
				}
			}
			if tc.want == 401 && len(f.asked) > 0 {
				t.Errorf("without the right token the sidecar did %v", f.asked)
			}
		})
	}
}

// Without a token only this machine may ask, and not through a browser that a
// page or a name of somebody else leads here.
func TestControlWithoutTokenAnswersThisMachineAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		header map[string]string
		want   int
	}{
		"IPv4":              {map[string]string{"Host": "127.0.0.1:7660"}, 200},
		"IPv6":              {map[string]string{"Host": "[::1]:7660"}, 200},
		"IPv6 without port": {map[string]string{"Host": "[::1]"}, 200},
		"name":              {map[string]string{"Host": "LocalHost:7660"}, 200},
		"rebound name":      {map[string]string{"Host": "evil.example:7660"}, 403},
		"look-alike":        {map[string]string{"Host": "127.0.0.1.evil.example"}, 403},
		"other address":     {map[string]string{"Host": "192.0.2.1:7660"}, 403},
		"no host":           {map[string]string{"Host": ""}, 403},
		"page of another":   {map[string]string{"Origin": "https://evil.example"}, 403},
		"cross-site":        {map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"same origin":       {map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeSidecar{graphs: []manifest.Graph{controlled}}
			w := ask(t, ControlOptions{Sidecar: f}, http.MethodPost, "/recompute", tc.header)
			if w.Code != tc.want || (w.Code == 403) != (len(f.asked) == 0) {
				t.Errorf("answered %d, want %d; the sidecar did %v", w.Code, tc.want, f.asked)
			}
		})
	}
	// A right token does not excuse a page of another origin.
	f := &fakeSidecar{graphs: []manifest.Graph{controlled}}
	header := map[string]string{"Authorization": "Bearer " + controlToken, "Origin": "https://evil.example"}
	if w := ask(t, ControlOptions{Sidecar: f, Token: controlToken}, http.MethodPost, "/warm", header); w.Code != 403 || len(f.asked) > 0 {
		t.Errorf("a page of another origin was answered %d; the sidecar did %v", w.Code, f.asked)
	}
}

func TestControlTakesTheRightMethodsAlone(t *testing.T) {
	for target, want := range map[string]int{
		"GET /status": 200, "HEAD /status": 200, "POST /status": 405, "POST /recompute": 200, "GET /recompute": 405, "PUT /recompute": 405,
		"POST /warm": 202, "GET /warm": 405, "GET /": 404, "GET /metrics": 404, "GET /status/x": 404,
	} {
		method, path, _ := strings.Cut(target, " ")
		f := &fakeSidecar{graphs: []manifest.Graph{controlled}}
		if w := ask(t, ControlOptions{Sidecar: f}, method, path, nil); w.Code != want {
			t.Errorf("%s answered %d, want %d", target, w.Code, want)
		}
	}
}

func TestControlFindsTheGraph(t *testing.T) {
	other := manifest.Graph{Namespace: "staging", Name: "storefront"}
	third := manifest.Graph{Namespace: "default", Name: "search"}
	for name, tc := range map[string]struct {
		graphs []manifest.Graph
		query  string
		want   string // "": 404
	}{
		"the only one":           {[]manifest.Graph{controlled}, "", "default/storefront"},
		"which of two":           {[]manifest.Graph{controlled, third}, "", ""},
		"none there":             {nil, "", ""},
		"by name":                {[]manifest.Graph{controlled, third}, "?graph=search", "default/search"},
		"by both":                {[]manifest.Graph{controlled, other}, "?graph=storefront&namespace=staging", "staging/storefront"},
		"name in two namespaces": {[]manifest.Graph{controlled, other}, "?graph=storefront", ""},
		"unknown":                {[]manifest.Graph{controlled}, "?graph=nothing", ""},
		"wrong namespace":        {[]manifest.Graph{controlled}, "?graph=storefront&namespace=staging", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/recompute", "/warm"} {
				f := &fakeSidecar{graphs: tc.graphs}
				w := ask(t, ControlOptions{Sidecar: f}, http.MethodPost, path+tc.query, nil)
				if tc.want == "" {
					if w.Code != 404 || len(f.asked) > 0 {
						t.Errorf("%s answered %d, the sidecar did %v", path, w.Code, f.asked)
					}
					continue
				}
				if len(f.asked) != 1 || !strings.HasSuffix(f.asked[0], " "+tc.want) {
					t.Errorf("%s: the sidecar did %v, want %s", path, f.asked, tc.want)
				}
			}
		})
	}
}

func TestControlTellsWhatWentWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		path string
		err  error
		want int
		logs int
	}{
		"held":         {"/recompute", warmer.ErrHeld, 423, 0},
		"no schema":    {"/recompute", warmer.ErrNoSchema, 503, 0},
		"conflict":     {"/recompute", warmer.ErrConflict, 409, 0},
		"bucket fails": {"/recompute", errors.New("bucket does not answer"), 502, 1},
		"graph went":   {"/warm", warmer.ErrUnknownGraph, 404, 0},
		"other":        {"/warm", errors.New("cannot"), 502, 0},
	} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zap.DebugLevel)
			f := &fakeSidecar{graphs: []manifest.Graph{controlled}, err: tc.err}
			w := ask(t, ControlOptions{Sidecar: f, Logger: zap.New(core)}, http.MethodPost, tc.path, nil)
			var said struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || w.Code != tc.want || !strings.HasPrefix(said.Error, tc.err.Error()) {
				t.Errorf("answered %d %q, %v, want %d %q", w.Code, said.Error, err, tc.want, tc.err)
			}
			if logs.Len() != tc.logs {
				t.Errorf("logged %v", logs.All())
			}
		})
	}
}

// Somebody who stopped waiting is no failure of the recompute.
func TestControlTakesALeftCallerForNoFailure(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	h, err := NewControl(ControlOptions{Sidecar: &fakeSidecar{graphs: []manifest.Graph{controlled}, err: context.Canceled}, Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/recompute", nil)
	r.Host = "localhost"
	h.ServeHTTP(httptest.NewRecorder(), r)
	if logs.Len() > 0 {
		t.Errorf("logged %v", logs.All())
	}
}

func TestControlAnswersJSON(t *testing.T) {
	f := &fakeSidecar{graphs: []manifest.Graph{controlled}}
	for target, want := range map[string]string{
		"GET /status":         `"ready": true`,
		"POST /recompute":     `"sequence": 7`,
		"POST /warm":          `"graph": "default/storefront"`,
		"POST /warm?graph=no": `"error": "unknown graph"`,
	} {
		method, path, _ := strings.Cut(target, " ")
		w := ask(t, ControlOptions{Sidecar: f}, method, path, nil)
		if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", target, w.Header())
		}
		if !json.Valid(w.Body.Bytes()) || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: no %s in\n%s", target, want, w.Body)
		}
	}
}
