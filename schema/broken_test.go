package schema

import (
	"strings"
	"testing"
)

func TestBrokenByTheSecondVersion(t *testing.T) {
	before, after := loadFile(t, "supergraph.graphql"), loadFile(t, "supergraph-v2.graphql")
	want := map[string]bool{}
	for _, op := range index(t) {
		// The index speaks of files; this operation of one is valid.
		if op.valid && !op.validOnV2 && op.name != "TabDelivery" {
			want[op.file+" "+op.name] = true
		}
	}
	ops := sources(t)
	accepted := 0
	for _, op := range ops {
		// The index leaves out the operation of this file that is never sent.
		if _, err := after.Parse(op.Text, op.Name); err == nil && op.Name != "NotThis" {
			accepted++
		}
	}
	if accepted != 68 {
		t.Errorf("the second version accepts %d operations, want 68", accepted)
	}
	for _, b := range Broken(before, after, ops) {
		key := b.File + " " + b.Name
		if !want[key] {
			t.Errorf("%s: said to be broken: %s", key, b.Message)
		}
		delete(want, key)
		if b.Rule != "FieldsOnCorrectType" || b.Line == 0 || b.Column == 0 || !strings.Contains(b.Message, "Cannot query field") {
			t.Errorf("%s: %+v", key, b)
		}
		if ops[b.Index].Name != b.Name {
			t.Errorf("%s: index %d is another operation", key, b.Index)
		}
		if line := lineOf(t, b.File, b.Line); !strings.Contains(line[b.Column-1:], strings.Split(b.Message, `"`)[1]) {
			t.Errorf("%s: %d:%d does not point at the field: %q", key, b.Line, b.Column, line)
		}
	}
	for key := range want {
		t.Errorf("%s: breakage not seen", key)
	}
}

func lineOf(t *testing.T, file string, n int) string {
	t.Helper()
	return strings.Split(string(fixture(t, "operations/"+file)), "\n")[n-1]
}

func TestBrokenTellsOnlyNews(t *testing.T) {
	s := loadFile(t, "supergraph.graphql")
	ops := sources(t)
	if got := Broken(s, s, ops); len(got) != 0 {
		t.Errorf("an unchanged schema breaks %v", got)
	}
	got := Broken(nil, s, ops)
	if len(got) != 1 || got[0].Name != "InvalidField" {
		t.Errorf("without an old schema: %v", got)
	}
}

func TestBrokenQuotesNoLiteral(t *testing.T) {
	load := func(arg string) *Schema {
		s, err := Load([]byte("type Query { a(x: " + arg + "): Int }"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	got := Broken(load("String"), load("Int"), []Source{{Name: "A", Text: `query A { a(x: "secret") }`, Line: 1}})
	if len(got) != 1 || strings.Contains(got[0].Message, "secret") || got[0].Rule != "ValuesOfCorrectType" || got[0].Column != 17 {
		t.Errorf("got %+v", got)
	}
}
