package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"go.uber.org/zap"
)

// Schema usage needs the telemetry token, or the graph token of the graph that
// it is for.
func TestUsageNeedsATokenOfItsGraph(t *testing.T) {
	dir := t.TempDir()
	g := &generation{log: zap.NewNop()}
	signed := func(secret, graph string) string {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"federated_graph_id": graph}).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token
	}
	for _, name := range []string{"one", "two"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("secret of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
		g.graphs = append(g.graphs, &graphPart{g: g, config: config.Graph{Cosmo: config.Cosmo{FederatedGraphID: name, JWTSecretFile: path}}})
	}
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"federated_graph_id": "one"}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		authorization string
		want          int
	}{
		"telemetry token":        {"Bearer telemetry", http.StatusOK},
		"graph token":            {signed("secret of one", "one"), http.StatusOK},
		"graph token of another": {signed("secret of two", "two"), http.StatusOK},
		"signed for another":     {signed("secret of one", "two"), http.StatusUnauthorized},
		"signed by nobody":       {signed("guess", "one"), http.StatusUnauthorized},
		"not signed":             {"Bearer " + unsigned, http.StatusUnauthorized},
		"none":                   {"", http.StatusUnauthorized},
		"wrong":                  {"Bearer telemetri", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			reached := false
			h := g.guardUsage("telemetry", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header.Set("Authorization", tc.authorization)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.want || reached != (tc.want == http.StatusOK) {
				t.Errorf("answered %d, reached %v, want %d", w.Code, reached, tc.want)
			}
			if _, token, _ := strings.Cut(tc.authorization, " "); token != "" && strings.Contains(w.Body.String(), token) {
				t.Error("the token is in the answer")
			}
		})
	}
}
