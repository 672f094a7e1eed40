package schema

import (
	"errors"
	"strings"
	"testing"
)

// faults parses a text that must be refused.
func faults(t *testing.T, s *Schema, text, name string) OperationErrors {
	t.Helper()
	_, err := s.Parse(text, name)
	var list OperationErrors
	if !errors.As(err, &list) || len(list) == 0 {
		t.Fatalf("%.200s: got %v, want faults", text, err)
	}
	return list
}

func TestFaultsNameRuleAndPlace(t *testing.T) {
	s := traps(t)
	for _, tt := range []struct {
		text, name, rule string
		line, column     int
	}{
		{"query A {\n  nope\n}", "A", "FieldsOnCorrectType", 2, 3},
		{"query A { thing(id: 1) { id }", "A", RuleSyntax, 1, 30},
		{"", "", RuleChoice, 0, 0},
		{"fragment F on Thing { id }", "", RuleChoice, 0, 0},
		{"query A { __typename } query B { __typename }", "", RuleChoice, 0, 0},
		{"query A { __typename } query B { __typename }", "C", RuleChoice, 0, 0},
		{"{ __typename }", "C", RuleChoice, 0, 0},
		{"query A { __typename } query A { __typename }", "A", "UniqueOperationNames", 1, 24},
		{"query A { __typename } { __typename }", "A", "LoneAnonymousOperation", 1, 24},
		{"query A { __typename } fragment F on Thing { id }", "A", "NoUnusedFragments", 1, 24},
		{"{ ...F ...F } fragment F on Query { a } fragment F on Query { b }", "", "UniqueFragmentNames", 1, 41},
		{"{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }", "", "NoFragmentCycles", 1, 64},
		{"{ ...F } fragment F on Query { ...F }", "", "NoFragmentCycles", 1, 35},
		{"{ ...F } fragment F($x: Int = 7) on Query { __typename }", "", RuleSyntax, 1, 10},
		{"{ ...Missing }", "", "KnownFragmentNames", 1, 6},
		{"query A($x: Int) { __typename }", "A", "NoUnusedVariables", 1, 9},
		{`{ thing(id: 1) { id: name id } }`, "", "OverlappingFieldsCanBeMerged", 1, 27},
	} {
		f := faults(t, s, tt.text, tt.name)[0]
		if f.Rule != tt.rule || f.Line != tt.line || f.Column != tt.column {
			t.Errorf("%s\n got %s %d:%d %q, want %s %d:%d", tt.text, f.Rule, f.Line, f.Column, f.Message, tt.rule, tt.line, tt.column)
		}
	}
}

func TestFaultsOfOtherOperationsDoNotCount(t *testing.T) {
	s := traps(t)
	if _, err := s.Parse(`query Bad { nope ...Z } query Good { __typename } fragment Z on Query { nope }`, "Good"); err != nil {
		t.Error(err)
	}
}

func TestFaultsHoldNoLiteral(t *testing.T) {
	s := traps(t)
	for _, text := range []string{
		`{ search(list: "secret") { id } }`,
		`{ search(b: "secret") { id } }`,
		`{ search(f: "secret") { id } }`,
		`{ search(c: "secret") { id } }`,
		`{ search(c: secret) { id } }`,
		`{ search(s: secret) { id } }`,
		`{ search(s: {secret: 1}) { id } }`,
		`{ search(s: ["secret"]) { id } }`,
		`{ search(in: "secret") { id } }`,
		`{ search(in: {n: "secret"}) { id } }`,
		`{ search(in: {name: 1, tags: [["secret"]]}) { id } }`,
		`{ search(j: {secret: 1, secret: 2}) { id } }`,
		`{ search(one: {a: "secret", b: {name: "secret"}}) { id } }`,
		`{ thing(id: {a: "secret"}) { id } }`,
		`{ thing(id: true) { id @include(if: "secret") } }`,
		`query A($v: Int = "secret") { search(list: [$v]) { id } }`,
		`{ thing(id: 1) { name(lang: "secret") name(lang: "secret2") } }`,
		// What is not GraphQL, around and inside of strings.
		`{ search(s: "secret) { id } }`,
		`{ search(s: "it"secret" ") { id } }`,
		`{ search(s: "\q secret") { id } }`,
		`{ search(s: "\usecr secret") { id } }`,
		"{ search(s: \"secret\nsecret\") { id } }",
		"{ search(s: \"\"\"secret) { id } }",
		`{ search(s: 'secret') { id } }`,
		`{ search("secret") { id } }`,
		`"secret"`,
		`secret`,
		`{ search(f: 1secret) { id } }`,
		`query A("secret" $v: Int = secret secret) { id }`,
		`fragment F secret Thing { id }`,
	} {
		for _, f := range faults(t, s, text, "") {
			if strings.Contains(f.Error(), "secret") || strings.Contains(f.Error(), "secr") {
				t.Errorf("%s\n tells %s", text, f)
			}
			if f.Message == "" || f.Rule == "" {
				t.Errorf("%s\n tells nothing: %+v", text, f)
			}
		}
	}
}

