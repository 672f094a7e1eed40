package warmer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/telemetry"
	"go.uber.org/zap"
)

func forms(items []Item) []string {
	var out []string
	for _, it := range items {
		out = append(out, it.Request.OperationName+"|"+it.Request.Query)
	}
	return out
}

// TestExactItems: each text with its name and without, as far as it can be
// asked for that way.
func TestExactItems(t *testing.T) {
	name := "A"
	entry := func(name, text string) manifest.Entry {
		return manifest.Entry{Request: manifest.Request{OperationName: name, Query: text}, Planwarm: manifest.Details{PlanKey: "1"}}
	}
	lifted := entry("A", "query A { a }")
	lifted.Planwarm.Lifted = true
	texts := entry("A", "query A { a }")
	texts.Planwarm.Variants = []manifest.Variant{
		{Query: "query A {a}"}, {Query: "query A {  a}", Lifted: true}, {OperationName: new(string)}, {Query: "{ a }", OperationName: new(string)},
	}
	mixed := lifted
	mixed.Planwarm.Variants = []manifest.Variant{{Query: "query A {a}", OperationName: &name}}
	cases := []struct {
		name  string
		entry manifest.Entry
		exact []string
		plain int
	}{
		{"named", entry("A", "query A { a }"), []string{"A|query A { a }", "|query A { a }"}, 1},
		{"name not sent", entry("", "query A { a }"), []string{"|query A { a }", "A|query A { a }"}, 1},
		{"anonymous", entry("", "{ a }"), []string{"|{ a }"}, 1},
		{"several operations", entry("A", "query A { a } query B { b }"), []string{"A|query A { a } query B { b }"}, 1},
		{"with a fragment", entry("A", "query A { ...F } fragment F on Query { a }"), []string{
			"A|query A { ...F } fragment F on Query { a }", "|query A { ...F } fragment F on Query { a }",
		}, 1},
		{"no GraphQL", entry("A", "{"), []string{"A|{"}, 1},
		{"lifted", lifted, nil, 1},
		{"several texts", texts, []string{"A|query A { a }", "|query A { a }", "A|query A {a}", "|query A {a}", "|{ a }"}, 1},
		{"lifted with another text", mixed, []string{"A|query A {a}", "|query A {a}"}, 1},
	}
	for _, c := range cases {
		if got := forms(Items([]manifest.Entry{c.entry}, true)); !slices.Equal(got, c.exact) {
			t.Errorf("%s: %q, want %q", c.name, got, c.exact)
		}
		if got := Items([]manifest.Entry{c.entry}, false); len(got) != c.plain {
			t.Errorf("%s: %d requests for a router that keys on the normal form", c.name, len(got))
		}
	}
	got := InexactOf([]manifest.Entry{lifted, texts, mixed, entry("B", "{ b }")})
	if len(got) != 1 || got[0].Name != "A" || got[0].PlanKey != "1" || !strings.Contains(got[0].Reason, "literals") {
		t.Errorf("inexact: %+v", got)
	}
}

// textKeyer takes operations of equal fields for one plan.
type textKeyer struct{}

func (textKeyer) Key(text, _ string, conditions map[string]bool) (planKey, hash string, err error) {
	n := strings.Count(text, "a") + 10*strings.Count(text, "b") + 100*len(conditions)
	return fmt.Sprint(n), fmt.Sprintf("h%d", n), nil
}

func member(hash, text string, lifted bool, n uint64) telemetry.Member {
	return telemetry.Member{Hash: hash, Text: text, Lifted: lifted, Executions: n}
}

// usageWith merges members as the table does: the most executed stands for all.
func usageWith(members ...telemetry.Member) telemetry.Usage {
	var u telemetry.Usage
	top := slices.MaxFunc(members, func(a, b telemetry.Member) int { return int(a.Executions) - int(b.Executions) })
	u.Text, u.Name, u.Lifted, u.Hash, u.Members = top.Text, top.Name, top.Lifted, top.Hash, members
	for _, m := range members {
		u.Hashes = append(u.Hashes, m.Hash)
		u.Executions += m.Executions
	}
	return u
}

