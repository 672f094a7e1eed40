package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/manifest"
)

func TestPushTells(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	golden(t, s.must("push", "shop", "-f", "./product.graphql", "--by", "ann").out, `default/shop: 1 added; 1 of 3 places taken
  added  Product  1a5005f407f5  -  4176333135023652557
checked: schema sha256:e3ed5cc0fa0e
`)
	golden(t, s.must("push", "shop", "-f", "./me.graphql", "-f", "./product.graphql", "--client", "web@3", "--by", "ann").out,
		`default/shop: 1 added, 1 already there and moved to the top; 2 of 3 places taken
  added  Me       d4b14ac46f79  web@3  5174591716154159254
  moved  Product  1a5005f407f5  web@3  4176333135023652557
checked: schema sha256:e3ed5cc0fa0e
`)
	golden(t, s.must("list", "shop").out, `default/shop: 2 operations pushed, room for 3
#  OPERATION  STATE   CLIENT  PLAN KEY             PUSHED               BY   ID
1  Product    active  web@3   4176333135023652557  TIME  ann  1a5005f407f5
2  Me         active  web@3   5174591716154159254  TIME  ann  d4b14ac46f79
`)
	// What was acknowledged is in the bucket, byte for byte.
	l := s.listing()
	if got := l.Pins[0].Request.Query; got != productText {
		t.Errorf("text is %q, want %q", got, productText)
	}
	if out := s.must("push", "shop", "-q", "-f", "./me.graphql"); out.out != "" || out.err != "" {
		t.Errorf("a quiet push says %q %q", out.out, out.err)
	}
	if got := s.listing().names(); got != "Me:active Product:active" {
		t.Errorf("a push of what is there did not move it to the top: %s", got)
	}
}

func TestPushRefusesFaults(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.must("push", "shop", "-f", "./me.graphql")
	before := s.listing().Sequence
	s.write("bad.graphql", "query A { me { nope } }\n\nquery B($x: Int) {\n  search(text: 4711) { id }\n}\n")
	s.write("syntax.graphql", "query C {\n  me {\n")
	got := s.refused(exitRefused, []string{
		"refused, nothing was changed",
		`./bad.graphql:1:16: Cannot query field "nope" on type "User". Did you mean "name"? (FieldsOnCorrectType)`,
		`./bad.graphql:3:9: Variable "$x" is never used in operation "B". (NoUnusedVariables)`,
		`./bad.graphql:4:16: String cannot represent a non string value. (ValuesOfCorrectType)`,
		`./syntax.graphql:3:1: Expected Name, found <EOF> (Syntax)`,
	}, "push", "shop", "-f", "./bad.graphql", "-f", "./syntax.graphql", "-f", "./product.graphql", "--json")
	if strings.Contains(got.out+got.err, "4711") {
		t.Errorf("a literal is repeated:\n%s%s", got.out, got.err)
	}
	r := decode[refusal](t, got.out)
	if !r.Refused || len(r.Faults) != 4 {
		t.Fatalf("JSON has %d faults, want 4: %s", len(r.Faults), got.out)
	}
	var rules []string
	for _, f := range r.Faults {
		rules = append(rules, f.Rule)
	}
	if want := "FieldsOnCorrectType NoUnusedVariables ValuesOfCorrectType Syntax"; strings.Join(rules, " ") != want {
		t.Errorf("rules are %v, want %s", rules, want)
	}
	if after := s.listing(); after.Sequence != before || after.names() != "Me:active" {
		t.Errorf("something was changed: %d to %d, %s", before, after.Sequence, after.names())
	}
	// The same document is good enough where only the syntax counts.
	s.must("push", "shop", "-f", "./bad.graphql", "-o", "A", "--no-schema").check(t, exitDone, "checked: syntax only")
	if got := s.listing().names(); got != "A:refused-by-schema Me:active" {
		t.Errorf("stack is %s", got)
	}
	s.must("list", "shop").check(t, exitDone, `refused by schema: 1:16: Cannot query field "nope" on type "User".`)
}

