package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/s3store"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/planner/cosmo/cosmodouble"
)

// cosmoSidecar starts a sidecar beside one router double, with more keys in
// its cosmo section and of its pull.
func cosmoSidecar(t *testing.T, d *cosmodouble.Double, section, pull string) *sidecar {
	t.Helper()
	router := httptest.NewServer(d)
	t.Cleanup(router.Close)
	s := newSidecar(t, sidecarSettings{})
	s.reconfigure("jwt_secret_file", strings.ReplaceAll(section, "DIR", s.dir)+" jwt_secret_file")
	s.reconfigure("warm: {", `routers: [ { url: "`+router.URL+`/graphql", ready_url: "`+router.URL+`/health/ready", metrics_url: "`+router.URL+`/metrics", pull: { `+pull+` } } ]
    warm: {`)
	return s
}

// pushed publishes an operation through the bucket, as a person does.
func (s *sidecar) pushed(text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, "operation.graphql")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if code, out := s.planwarm("push", "storefront", "--create", "-f", path); code != exitDone {
		s.t.Fatalf("push: exit code %d\n%s", code, out)
	}
	s.recompute()
}

// planwarm runs a command beside the sidecar.
func (s *sidecar) planwarm(args ...string) (int, string) {
	s.t.Helper()
	var out lockedBuffer
	code := run(append([]string{"--config", s.configPath()}, args...), strings.NewReader(""), &out, &out)
	return code, out.String()
}

// object reads an object of the sidecar's own bucket.
func (s *sidecar) object(key string) ([]byte, error) {
	s.t.Helper()
	at, err := embeddedLocation(filepath.Join(s.dir, "data"))
	if err != nil {
		return nil, err
	}
	b, err := s3store.Open(s.t.Context(), s3store.Options{
		Endpoint: at.endpoint, Region: "us-east-1", Bucket: at.bucket, AccessKey: at.accessKey, SecretKey: at.secretKey,
	})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	o, err := b.Get(s.t.Context(), key, cdnsource.GetOptions{Limit: 1 << 20})
	return o.Body, err
}

const channelMutation = `mutation RedeemThem($c: ID!, $p: Int!) { redeemPoints(customerId: $c, points: $p) { __typename } }`

// A production router registers at the sidecar's CDN listener, and from then on
// takes plan-only requests from it alone: mutations are planned over HTTP, and
// nothing is executed.
func TestRouterRegistersAndMutationsArePlanned(t *testing.T) {
	t.Parallel()
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.FailsClosed, Hits: cosmodouble.HitDebug})
	s := cosmoSidecar(t, d, `signing_key_file: "DIR/signing.key",`, "")
	if code, out := s.planwarm0("token", "new-key", filepath.Join(s.dir, "signing.key")); code != exitDone || !strings.Contains(out, "BEGIN PUBLIC KEY") || strings.Contains(out, "PRIVATE") {
		t.Fatalf("new-key: %d %s", code, out)
	}
	s.start()
	base := "http://" + s.addresses["cdn"]
	if err := d.Register(t.Context(), s.client, base, graphToken(t, jwt.MapClaims{"organization_id": "org-storefront", "federated_graph_id": "other"})); err == nil {
		t.Error("the key was given to another graph's router")
	}
	if err := d.Register(t.Context(), s.client, base, graphToken(t, jwt.MapClaims{"organization_id": "org-storefront", "federated_graph_id": "graph-storefront"})); err != nil {
		t.Fatal(err)
	}
	s.pushed(channelMutation)
	s.await("the mutation's plan", func() bool {
		for _, b := range d.Bodies() {
			if strings.Contains(b, "RedeemThem") {
				return true
			}
		}
		return false
	})
	// Another key, which the router has not been restarted for: refused, not executed.
	key, err := cosmo.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "signing.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := s.planwarm("warm", "storefront", "--json")
	var said struct {
		Routers []struct {
			Planned, AlreadyWarm int
			Stopped              string
		}
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil || code != exitFailed || len(said.Routers) != 1 ||
		said.Routers[0].Stopped == "" || said.Routers[0].Planned+said.Routers[0].AlreadyWarm != 0 {
		t.Errorf("with a new key: exit code %d, %v, %s", code, err, out)
	}
	if e := d.Executed(); len(e) != 0 {
		t.Errorf("executed: %+v", e)
	}
	s.stop()
}

// planwarm0 is planwarm without a configuration.
func (s *sidecar) planwarm0(args ...string) (int, string) {
	s.t.Helper()
	var out lockedBuffer
	code := run(args, strings.NewReader(""), &out, &out)
	return code, out.String()
}