func TestFaultsOfLargeNumbersHoldNoLiteral(t *testing.T) {
	s := traps(t)
	for _, f := range faults(t, s, `{ search(list: 99999999999999999999, b: 424242) { id } thing(id: 1.424242) { id } }`, "") {
		if strings.Contains(f.Message, "999") || strings.Contains(f.Message, "4242") {
			t.Errorf("tells %s", f)
		}
	}
}

func TestFaultsStayUseful(t *testing.T) {
	s := traps(t)
	for text, want := range map[string]string{
		`{ thing(id: 1) { idd } }`:               `Did you mean "id"`,
		`{ search(in: {nam: "x"}) { id } }`:      `Field "nam" is not defined by type "In". Did you mean`,
		`{ need { id } }`:                        `argument "in" of type "In!" is required`,
		`{ search(b: 1) { id } }`:                `Boolean cannot represent a non boolean value`,
		`{ search(c: GREEN) { id } }`:            `does not fit its type`,
		`{ search(in: 1) { id } }`:               `Expected value of type "In"`,
		`mutation { set(in: {n: null}) { id } }`: `Expected value of type "Int!"`,
		`{ a`:                                    `Expected Name, found <EOF>`,
	} {
		if got := faults(t, s, text, "").Error(); !strings.Contains(got, want) {
			t.Errorf("%s\n got %s, want %q in it", text, got, want)
		}
	}
}

func TestFaultsAreBounded(t *testing.T) {
	s := traps(t)
	list := faults(t, s, "{ "+strings.Repeat("nope ", 500)+"}", "")
	if len(list) != maxErrors+1 || !strings.Contains(list[maxErrors].Message, "480 more") {
		t.Errorf("%d faults, the last %v", len(list), list[len(list)-1])
	}
	if got := faults(t, s, "{ "+strings.Repeat("n", 10_000)+" }", "")[0].Message; len(got) > maxMessage+3 {
		t.Errorf("message of %d bytes", len(got))
	}
}

func TestErrorText(t *testing.T) {
	list := OperationErrors{{Line: 2, Column: 3, Rule: "R", Message: "m."}, {Rule: RuleChoice, Message: "c"}}
	if got := InFile(list, "a.graphql").Error(); got != "a.graphql:2:3: m. (R)\na.graphql: c (Choice)" {
		t.Errorf("got %q", got)
	}
	if got := list.Error(); got != "2:3: m. (R)\nc (Choice)" {
		t.Errorf("got %q", got)
	}
	var one *OperationError
	if !errors.As(error(list), &one) || one.Rule != "R" {
		t.Errorf("the first fault is %v", one)
	}
	if other := errors.New("x"); InFile(other, "a") != other {
		t.Error("another error is changed")
	}
}

func TestConflictingNullabilityIsReported(t *testing.T) {
	// Some servers accept this; it must not vanish without a word.
	s, err := Load([]byte("type A { x: Int! } type B { x: Int } union U = A | B type Query { u: U }"))
	if err != nil {
		t.Fatal(err)
	}
	f := faults(t, s, "{ u { ... on A { x } ... on B { x } } }", "")[0]
	if f.Rule != "OverlappingFieldsCanBeMerged" || !strings.Contains(f.Message, `conflicting types "Int!" and "Int"`) {
		t.Errorf("got %v", f)
	}
}
