package telemetry

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// exactly keeps texts as they are, except those with a literal.
func exactly(text, name string) (Canonical, error) {
	if before, _, ok := strings.Cut(text, "literal"); ok {
		return Canonical{Text: before + "$v", Name: name, Key: "key", Lifted: true}, nil
	}
	return Canonical{Text: text, Name: name, Key: "key", Identity: "key/" + text}, nil
}

// sentAs makes a span that says what was sent, and nothing of its hash.
func sentAs(id uint64, text string, hit bool) Span {
	s := spanOf(id, "", 8*time.Millisecond)
	s.Op.SourceHash, s.Document, s.Hit = "source", text, hit
	return s
}

// TestTextsOfOneKey: where each text is planned for itself they are operations
// of their own; those that lack literals are one.
func TestTextsOfOneKey(t *testing.T) {
	table := newTable(t, func(o *Options) { o.Canonical = exactly })
	for i, text := range []string{"{ a }", "{a}", "{ a }", "f literal1", "f literal2"} {
		table.Span(start, sentAs(uint64(i+1), text, true))
	}
	again := reread(t, table)
	for _, from := range []*Table{table, again} {
		usages := from.UsageBy(start, DefaultWindow, func(u Usage) string { return u.Key })
		if len(usages) != 1 {
			t.Fatalf("%d usages", len(usages))
		}
		want := []Member{
			{Hash: "key", Name: "Op", Text: "f $v", Lifted: true, SourceHash: "source", Executions: 2},
			{Hash: "key/{ a }", Name: "Op", Text: "{ a }", SourceHash: "source", Executions: 2},
			{Hash: "key/{a}", Name: "Op", Text: "{a}", SourceHash: "source", Executions: 1},
		}
		if u := usages[0]; !reflect.DeepEqual(u.Members, want) || u.Executions != 5 {
			t.Errorf("got %+v", u)
		}
	}
	if u := again.Hottest(start, 1)[0]; u.Lifted != (u.Hash == "key") {
		t.Errorf("%+v", u)
	}
}

// TestCountedSpan has a planning time, but is no execution of its own.
func TestCountedSpan(t *testing.T) {
	table := newTable(t, func(o *Options) { o.Canonical = exactly })
	sample := sentAs(2, "{ a }", false)
	sample.Counted = true
	for _, s := range []Span{sample, sentAs(1, "{ a }", true), sample} {
		table.Span(start, s)
	}
	u := table.Usages(start, DefaultWindow)
	if len(u) != 1 || u[0].Executions != 1 || u[0].Samples != 1 || u[0].Max != 8 || u[0].Count != 1 {
		t.Errorf("%+v", u)
	}
	checkAccounts(t, table)
}

// TestIdentityIsBounded like every other hash.
func TestIdentityIsBounded(t *testing.T) {
	table := newTable(t, func(o *Options) {
		o.Canonical = func(text, name string) (Canonical, error) {
			return Canonical{Text: text, Name: name, Key: "key", Identity: strings.Repeat("x", maxHash+1)}, nil
		}
	})
	table.Span(start, sentAs(1, "{ a }", true))
	if s := table.Stats(); s.TextsRefused != 1 || s.Operations != 0 {
		t.Errorf("%+v", s)
	}
}