// A new manifest reaches the file source, then a touch has the router rebuild;
// the next touch waits until that reload was seen.
func TestFileSourceAndTouch(t *testing.T) {
	t.Parallel()
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.Allowed, Hits: cosmodouble.HitDebug})
	s := cosmoSidecar(t, d, `file: "DIR/operations.json", touch: "DIR/config.json", touch_on_manifest: true, touch_interval: 1ms,`, "")
	config := filepath.Join(s.dir, "config.json")
	if err := os.WriteFile(config, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(config, old, old); err != nil {
		t.Fatal(err)
	}
	s.start()
	list := func() manifest.Manifest {
		data, err := os.ReadFile(filepath.Join(s.dir, "operations.json"))
		if err != nil {
			return manifest.Manifest{}
		}
		var m manifest.Manifest
		if err := json.Unmarshal(data, &m); err != nil {
			t.Errorf("the file is %q", data)
		}
		return m
	}
	s.await("an empty file source", func() bool {
		_, err := os.Stat(filepath.Join(s.dir, "operations.json"))
		return err == nil
	})
	touched := func() bool {
		info, err := os.Stat(config)
		return err == nil && !info.ModTime().Equal(old)
	}
	if touched() {
		t.Error("touched before there was anything new")
	}
	s.pushed("query One($id: ID!) { product(id: $id) { title } }")
	s.await("the touch", touched)
	if m := list(); len(m.Operations) != 1 {
		t.Errorf("touched before the list was there: %+v", m.Operations)
	}
	// Nobody has seen a reload yet.
	if code, out := s.planwarm("warm", "storefront", "--touch"); code != exitConflict || !strings.Contains(out, "has not been seen") {
		t.Errorf("touch before the reload: exit code %d, %s", code, out)
	}
	s.await("another touch", func() bool {
		d.Reload() // again, in case planwarm had not asked for its canary before
		code, _ := s.planwarm("warm", "storefront", "--touch")
		return code == exitDone
	})
	s.stop()
}

// The persisted-query manifest is there from the start with the owner's list,
// and follows what is published.
func TestPersistedManifestInTheBucket(t *testing.T) {
	t.Parallel()
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.Allowed})
	s := cosmoSidecar(t, d, `persisted_manifest: { object: warm/manifest.json, own: "DIR/own.json" },`, "")
	const id = "1ddc3c2ecda8d4fe4d5d4dcf9a2b6ac1a9ccdfcf2e5bcd3c4a34bb64fbcb06dd"
	own := filepath.Join(s.dir, "own.json")
	if err := os.WriteFile(own, []byte(`{"`+id+`":"{ secretField }"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := s.planwarm("run"); code == exitDone || !strings.Contains(out, id) || strings.Contains(out, "secretField") {
		t.Fatalf("a list with a wrong hash: exit code %d, %s", code, out)
	}
	if err := os.WriteFile(own, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	object := func() cosmo.PersistedManifest {
		body, err := s.object("warm/manifest.json")
		var m cosmo.PersistedManifest
		if err != nil || json.Unmarshal(body, &m) != nil {
			return cosmo.PersistedManifest{}
		}
		return m
	}
	s.await("the object", func() bool { return object().Version == 1 })
	first := object()
	if len(first.Operations) != 0 {
		t.Errorf("at the start: %+v", first)
	}
	s.pushed("query One($id: ID!) { product(id: $id) { title } }")
	s.await("the operation", func() bool { return len(object().Operations) == 1 })
	if second := object(); second.Revision == first.Revision {
		t.Errorf("the same revision with other content: %+v", second)
	}
	s.stop()
}

// With five feature flags a router pulls six times for one rebuild: that is one
// sign at the first and one at the last, not six.
func TestFlagPullsAreOneRebuild(t *testing.T) {
	t.Parallel()
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.Allowed})
	s := cosmoSidecar(t, d, "", "feature_flags: 5")
	s.start()
	s.pushed("query One($id: ID!) { product(id: $id) { title } }")
	s.awaitPull() // the first of six
	s.await("the first sign", func() bool { return s.status().Routers[0].Generation >= 2 })
	before := s.status().Routers[0].Generation
	for range 4 {
		if code, m := s.pull(); code != http.StatusOK || len(m.Operations) != 1 {
			t.Fatalf("pull: status %d, %d operations", code, len(m.Operations))
		}
	}
	if after := s.status().Routers[0].Generation; after != before {
		t.Errorf("%d signs by pulls for feature flags", after-before)
	}
	s.pull() // the last
	s.await("the last sign", func() bool { return s.status().Routers[0].Generation == before+1 })
	s.stop()
}

// Feature flags and a persisted-query manifest exclude each other, in words.
func TestPersistedManifestIsRefusedWithFlags(t *testing.T) {
	t.Parallel()
	d := cosmodouble.New(cosmodouble.Options{})
	s := cosmoSidecar(t, d, `persisted_manifest: { object: warm/manifest.json },`, "feature_flags: 1")
	if code, out := s.planwarm("run"); code != exitUsage || !strings.Contains(out, "the base graph is not re-warmed") {
		t.Errorf("exit code %d, %s", code, out)
	}
}
