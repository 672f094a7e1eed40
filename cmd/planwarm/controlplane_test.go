package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/planner/cosmo/controlplane"
	"go.uber.org/zap"
)

// withGraphs is a generation of graphs, each with a secret for graph tokens of
// its own and, unless its name is "keyless", a signing key.
func withGraphs(t *testing.T, names ...string) *generation {
	t.Helper()
	g := &generation{log: zap.NewNop()}
	dir := t.TempDir()
	for _, name := range names {
		c := config.Cosmo{OrganizationID: "org", FederatedGraphID: name, JWTSecretFile: filepath.Join(dir, name+".secret")}
		if err := os.WriteFile(c.JWTSecretFile, []byte("secret of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
		if name != "keyless" {
			key, err := cosmo.NewKey()
			if err != nil {
				t.Fatal(err)
			}
			c.SigningKeyFile = filepath.Join(dir, name+".key")
			if err := os.WriteFile(c.SigningKeyFile, key, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := cosmoSigner(c)
		if err != nil {
			t.Fatal(err)
		}
		g.graphs = append(g.graphs, &graphPart{g: g, config: config.Graph{Name: name, Cosmo: c}, cosmo: &cosmoPart{signer: s}})
	}
	return g
}

func signedGraphToken(t *testing.T, secretOf, graph string) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"organization_id": "org", "federated_graph_id": graph}).
		SignedString([]byte("secret of " + secretOf))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// A graph token opens the key of its own graph, and no other.
func TestPublicKeyOfAGraph(t *testing.T) {
	g := withGraphs(t, "one", "two", "keyless")
	for i, name := range []string{"one", "two"} {
		key, err := g.publicKey(signedGraphToken(t, name, name))
		if err != nil || key != g.graphs[i].cosmo.signer.PublicKey() {
			t.Errorf("graph %s: %q, %v", name, key, err)
		}
	}
	if a, b := g.graphs[0].cosmo.signer.PublicKey(), g.graphs[1].cosmo.signer.PublicKey(); a == b {
		t.Error("both graphs have one key")
	}
	for name, token := range map[string]string{
		"one's secret for two": signedGraphToken(t, "one", "two"), "no graph": signedGraphToken(t, "one", "none"),
		"a graph without a key": signedGraphToken(t, "keyless", "keyless"), "nothing": "",
	} {
		if key, err := g.publicKey(token); !errors.Is(err, controlplane.ErrUnknown) || key != "" {
			t.Errorf("%s: %q, %v", name, key, err)
		}
	}
}

// Only the one service is taken from the CDN endpoint, and only with a key.
func TestControlPlaneBesideTheCDN(t *testing.T) {
	cdn := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	ask := func(g *generation, path, token string) int {
		t.Helper()
		h, err := g.withControlPlane(cdn)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, path, nil)
		r.Header.Set("Content-Type", "application/proto")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	g, token := withGraphs(t, "one", "keyless"), signedGraphToken(t, "one", "one")
	for path, want := range map[string]int{
		controlplane.RegisterPath:                        http.StatusOK,
		controlplane.ServicePath + "GetConfig":           http.StatusNotFound,
		"/wg.cosmo.platform.v1.PlatformService/Anything": http.StatusTeapot,
		"/org/one/cache_warmup/operations.json":          http.StatusTeapot,
	} {
		if got := ask(g, path, token); got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
	}
	if got := ask(withGraphs(t, "keyless"), controlplane.RegisterPath, token); got != http.StatusTeapot {
		t.Errorf("without any key: status %d", got)
	}
}
