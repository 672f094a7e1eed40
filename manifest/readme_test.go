package manifest

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestReadmeEntry: what the README shows is an entry, with no field that there is not.
func TestReadmeEntry(t *testing.T) {
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(page), "```json\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatal("README shows no entry")
	}
	var e Entry
	dec := json.NewDecoder(strings.NewReader(block))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		t.Fatal(err)
	}
	m := Manifest{
		Format: Format, Graph: Graph{Namespace: "default", Name: "storefront"}, Sequence: 1, GeneratedAt: time.Unix(0, 0).UTC(), Operations: []Entry{e},
	}
	body, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := Decode(bytes.NewReader(body)); err != nil || !reflect.DeepEqual(back.Operations[0], e) {
		t.Errorf("%v: read back as %+v", err, back)
	}
}
