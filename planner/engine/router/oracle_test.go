package router

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/planner/engine/subgraphs"
	"github.com/planwarm/planwarm/schema/supergraph"
)

// oracle answers operations without any plan: one server plays the whole graph
// as a single subgraph. Values depend on the identity of what they belong to
// alone, so a right plan over many subgraphs comes to the same answer.
type oracle struct{ url string }

func newOracle(t *testing.T, sdl string) oracle {
	t.Helper()
	s, err := supergraph.Parse(sdl)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Subgraphs(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	for _, g := range list {
		for _, typ := range g.Types {
			for _, k := range typ.Keys {
				if key := fmt.Sprintf(" @key(fields: %q)", k.Fields); !strings.Contains(keys[typ.Name], key) {
					keys[typ.Name] += key
				}
			}
		}
	}
	var whole strings.Builder
	for line := range strings.Lines(s.API(true)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "type" {
			line = strings.Replace(line, " {", keys[f[1]]+" {", 1)
		}
		whole.WriteString(line)
	}
	one, err := subgraphs.New(subgraphs.Options{SDL: map[string]string{"whole": whole.String()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := one.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return oracle{one.URL("whole")}
}

// check compares an answer with the oracle's, byte for byte. Introspection is
// not of the graph: the oracle has none.
func (o oracle) check(t *testing.T, client *http.Client, c call, got string) {
	t.Helper()
	if c.file == "introspection" {
		return
	}
	body, err := json.Marshal(map[string]any{"query": c.query, "operationName": c.name, "variables": c.variables})
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Post(o.url, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	want, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	from := max(0, at-80)
	t.Errorf("%s %s: another answer than without subgraphs, at byte %d:\n%.200s\nwant\n%.200s", c.file, c.name, at, got[from:], want[from:])
}
