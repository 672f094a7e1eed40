package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
)

// patience is how long a test waits for another process, busy machines included.
const patience = 60 * time.Second

// sidecar is a planwarm run in a process of its own.
type sidecar struct {
	t         *testing.T
	dir       string
	cmd       *exec.Cmd
	log       *lockedBuffer
	ended     chan error
	addresses map[string]string
	client    *http.Client
}

// sidecarSettings are what tests change of its configuration.
type sidecarSettings struct {
	minExecutions uint64
	maxBytes      string
}

// shut is a gate that no operation passes: nothing is published, and a
// recompute tells the figures of every plan as they are at that moment.
const shut = 1 << 40

func (s *sidecar) configure(o sidecarSettings) {
	s.t.Helper()
	schema, err := filepath.Abs(supergraph)
	if err != nil {
		s.t.Fatal(err)
	}
	if o.maxBytes == "" {
		o.maxBytes = "64MiB"
	}
	text := fmt.Sprintf(`
data_dir: %q
instance: captures
graphs:
  - name: storefront
    schema: { file: %q, poll: 1h }
    cosmo: { organization_id: org-storefront, federated_graph_id: graph-storefront, jwt_secret_file: %q }
    manifest: { max_operations: 1000, min_planning_time: 0s, min_executions: %d, recompute_interval: 1h, min_publish_interval: 0s }
    warm: { poll: 100ms }
telemetry: { otlp: { http: "127.0.0.1:0", grpc: "127.0.0.1:0", max_bytes: %s } }
cdn: { listen: "127.0.0.1:0" }
health: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
log: { level: info }
`, filepath.Join(s.dir, "data"), schema, s.secretPath(), o.minExecutions, o.maxBytes)
	for path, content := range map[string]string{s.configPath(): text, s.secretPath(): graphSecret} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *sidecar) configPath() string { return filepath.Join(s.dir, "planwarm.yaml") }
func (s *sidecar) secretPath() string { return filepath.Join(s.dir, "graph-token-secret") }

// graphSecret signs the graph tokens of tests.
const graphSecret = "a secret for tests only, 32 bytes"

// startSidecar starts planwarm in a new directory.
func startSidecar(t *testing.T, o sidecarSettings) *sidecar {
	t.Helper()
	s := newSidecar(t, o)
	s.start()
	return s
}

// newSidecar is a planwarm that is configured and not yet started.
func newSidecar(t *testing.T, o sidecarSettings) *sidecar {
	t.Helper()
	s := &sidecar{t: t, dir: t.TempDir(), client: &http.Client{Timeout: patience}, cmd: &exec.Cmd{}, log: &lockedBuffer{}}
	s.configure(o)
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if s.cmd.Process != nil && s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill() // the test has failed; its S3 child ends with it
			<-s.ended
		}
		if t.Failed() {
			t.Logf("log of the sidecar:\n%s", s.log)
		}
	})
	return s
}

// start runs the process and waits until it has told its addresses.
func (s *sidecar) start() {
	s.t.Helper()
	s.launch()
	s.awaitAddresses()
}

// launch runs the process.
func (s *sidecar) launch() {
	s.t.Helper()
	s.log, s.ended = &lockedBuffer{}, make(chan error, 1)
	s.cmd = exec.Command(os.Args[0], "run", "--config", s.configPath())
	s.cmd.Env = append(os.Environ(), "PLANWARM_TEST_MAIN=1")
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }(s.cmd, s.ended)
}

func (s *sidecar) awaitAddresses() {
	s.t.Helper()
	s.await("its addresses", func() bool {
		select {
		case err := <-s.ended:
			s.ended <- err
			s.t.Fatalf("planwarm run has ended: %v\n%s", err, s.log)
		default:
		}
		data, err := os.ReadFile(filepath.Join(s.dir, "data", "run.json"))
		var f runFile
		if err != nil || json.Unmarshal(data, &f) != nil || f.PID != s.cmd.Process.Pid {
			return false
		}
		s.addresses = f.Addresses
		return true
	})
}

// stop asks the process to end, which has to go well.
func (s *sidecar) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Fatalf("planwarm run: %v\n%s", err, s.log)
		}
	case <-time.After(patience):
		s.t.Fatalf("planwarm run does not end\n%s", s.log)
	}
	s.client.CloseIdleConnections()
}

// await asks again and again until a condition holds.
func (s *sidecar) await(what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(limit) {
			s.t.Fatalf("%s: not within %s\n%s", what, patience, s.log)
		}
	}
}

// awaitLog waits until the log holds something: what a process has written may
// come later than its answer.
func (s *sidecar) awaitLog(want string) {
	s.t.Helper()
	s.await(want+" in the log", func() bool { return strings.Contains(s.log.String(), want) })
}

// recompute has the sidecar build its manifest now.
func (s *sidecar) recompute() warmer.PublishReport {
	s.t.Helper()
	var rep warmer.PublishReport
	status, body := s.do(http.MethodPost, "http://"+s.addresses["admin"]+"/recompute?namespace=default&graph=storefront", nil, nil)
	if err := json.Unmarshal(body, &rep); status != http.StatusOK || err != nil || rep.Error != "" {
		s.t.Fatalf("recompute: status %d, error %v: %s", status, err, body)
	}
	return rep
}

// live are the figures of all plans behind a shut gate.
func (s *sidecar) live() map[string]figures {
	s.t.Helper()
	rep := s.recompute()
	if rep.Operations != 0 {
		s.t.Errorf("%d operations passed a gate that is shut", rep.Operations)
	}
	got := map[string]figures{}
	for _, l := range rep.LeftOut {
		if l.PlanKey == "" {
			s.t.Errorf("%q has no plan key", l.OperationName)
		}
		got[l.PlanKey] = figures{round4(l.P90Ms), l.Samples, l.Executions}
	}
	return got
}

// open opens the gate with a reload and returns the figures as published: those
// of the manifest that the CDN endpoint serves, and of what is left out of it.
func (s *sidecar) open() (map[string]figures, manifest.Manifest) {
	s.t.Helper()
	s.configure(sidecarSettings{})
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	var rep warmer.PublishReport
	s.await("the reload", func() bool {
		rep = s.recompute()
		for _, l := range rep.LeftOut {
			if l.Reason == manifest.ReasonMinExecutions {
				return false
			}
		}
		return true
	})
	var m manifest.Manifest
	if rep.Operations > 0 {
		s.await("the published manifest", func() bool {
			status, body := s.do(http.MethodGet, "http://"+s.addresses["cdn"]+"/v1/graphs/default/storefront/manifest", nil, nil)
			if status != http.StatusOK {
				return false
			}
			var err error
			if m, err = manifest.DecodeBytes(body); err != nil {
				s.t.Fatal(err)
			}
			return m.Sequence == rep.Sequence
		})
	}
	got := entryFigures(m)
	if len(got) != rep.Operations {
		s.t.Errorf("%d operations are served, %d were built", len(got), rep.Operations)
	}
	addLeftOut(s.t, got, rep.LeftOut)
	return got, m
}

// do sends one request and reads the answer.
func (s *sidecar) do(method, url string, header map[string]string, body []byte) (int, []byte) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, answer
}

// lockedBuffer is written by a process while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
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
