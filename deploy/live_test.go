//go:build routers

package deploy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// wantWarm is how many storefront operations need no planner on their first
// real request after a warm-up.
const wantWarm = 60

// reasons are the operations that may need the planner all the same.
var reasons = map[string]map[string]string{
	"apollo-gateway": {
		"multi-cart": several, "multi-first-wins": several, "multi-product-tabs": several,
		"typename": "planwarm does not warm what needs no plan, for which this gateway calls its planner all the same",
	},
	"hive-gateway": {
		"multi-cart": several, "multi-first-wins": several, "multi-product-tabs": several,
		"customer-360": "its planner cannot plan @requires on an entity nested under itself",
	},
}

const several = "a document with several operations is pushed as one operation each, so its exact text is not kept"

// TestFirstRequestsFindTheirPlans: a gateway is warmed after a fresh start, no
// subgraph hears of it, and the first real request of nearly every operation
// calls no planner.
func TestFirstRequestsFindTheirPlans(t *testing.T) {
	for _, g := range gateways {
		t.Run(g.name, func(t *testing.T) {
			b := newBench(t, g)
			traffic := operations(t)
			b.startPlanwarm("")
			b.push(traffic)

			gw := b.startGateway()
			for _, op := range traffic[:10] { // so that telemetry has something to tell
				gw.send(op)
			}
			b.recompute()
			if b.graphs.Total().Requests() == 0 {
				t.Fatal("ten real requests reached no subgraph: the counter counts nothing")
			}
			gw.stop()

			gw = b.startGateway()
			b.graphs.Reset()
			report := b.warm(gw)
			if n := b.graphs.Total().Requests(); n != 0 {
				t.Errorf("warming reached subgraphs %d times", n)
			}
			if report.share() != 1 {
				t.Errorf("%v of the plans were found again by the check", report.share())
			}
			t.Logf("%s: %d planned, %d already warm, %d failed, %d skipped in %.0f ms, verified %v; failures %v",
				g.name, report.Planned, report.AlreadyWarm, report.Failed, report.Skipped, report.TookMs, report.share(), report.Failures)

			warm, cold := 0, []string{}
			for _, op := range traffic {
				before := gw.plans()
				gw.send(op)
				switch why, known := reasons[g.name][op.file]; {
				case gw.plans() == before:
					warm++
				case known:
					t.Logf("%s: %s %q is planned on its first request: %s", g.name, op.file, op.name, why)
				default:
					cold = append(cold, op.file+" "+op.name)
				}
			}
			t.Logf("%s: %d of %d operations need no planner on their first request", g.name, warm, len(traffic))
			if warm < wantWarm || len(cold) > 0 {
				t.Errorf("%d operations were warm, want %d; planned without a reason: %q", warm, wantWarm, cold)
			}
			if n := b.graphs.Total().Requests(); n == 0 {
				t.Error("real requests reached no subgraph: the counter counts nothing")
			}
		})
	}
}

// TestWithoutTheTokenNothingIsPlanned: a wrong token is refused before anything
// is executed, and the run ends.
func TestWithoutTheTokenNothingIsPlanned(t *testing.T) {
	for _, g := range gateways {
		t.Run(g.name, func(t *testing.T) {
			b := newBench(t, g)
			b.startPlanwarm("")
			b.push(operations(t)[:5])
			b.recompute()
			gw := b.startGateway()
			b.write("token-of-planwarm", "another-token")
			b.graphs.Reset()
			out, err := b.planwarm("warm", "storefront", "--json", "--config", b.config(gw.url))
			if err == nil || !strings.Contains(out, "refused") {
				t.Errorf("warmed with a wrong token: %v\n%s", err, out)
			}
			if n := gw.plans(); n != 0 {
				t.Errorf("%d plans were made", n)
			}
			if n := b.graphs.Total().Requests(); n != 0 {
				t.Errorf("%d requests reached subgraphs", n)
			}
			code, body := gw.post(map[string]any{"query": "mutation { __typename }"}, http.Header{"X-Planwarm-Token": {"another-token"}})
			if code != http.StatusForbidden || strings.Contains(body, `"data"`) {
				t.Errorf("a wrong token is answered %d %s", code, body)
			}
		})
	}
}

// TestReloadIsWarmedAgain: planwarm run sees that a gateway loaded its schema
// anew, and makes all plans again, without a subgraph hearing of it.
func TestReloadIsWarmedAgain(t *testing.T) {
	for _, g := range gateways {
		t.Run(g.name, func(t *testing.T) {
			b := newBench(t, g)
			gw := b.startGateway()
			b.roles = "publish, warm"
			b.startPlanwarm(gw.url)
			b.push(operations(t)[5:25])
			b.recompute()
			b.await("the first run", gw.process, func() bool { return gw.plans() >= 20 })
			lost := gw.settled()
			b.write("supergraph.graphql", b.supergraph+"\n# another revision\n")
			if err := g.reload(gw); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			// How often is no matter: a busy gateway may load its schema twice at its start.
			b.await("the run after the reload", gw.process, func() bool {
				again := gw.planned()[len(lost):]
				return !slices.ContainsFunc(lost, func(plan string) bool { return !slices.Contains(again, plan) })
			})
			t.Logf("%s: what %d calls had planned was there again %s after the change", g.name, len(lost), time.Since(start).Round(time.Millisecond))
			if n := b.graphs.Total().Requests(); n != 0 {
				t.Errorf("warming reached subgraphs %d times", n)
			}
		})
	}
}

// operation is one storefront operation as its clients send it.
type operation struct {
	file, text string
	name       string // as it is sent; "" sends none
	variables  json.RawMessage
}

// operations reads the storefront's operations, the ones that a gateway refuses
// left out, with the variables of the first request that clients sent.
func operations(t *testing.T) []operation {
	t.Helper()
	dir := filepath.Join("..", "testdata", "storefront", "operations")
	raw, err := os.ReadFile(filepath.Join(dir, "variables.json"))
	if err != nil {
		t.Fatal(err)
	}
	var files map[string][]struct {
		OperationName string            `json:"operationName"`
		Variables     []json.RawMessage `json:"variables"`
	}
	if err := json.Unmarshal(raw, &files); err != nil {
		t.Fatal(err)
	}
	var out []operation
	for file, list := range files {
		if strings.HasPrefix(file, "invalid-") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, file+".graphql"))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list {
			out = append(out, operation{file: file, text: string(text), name: o.OperationName, variables: o.Variables[0]})
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.file+" "+a.name, b.file+" "+b.name) })
	return out
}

// post sends a request; everything but an answer fails the test.
func (g *gateway) post(body map[string]any, header http.Header) (int, string) {
	g.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(raw))
	if err != nil {
		g.t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := g.client.Do(req)
	if err != nil {
		g.t.Fatalf("%s: %v\n%s", g.kind.name, err, g.log)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(bufio.NewReader(res.Body))
	if err != nil {
		g.t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// settled returns what was planned once nothing more is.
func (g *gateway) settled() []string {
	g.t.Helper()
	last, since := g.planned(), time.Now()
	for tick := time.NewTicker(100 * time.Millisecond); time.Since(since) < 3*time.Second; <-tick.C {
		if now := g.planned(); len(now) != len(last) {
			last, since = now, time.Now()
		}
	}
	return last
}

// send sends an operation as its clients do.
func (g *gateway) send(o operation) {
	g.t.Helper()
	body := map[string]any{"query": o.text, "variables": o.variables}
	if o.name != "" {
		body["operationName"] = o.name
	}
	g.post(body, nil)
}

const patience = 60 * time.Second