func TestPushAtTheCap(t *testing.T) {
	t.Parallel()
	s := newShop(t, "max_operations: 2")
	s.must("push", "shop", "-f", "./me.graphql")
	s.must("push", "shop", "-f", "./product.graphql")
	s.must("push", "shop", "-f", "./title.graphql", "--dry-run").check(t, exitDone, "fell out at the cap  Me", "dry run: nothing was changed")
	if got := s.listing().names(); got != "Product:active Me:active" {
		t.Errorf("a dry run changed the stack: %s", got)
	}
	// One operation takes the oldest's place, and says which; several ask.
	rep := decode[pushReport](t, s.must("push", "shop", "-f", "./title.graphql", "--json").out)
	if len(rep.Added) != 1 || len(rep.Fell) != 1 || rep.Fell[0].Request.OperationName != "Me" || rep.Fell[0].Request.Query != meText {
		t.Errorf("report does not tell that Me fell out: %+v", rep)
	}
	before := s.listing().Sequence
	s.refused(exitRefused, []string{"nothing was changed", "--evict allows it", "would fall out: Product"}, "push", "shop", "-f", "./tabs.graphql")
	if s.listing().Sequence != before {
		t.Error("a refused push was written")
	}
	s.must("push", "shop", "-q", "--evict", "-f", "./tabs.graphql").check(t, exitDone, "fell out at the cap  Product", "fell out at the cap  Title")
	if got := s.listing().names(); got != "Head:active Tabs:active" {
		t.Errorf("stack is %s", got)
	}
	// Lowering the cap parks, and a push then tells what it parks.
	s.configure("max_operations: 1", "")
	if got := s.listing().names(); got != "Head:active Tabs:parked" {
		t.Errorf("lowered cap: stack is %s", got)
	}
	s.must("push", "shop", "-f", "./me.graphql").check(t, exitDone, "fell out at the cap  Tabs", "parked by the cap    Head")
	s.configure("manual_share: 0", "")
	s.refused(exitRefused, []string{"no room for pushed operations"}, "push", "shop", "-f", "./me.graphql")
}

func TestPushUnknownGraph(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.refused(exitNotFound, []string{"unknown graph default/other", "--create"}, "push", "other", "-f", "./me.graphql")
	s.refused(exitNotFound, []string{"unknown graph staging/shop"}, "push", "shop", "-n", "staging", "-f", "./me.graphql")
	s.must("push", "shop", "-n", "staging", "-f", "./me.graphql", "--create").check(t, exitDone,
		"staging/shop: 1 added; 1 of 100 places taken", "syntax only: the graph has no configured schema", "the cap is taken to be 100")
	s.must("push", "shop", "-n", "staging", "-f", "./product.graphql") // it is there now
	s.refused(exitRefused, []string{"invalid name"}, "push", "../shop", "-f", "./me.graphql")
	for _, command := range []string{"list", "history", "diff", "inspect", "explain", "hold"} {
		s.refused(exitNotFound, []string{"unknown graph default/other"}, command, "other")
	}
	s.refused(exitNotFound, []string{"unknown graph"}, "rm", "other", "Me")
	s.refused(exitNotFound, []string{"unknown graph"}, "deny", "other", "Me")
	s.refused(exitNotFound, []string{"unknown graph"}, "rollback", "other", "1")
}

