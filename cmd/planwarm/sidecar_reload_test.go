package main

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

func (s *sidecar) reload(says string) {
	s.t.Helper()
	before := strings.Count(s.log.String(), says)
	s.hangUp()
	s.await(says, func() bool { return strings.Count(s.log.String(), says) > before })
}

const (
	reloaded = "configuration reloaded"
	refused  = "reload refused"
)

// children are the living processes that the sidecar has started.
func (s *sidecar) children() (pids []string) {
	s.t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, task := range tasks {
		list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", s.cmd.Process.Pid, task.Name()))
		if err == nil { // a thread may have ended
			pids = append(pids, strings.Fields(string(list))...)
		}
	}
	return pids
}

// A reload whose last step fails changes nothing: not who may send telemetry,
// not where anything listens, not the schema, not the graphs.
func TestReloadThatFailsHalfwayChangesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	before, children := s.status(), s.children()

	s.reconfigure(`otlp: { http: "127.0.0.1:0", grpc: "127.0.0.1:0"`, fmt.Sprintf(`otlp: { token_file: %q, http: "127.0.0.1:0", grpc: "localhost:0"`, s.secretPath()))
	s.reconfigure(`cdn: { listen: "127.0.0.1:0"`, `cdn: { listen: "localhost:0"`)
	s.reconfigure(`health: { listen: "127.0.0.1:0"`, `health: { listen: ""`)
	s.reconfigure("supergraph.graphql", "supergraph-v2.graphql")
	s.reconfigure(`admin: { listen: "127.0.0.1:0"`, fmt.Sprintf(`admin: { listen: %q`, taken.Addr()))
	s.reload(refused)

	if after := s.status(); after.Schema != before.Schema || after.Graph != before.Graph {
		t.Errorf("schema %s of %s, before %s of %s", after.Schema, after.Graph, before.Schema, before.Graph)
	}
	if code, _ := s.do(http.MethodGet, "http://"+s.addresses["health"]+"/livez", nil, nil); code != http.StatusOK {
		t.Errorf("livez %d", code)
	}
	// Nobody has a token; the captured texts are of the old schema.
	s.send(requests(t, "small/traces-http", "small/graphqlmetrics", "main/metrics-grpc-delta")...)
	s.awaitPull()
	if now := s.children(); len(now) != len(children) {
		t.Errorf("children %v, before %v", now, children)
	}
	s.stop()
}

// A bucket that was started for a reload that then failed is ended.
func TestReloadThatFailsLeavesNoChild(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	s := newSidecar(t, sidecarSettings{minExecutions: shut})
	s.useBucket("http://" + closedPort(t))
	s.start()
	s.configure(sidecarSettings{minExecutions: shut})
	s.reconfigure(`admin: { listen: "127.0.0.1:0"`, fmt.Sprintf(`admin: { listen: %q`, taken.Addr()))
	s.reload(refused)
	if !strings.Contains(s.log.String(), "embedded bucket started") {
		t.Error("the reload did not get as far as the bucket")
	}
	if left := s.children(); len(left) > 0 {
		t.Errorf("children %v are left", left)
	}
	s.stop()
}

// Ports stay, whatever is behind them; readiness does not turn false; what is
// configured no longer is closed.
func TestReloadKeepsPortsAndReadiness(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // a CDN that keeps the first warm-up waiting
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s := newSidecar(t, sidecarSettings{minExecutions: shut})
	s.reconfigure("cdn: {", "cdn: { url: \"http://"+silent.Addr().String()+"\",")
	routers := "routers: [ { url: \"http://" + closedPort(t) + "/graphql\" } ]\n    "
	s.reconfigure("warm: {", routers+"warm: { ready_timeout: 50ms,")
	s.start()
	ready := func() int {
		code, _ := s.do(http.MethodGet, "http://"+s.addresses["health"]+"/readyz", nil, nil)
		return code
	}
	s.await("to be ready", func() bool { return ready() == http.StatusOK })

	before := maps.Clone(s.addresses)
	s.reconfigure("ready_timeout: 50ms", "ready_timeout: 1h")
	s.reconfigure(`level: info`, `level: debug`)
	s.reconfigure(`telemetry:`, "bucket: { retention: 7 }\ntelemetry:")
	s.reload(reloaded)
	s.awaitAddresses()
	if !maps.Equal(s.addresses, before) {
		t.Errorf("addresses %v, before %v", s.addresses, before)
	}
	if code := ready(); code != http.StatusOK {
		t.Errorf("readyz %d after a reload", code)
	}
	if n := strings.Count(s.log.String(), "embedded bucket started"); n != 1 {
		t.Errorf("the bucket was started %d times", n)
	}
	s.send(requests(t, "small/traces-http", "main/metrics-grpc-delta")...)

	s.reconfigure(`grpc: "127.0.0.1:0"`, `grpc: ""`)
	s.reconfigure(`health: { listen: "127.0.0.1:0"`, `health: { listen: ""`)
	s.reload(reloaded)
	for _, name := range []string{"otlp grpc", "health"} {
		if answered(before[name]) {
			t.Errorf("%s is still open", name)
		}
	}
	s.stop()
}

// What tables and buckets cannot take over is refused, by name.
func TestReloadSaysWhatNeedsARestart(t *testing.T) {
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	s.reconfigure("instance: captures", "instance: another")
	s.reconfigure("telemetry: {", "telemetry: { max_operations: 7,")
	s.reload(refused)
	for _, key := range []string{"instance", "telemetry.max_operations"} {
		if !strings.Contains(s.log.String(), key+": a change needs a restart") {
			t.Errorf("%s is not named", key)
		}
	}
	s.stop()
}

// A graph that is taken out of the configuration and put in again has its
// telemetry, and none is kept for it in between.
func TestReloadTakesAGraphOutAndInAgain(t *testing.T) {
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	s.send(requests(t, "small/traces-http", "small/graphqlmetrics")...)
	before := s.status().Snapshot
	s.reconfigure("name: storefront", "name: other")
	s.reload(reloaded)
	if st := s.status(); st.Graph.Name != "other" || st.Snapshot != 0 {
		t.Errorf("graph %s with %d operations in the snapshot", st.Graph, st.Snapshot)
	}
	s.reconfigure("name: other", "name: storefront")
	s.reload(reloaded)
	if st := s.status(); st.Graph.Name != "storefront" || st.Snapshot != before || before == 0 {
		t.Errorf("graph %s with %d operations in the snapshot, before %d", st.Graph, st.Snapshot, before)
	}
	s.stop()
}
