package subgraphs

import (
	"encoding/json"
	"testing"
)

// FuzzAnswer: whatever is asked, the answer is a JSON response of GraphQL.
func FuzzAnswer(f *testing.F) {
	s, err := parse("pets", petsSDL)
	if err != nil {
		f.Fatal(err)
	}
	for _, query := range []string{
		`{ cat(id: "1") { id lives } animals { __typename ... on Dog { chip { code } } } }`,
		`query($r: [_Any!]!) { _entities(representations: $r) { ... on Cat { name } } }`,
		`mutation { create(input: {name: "a"}) { id } }`,
		`query($a: Int) { pets(first: $a) { __typename } }`,
	} {
		f.Add(query, `{"r":[{"__typename":"Dog","chip":{"code":"1"}},{"__typename":"Cat","id":[1]}],"a":1}`)
	}
	f.Fuzz(func(t *testing.T, query, variables string) {
		if !json.Valid([]byte(variables)) {
			variables = "null"
		}
		body, err := json.Marshal(map[string]any{"query": query, "variables": json.RawMessage(variables)})
		if err != nil {
			t.Fatal(err)
		}
		var out struct {
			Data   json.RawMessage
			Errors []json.RawMessage
		}
		if err := json.Unmarshal(answer(s, &counters{}, body), &out); err != nil {
			t.Fatal(err)
		}
		if (out.Data == nil) == (len(out.Errors) == 0) {
			t.Errorf("neither or both of data and errors for %q", query)
		}
	})
}
