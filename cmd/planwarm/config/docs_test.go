package config

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
)

// The documentation shows every key with its default.
func TestDocumentationIsTheDefault(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(doc, []byte("```yaml\n"))
	block, _, found := bytes.Cut(rest, []byte("```"))
	if !found {
		t.Fatal("no YAML in the documentation")
	}
	documented, err := Parse(block, none)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Parse([]byte(minimal), none)
	if err != nil {
		t.Fatal(err)
	}
	documented.Instance = plain.Instance // the host's name
	var shown, want bytes.Buffer
	if err := documented.Print(&shown); err != nil {
		t.Fatal(err)
	}
	if err := plain.Print(&want); err != nil {
		t.Fatal(err)
	}
	if shown.String() != want.String() {
		t.Errorf("documented:\n%s\ndefault:\n%s", shown.String(), want.String())
	}
	eachKey(reflect.TypeFor[Config](), func(key string) {
		if !strings.Contains(string(block), key+":") {
			t.Errorf("%s is not documented", key)
		}
	})
}

// eachKey calls f for each key of a configuration struct and of those in it.
func eachKey(t reflect.Type, f func(string)) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for i := range t.NumField() {
		f(t.Field(i).Tag.Get("yaml"))
		eachKey(t.Field(i).Type, f)
	}
}
