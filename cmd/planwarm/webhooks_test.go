package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
)

const (
	webhookSecret = "a webhook secret for tests only"
	webhookV1     = "type Query { a: Int b: Int }"
	webhookV2     = "type Query { b: Int }"
)

// webhookSidecar is a sidecar of a small graph, with two pushed operations.
func webhookSidecar(t *testing.T) *sidecar {
	t.Helper()
	s := &sidecar{t: t, dir: t.TempDir(), client: &http.Client{Timeout: patience}}
	text := fmt.Sprintf(`
data_dir: %q
instance: webhooks
graphs:
  - name: shop
    schema: { file: %q, poll: 1h }
    manifest: { recompute_interval: 1h }
    warm: { poll: 100ms }
telemetry: { otlp: { http: "", grpc: "" } }
cdn: { listen: "127.0.0.1:0" }
health: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
webhooks: { listen: "127.0.0.1:0", generic: { secret_file: %q } }
`, filepath.Join(s.dir, "data"), s.path("schema.graphql"), s.secretPath())
	for path, content := range map[string]string{
		s.configPath(): text, s.secretPath(): webhookSecret, s.path("schema.graphql"): webhookV1, s.path("ops.graphql"): "query A { a } query B { b }",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.log = &lockedBuffer{}
	if code := run([]string{"push", "shop", "--config", s.configPath(), "-f", s.path("ops.graphql")}, nil, s.log, s.log); code != exitDone {
		t.Fatalf("push: exit code %d\n%s", code, s.log)
	}
	s.start()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill() // the test has failed; its S3 child ends with it
			<-s.ended
		}
	})
	return s
}

func (s *sidecar) path(name string) string { return filepath.Join(s.dir, name) }

// webhook sends a signed delivery and returns its state.
func (s *sidecar) webhook(body string) string {
	s.t.Helper()
	h := hmac.New(sha256.New, []byte(webhookSecret))
	h.Write([]byte(body))
	header := map[string]string{"X-Signature-256": "sha256=" + hex.EncodeToString(h.Sum(nil))}
	status, answer := s.do(http.MethodPost, "http://"+s.addresses["webhooks"]+"/webhooks/generic", header, []byte(body))
	var said struct {
		State string `json:"state"`
	}
	if err := json.Unmarshal(answer, &said); err != nil || status != http.StatusAccepted {
		s.t.Fatalf("webhook: status %d: %s", status, answer)
	}
	return said.State
}

// awaitPublication waits until a publish has been worked off.
func (s *sidecar) awaitPublication() warmer.Publication {
	s.t.Helper()
	var p *warmer.Publication
	s.await("a publish that is worked off", func() bool {
		var st warmer.Status
		status, body := s.do(http.MethodGet, "http://"+s.addresses["admin"]+"/status", nil, nil)
		if err := json.Unmarshal(body, &st); status != http.StatusOK || err != nil || len(st.Graphs) != 1 {
			s.t.Fatalf("status %d: %v", status, err)
		}
		p = st.Graphs[0].Publication
		return p != nil && p.State == warmer.PublicationDone
	})
	return *p
}

// served waits until the CDN endpoint has a manifest with that many operations.
func (s *sidecar) served(operations int) (m manifest.Manifest) {
	s.t.Helper()
	s.await("the manifest", func() bool {
		status, body := s.do(http.MethodGet, "http://"+s.addresses["cdn"]+"/v1/graphs/default/shop/manifest", nil, nil)
		if status != http.StatusOK {
			return false
		}
		var err error
		if m, err = manifest.DecodeBytes(body); err != nil {
			s.t.Fatal(err)
		}
		return len(m.Operations) == operations
	})
	return m
}

func (s *sidecar) checkBroken(p warmer.Publication) {
	s.t.Helper()
	if p.BrokenCount != 1 || p.Broken[0].Name != "A" || p.Broken[0].Reason == "" {
		s.t.Errorf("broken: %+v", p.Broken)
	}
	m := s.served(1)
	if m.Operations[0].Request.OperationName != "B" || m.Schema != p.To || m.Sequence != p.Sequence {
		s.t.Errorf("manifest %d for %s has %s", m.Sequence, m.Schema, m.Operations[0].Request.OperationName)
	}
}

// A schema that is polled once an hour is there at once when the registry calls.
func TestWebhookPublishes(t *testing.T) {
	s := webhookSidecar(t)
	s.served(2)
	if err := os.WriteFile(s.path("schema.graphql"), []byte(webhookV2), 0o600); err != nil {
		t.Fatal(err)
	}
	if state := s.webhook(`{"graph":"shop","id":"one"}`); state != "accepted" {
		t.Errorf("state %q", state)
	}
	s.checkBroken(s.awaitPublication())
	if state := s.webhook(`{"graph":"shop","id":"one"}`); state != "duplicate" {
		t.Errorf("the same event again is %q", state)
	}
	s.stop()
}

// What was answered 202 is done, although the process was killed before it could.
func TestWebhookSurvivesAKill(t *testing.T) {
	s := webhookSidecar(t)
	s.served(2)
	if state := s.webhook(`{"graph":"shop"}`); state != "accepted" {
		t.Errorf("state %q", state)
	}
	if err := s.cmd.Process.Kill(); err != nil { // it still looks for the schema
		t.Fatal(err)
	}
	<-s.ended
	if err := os.WriteFile(s.path("schema.graphql"), []byte(webhookV2), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.checkBroken(s.awaitPublication())
	s.stop()
}
