package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/planner/cosmo"
)

func TestTokenNewKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signing.key")
	newKey := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := run(append([]string{"token", "new-key", path}, args...), strings.NewReader(""), &out, &out)
		return code, out.String()
	}
	code, out := newKey("--json")
	var said struct{ File, PublicKey string }
	if err := json.Unmarshal([]byte(out), &said); err != nil || code != exitDone || said.File != path {
		t.Fatalf("exit code %d, %v, %s", code, err, out)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := cosmo.NewSigner(key, cosmo.SignerOptions{})
	if err != nil || s.PublicKey() != said.PublicKey {
		t.Errorf("the public key that was told is not the file's: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if code, out := newKey(); code != exitRefused || !strings.Contains(out, "--force") {
		t.Errorf("over a key that is there: exit code %d, %s", code, out)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, key) {
		t.Errorf("the key was replaced, %v", err)
	}
	code, out = newKey("--force")
	if again, err := os.ReadFile(path); code != exitDone || err != nil || bytes.Equal(again, key) || strings.Contains(out, "PRIVATE") {
		t.Errorf("with --force: exit code %d, %v, %s", code, err, out)
	}
}
