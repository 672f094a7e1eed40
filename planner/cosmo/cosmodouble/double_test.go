package cosmodouble_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/planner/cosmo/cosmodouble"
)

func post(d *cosmodouble.Double, body string, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPlanOnlyRows has what was seen on the real router, row by row.
func TestPlanOnlyRows(t *testing.T) {
	const skip, canary = "X-WG-Skip-Loader", `{"query":"{ __typename }"}`
	for _, c := range []struct {
		name     string
		mode     cosmodouble.Mode
		header   []string
		status   int
		body     string
		executed int
	}{
		{"allowed, header", cosmodouble.Allowed, []string{skip, "true"}, 200, `{"data":null}`, 0},
		{"allowed, no header", cosmodouble.Allowed, nil, 200, `{"data":{"__typename":"Query"}}`, 1},
		{"ignored", cosmodouble.Ignored, []string{skip, "true"}, 200, `{"data":{"__typename":"Query"}}`, 1},
		{"right token", cosmodouble.FailsClosed, []string{skip, "true", "X-WG-Token", "right"}, 200, `{"data":null}`, 0},
		{"wrong token", cosmodouble.FailsClosed, []string{skip, "true", "X-WG-Token", "wrong"}, 400, `{"errors":[{"message":"invalid token"}]}`, 0},
		{"no token", cosmodouble.FailsClosed, []string{skip, "true"}, 200, `{"data":{"__typename":"Query"}}`, 1},
		{"starting", cosmodouble.Starting, []string{skip, "true"}, 404, "404 page not found\n", 0},
	} {
		d := cosmodouble.New(cosmodouble.Options{Mode: c.mode, Token: "right"})
		r := post(d, canary, c.header...)
		if body := text(t, r); r.StatusCode != c.status || body != c.body || len(d.Executed()) != c.executed {
			t.Errorf("%s: %d %s, %d executed", c.name, r.StatusCode, body, len(d.Executed()))
		}
	}
}

func TestExecutionsAreTold(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.Ignored})
	post(d, `{"query":"{ __typename }"}`)
	post(d, `{"query":"{ a: product { id } }"}`)
	post(d, `{"query":"mutation { buy { id } }"}`)
	e := d.Executed()
	if len(e) != 3 || e[0].Subgraph || !e[1].Subgraph || e[1].Mutation || !e[2].Mutation {
		t.Fatalf("%+v", e)
	}
}

func TestReloadDropsPlansAndCounter(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Hits: cosmodouble.HitDebug})
	metrics := func() string {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Body.String()
	}
	for _, want := range []string{"MISS", "HIT"} {
		if got := post(d, `{"query":"{a}"}`).Header.Get("X-WG-Execution-Plan-Cache"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if !strings.Contains(metrics(), `operation="added",wg_router_config_version="0"} 1`) {
		t.Error(metrics())
	}
	d.Reload()
	if d.Planned() != 0 || !strings.Contains(metrics(), `operation="added",wg_router_config_version="0"} 0`) {
		t.Error(metrics())
	}
	if got := post(d, `{"query":"{a}"}`).Header.Get("X-WG-Execution-Plan-Cache"); got != "MISS" {
		t.Errorf("%s after a reload", got)
	}
}
