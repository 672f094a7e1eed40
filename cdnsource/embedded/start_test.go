package embedded_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap/zaptest"

	"github.com/planwarm/planwarm/cdnsource/embedded"
)

// TestSecrets: the credentials are in one file that its owner alone can read,
// and in no process's arguments or environment.
func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir, Announce: true})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	secret := s.Credentials().SecretKey
	for _, name := range []string{"cmdline", "environ"} {
		body, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.PID(), name))
		if err != nil || strings.Contains(string(body), secret) {
			t.Errorf("%s of the child has the secret (%v)", name, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "credentials.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("credentials have mode %v, want 0600 (%v)", info.Mode().Perm(), err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "endpoint.json"))
	if err != nil || !strings.Contains(string(body), s.Endpoint()) || strings.Contains(string(body), secret) {
		t.Errorf("endpoint.json: %s, %v", body, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "endpoint.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("endpoint.json outlived the server: %v", err)
	}
}

// TestEndpointOfAnother: a server that ends while the next one of the directory
// runs already leaves the address of that one.
func TestEndpointOfAnother(t *testing.T) {
	dir := t.TempDir()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir, Announce: true})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	path := filepath.Join(dir, "endpoint.json")
	theirs := fmt.Sprintf(`{"endpoint":"http://127.0.0.1:1","pid":%d}`, os.Getppid())
	if err := os.WriteFile(path, []byte(theirs), 0o600); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if body, err := os.ReadFile(path); err != nil || string(body) != theirs {
		t.Errorf("endpoint.json: %s, %v", body, err)
	}
}

// TestStartFails: what keeps a server from starting is told, and nothing is left running.
func TestStartFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, "credentials.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken := start(t, t.TempDir())
	for name, o := range map[string]embedded.Options{
		"no directory":         {},
		"a file":               {Dir: file},
		"damaged credentials":  {Dir: damaged},
		"not loopback":         {Dir: t.TempDir(), Listen: "0.0.0.0:0"},
		"port is taken":        {Dir: t.TempDir(), Listen: strings.TrimPrefix(taken.Endpoint(), "http://")},
		"command fails":        {Dir: t.TempDir(), Command: []string{"/bin/false"}},
		"command is not there": {Dir: t.TempDir(), Command: []string{filepath.Join(damaged, "nothing")}},
	} {
		if s, err := embedded.Start(t.Context(), o); err == nil {
			t.Errorf("%s: started", name)
			s.Close()
		}
	}
}

// TestDiesAtOnce: a child that dies between its first word and its first
// answer is started again, and the start succeeds.
func TestDiesAtOnce(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const script = `if mkdir "$1"; then read config; echo ready >&3; exit 1; fi; exec "$2" "$3"`
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), Logger: zaptest.NewLogger(t),
		Command: []string{"/bin/sh", "-c", script, "sh", filepath.Join(t.TempDir(), "died"), exe, embedded.Command}})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	if err := newStore(t, s.Bucket()).Probe(t.Context()); err != nil {
		t.Errorf("probe: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestUnsupported: a file system that cannot hold the bucket is told at once,
// by what the child says of it.
func TestUnsupported(t *testing.T) {
	_, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(),
		Command: []string{"/bin/sh", "-c", "read config; echo no xattr >&3; exit 1"}})
	if !errors.Is(err, embedded.ErrUnsupported) || !errors.Is(err, embedded.ErrStart) {
		t.Fatalf("start: %v, want %v", err, embedded.ErrUnsupported)
	}
}

// TestSignals: an interrupt to the whole process group is for the parent,
// which still needs its bucket.
func TestSignals(t *testing.T) {
	s := start(t, t.TempDir())
	pid := s.PID()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if err := syscall.Kill(pid, signal); err != nil {
			t.Fatalf("signal: %v", err)
		}
		if err := newStore(t, s.Bucket()).Probe(t.Context()); err != nil {
			t.Fatalf("probe: %v", err)
		}
	}
	if s.PID() != pid || !alive(pid) {
		t.Fatal("a signal ended the child")
	}
}