// TestCandidatesKeepTexts: the texts that clients send, the most sent first; one
// that lacks something only when there is no other.
func TestCandidatesKeepTexts(t *testing.T) {
	var many []telemetry.Member
	for i := range manifest.MaxVariants + 5 {
		many = append(many, member(fmt.Sprint(i), "{"+strings.Repeat(" ", i)+"a}", false, uint64(100-i)))
	}
	cases := []struct {
		name   string
		usage  telemetry.Usage
		query  string
		lifted bool
		texts  []string
	}{
		{"one", usageWith(member("1", "{ a }", false, 3)), "{ a }", false, nil},
		{"by executions", usageWith(member("1", "{ a }", false, 3), member("2", "{a}", false, 5)), "{a}", false, []string{"{ a }"}},
		{"not the lifted one", usageWith(member("1", "{  a}", true, 9), member("2", "{a}", false, 5)), "{a}", false, nil},
		{"nothing but lifted", usageWith(member("1", "{  a}", true, 9)), "{  a}", true, nil},
		{"one without text", usageWith(member("1", "{a}", false, 9), member("2", "", false, 5)), "{a}", false, nil},
		{"too many", usageWith(many...), "{a}", false, func() (out []string) {
			for _, m := range many[1 : 1+manifest.MaxVariants] {
				out = append(out, m.Text)
			}
			return out
		}()},
	}
	for _, c := range cases {
		cs := NewCandidates(candidateSchema(t), textKeyer{})
		cs.KeepTexts()
		cs.AddUsages([]telemetry.Usage{c.usage})
		got := cs.List()[0]
		var texts []string
		for _, v := range got.Planwarm.Variants {
			texts = append(texts, v.Query)
		}
		if got.Request.Query != c.query || got.Planwarm.Lifted != c.lifted || !slices.Equal(texts, c.texts) {
			t.Errorf("%s: %+v", c.name, got.Entry)
		}
		if c.name != "by executions" {
			continue
		}
		plain := NewCandidates(candidateSchema(t), textKeyer{})
		plain.AddUsages([]telemetry.Usage{c.usage})
		if e := plain.List()[0]; len(e.Planwarm.Variants) != 0 || e.Planwarm.Lifted {
			t.Errorf("for routers that key on the normal form: %+v", e.Entry)
		}
	}
}

// TestPushedTextIsWarmed: where telemetry's text lacks what clients send, the
// pushed operation of the same plan is what is warmed, exactly as it was pushed.
func TestPushedTextIsWarmed(t *testing.T) {
	sc, err := schema.Load([]byte("type Query { a(x: Int): Int b: Int }"))
	if err != nil {
		t.Fatal(err)
	}
	const text = "query P {\n  a(x: 5)\n}"
	for _, exact := range []bool{true, false} {
		cs := NewCandidates(sc, textKeyer{})
		if exact {
			cs.KeepTexts()
		}
		cs.AddPins([]manifest.Pin{pinOf(text)})
		u := usageWith(telemetry.Member{Hash: "k", Name: "P", Text: "query P($p:Int){a(x:$p)}", Lifted: true, Executions: 4})
		u.Samples, u.P90, u.Sum = 2, 5, 10
		if cs.Key(u) != "1" {
			t.Fatalf("key %s", cs.Key(u))
		}
		cs.AddUsages([]telemetry.Usage{u})
		r, err := manifest.Build(manifest.Input{
			Graph: manifest.Graph{Namespace: "n", Name: "g"}, Settings: manifest.DefaultSettings(), Candidates: cs.List(), Now: time.Unix(1_800_000_000, 0),
		})
		if err != nil || len(r.Manifest.Operations) != 1 {
			t.Fatalf("%v, %+v", err, r.Manifest.Operations)
		}
		e := r.Manifest.Operations[0]
		if e.Planwarm.P90Ms != 5 || e.Planwarm.Lifted || e.Request.Query != text {
			t.Errorf("%+v", e)
		}
		if got := forms(Items([]manifest.Entry{e}, true)); exact && !slices.Equal(got, []string{"|" + text, "P|" + text}) {
			t.Errorf("requests %q", got)
		}
	}
}

