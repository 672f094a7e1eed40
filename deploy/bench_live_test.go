//go:build routers

package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/planwarm/planwarm/planner/engine/subgraphs"
	"github.com/planwarm/planwarm/testdata"
)

// names are the storefront's subgraphs, in the order of their ports in the
// supergraph.
var names = []string{"accounts", "catalog", "inventory", "reviews", "orders", "shipping"}

const token = "a-token-of-the-tests"

// kind is one of the gateways.
type kind struct {
	name  string // of planwarm's kind, and of the folder
	start func(b *bench) (cmd *exec.Cmd, url string)
	// executes says that planwarm may execute queries there, and needs no token.
	executes bool
	// reload makes it load the supergraph, which has changed.
	reload func(g *gateway) error
}

var gateways = []kind{
	{name: "apollo-gateway", start: func(b *bench) (*exec.Cmd, string) { return b.node("test/live/gateway.mjs"), "" },
		reload: func(g *gateway) error { return g.cmd.Process.Signal(syscall.SIGUSR2) }},
	{name: "hive-gateway", start: func(b *bench) (*exec.Cmd, string) {
		port := freePort(b.t)
		cmd := b.node("node_modules/@graphql-hive/gateway/dist/bin.js", "supergraph", "-c", "test/live/gateway.config.mjs", "-h", "127.0.0.1", "-p", port, "--opentelemetry", b.otlp())
		return cmd, "http://127.0.0.1:" + port + "/graphql"
	}, reload: func(*gateway) error { return nil }}, // it reads the file every 10 s
}

// bench is everything around one gateway: subgraphs, planwarm, a folder.
type bench struct {
	t          *testing.T
	kind       kind
	dir, exe   string
	graphs     *subgraphs.Server
	addresses  map[string]string
	roles      string
	supergraph string // with the addresses of the subgraphs
}

