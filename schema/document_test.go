package schema

import (
	"errors"
	"strings"
	"testing"
)

func TestDocumentWithOneOperationIsKeptByteForByte(t *testing.T) {
	text := "\n# who am I\r\nquery  Me {\tme { id } }  # end\n"
	got, err := ParseDocument("me.graphql", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Text != text || got[0].Name != "Me" || got[0].Type != "query" || got[0].Line != 1 || got[0].File != "me.graphql" {
		t.Errorf("got %+v", got)
	}
}

const several = `# café, before
query A($x: In = {n: 1}) @tr(lang: "é }") {
  thing(id: "日本 { }") { ...One, ...Two }
} mutation B { set(in: {name: """
  block } "string" 🙂
"""}) { ...Two } }

fragment Unused on Thing { id }
fragment Two on Thing { id }   fragment One on Thing { name   ...Three }
"described: ü"
subscription C { thing(id: 1) { ...Three } }
fragment Three on Thing {
  id
  nope
}
`

func TestDocumentIsCut(t *testing.T) {
	got, err := ParseDocument("several.graphql", []byte(several))
	if err != nil {
		t.Fatal(err)
	}
	three := "fragment Three on Thing {\n  id\n  nope\n}"
	want := []Source{
		{Name: "A", Type: "query", Line: 2, Text: "query A($x: In = {n: 1}) @tr(lang: \"é }\") {\n  thing(id: \"日本 { }\") { ...One, ...Two }\n}\n" +
			"fragment Two on Thing { id }\nfragment One on Thing { name   ...Three }\n" + three},
		{Name: "B", Type: "mutation", Line: 4, Text: "mutation B { set(in: {name: \"\"\"\n  block } \"string\" 🙂\n\"\"\"}) { ...Two } }\nfragment Two on Thing { id }"},
		{Name: "C", Type: "subscription", Line: 10, Text: "\"described: ü\"\nsubscription C { thing(id: 1) { ...Three } }\n" + three},
	}
	if len(got) != len(want) {
		t.Fatalf("%d operations, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Name != w.Name || g.Type != w.Type || g.Line != w.Line || g.Text != w.Text || g.File != "several.graphql" {
			t.Errorf("operation %d\n got %+v\nwant %+v", i, g, w)
		}
	}
}

func TestLocatePointsIntoTheFile(t *testing.T) {
	list, err := ParseDocument("several.graphql", []byte(several))
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range list {
		if src.Name == "B" {
			continue
		}
		_, err := traps(t).Parse(src.Text, src.Name)
		var found OperationErrors
		if !errors.As(src.Locate(err), &found) {
			t.Fatalf("%s: %v", src.Name, err)
		}
		for _, f := range found {
			if f.Rule == "FieldsOnCorrectType" && (f.Line != 14 || f.Column != 3 || f.File != "several.graphql") {
				t.Errorf("%s: the fault is said to be at %s:%d:%d, want 14:3", src.Name, f.File, f.Line, f.Column)
			}
		}
	}
	b := list[1]
	moved := b.Locate(OperationErrors{{Line: 1, Column: 14, Rule: "R"}, {Line: 4, Column: 1, Rule: "R"}})
	if got := moved.Error(); got != "several.graphql:4:16:  (R)\nseveral.graphql:9:1:  (R)" {
		t.Errorf("got %q", got)
	}
}

func TestDocumentFaults(t *testing.T) {
	for text, rule := range map[string]string{
		"":                                      RuleChoice,
		"fragment F on T { id }":                RuleChoice,
		"query A { a } query A { b }":           "UniqueOperationNames",
		"query A { a } { b }":                   "LoneAnonymousOperation",
		"query A { a } query B { b":             RuleSyntax,
		"query A { a(x: \"secret }":             RuleSyntax,
		"query A { a } query B { b } type T {}": RuleSyntax,
	} {
		_, err := ParseDocument("x.graphql", []byte(text))
		var list OperationErrors
		if !errors.As(err, &list) || list[0].Rule != rule || list[0].File != "x.graphql" || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %s", text, err, rule)
		}
	}
	if _, err := ParseDocument("x", make([]byte, MaxDocumentBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large: %v", err)
	}
}

func TestDocumentOutputIsBounded(t *testing.T) {
	// Each of many operations would repeat one large fragment.
	var b strings.Builder
	b.WriteString("fragment F on T { a" + strings.Repeat(" ", MaxDocumentBytes-1_000) + "}")
	for i := range 20 {
		b.WriteString(" query " + strings.Repeat("q", i+1) + " { ...F }")
	}
	if _, err := ParseDocument("x", []byte(b.String())); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}
