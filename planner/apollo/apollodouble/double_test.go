package apollodouble_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/planner/apollo/apollodouble"
	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
)

// TestFacts has what is known of the real router, row by row.
func TestFacts(t *testing.T) {
	const allowed, ignored = dryrundouble.Allowed, dryrundouble.Ignored
	for _, c := range []struct {
		name     string
		mode     dryrundouble.Mode
		header   string
		body     string
		status   int
		want     string // in the answer
		not      string
		planned  int
		executed int
	}{
		{"dry run", allowed, "dry-run", `{"query":"{product{id}}"}`, 200, `"apolloQueryPlan":{"object":{"kind":"QueryPlan"`, "data", 1, 0},
		{"no header", allowed, "", `{"query":"{product{id}}"}`, 200, `"data":{"product"`, "apolloQueryPlan", 1, 1},
		{"not allowed", ignored, "dry-run", `{"query":"{product{id}}"}`, 200, `"data":{"product"`, "apolloQueryPlan", 1, 1},
		{"not allowed, a mutation", ignored, "dry-run", `{"query":"mutation{buy{id}}"}`, 200, `"data":{"buy"`, "apolloQueryPlan", 1, 1},
		{"__typename alone", allowed, "dry-run", `{"query":"{__typename}"}`, 200, `"data":{"__typename"`, "apolloQueryPlan", 0, 1},
		{"variable missing", allowed, "dry-run", `{"query":"query($a: ID!){product(id: $a){id}}"}`, 400, "VALIDATION_INVALID_TYPE_VARIABLE", "data", 1, 0},
		{"variable missing, not allowed", ignored, "dry-run", `{"query":"query($a: ID!){product(id: $a){id}}"}`, 400, "VALIDATION_INVALID_TYPE_VARIABLE", "data", 1, 0},
		{"defer", ignored, "dry-run", `{"query":"{product{... @defer{id}}}"}`, 406, "errors", "data", 1, 0},
		{"subscription", ignored, "dry-run", `{"query":"subscription{prices{id}}"}`, 406, "errors", "data", 1, 0},
		{"back-pressure", dryrundouble.Unavailable, "dry-run", `{"query":"{product{id}}"}`, 503, "errors", "data", 0, 0},
	} {
		d := apollodouble.New(apollodouble.Options{Options: dryrundouble.Options{Mode: c.mode}})
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(c.body))
		r.Header.Set("Accept", "application/json")
		if c.header != "" {
			r.Header.Set("Apollo-Expose-Query-Plan", c.header)
		}
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if text := w.Body.String(); w.Code != c.status || !strings.Contains(text, c.want) || strings.Contains(text, c.not) {
			t.Errorf("%s: %d %s", c.name, w.Code, text)
		}
		if d.Planned() != c.planned || len(d.Executed()) != c.executed {
			t.Errorf("%s: %d planned, %d executed", c.name, d.Planned(), len(d.Executed()))
		}
	}
}

func TestMetricsTellOfASchema(t *testing.T) {
	d := apollodouble.New(apollodouble.Options{})
	page := func() string {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Body.String()
	}
	before := page()
	d.Reload()
	if after := page(); !strings.Contains(before, `schema_id="schema-0"`) || !strings.Contains(after, `schema_id="schema-1"`) ||
		!strings.Contains(after, `event="UpdateSchema",state="Running"} 2`) {
		t.Errorf("%s\n%s", before, after)
	}
}
