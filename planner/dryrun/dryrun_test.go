package dryrun

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
	"github.com/planwarm/planwarm/planner/planhttp"
)

const canaryText, good = "query PlanwarmCanary{planwarm:me{id}}", `{"extensions":{"plan":{"kind":"QueryPlan"}}}`

var testDialect = Dialect{
	Component: "test planner", Header: "X-Plan", ClientName: "X-Name", ClientVersion: "X-Version", Extension: "plan",
	Admit:     func(planhttp.Operation, planner.Request) error { return nil },
	Variables: func(planner.Request) (json.RawMessage, error) { return nil, nil },
	Planned:   func(_ planhttp.Operation, status int, _ planhttp.Answer) bool { return status == 418 },
}

func canary() (Canary, error) { return Canary{Query: canaryText}, nil }

// scripted answers the canary and operations with a status and a body each.
type scripted struct {
	status, canaryStatus int
	body, canaryBody     string
	canaries, operations int
	last                 *http.Request
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.last = r
	if strings.Contains(string(body), "PlanwarmCanary") {
		s.canaries++
		w.WriteHeader(s.canaryStatus)
		_, _ = io.WriteString(w, s.canaryBody)
		return
	}
	s.operations++
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

func newRouter(t *testing.T, h http.Handler, change func(*Options)) *Router {
	t.Helper()
	o := Options{URL: "http://router.test/", Canary: canary, Client: dryrundouble.Client(h), OwnVersion: "1.2.3"}
	if change != nil {
		change(&o)
	}
	r, err := New(testDialect, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAnswersToAnOperation: probed says that the canary had to settle it.
func TestAnswersToAnOperation(t *testing.T) {
	const failed = `{"errors":[{"message":"x"}]}`
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   error
		probed bool
	}{
		{"planned", 200, good, nil, false},
		{"planned, with errors", 200, `{"errors":[{}],"extensions":{"plan":{"a":1}}}`, nil, false},
		{"refused after planning", 418, failed, nil, false},
		{"data", 200, `{"data":{"a":1}}`, planner.ErrExecuted, false},
		{"data and plan", 200, `{"extensions":{"plan":{"a":1}},"data":{"a":null}}`, planner.ErrExecuted, false},
		{"data null and plan", 200, `{"data":null,"extensions":{"plan":{"a":1}}}`, planner.ErrExecuted, false},
		{"data null and errors", 200, `{"data":null,"errors":[{}]}`, planner.ErrExecuted, false},
		{"data in a refusal", 418, `{"data":{"a":1}}`, planner.ErrExecuted, false},
		{"data in a redirect", 307, `{"data":{"a":1}}`, planner.ErrExecuted, false},
		{"data cut off", 200, `{"data":{"a`, planner.ErrExecuted, false},
		{"data null in a refusal", 400, `{"data":null,"errors":[{}]}`, planner.ErrInvalid, false},
		{"errors", 200, failed, planner.ErrInvalid, false},
		{"400", 400, failed, planner.ErrInvalid, false},
		{"500 with errors", 500, failed, planner.ErrInvalid, true},
		{"401", 401, failed, planner.ErrInvalid, true},
		{"403", 403, failed, planner.ErrInvalid, true},
		{"400 of something else", 400, "<html>", planner.ErrInvalid, true},
		{"plan with another status", 201, good, planner.ErrRefused, false},
		{"plan cut off", 200, `{"extensions":{"plan":{"a":1`, planner.ErrRefused, false},
		{"nothing", 200, `{}`, planner.ErrRefused, false},
		{"no answer", 204, ``, planner.ErrRefused, false},
		{"html", 200, "<html>", planner.ErrRefused, false},
		{"redirect", 302, "", planner.ErrRefused, false},
		{"404", 404, "", planner.ErrUnavailable, false},
		{"503", 503, failed, planner.ErrOverloaded, false},
		{"429", 429, "", planner.ErrOverloaded, false},
	} {
		s := &scripted{status: c.status, body: c.body, canaryStatus: 200, canaryBody: good}
		r := newRouter(t, s, nil)
		_, err := r.Plan(t.Context(), planner.Request{Query: "{me{id}}"})
		canaries := map[bool]int{false: 1, true: 2}[c.probed]
		if !errors.Is(err, c.want) || s.operations != 1 || s.canaries != canaries {
			t.Errorf("%s: %v after %d canaries, want %v after %d", c.name, err, s.canaries, c.want, canaries)
		}
		if err != nil && (strings.Contains(err.Error(), "router.test") || strings.Contains(err.Error(), "me{")) {
			t.Errorf("%s: the error tells too much: %v", c.name, err)
		}
	}
}

// TestPlanBeyondTheBound: nothing is known of what follows, so that the canary
// has to say that the header is honoured still.
func TestPlanBeyondTheBound(t *testing.T) {
	const long = `{"extensions":{"plan":{"kind":"QueryPlan","text":["a","b","c"`
	for canaryBody, want := range map[string]error{good: nil, `{"data":{"me":null}}`: planner.ErrExecuted, "<html>": planner.ErrRefused} {
		s := &scripted{status: 200, body: long + strings.Repeat(`,"d"`, 100) + "]}}}", canaryStatus: 200, canaryBody: good}
		r := newRouter(t, s, func(o *Options) { o.MaxBody = int64(len(long)) })
		if err := r.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.canaryBody = canaryBody
		if _, err := r.Plan(t.Context(), planner.Request{Query: "{me{id}}"}); !errors.Is(err, want) || s.canaries != 2 || s.operations != 1 {
			t.Errorf("%s: %v after %d canaries", canaryBody, err, s.canaries)
		}
		if r.gate.Open() != (want == nil) {
			t.Errorf("%s: open %v", canaryBody, r.gate.Open())
		}
	}
}

// TestRefusedProfile: a refusal of the profile leaves the gate open, whose
// canary goes without it.
func TestRefusedProfile(t *testing.T) {
	s := &scripted{status: 401, body: `{"errors":[{}]}`, canaryStatus: 200, canaryBody: good}
	r := newRouter(t, s, nil)
	q := planner.Request{Query: "{me{id}}", Header: http.Header{"Authorization": {"Bearer old"}}}
	if _, err := r.Plan(t.Context(), q); !errors.Is(err, planner.ErrProfile) || errors.Is(err, planner.ErrRefused) || !r.gate.Open() {
		t.Errorf("%v, open %v", err, r.gate.Open())
	}
	s.status = 403 // to this operation, perhaps, and not to others
	if _, err := r.Plan(t.Context(), q); !errors.Is(err, planner.ErrInvalid) || !r.gate.Open() {
		t.Errorf("forbidden: %v, open %v", err, r.gate.Open())
	}
	s.status, s.canaryStatus, s.canaryBody = 401, 401, s.body // nor without it any longer
	if _, err := r.Plan(t.Context(), q); !errors.Is(err, planner.ErrRefused) || r.gate.Open() {
		t.Errorf("to the canary too: %v, open %v", err, r.gate.Open())
	}
}

func TestAnswersToTheCanary(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{"plan", 200, good, nil},
		{"plan and data", 200, `{"data":{},"extensions":{"plan":{"a":1}}}`, planner.ErrExecuted},
		{"plan and null", 200, `{"data":null,"extensions":{"plan":{"a":1}}}`, planner.ErrExecuted},
		{"empty plan", 200, `{"extensions":{"plan":{}}}`, planner.ErrRefused},
		{"plan without an end", 200, good[:len(good)-1], planner.ErrRefused},
		{"plan and more", 200, good + good, planner.ErrRefused},
		{"plan in a refusal", 400, good, planner.ErrRefused},
		{"refused after planning", 418, `{"errors":[{}]}`, planner.ErrRefused}, // no proof that the header is honoured
		{"errors", 200, `{"errors":[{}]}`, planner.ErrRefused},
		{"401", 401, "", planner.ErrRefused},
		{"500", 500, "", planner.ErrUnavailable},
		{"503", 503, "", planner.ErrOverloaded},
	} {
		s := &scripted{canaryStatus: c.status, canaryBody: c.body, status: 200, body: good}
		r := newRouter(t, s, nil)
		if err := r.Probe(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if _, err := r.Plan(t.Context(), planner.Request{Query: "{me{id}}"}); c.want != nil && (err == nil || s.operations != 0) {
			t.Errorf("%s: an operation was sent, %v", c.name, err)
		}
	}
}

// TestIntrospectionIsNotSent: it would be answered with data, and end the run.
func TestIntrospectionIsNotSent(t *testing.T) {
	s := &scripted{canaryStatus: 200, canaryBody: good}
	r := newRouter(t, s, nil)
	for _, text := range []string{"{__typename}", "query I{__schema{types{name}}}"} {
		if _, err := r.Plan(t.Context(), planner.Request{Query: text}); !errors.Is(err, planner.ErrInvalid) || s.operations+s.canaries != 0 {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCanaryComesFromOutside(t *testing.T) {
	noSchema := errors.New("no schema yet")
	for name, c := range map[string]struct {
		canary Canary
		err    error
		want   error
	}{
		"no schema yet": {Canary{}, noSchema, planner.ErrUnavailable},
		"a mutation":    {Canary{Query: "mutation PlanwarmCanary{a}"}, nil, planner.ErrRefused},
		"__typename":    {Canary{Query: "{__typename}"}, nil, planner.ErrRefused},
		"not a query":   {Canary{Query: "PlanwarmCanary{"}, nil, planner.ErrRefused},
	} {
		s := &scripted{canaryStatus: 200, canaryBody: good}
		r := newRouter(t, s, func(o *Options) { o.Canary = func() (Canary, error) { return c.canary, c.err } })
		if err := r.Probe(t.Context()); !errors.Is(err, c.want) || s.canaries != 0 {
			t.Errorf("%s: %v, %d sent", name, err, s.canaries)
		}
	}
}

func TestTokens(t *testing.T) {
	for name, c := range map[string]struct {
		token   func() (string, error)
		profile http.Header
		want    string
		err     error
	}{
		"none":             {nil, nil, "", nil},
		"token":            {func() (string, error) { return "t", nil }, nil, "Bearer t", nil},
		"profile goes on":  {func() (string, error) { return "t", nil }, http.Header{"authorization": {"Bearer p"}}, "Bearer p", nil},
		"empty":            {func() (string, error) { return "", nil }, nil, "", planner.ErrUnavailable},
		"no header value":  {func() (string, error) { return "a\nb", nil }, nil, "", planner.ErrUnavailable},
		"cannot be read":   {func() (string, error) { return "", io.ErrUnexpectedEOF }, nil, "", planner.ErrUnavailable},
		"profile replaces": {nil, http.Header{"X-Plan": {"no"}, "X-Name": {"web"}, "X-Version": {"9"}}, "", nil},
	} {
		s := &scripted{canaryStatus: 200, canaryBody: good, status: 200, body: good}
		r := newRouter(t, s, func(o *Options) { o.Token = c.token })
		_, err := r.Plan(t.Context(), planner.Request{Query: "{me{id}}", Header: c.profile})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		h := s.last.Header
		if h.Get("Authorization") != c.want || h.Get("X-Plan") != "dry-run" || h.Get("X-Name") != "planwarm" || h.Get("X-Version") != "1.2.3" {
			t.Errorf("%s: %v", name, h)
		}
	}
}

// TestOverTheNetwork has what only a real connection has: a refused one, one
// that breaks off, and an address with a password in it.
func TestOverTheNetwork(t *testing.T) {
	s := &scripted{canaryStatus: 200, canaryBody: good}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"extensions":{"plan":{"a":1}}`)
			return
		}
		s.ServeHTTP(w, r)
	}))
	defer srv.Close()
	open := func(path string) *Router {
		r, err := New(testDialect, Options{URL: strings.Replace(srv.URL, "http://", "http://user:hidden@", 1) + path, Canary: canary})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.client.CloseIdleConnections)
		return r
	}
	if err := open("/").Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if err := open("/broken").Probe(t.Context()); !errors.Is(err, planner.ErrUnavailable) {
		t.Errorf("broken off: %v", err)
	}
	r := open("/")
	srv.Close()
	if err := r.Probe(t.Context()); !errors.Is(err, planner.ErrUnavailable) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("refused: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := New(testDialect, Options{URL: "ftp://router", ReadyURL: "router", MetricsURL: "x"})
	for _, want := range []string{"url: ", "ready url: ", "metrics url: ", "canary: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named: %v", want, err)
		}
	}
}

func TestCounter(t *testing.T) {
	var c Counter
	see := func(values ...float64) string {
		var page []planhttp.Series
		for _, v := range values {
			page = append(page, planhttp.Series{Name: "a", Value: v})
		}
		grew, fell := c.See(page, func(s planhttp.Series) bool { return s.Name == "a" })
		return map[[2]bool]string{{true, false}: "grew", {false, true}: "fell", {false, false}: "same"}[[2]bool{grew, fell}]
	}
	for i, step := range []struct {
		values []float64
		want   string
	}{
		{nil, "same"}, {[]float64{1}, "grew"}, {[]float64{1}, "same"}, {[]float64{1, 1}, "grew"}, {nil, "same"}, {[]float64{2}, "same"}, {[]float64{1}, "fell"},
	} {
		if got := see(step.values...); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	r := newRouter(t, &scripted{}, nil)
	if r.o.Timeout != time.Minute || r.o.MaxBody != DefaultMaxBody || r.o.WatchInterval != DefaultWatchInterval || r.o.Debounce != DefaultDebounce {
		t.Errorf("%+v", r.o)
	}
}
