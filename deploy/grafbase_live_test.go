//go:build routers && linux && amd64

package deploy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// grafbase is the gateway inside Grafbase's command line tool. Its only public
// binary is for this platform, so this file is built nowhere else.
var grafbase = kind{name: "grafbase", start: startGrafbase, executes: true}

// grafbaseConfig leaves the port and the subgraphs to be filled in.
const grafbaseConfig = `
[network]
listen_address = "127.0.0.1:%s"
[graph]
introspection = true
[operation_caching]
enabled = true
limit = 1000
warm_on_reload = true
warming_percent = 100
[health]
enabled = true
path = "/health"
`

// startGrafbase has the gateway compose its graph from the subgraphs' files,
// because a change of one of them is what it reloads at.
func startGrafbase(b *bench) (*exec.Cmd, string) {
	b.t.Helper()
	port := freePort(b.t)
	conf := fmt.Sprintf(grafbaseConfig, port)
	for _, name := range names {
		b.write(name+".graphql", b.embedded("subgraphs/"+name+".graphql"))
		conf += fmt.Sprintf("[subgraphs.%s]\nurl = %q\nschema_path = %q\n", name, b.graphs.URL(name), name+".graphql")
	}
	b.write("grafbase.toml", conf)
	binary := filepath.Join(b.installed(), "node_modules", "@grafbase", "cli-x86_64-unknown-linux-musl", "grafbase")
	// Only at this level it writes a line for each plan that it makes.
	cmd := exec.Command(binary, "--trace", "2", "--log-style", "text", "dev", "--config", "grafbase.toml")
	cmd.Dir = b.dir
	cmd.Env = []string{"HOME=" + b.dir} // it unpacks its web page there
	return cmd, "http://127.0.0.1:" + port + "/graphql"
}

// grafbasePlans counts the plans that the gateway has made.
func grafbasePlans(g *gateway) int { return strings.Count(g.log.String(), "OperationGraph created") }

var warmedEntries = regexp.MustCompile(`Finished warming (\d+) operations`)

// grafbaseEntries counts what is in the gateway's cache: a reload plans each
// entry again, and says how many those were.
func (b *bench) grafbaseEntries(g *gateway) int {
	b.t.Helper()
	before := len(warmedEntries.FindAllString(g.log.String(), -1))
	// One write at the end, for the gateway may look at the file at any moment.
	f, err := os.OpenFile(b.path("accounts.graphql"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = f.WriteString("\n# another revision\n")
	if err := errors.Join(err, f.Close()); err != nil {
		b.t.Fatal(err)
	}
	var said [][]string
	b.await("the reload", g.process, func() bool {
		said = warmedEntries.FindAllStringSubmatch(g.log.String(), -1)
		return len(said) > before
	})
	n, err := strconv.Atoi(said[len(said)-1][1])
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// forms are an operation with its name and without.
func (o operation) forms() []operation {
	without := o
	if without.name = ""; o.name == "" {
		return []operation{o}
	}
	return []operation{o, without}
}

func (o operation) mutation() bool { return strings.HasPrefix(o.text, "mutation") }

// TestGrafbaseKeepsWhatWasExecuted: where the owner allows it, a warm-up leaves
// one entry for each form of each query in the gateway's cache, the first real
// request makes no plan, and no mutation reaches a subgraph.
func TestGrafbaseKeepsWhatWasExecuted(t *testing.T) {
	b := newBench(t, grafbase)
	traffic := slices.DeleteFunc(operations(t), func(o operation) bool { return strings.HasPrefix(o.file, "multi-") }) // see several
	b.startPlanwarm("")
	b.push(traffic)
	b.recompute()

	gw := b.startGateway()
	empty := b.grafbaseEntries(gw)
	before := grafbasePlans(gw)
	b.graphs.Reset()
	report := b.warm(gw)
	count := b.graphs.Total()
	t.Logf("%d planned, %d of them by execution, %d failed, %d skipped in %.0f ms; subgraphs saw %+v; failures %v",
		report.Planned, report.ByExecution, report.Failed, report.Skipped, report.TookMs, count, report.Failures)
	if report.Failed != 0 || report.Planned == 0 || report.ByExecution != report.Planned {
		t.Error("not all was planned by execution")
	}
	if count.Mutations != 0 || count.Queries == 0 {
		t.Errorf("warming sent subgraphs %+v, want queries alone", count)
	}

	first := []operation{}
	for _, op := range traffic {
		if needsNoPlan := op.file == "typename" || op.file == "introspection"; !needsNoPlan && !op.mutation() {
			first = append(first, op.forms()...)
		}
	}
	entries := len(first) + 1 // the canary
	b.await("the log of all plans", gw.process, func() bool { return grafbasePlans(gw) >= before+entries })
	for _, op := range first {
		plans := grafbasePlans(gw)
		gw.send(op)
		if grafbasePlans(gw) != plans {
			t.Errorf("%s %q is planned on its first request", op.file, op.name)
		}
	}
	gw.send(operation{text: "query NotPushed { me { id } }"})
	b.await("the plan of a query that was not warmed", gw.process, func() bool { return grafbasePlans(gw) > before+entries })
	// Two requests for one entry that overlap are planned twice, as the variants
	// of one text under conditions can be; the entries below are exact.
	if n, most := grafbasePlans(gw)-before, report.Planned+2; n <= entries || n > most {
		t.Errorf("%d plans were made, want %d to %d, the canary and one for what was not warmed among them", n, entries+1, most)
	}
	if n := b.grafbaseEntries(gw) - empty; n != entries+1 {
		t.Errorf("%d entries came into the cache, want %d and the one that was not warmed", n, entries)
	}
	t.Logf("%d entries by the warm-up and its canary, %d first requests", entries, len(first))

	for _, op := range traffic {
		if op.file == "add-to-cart" {
			gw.send(op)
		}
	}
	if b.graphs.Total().Mutations == 0 {
		t.Error("a real mutation is not counted: the counter counts nothing")
	}
}
