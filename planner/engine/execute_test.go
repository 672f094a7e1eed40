package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeSubgraphs answers for the two subgraphs of join and records what they were asked.
type fakeSubgraphs struct {
	mu     sync.Mutex
	bodies []string
	tokens []string // values of the header X-Token
}

func (f *fakeSubgraphs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.bodies = append(f.bodies, string(body))
	f.tokens = append(f.tokens, r.Header.Get("X-Token"))
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/b" {
		fmt.Fprint(w, `{"data":{"_entities":[{"__typename":"Thing","shipping":7}]}}`)
		return
	}
	fmt.Fprint(w, `{"data":{"thing":{"id":"1","__typename":"Thing","weight":3,"name":"lamp"}}}`)
}

func executingEngine(t *testing.T) (*Engine, *fakeSubgraphs) {
	t.Helper()
	fake := &fakeSubgraphs{}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return newEngine(t, join, Options{URLs: map[string]string{"a": server.URL + "/a", "b": server.URL + "/b"}}), fake
}

func TestExecute(t *testing.T) {
	e, fake := executingEngine(t)
	p := prepare(t, e, `query A($which: ID!) { thing(id: $which) { name shipping } }`, "", `{"which":"1"}`)
	out, _, err := e.Cached(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	body, err := e.Execute(t.Context(), p, out, http.Header{"X-Token": {"t"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"data":{"thing":{"name":"lamp","shipping":7}}}`; string(body) != want {
		t.Errorf("response %s, want %s", body, want)
	}
	if len(fake.bodies) != 2 || !strings.Contains(fake.bodies[0], `{"a":"1"}`) || !strings.Contains(fake.bodies[1], `"weight":3`) {
		t.Errorf("subgraphs were asked %q", fake.bodies)
	}
	if !slices.Equal(fake.tokens, []string{"t", "t"}) {
		t.Errorf("subgraphs were sent the header %q", fake.tokens)
	}
}

// One plan serves all operations that share its key, each with variables of its own.
func TestExecuteWithSharedPlan(t *testing.T) {
	e, fake := executingEngine(t)
	first := prepare(t, e, `query A($x: ID!) { thing(id: $x) { name } }`, "", `{"x":"10"}`)
	second := prepare(t, e, `{ thing(id: "20") { name } }`, "", "")
	for _, p := range []*Prepared{first, second} {
		out, _, err := e.Cached(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Execute(t.Context(), p, out, nil); err != nil {
			t.Fatal(err)
		}
	}
	if s := e.Stats(); s.Hits != 1 || s.Misses != 1 {
		t.Errorf("stats %+v", s)
	}
	if !strings.Contains(fake.bodies[0], `"10"`) || !strings.Contains(fake.bodies[1], `"20"`) {
		t.Errorf("subgraphs were asked %q", fake.bodies)
	}
}

func TestExecuteIntrospection(t *testing.T) {
	e, fake := executingEngine(t)
	p := prepare(t, e, `{ __schema { queryType { name } } __typename }`, "", "")
	out, _, err := e.Cached(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	body, err := e.Execute(t.Context(), p, out, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Data struct {
			Schema struct {
				QueryType struct{ Name string }
			} `json:"__schema"`
			Typename string `json:"__typename"`
		}
	}
	if err := json.Unmarshal(body, &got); err != nil || got.Data.Schema.QueryType.Name != "Query" || got.Data.Typename != "Query" {
		t.Errorf("response %s, error %v", body, err)
	}
	if len(fake.bodies) != 0 {
		t.Errorf("subgraphs were asked %q", fake.bodies)
	}
}

func TestExecuteRefuses(t *testing.T) {
	e, fake := executingEngine(t)
	const text = `query A($x: ID!, $in: In) { thing(id: $x) { name } find(in: $in) { id } }`
	for name, variables := range map[string]string{
		"missing": `{}`, "null": `{"x":null}`, "wrong type": `{"x":{"secret":1}}`, "wrong input": `{"x":"1","in":{"text":{"secret":1}}}`, "not JSON": `{"x":secret}`,
	} {
		p, err := e.Prepare(text, "", []byte(variables))
		if err == nil {
			var out *Planned
			if out, err = e.Plan(p); err != nil {
				t.Fatal(err)
			}
			_, err = e.Execute(t.Context(), p, out, nil)
		}
		if !errors.Is(err, ErrVariables) && !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := e.Prepare(text, "", []byte(`["secret"]`)); !errors.Is(err, ErrInvalid) {
		t.Errorf("error %v", err)
	}
	if _, err := e.Prepare(text, "", make([]byte, MaxVariables+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	a, b := prepare(t, e, `{ thing(id: 1) { name } }`, "", ""), prepare(t, e, `{ thing(id: 1) { id } }`, "", "")
	out, err := e.Plan(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Execute(t.Context(), b, out, nil); err == nil {
		t.Error("executed with the plan of another operation")
	}
	if len(fake.bodies) != 0 {
		t.Errorf("subgraphs were asked %q", fake.bodies)
	}
	only := newEngine(t, join, Options{PlanOnly: true})
	if _, err := only.Execute(t.Context(), a, out, nil); !errors.Is(err, ErrPlanOnly) {
		t.Errorf("error %v, want %v", err, ErrPlanOnly)
	}
}
