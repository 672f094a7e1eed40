package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// useBucket configures a bucket of somebody else's at that endpoint.
func (s *sidecar) useBucket(endpoint string) {
	s.t.Helper()
	key := filepath.Join(s.dir, "key")
	if err := os.WriteFile(key, []byte(bucketKey), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.reconfigure("telemetry:", "bucket: { url: \"s3://planwarm\", endpoint: \""+endpoint+"\", access_key_file: \""+key+"\", secret_key_file: \""+key+"\" }\ntelemetry:")
}

// bucketKey is a secret that must not show up anywhere.
const bucketKey = "a-key-of-the-bucket"

// reconfigure replaces a piece of the configuration.
func (s *sidecar) reconfigure(old, text string) {
	s.t.Helper()
	data, err := os.ReadFile(s.configPath())
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		s.t.Fatalf("no %q in the configuration", old)
	}
	if err := os.WriteFile(s.configPath(), []byte(strings.Replace(string(data), old, text, 1)), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String()
}

// awaitPull waits for a pull that gives operations: a snapshot is made anew
// every few seconds.
func (s *sidecar) awaitPull() {
	s.t.Helper()
	s.await("a pull with operations", func() bool {
		code, m := s.pull()
		return code == http.StatusOK && len(m.Operations) > 0
	})
}

// A first start does not need the bucket, the CDN or the router: it takes
// telemetry, answers pulls from the snapshot, is ready, and ends well.
func TestFirstStartWithoutBucketCDNAndRouter(t *testing.T) {
	s := newSidecar(t, sidecarSettings{minExecutions: shut})
	s.useBucket("http://" + closedPort(t))
	s.reconfigure("cdn: {", "cdn: { url: \"http://"+closedPort(t)+"\",")
	s.reconfigure("warm: {", "routers: [ { url: \"http://"+closedPort(t)+"/graphql\" } ]\n    warm: { ready_timeout: 100ms,")
	s.start()
	get := func(listener, path string) int {
		code, _ := s.do(http.MethodGet, "http://"+s.addresses[listener]+path, nil, nil)
		return code
	}
	if code := get("health", "/livez"); code != http.StatusOK {
		t.Errorf("livez %d", code)
	}
	s.await("to be ready", func() bool { return get("health", "/readyz") == http.StatusOK })
	s.send(requests(t, "small/traces-http", "small/graphqlmetrics")...)
	s.awaitPull()
	if code := get("cdn", "/org-storefront/graph-storefront/nothing.json"); code != http.StatusNotFound {
		t.Errorf("a path that is not ours was answered %d", code)
	}
	if st := s.status(); st.Fetched.Error == "" || st.Snapshot == 0 {
		t.Errorf("status: %+v", st)
	}
	s.stop()
	if strings.Contains(s.log.String(), bucketKey) || strings.Contains(s.log.String(), graphSecret) {
		t.Error("a secret is in the log")
	}
}

// What is wrong on this machine ends a first start: with 2 when the
// configuration says so, with 1 when only trying shows it.
func TestFirstStartRefusesWhatIsWrongHere(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for name, tc := range map[string]struct {
		old, text string
		code      int
		says      string
	}{
		"missing token file": {"admin: {", "admin: { token_file: /nowhere/token,", exitUsage, "admin.token_file"},
		"unknown key":        {"log: {", "lug: {}\nlog: {", exitUsage, "lug: unknown key"},
		"no graphs":          {"graphs:", "x: &x", exitUsage, ""},
		"port taken":         {`admin: { listen: "127.0.0.1:0"`, `admin: { listen: "` + taken.Addr().String() + `"`, exitFailed, "listen for admin"},
		"no key":             {"manifest: {", "manifest: { signing_key_file: SECRET,", exitFailed, "Ed25519"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSidecar(t, sidecarSettings{minExecutions: shut})
			s.reconfigure(tc.old, strings.Replace(tc.text, "SECRET", s.secretPath(), 1))
			var out, said strings.Builder
			if code := run([]string{"run", "--config", s.configPath()}, strings.NewReader(""), &out, &said); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if !strings.Contains(said.String(), tc.says) || strings.Contains(said.String(), graphSecret) {
				t.Errorf("said:\n%s", said.String())
			}
			if out.Len() > 0 {
				t.Errorf("standard output: %s", out.String())
			}
		})
	}
}

// A second sidecar in one data directory is refused before it touches what the
// first has there; commands are not, and a killed one leaves no lock behind.
func TestOneSidecarForADataDirectory(t *testing.T) {
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	found := func() string {
		data, err := os.ReadFile(filepath.Join(s.dir, "data", "run.json"))
		if err != nil {
			t.Error(err)
		}
		return string(data)
	}
	before := found()
	code, _, said := planwarm("run", "--config", s.configPath())
	if want := fmt.Sprintf("a planwarm run uses it already (process %d)", s.cmd.Process.Pid); code != exitFailed || !strings.Contains(said, want) {
		t.Errorf("exit code %d, said:\n%s", code, said)
	}
	if after := found(); after != before {
		t.Errorf("run.json was\n%s\nand is\n%s", before, after)
	}
	if code, out, said := planwarm("list", "storefront", "--config", s.configPath()); code != exitDone {
		t.Errorf("list: exit code %d\n%s%s", code, out, said)
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	s.start()
	s.stop()
}
