package main

import (
	"testing"

	"github.com/planwarm/planwarm/manifest"
)

// threeVersions publishes: Me; Title above Me; Title alone.
func threeVersions(t *testing.T) *shop {
	t.Helper()
	s := newShop(t, defaultManifest)
	me, title := measuredEntry("Me", meText, "5174591716154159254", 3.5), measuredEntry("Title", titleText, "4176333135023652557", 412.25)
	s.publish([]manifest.Entry{me}, []manifest.Entry{title, me}, []manifest.Entry{title})
	return s
}

func TestHistoryAndDiff(t *testing.T) {
	t.Parallel()
	s := threeVersions(t)
	golden(t, s.must("history", "shop", "--limit", "2").out, `default/shop: version 3 is in force
VERSION  STATE     PUBLISHED            BYTES
3        in force  TIME  476
2        older     TIME  711
`)
	h := decode[struct {
		Sequence uint64
		Hold     bool
		Versions []versionLine
	}](t, s.must("history", "shop", "--json").out)
	if h.Sequence != 3 || h.Hold || len(h.Versions) != 3 || h.Versions[2].Sequence != 1 || h.Versions[0].State != "in force" {
		t.Errorf("history is %+v", h)
	}
	golden(t, s.must("diff", "shop").out, `from version 2 to version 3: 0 added, 1 removed, 0 moved, 0 changed
- Me [5174591716154159254] web@3 p90 3.5 ms from 2
`)
	golden(t, s.must("diff", "shop", "3", "1").out, `from version 3 to version 1: 1 added, 1 removed, 0 moved, 0 changed
+ Me [5174591716154159254] web@3 p90 3.5 ms at 1
- Title [4176333135023652557] web@3 p90 412.2 ms from 1
`)
	d := decode[struct {
		From, To string
		manifest.Difference
	}](t, s.must("diff", "shop", "1", "--json").out)
	if d.From != "version 1" || len(d.Added) != 1 || d.Moved == nil {
		t.Errorf("difference is %+v", d)
	}
	s.refused(exitNotFound, []string{"no version 9"}, "diff", "shop", "9")
	s.refused(exitUsage, []string{`"0" is no version`}, "diff", "shop", "0")

	one, two := s.must("inspect", "shop", "--version", "1", "--json"), s.must("inspect", "shop", "--json")
	s.write("one.json", one.out)
	s.write("two.json", two.out)
	s.must("diff", "./one.json", "./two.json").check(t, exitDone, "from ./one.json to ./two.json", "+ Title", "- Me")
	s.refused(exitNotFound, []string{"no such file"}, "diff", "./one.json", "./nosuch.json")
}

func TestInspect(t *testing.T) {
	t.Parallel()
	s := threeVersions(t)
	want := `graph      default/shop
version    2
generated  TIME
schema     -
rank       p90 over 168h
signature  none
size       2 operations, 2 plans, 711 bytes

#  OPERATION  TYPE   SOURCE     P90 MS  EXECUTIONS  SAMPLES  VARIANTS  CLIENT  PLAN KEY
1  Title      query  telemetry  412.2   90          7        -         web@3   4176333135023652557
2  Me         query  telemetry  3.5     90          7        -         web@3   5174591716154159254
`
	golden(t, s.must("inspect", "shop", "--version", "2").out, want)
	body := s.must("inspect", "shop", "--version", "2", "--json").out
	s.write("m.json", body)
	golden(t, s.must("inspect", "./m.json").out, want)
	golden(t, s.must("inspect", "./m.json", "--text").out, want+`
# 1 Title
query Title($id: ID!) { product(id: $id) { title } }

# 2 Me
query Me { me { id name } }
`)
	if got := s.runWith(body, "inspect", "-"); got.code != exitDone {
		t.Errorf("standard input: exit %d, %s", got.code, got.err)
	}
	s.refused(exitNotFound, []string{"no version 7"}, "inspect", "shop", "--version", "7")
	s.refused(exitNotFound, []string{"no such file"}, "inspect", "./nosuch.json")
	s.write("cut.json", body[:100])
	s.refused(exitRefused, []string{"./cut.json: decode manifest: malformed at offset 100"}, "inspect", "./cut.json")
	s.write("v9.json", `{"format":"planwarm/v9"}`)
	s.refused(exitRefused, []string{"unknown format, want planwarm/v1"}, "inspect", "./v9.json")
}

func TestRollbackAndHold(t *testing.T) {
	t.Parallel()
	s := threeVersions(t)
	golden(t, s.must("rollback", "shop", "2").out,
		"default/shop: version 4, with the 2 operations of version 2, is in force and held: no recompute replaces it until planwarm hold shop -n default --off\n")
	s.must("history", "shop").check(t, exitDone, "version 4 is in force, held")
	s.must("diff", "shop", "2", "4").check(t, exitDone, "0 added, 0 removed, 0 moved, 0 changed")
	golden(t, s.must("hold", "shop", "--off").out, "default/shop: not held at version 4 any more, the next recompute may replace it\n")
	golden(t, s.must("hold", "shop").out, "default/shop: held at version 4, no recompute replaces it\n")
	s.must("graph", "list").check(t, exitDone, "default    shop   yes         4        2           yes   0       0")
	s.refused(exitNotFound, []string{"no version 40"}, "rollback", "shop", "40")
	s.refused(exitUsage, []string{`"x" is no version`}, "rollback", "shop", "x")
	r := decode[map[string]any](t, s.must("rollback", "shop", "1", "--json").out)
	if r["from"] != 1.0 || r["sequence"] != 5.0 || r["hold"] != true {
		t.Errorf("report is %v", r)
	}
}

func TestNothingPublished(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	golden(t, s.must("history", "shop").out, "default/shop: nothing was published yet\n")
	golden(t, s.must("list", "shop").out, "default/shop: 0 operations pushed, room for 3\n")
	for _, command := range []string{"diff", "inspect", "hold"} {
		s.refused(exitNotFound, []string{"nothing was published yet"}, command, "shop")
	}
	golden(t, s.must("graph", "create", "other").out, "created default/other in s3://planwarm\n")
	golden(t, s.must("graph", "create", "other").out, "default/other is there already\n")
	golden(t, s.must("graph", "list").out, `NAMESPACE  GRAPH  CONFIGURED  VERSION  OPERATIONS  HELD  PUSHED  DENIED
default    shop   yes         -        0           no    0       0
default    other  no          -        0           no    0       0
`)
	s.must("list", "other")
	got := decode[struct{ Graphs []graphLine }](t, s.must("graph", "list", "-n", "staging", "--json").out)
	if got.Graphs == nil || len(got.Graphs) != 0 {
		t.Errorf("graphs of another namespace: %+v", got.Graphs)
	}
}