func newBench(t *testing.T, k kind) *bench {
	t.Helper()
	b := &bench{t: t, kind: k, dir: t.TempDir(), roles: "publish"}
	b.exe = os.Getenv("PLANWARM_BINARY")
	if b.exe == "" {
		t.Fatal("PLANWARM_BINARY is not set: run make test-routers")
	}
	sdl := map[string]string{}
	for _, name := range names {
		sdl[name] = b.embedded("subgraphs/" + name + ".graphql")
	}
	var err error
	if b.graphs, err = subgraphs.New(subgraphs.Options{SDL: sdl}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.graphs.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	supergraph := b.embedded("supergraph.graphql")
	for i, name := range names {
		supergraph = strings.ReplaceAll(supergraph, fmt.Sprintf("http://127.0.0.1:%d/graphql", 25101+i), b.graphs.URL(name))
	}
	b.supergraph = supergraph
	b.write("supergraph.graphql", supergraph)
	b.write("token-of-gateway", token)
	b.write("token-of-planwarm", token)
	return b
}

func (b *bench) embedded(name string) string {
	b.t.Helper()
	raw, err := testdata.Storefront.ReadFile("storefront/" + name)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(raw)
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// write replaces a file in one step: a gateway that reads half of one may end.
func (b *bench) write(name, text string) {
	b.t.Helper()
	next := b.path(name + ".next")
	if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Rename(next, b.path(name))); err != nil {
		b.t.Fatal(err)
	}
}

// otlp is where the gateway sends its spans; nobody is there before planwarm is.
func (b *bench) otlp() string {
	if b.addresses == nil {
		return "http://127.0.0.1:" + freePort(b.t) + "/v1/traces"
	}
	return "http://" + b.addresses["otlp http"] + "/v1/traces"
}

// config writes planwarm's configuration for a gateway at an address and
// returns its path. An empty address leaves the gateway out.
func (b *bench) config(url string) string {
	routers := ""
	if url != "" {
		leave := fmt.Sprintf("token_file: %q", b.path("token-of-planwarm"))
		if b.kind.executes {
			leave = "allow_execution: true"
		}
		routers = fmt.Sprintf("routers: [ { kind: %s, url: %q, %s } ]", b.kind.name, url, leave)
	}
	b.write("planwarm.yaml", fmt.Sprintf(`
data_dir: %[1]q
roles: [%[4]s]
graphs:
  - name: storefront
    schema: { file: %[2]q, poll: 1h }
    %[3]s
    manifest: { max_operations: 1000, min_planning_time: 0s, min_executions: 1, recompute_interval: 1h, min_publish_interval: 0s }
    warm: { poll: 100ms }
telemetry: { otlp: { http: "127.0.0.1:0", grpc: "127.0.0.1:0" } }
cdn: { listen: "127.0.0.1:0" }
health: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
`, b.path("data"), b.path("supergraph.graphql"), routers, b.roles))
	return b.path("planwarm.yaml")
}

// startPlanwarm starts planwarm run, for a gateway when it has a url, and waits
// for its addresses.
func (b *bench) startPlanwarm(url string) {
	b.t.Helper()
	p := b.spawn(exec.Command(b.exe, "run", "--config", b.config(url)))
	b.await("the addresses of planwarm", p, func() bool {
		var f struct {
			PID       int               `json:"pid"`
			Addresses map[string]string `json:"addresses"`
		}
		raw, err := os.ReadFile(filepath.Join(b.path("data"), "run.json"))
		if err != nil || json.Unmarshal(raw, &f) != nil || f.PID != p.cmd.Process.Pid {
			return false
		}
		b.addresses = f.Addresses
		return true
	})
}

// planwarm runs a command to its end.
func (b *bench) planwarm(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.exe, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.String() + errs.String(), err
}

// push pushes operations, each file once.
func (b *bench) push(list []operation) {
	b.t.Helper()
	args := []string{"push", "storefront", "--config", b.path("planwarm.yaml")}
	if err := os.MkdirAll(b.path("operations"), 0o700); err != nil {
		b.t.Fatal(err)
	}
	for _, o := range list {
		b.write("operations/"+o.file+".graphql", o.text)
	}
	if out, err := b.planwarm(append(args, "-f", b.path("operations"))...); err != nil {
		b.t.Fatalf("push: %v\n%s", err, out)
	}
}

func (b *bench) recompute() {
	b.t.Helper()
	if out, err := b.planwarm("recompute", "storefront", "--config", b.path("planwarm.yaml")); err != nil {
		b.t.Fatalf("recompute: %v\n%s", err, out)
	}
}

// warmReport is what planwarm warm says of one router.
type warmReport struct {
	Planned     int      `json:"planned"`
	AlreadyWarm int      `json:"alreadyWarm"`
	ByExecution int      `json:"byExecution"`
	Failed      int      `json:"failed"`
	Skipped     int      `json:"skipped"`
	TookMs      float64  `json:"tookMs"`
	Share       *float64 `json:"verifiedShare"`
	Failures    []struct {
		Name   string `json:"name"`
		Reason string `json:"reason"`
	} `json:"failures"`
}

func (r warmReport) share() float64 {
	if r.Share == nil {
		return -1
	}
	return *r.Share
}

func (b *bench) warm(g *gateway) warmReport {
	b.t.Helper()
	out, err := b.planwarm("warm", "storefront", "--json", "--config", b.config(g.url))
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	var said struct {
		Routers []warmReport `json:"routers"`
	}
	if json.NewDecoder(strings.NewReader(out)).Decode(&said) != nil || len(said.Routers) != 1 {
		b.t.Fatalf("warm: %v\n%s", err, out)
	}
	return said.Routers[0]
}

// gateway is a running gateway.
type gateway struct {
	*process
	kind    kind
	t       *testing.T
	url     string
	planLog string
	client  *http.Client
}

// startGateway starts a fresh process and waits until it answers.
func (b *bench) startGateway() *gateway {
	b.t.Helper()
	cmd, url := b.kind.start(b)
	g := &gateway{kind: b.kind, t: b.t, url: url, planLog: b.path(fmt.Sprintf("plans-%d", time.Now().UnixNano())), client: &http.Client{Transport: &http.Transport{}}}
	cmd.Env = append(append(os.Environ(), cmd.Env...), "SUPERGRAPH="+b.path("supergraph.graphql"), "TOKEN_FILE="+b.path("token-of-gateway"),
		"PLAN_LOG="+g.planLog, "OTLP_URL="+b.otlp(), "APOLLO_TELEMETRY_DISABLED=true", "NODE_ENV=production")
	g.process = b.spawn(cmd)
	b.t.Cleanup(g.client.CloseIdleConnections)
	b.await("the gateway", g.process, func() bool {
		if g.url == "" {
			_, line, _ := strings.Cut(g.log.String(), `{"url":"`)
			g.url, _, _ = strings.Cut(line, `"`)
		}
		if g.url == "" {
			return false
		}
		res, err := g.client.Post(g.url, "application/json", strings.NewReader(`{"query":"{__typename}"}`))
		if err != nil {
			return false
		}
		_ = res.Body.Close() // only the status is of interest
		return res.StatusCode == http.StatusOK
	})
	g.client.CloseIdleConnections()
	_ = os.Remove(g.planLog) // what readiness asked for
	return g
}

// planned is what the gateway's planner was called with, one call after the other.
func (g *gateway) planned() []string {
	raw, err := os.ReadFile(g.planLog)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		g.t.Fatal(err)
	}
	return slices.Collect(strings.Lines(string(raw)))
}

// plans counts the calls of the gateway's planner.
func (g *gateway) plans() int { return len(g.planned()) }

// node is node with a script of the gateway's folder.
func (b *bench) node(args ...string) *exec.Cmd {
	b.t.Helper()
	cmd := exec.Command("node", args...)
	cmd.Dir = b.installed()
	return cmd
}

// installed is the folder that make test-routers installed the gateway into.
func (b *bench) installed() string {
	b.t.Helper()
	root := os.Getenv("ROUTERS_DIR")
	if root == "" {
		b.t.Fatal("ROUTERS_DIR is not set: run make test-routers")
	}
	return filepath.Join(root, b.kind.name)
}

// process is a child that ends with the test.
type process struct {
	cmd   *exec.Cmd
	log   *lockedBuffer
	ended chan struct{}
}

func (b *bench) spawn(cmd *exec.Cmd) *process {
	b.t.Helper()
	p := &process{cmd: cmd, log: &lockedBuffer{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() { defer close(p.ended); _ = cmd.Wait() }() // how it ended is of no interest
	b.t.Cleanup(func() {
		p.stop()
		if b.t.Failed() {
			text := p.log.String()
			b.t.Logf("end of the log of %s:\n%s", filepath.Base(cmd.Path), text[max(0, len(text)-4<<10):])
		}
	})
	return p
}

// stop asks the process to end, and makes it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// await asks again until it is so.
func (b *bench) await(what string, p *process, done func() bool) {
	b.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-p.ended:
			b.t.Fatalf("waiting for %s: it has ended\n%s", what, p.log)
		case <-deadline:
			b.t.Fatalf("waiting for %s\n%s", what, p.log)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// lockedBuffer keeps what a process writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
