package apollo

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
)

func TestWritePersistedQueries(t *testing.T) {
	none := ""
	entries := []manifest.Entry{
		{Request: manifest.Request{Query: "query B($id: ID!) {\n  product(id: $id) { id }\n}", OperationName: "B"},
			Client:   &manifest.Client{Name: "web"},
			Planwarm: manifest.Details{Variants: []manifest.Variant{{OperationName: &none}, {Query: "query B($id: ID!){product(id: $id){id}}"}}}},
		{Request: manifest.Request{Query: "{ product { id } }"}},
		{Request: manifest.Request{Query: "query X { a } mutation Y { b }", OperationName: "X"}},
		{Request: manifest.Request{Query: "{ product { id } }"}, Client: &manifest.Client{Name: "ios"}},
		{Request: manifest.Request{Query: "mutation M { buy(note: \"a<b\") { id } }", OperationName: "M"}, Planwarm: manifest.Details{Type: manifest.Mutation}},
		{Request: manifest.Request{Query: "query Lifted($a: ID!) { product(id: $a) { id } }", OperationName: "Lifted"}, Planwarm: manifest.Details{Lifted: true}},
	}
	var out bytes.Buffer
	if written, left, err := WritePersistedQueries(&out, entries); err != nil || written != 4 || left != 2 {
		t.Fatalf("%d written, %d left out: %v", written, left, err)
	}
	want, err := os.ReadFile("testdata/persisted.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%s", out.Bytes())
	}
}

// TestWritePersistedQueriesLikeTheTool: an operation that the vendor's own tool
// wrote gets the same id, name and type from here.
func TestWritePersistedQueriesLikeTheTool(t *testing.T) {
	raw, err := os.ReadFile("testdata/generated.json")
	if err != nil {
		t.Fatal(err)
	}
	var theirs, ours persistedManifest
	if err := json.Unmarshal(raw, &theirs); err != nil {
		t.Fatal(err)
	}
	var entries []manifest.Entry
	for _, op := range theirs.Operations {
		entries = append(entries, manifest.Entry{Request: manifest.Request{Query: op.Body, OperationName: op.Name}})
	}
	var out bytes.Buffer
	if _, _, err := WritePersistedQueries(&out, entries); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &ours); err != nil {
		t.Fatal(err)
	}
	if ours.Format != theirs.Format || ours.Version != theirs.Version || len(ours.Operations) != len(theirs.Operations) || len(ours.Operations) < 5 {
		t.Fatalf("%s version %d with %d operations", ours.Format, ours.Version, len(ours.Operations))
	}
	for i, op := range ours.Operations {
		if op != theirs.Operations[i] {
			t.Errorf("%+v, want %+v", op, theirs.Operations[i])
		}
	}
}

func TestWritePersistedQueriesRefuses(t *testing.T) {
	var out bytes.Buffer
	_, _, err := WritePersistedQueries(&out, []manifest.Entry{{Request: manifest.Request{Query: "{a}"}}, {Request: manifest.Request{Query: "{"}}})
	if !errors.Is(err, planner.ErrInvalid) || out.Len() != 0 {
		t.Errorf("%v, %q", err, out.String())
	}
	if _, _, err := WritePersistedQueries(&out, nil); err != nil || !json.Valid(out.Bytes()) || !bytes.Contains(out.Bytes(), []byte(`"operations": []`)) {
		t.Errorf("nothing: %v, %s", err, out.String())
	}
}