func TestPushInput(t *testing.T) {
	t.Parallel()
	s := newShop(t, "max_operations: 20")
	s.write("ops/deep/a.gql", "query A { me { id } }")
	s.write("ops/b.graphql", "query B { me { name } }")
	s.write("ops/fragments.graphql", "fragment F on User { id }")
	s.write("ops/notes.txt", "not GraphQL")
	s.write("ops/.hidden/c.graphql", "query C {")
	s.must("push", "shop", "-f", "./ops")
	if got := s.listing().names(); got != "A:active B:active" {
		t.Errorf("folder: stack is %s", got)
	}
	s.runWith(meText, "push", "shop", "-f", "-").check(t, exitDone, "added  Me")
	s.runWith("query { me {", "push", "shop", "-f", "-").check(t, exitRefused, "stdin:1:13: ", "(Syntax)")

	id := strings.Repeat("ab", 32)
	s.must("push", "shop", "-f", "./tabs.graphql", "-o", "Head", "-p", id, "--from", "1h", "--until", "2099-01-02")
	p := s.listing().Pins[0]
	if p.Request.OperationName != "Head" || p.Request.Extensions.PersistedQuery.SHA256Hash != id || p.From == nil || p.Until.Year() < 2098 {
		t.Errorf("flags did not arrive: %+v", p)
	}
	if want := "query Head($id: ID!) { product(id: $id) { ...P } }\nfragment P on Product { id title }"; p.Request.Query != want {
		t.Errorf("text is %q, want %q", p.Request.Query, want)
	}
	s.must("list", "shop").check(t, exitDone, "Head", "not yet: from ")
	s.must("push", "shop", "-f", "./tabs.graphql", "-o", "Head", "-p", id, "--until", "-1h").check(t, exitDone, "note: Head is pushed, but not in the manifest now: expired")

	note := "note: Me: the persisted id " + id[:shortID] + " is not the SHA-256 of its text"
	s.must("push", "shop", "-f", "./me.graphql", "-p", id).check(t, exitDone, note)
	sum := sha256.Sum256([]byte(meText))
	if got := s.must("push", "shop", "-f", "./me.graphql", "-p", hex.EncodeToString(sum[:])); strings.Contains(got.out, "note:") {
		t.Errorf("the text's own hash is noted:\n%s", got.out)
	}

	s.refused(exitUsage, []string{"-f names a file"}, "push", "shop")
	s.refused(exitUsage, []string{"-o chooses"}, "push", "shop", "-f", "./tabs.graphql", "-p", id)
	s.refused(exitUsage, []string{"64 hexadecimal digits"}, "push", "shop", "-f", "./me.graphql", "-p", "12")
	s.refused(exitUsage, []string{"is no time"}, "push", "shop", "-f", "./me.graphql", "--from", "noon")
	s.refused(exitUsage, []string{"--until is not after --from"}, "push", "shop", "-f", "./me.graphql", "--from", "2h", "--until", "1h")
	s.refused(exitUsage, []string{"unknown flag: --nope"}, "push", "shop", "--nope")
	s.refused(exitUsage, []string{"accepts 1 arg(s), received 0"}, "push")
	s.refused(exitRefused, []string{`no operation called "Nope"`}, "push", "shop", "-f", "./tabs.graphql", "-o", "Nope")
	s.refused(exitNotFound, []string{"no such file"}, "push", "shop", "-f", "./nosuch.graphql")
	if err := os.Mkdir(s.path("empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.refused(exitRefused, []string{"no *.graphql or *.gql file"}, "push", "shop", "-f", "./empty")
	s.write("large.graphql", "query L { me { id } } #"+strings.Repeat("x", manifest.MaxQueryBytes))
	s.refused(exitRefused, []string{"at most 262144", "(Limit)"}, "push", "shop", "-f", "./large.graphql")
	s.write("schema.graphql", "type {")
	s.refused(exitFailed, []string{"load schema", "nothing was pushed"}, "push", "shop", "-f", "./me.graphql")
}

func TestPushManifests(t *testing.T) {
	t.Parallel()
	s := newShop(t, "max_operations: 20")
	body, err := manifest.Encode(manifest.Manifest{
		Graph:      manifest.Graph{Namespace: "default", Name: "shop"},
		Operations: []manifest.Entry{measuredEntry("Me", meText, "1", 3), measuredEntry("Title", titleText, "2", 2)},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.write("own.json", string(body))
	s.must("push", "shop", "-f", "./own.json")
	if l := s.listing(); l.names() != "Me:active Title:active" || l.Pins[0].Client.Name != "web" {
		t.Errorf("stack is %s, first %+v; want the order of the manifest", l.names(), l.Pins[0])
	}
	s.write("cosmo.json", `{"operations":[{"request":{"operationName":"Head","query":`+quote(tabsText)+`},"client":{"name":"ios"}}]}`)
	s.must("push", "shop", "-f", "./cosmo.json")
	if p := s.listing().Pins[0]; p.Request.Query != tabsText || p.Client.Name != "ios" {
		t.Errorf("request is not as it was in the file: %+v", p)
	}
	s.write("cut.json", string(body[:len(body)/2]))
	s.refused(exitRefused, []string{"malformed"}, "push", "shop", "-f", "./cut.json")
	s.write("noquery.json", `{"operations":[{"request":{"operationName":"A"}}]}`)
	s.refused(exitRefused, []string{"no query"}, "push", "shop", "-f", "./noquery.json")
	s.write("invalid.json", `{"operations":[{"request":{"query":"{ nope }"}}]}`)
	s.refused(exitRefused, []string{`invalid.json operations[0]:1:3: Cannot query field "nope"`}, "push", "shop", "-f", "./invalid.json")
}

func quote(s string) string {
	return `"` + strings.NewReplacer("\n", `\n`, `"`, `\"`).Replace(s) + `"`
}