// TestUsageJoinsByName: a router that strips texts and has a hash of its own
// leaves nothing but the name, which says which pushed operation it is when only
// one has it.
func TestUsageJoinsByName(t *testing.T) {
	stripped := func(name, hash string) telemetry.Usage {
		return telemetry.Usage{Hash: hash, Hashes: []string{hash}, Name: name, Names: []string{name}, Executions: 3}
	}
	known := stripped("A", "0d1e")
	known.PlanKey = "77"
	two := stripped("A", "0d1e")
	two.Names = []string{"A", "B"}
	cases := []struct {
		name  string
		usage telemetry.Usage
		query string
	}{
		{"one of that name", stripped("A", "0d1e"), "query A { a }"},
		{"two of that name", stripped("B", "0d1e"), ""},
		{"none of that name", stripped("C", "0d1e"), ""},
		{"a hash that would have told", stripped("A", "123"), ""},
		{"a plan key that tells", known, ""},
		{"two names", two, ""},
	}
	for _, c := range cases {
		cs := NewCandidates(candidateSchema(t), textKeyer{})
		cs.AddPins([]manifest.Pin{pinOf("query A { a }"), pinOf("query B { b }"), pinOf("query B { a b }")})
		cs.AddUsages([]telemetry.Usage{c.usage})
		if got := cs.List()[3]; got.Request.Query != c.query {
			t.Errorf("%s: joined %q, want %q", c.name, got.Request.Query, c.query)
		}
	}
}

// TestDeniedBySourceHash: a person denies by the hash that the router shows.
func TestDeniedBySourceHash(t *testing.T) {
	cs := NewCandidates(candidateSchema(t), textKeyer{})
	one, two := member("1", "{a}", false, 3), member("2", "{ a }", false, 2)
	one.SourceHash, two.SourceHash = "0d1e", "0d1e"
	cs.AddUsages([]telemetry.Usage{usageWith(one, two)})
	if got := cs.List()[0].Hashes; !slices.Equal(got, []string{"1", "2", "0d1e"}) {
		t.Errorf("hashes %q", got)
	}
}

// TestSnapshotKeepsTexts as the manifest does.
func TestSnapshotKeepsTexts(t *testing.T) {
	hottest, schemas := new(fakeUsages), new(fakeSchemas)
	schemas.Store(candidateSchema(t))
	hottest.set(
		usageWith(member("1", "{  a}", true, 9)), usageWith(member("2", "{ a }", false, 5)),
		usageWith(member("3", "{a}", false, 3)), usageWith(member("4", "{b}", false, 2)),
	)
	for _, exact := range []bool{true, false} {
		g, err := newGraph(GraphOptions{
			Schema: schemas, Usages: hottest, Publish: PublishOptions{ExactTexts: exact},
			NewKeyer: func(*schema.Schema) (Keyer, error) { return textKeyer{}, nil },
		}, nil, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		got := g.hottest(g.opts.Schema.Current())
		if len(got) != 2 || got[1].Request.Query != "{b}" {
			t.Fatalf("%+v", got)
		}
		e := got[0]
		switch {
		case exact && (e.Request.Query != "{ a }" || e.Planwarm.Lifted || len(e.Planwarm.Variants) != 1 || e.Planwarm.Variants[0].Query != "{a}"):
			t.Errorf("exact: %+v", e)
		case !exact && (e.Request.Query != "{  a}" || e.Planwarm.Lifted || len(e.Planwarm.Variants) != 0):
			t.Errorf("not exact: %+v", e)
		}
	}
}

// TestRouterSaysWhatIsInexact, and does not send it.
func TestRouterSaysWhatIsInexact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{}
		b := startRouter(t, f, func(o *RouterOptions) { o.Exact = true })
		var l Listing
		for i := range maxShown + 3 {
			e := manifest.Entry{Request: manifest.Request{Query: fmt.Sprintf("query L%d { a }", i)}}
			e.Planwarm.Lifted = true
			l.Entries = append(l.Entries, e)
		}
		l.Entries = append(l.Entries, manifest.Entry{Request: manifest.Request{OperationName: "A", Query: "query A { a }"}})
		time.Sleep(time.Second)
		b.mu.Lock()
		b.listing = l
		b.mu.Unlock()
		f.mu.Lock()
		before := len(f.sent)
		f.mu.Unlock()
		b.trigger(ReasonPerson)
		time.Sleep(time.Second)
		run := b.snapshot().LastRun
		if run.InexactCount != maxShown+3 || len(run.Inexact) != maxShown || run.Planned+run.AlreadyWarm != 2 {
			t.Errorf("%d inexact, %d shown, %+v", run.InexactCount, len(run.Inexact), run.Report)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if sent := f.sent[before:]; len(sent) != 2 || sent[0].OperationName != "A" || sent[1].OperationName != "" {
			t.Errorf("sent %+v", sent)
		}
	})
}
