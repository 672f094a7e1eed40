package schema

import (
	"errors"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
)

func FuzzParse(f *testing.F) {
	s := traps(f)
	for _, text := range []string{
		`query A($n: String) { search(in: {name: $n, n: 3, tags: ["x"]}, j: {a: [1, $n]}) { id } }`,
		`query A($v: In = {name: "s"}) { need(in: $v, l: [$v]) { ...F @include(if: true) } } fragment F on Thing { id }`,
		`mutation { set(in: {n: 1, color: RED}) { name(lang: """b""") } }`,
		`query A { a: __typename @tr(lang: "x") } query B { thing(id: -1) { id @skip(if: false) } }`,
		`{ ... @defer(label: "l") { search(one: {b: {n: 2}}, deep: [1, [2]]) { id } } }`,
		several,
	} {
		f.Add(text, "A")
		f.Add(text, "")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		op, err := s.Parse(text, name)
		if err != nil {
			var faults OperationErrors
			if !errors.As(err, &faults) {
				t.Errorf("an error without faults: %v", err)
			}
			return
		}
		for _, tok := range tokens(t, op.Canonical) {
			blank := tok.Value == "" || tok.Kind == lexer.Int && tok.Value == "0"
			switch tok.Kind {
			case lexer.String, lexer.BlockString, lexer.Int, lexer.Float, lexer.Comment:
				if !blank {
					t.Errorf("a value is left:\n%q\n%q", text, op.Canonical)
				}
			}
		}
		again, err := s.Parse(op.Canonical, op.Name)
		if err != nil {
			t.Fatalf("canonical text is invalid: %v\n%q\n%q", err, text, op.Canonical)
		}
		if again.Canonical != op.Canonical || again.Literals {
			t.Errorf("canonical text changes:\n%q\n%q\n%q", text, op.Canonical, again.Canonical)
		}
		values := Combinations(op.Conditions, 1)[0]
		resolved, err := s.Resolve(op.Canonical, op.Name, values)
		if err != nil {
			t.Fatalf("resolve: %v\n%q", err, op.Canonical)
		}
		if after, err := s.Parse(resolved, op.Name); err != nil || len(after.Conditions) > 0 {
			t.Errorf("resolved text: %v\n%q\n%q", err, op.Canonical, resolved)
		}
	})
}

func tokens(t *testing.T, text string) []lexer.Token {
	t.Helper()
	var out []lexer.Token
	lex := lexer.New(&ast.Source{Input: text})
	for {
		tok, err := lex.ReadToken()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if tok.Kind == lexer.EOF {
			return out
		}
		out = append(out, tok)
	}
}

func FuzzParseDocument(f *testing.F) {
	f.Add([]byte(several))
	f.Add([]byte("query A{a}query B{b ...F}fragment F on T{c}"))
	f.Add([]byte("\xef\xbb\xbf\"d\"query A{a(x:\"\xff\")} # é\rquery B{b}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ParseDocument("f", text)
		if err != nil {
			return
		}
		for _, src := range list {
			again, err := ParseDocument("f", []byte(src.Text))
			if err != nil {
				t.Fatalf("%q: the text of an operation does not parse: %v\n%q", text, err, src.Text)
			}
			if len(again) != 1 || again[0].Name != src.Name || again[0].Type != src.Type || again[0].Text != src.Text {
				t.Errorf("%q: %+v became %+v", text, src, again)
			}
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(sdlOne))
	f.Add([]byte(`{"version":"v","engineConfig":{"graphqlSchema":"type Query{a:Int}"}}`))
	f.Add([]byte("enum join__Graph { A @join__graph(name: \"a\", url: \"\") }\ntype Query @join__type(graph: A) { a: Int }"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Load(data)
		if err != nil {
			return
		}
		// Whatever was loaded must be usable.
		if _, err := s.Parse("{ __typename }", ""); err != nil {
			t.Errorf("%q: %v", data, err)
		}
	})
}
