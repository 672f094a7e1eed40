//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/planwarm/planwarm/testdata"
)

// killBucket is the storage that a kill test runs on.
type killBucket struct {
	config   string // the bucket section of the configuration
	embedded bool   // every process has a server of its own, to be killed as well
	// location says where a plain client finds the bucket while run lives.
	location func(dataDir string) (s3Location, error)
}

// s3Location is what a plain client needs.
type s3Location struct{ endpoint, bucket, prefix, accessKey, secretKey string }

// client is the SDK's own, with nothing of this project around it.
func (l s3Location) client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &l.endpoint, UsePathStyle: true, Region: "us-east-1", HTTPClient: unpooled(),
		Credentials:                credentials.NewStaticCredentialsProvider(l.accessKey, l.secretKey, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
}

// unpooled keeps no connection that would outlive what it was made for.
func unpooled() *http.Client {
	return &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
}

// fleet is every process of a kill test: a sidecar, and commands that push.
type fleet struct {
	exe, dir string
	marker   marker
	bucket   killBucket
	log      *os.File     // of every sidecar, one after another
	pushed   atomic.Int64 // acknowledged pushes
	names    atomic.Int64 // operations made so far
	settled  atomic.Bool  // the sidecar will not be killed any more
}

func newFleet(t *testing.T, m marker, b killBucket) *fleet {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{exe: exe, dir: t.TempDir(), marker: m, bucket: b}
	schema, err := testdata.Storefront.ReadFile("storefront/supergraph.graphql")
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "supergraph.graphql", schema)
	f.write(t, "planwarm.yaml", fmt.Appendf(nil, `
data_dir: %[1]s/data
graphs:
  - name: storefront
    schema: { file: %[1]s/supergraph.graphql }
    manifest: { max_operations: 1000, min_publish_interval: 0s }
    warm: { poll: %[3]s }
telemetry: { otlp: { http: "127.0.0.1:0", grpc: "127.0.0.1:0" } }
cdn: { listen: "127.0.0.1:0" }
health: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
%[2]s
`, f.dir, b.config, pinsPoll))
	if f.log, err = os.Create(filepath.Join(f.dir, "run.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.killAll(t)
		f.showLog(t)
	})
	return f
}

func (f *fleet) write(t *testing.T, name string, body []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), body, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f *fleet) dataDir() string { return filepath.Join(f.dir, "data") }

// showLog prints the end of the sidecars' log when the test failed.
func (f *fleet) showLog(t *testing.T) {
	_ = f.log.Close() // it was only written by others
	if !t.Failed() {
		return
	}
	body, err := os.ReadFile(f.log.Name())
	if err != nil {
		t.Error(err)
	}
	t.Logf("end of the sidecars' log:\n%s", body[max(0, len(body)-8<<10):])
}

// command is this test's program as planwarm.
func (f *fleet) command(args ...string) *exec.Cmd {
	cmd := exec.Command(f.exe, append(args, "--config", filepath.Join(f.dir, "planwarm.yaml"))...)
	// The race detector makes every process sleep for a second when it ends,
	// which is when most kills would come.
	race := strings.TrimSpace(os.Getenv("GORACE") + " atexit_sleep_ms=0")
	cmd.Env = append(os.Environ(), "PLANWARM_TEST_MAIN=1", "GORACE="+race, f.marker.env())
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// fleetProcess is a started command.
type fleetProcess struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it was waited for
	err    error
}

func startProcess(cmd *exec.Cmd) (*fleetProcess, error) {
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Args[1], err)
	}
	p := &fleetProcess{cmd: cmd, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		p.err = cmd.Wait()
	}()
	return p, nil
}

func (p *fleetProcess) pid() int { return p.cmd.Process.Pid }

// killed says whether it ended by SIGKILL. It is for a process that has exited.
func (p *fleetProcess) killed() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// fleetSidecar is a `planwarm run`.
type fleetSidecar struct {
	*fleetProcess
	addresses map[string]string
}

// startSidecar returns when it serves.
func (f *fleet) startSidecar() (*fleetSidecar, error) {
	cmd := f.command("run")
	cmd.Stdout, cmd.Stderr = f.log, f.log
	p, err := startProcess(cmd)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		if running, ok := f.runFile(); ok && running.PID == p.pid() {
			return &fleetSidecar{p, running.Addresses}, nil
		}
		select {
		case <-p.exited:
			return nil, fmt.Errorf("start sidecar: %w", errors.Join(errExited, p.err))
		case <-deadline:
			return nil, errors.New("start sidecar: no run.json for a minute")
		case <-tick.C:
		}
	}
}

// runFile reads where the sidecar listens. One that was killed leaves its own behind.
func (f *fleet) runFile() (running runFile, ok bool) {
	body, err := os.ReadFile(runFilePath(f.dataDir()))
	return running, err == nil && json.Unmarshal(body, &running) == nil
}

// stop ends the sidecar as a person would.
func (s *fleetSidecar) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.exited:
	case <-time.After(30 * time.Second):
		t.Fatal("sidecar did not end for 30 s after SIGTERM")
	}
	if s.err != nil {
		t.Errorf("sidecar: %v", s.err)
	}
}

// recompute has the sidecar publish, and returns the sequence that is current then.
func (s *fleetSidecar) recompute(ctx context.Context) (uint64, error) {
	var report struct{ Sequence uint64 }
	if err := s.ask(ctx, http.MethodPost, "admin", "/recompute", &report); err != nil {
		return 0, err
	}
	return report.Sequence, nil
}

// ask sends a request to one of the sidecar's listeners.
func (s *fleetSidecar) ask(ctx context.Context, method, listener, path string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.addresses[listener]+path, nil)
	if err != nil {
		return err
	}
	response, err := unpooled().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: status %d: %s", method, path, response.StatusCode, body)
	}
	return json.Unmarshal(body, answer)
}
