package main

import (
	"os"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/manifest"
)

// exportShop has an operation, one with two sets of conditions, and one from a
// document with two.
func exportShop(t *testing.T) *shop {
	t.Helper()
	s := newShop(t, defaultManifest)
	more := measuredEntry("More", "query More($more: Boolean!) { me { id name @include(if: $more) } }", "11", 9)
	more.Planwarm.Conditions = map[string]bool{"more": true}
	more.Planwarm.Variants = []manifest.Variant{{PlanKey: "12", Conditions: map[string]bool{"more": false}}}
	s.publish([]manifest.Entry{measuredEntry("Me", meText, "10", 3), more, measuredEntry("Tabs", "query Tabs { me { id } } query Head { me { name } }", "13", 2)})
	return s
}

// persistedFile is what an Apollo Router reads.
type persistedFile struct {
	Format     string
	Version    int
	Operations []struct{ ID, Name, Type, Body string }
}

func TestExportPersistedQueries(t *testing.T) {
	t.Parallel()
	s := exportShop(t)
	got := s.must("export", "shop", "--format", formatApollo, "-o", "./pq.json")
	got.check(t, exitDone, "default/shop: version 1, 2 operations written to ./pq.json\n")
	if !strings.Contains(got.err, "1 operation left out: their documents have several operations") {
		t.Errorf("nothing is said of what is left out: %s", got.err)
	}
	raw, err := os.ReadFile(s.path("pq.json"))
	if err != nil {
		t.Fatal(err)
	}
	body := string(raw)
	file := decode[persistedFile](t, body)
	if file.Format != "apollo-persisted-query-manifest" || file.Version != 1 || len(file.Operations) != 2 ||
		file.Operations[0].Name != "Me" || file.Operations[0].Body != meText || file.Operations[1].Name != "More" {
		t.Errorf("%+v", file)
	}
	if info, err := os.Stat(s.path("pq.json")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the router cannot read it: %v, %v", info.Mode(), err)
	}
	// The same to standard output, where nothing else may stand.
	if got := s.must("export", "shop", "--format", formatApollo).out; got != body {
		t.Errorf("standard output has\n%s", got)
	}
	if got := s.must("export", "shop", "--format", formatApollo, "-o", "./pq.json", "-q").out; got != "" {
		t.Errorf("-q says %q", got)
	}
	sum := decode[exported](t, s.must("export", "shop", "--format", formatApollo, "-o", "./pq.json", "--json").out)
	sum.File = ""
	want := exported{Graph: manifest.Graph{Namespace: "default", Name: "shop"}, Sequence: 1, Format: formatApollo, Written: 2, LeftOut: 1, Reason: sum.Reason, Bytes: len(body)}
	if sum != want || sum.Reason == "" {
		t.Errorf("summary is %+v, want %+v", sum, want)
	}
	// What was written can be pushed again.
	s.must("push", "shop", "-f", "./pq.json")
}

func TestExportCosmo(t *testing.T) {
	t.Parallel()
	s := exportShop(t)
	m, err := manifest.DecodeBytes([]byte(s.must("export", "shop", "--format", formatCosmo).out))
	if err != nil || len(m.Operations) != 4 {
		t.Fatalf("%d operations, %v", len(m.Operations), err)
	}
	with, without := m.Operations[1], m.Operations[2]
	if with.Planwarm.PlanKey != "11" || !strings.Contains(with.Request.Query, "name") || without.Planwarm.PlanKey != "12" || strings.Contains(without.Request.Query, "name") {
		t.Errorf("resolved to %q and %q", with.Request.Query, without.Request.Query)
	}
	for _, e := range m.Operations {
		if len(e.Planwarm.Variants) > 0 || len(e.Planwarm.Conditions) > 0 || strings.Contains(e.Request.Query, "@include") {
			t.Errorf("%+v is not resolved", e)
		}
	}
	// Of a file, without a schema, which is said, and with one.
	s.must("export", "shop", "--format", formatPlanwarm, "-o", "./m.json")
	got := s.must("export", "--manifest", "./m.json", "--format", formatCosmo, "-o", "./ops.json")
	got.check(t, exitDone, "default/shop: version 1, 2 operations written to ./ops.json\n")
	if !strings.Contains(got.err, "2 operations left out: their @skip and @include cannot be resolved without a schema") {
		t.Errorf("nothing is said of what is left out: %s", got.err)
	}
	s.must("export", "--manifest", "./m.json", "--format", formatCosmo, "--schema", "./schema.graphql", "-o", "./ops.json").
		check(t, exitDone, "default/shop: version 1, 4 operations written to ./ops.json\n")
}

func TestExportPlanwarm(t *testing.T) {
	t.Parallel()
	s := exportShop(t)
	body := s.must("export", "shop", "--format", formatPlanwarm).out
	m, err := manifest.DecodeBytes([]byte(body))
	if err != nil || len(m.Operations) != 3 || m.Sequence != 1 || len(m.Operations[1].Planwarm.Variants) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	if got := s.runWith(body, "export", "--manifest", "-", "--format", formatPlanwarm); got.code != exitDone || got.out != body {
		t.Errorf("from standard input: exit %d, %s", got.code, got.err)
	}
}

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.refused(exitNotFound, []string{"nothing was published yet"}, "export", "shop", "--format", formatCosmo)
	s.refused(exitUsage, []string{`--format "" is none of apollo-persisted-queries, planwarm, cosmo`, "name a graph, or a file"}, "export")
	s.refused(exitUsage, []string{`--format "relay" is none of`, "and not both"}, "export", "shop", "--manifest", "./m.json", "--format", "relay")
	s.refused(exitUsage, []string{"give a file for the export with -o"}, "export", "shop", "--format", formatCosmo, "--json")
	s.refused(exitNotFound, []string{"no such file"}, "export", "--manifest", "./nosuch.json", "--format", formatCosmo)
	s.write("m.json", `{"format":"planwarm/v9"}`)
	s.refused(exitRefused, []string{"unknown format"}, "export", "--manifest", "./m.json", "--format", formatCosmo)

	// A text that cannot be read leaves the file as it was.
	s.publish([]manifest.Entry{measuredEntry("Me", meText, "10", 3), measuredEntry("Cut", "query Cut {", "11", 3)})
	s.write("pq.json", "before")
	s.refused(exitRefused, []string{"export default/shop: write persisted queries: entry 1"}, "export", "shop", "--format", formatApollo, "-o", "./pq.json")
	if got := s.read("pq.json"); got != "before" {
		t.Errorf("the file has %q", got)
	}
	s.refused(exitFailed, []string{"write export"}, "export", "shop", "--format", formatPlanwarm, "-o", "./nosuch/m.json")
}
