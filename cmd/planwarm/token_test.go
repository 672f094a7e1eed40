package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
)

func (s *shop) read(name string) string {
	s.t.Helper()
	data, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func TestTokenNew(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	got := s.must("token", "new", "./admin.token")
	token := s.read("admin.token")
	if len(token) != 43 || strings.Contains(got.out+got.err, token) {
		t.Errorf("a token of %d characters, output %q", len(token), got.out+got.err)
	}
	info, err := os.Stat(s.path("admin.token"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	s.refused(exitRefused, []string{"there already; --force replaces it"}, "token", "new", "./admin.token")
	if s.read("admin.token") != token {
		t.Error("a refused command changed the token")
	}
	s.must("token", "new", "./admin.token", "--force")
	if info, err = os.Stat(s.path("admin.token")); err != nil || info.Mode().Perm() != 0o600 || s.read("admin.token") == token {
		t.Errorf("mode is %v, %v, or the token is the old one", info.Mode(), err)
	}
	shown := s.must("token", "show", "./admin.token")
	shown.check(t, exitDone, "bearer token", fingerprint(s.read("admin.token")))
	if strings.Contains(shown.out+shown.err, s.read("admin.token")) {
		t.Error("the token is shown")
	}
	if err := os.Chmod(s.path("admin.token"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.must("token", "show", "./admin.token").check(t, exitDone, "can be read by others (mode 0644)")
	s.refused(exitNotFound, []string{"no such file"}, "token", "show", "./nosuch")
}

// noDocuments has nothing for anybody; it is asked only by whoever was let in.
type noDocuments struct{}

func (noDocuments) Current(context.Context, manifest.Graph) (cdnsource.Document, error) {
	return cdnsource.Document{Body: []byte(`{"operations":[]}`)}, nil
}

// TestTokenCosmo makes a graph token that opens the CDN endpoint, and its own
// graph only.
func TestTokenCosmo(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.must("token", "new", "./jwt.secret")
	flags := []string{"token", "cosmo", "--secret-file", "./jwt.secret", "--organization", "org", "--graph", "fg"}
	s.refused(exitUsage, []string{"missing: -o"}, flags...)
	got := s.must(append(flags, "-o", "./graph.token")...)
	token := s.read("graph.token")
	if strings.Contains(got.out+got.err, token) {
		t.Error("the token is printed")
	}
	if printed := s.must(append(flags, "-o", "-")...); strings.Count(printed.out, ".") != 2 {
		t.Errorf("-o - prints %q", printed.out)
	}
	s.must("token", "show", "./graph.token", "--secret-file", "./jwt.secret").check(t, exitDone, "graph token", "HS256", "org", "fg", "never", "good")
	s.write("other.secret", strings.Repeat("x", 40))
	s.refused(exitRefused, []string{"signature is invalid"}, "token", "show", "./graph.token", "--secret-file", "./other.secret")
	s.must(append(flags, "-o", "./short.token", "--expires", "1h")...)
	if info := decode[tokenInfo](t, s.must("token", "show", "./short.token", "--json").out); info.ExpiresAt == nil || info.OrganizationID != "org" {
		t.Errorf("token is %+v", info)
	}
	s.refused(exitUsage, []string{"missing: --secret-file", "missing: --organization", "missing: --graph", "missing: -o"}, "token", "cosmo")
	s.refused(exitNotFound, []string{"graph default/nope is not configured"}, "token", "cosmo", "nope")

	secret := s.read("jwt.secret")
	h, err := cdnsource.NewHandler(cdnsource.HandlerOptions{Source: noDocuments{}, Graphs: []cdnsource.ServedGraph{{
		Graph: manifest.Graph{Namespace: "default", Name: "shop"}, OrganizationID: "org", FederatedGraphID: "fg",
		Credentials: func() cdnsource.Credentials { return cdnsource.Credentials{JWTSecrets: [][]byte{[]byte(secret)}} },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/org/fg/cache_warmup/operations.json": 200, "/org/other/cache_warmup/operations.json": 400} {
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != want {
			t.Errorf("%s: status %d, want %d", path, rec.Code, want)
		}
	}
}

func TestTokenCosmoFromConfiguration(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.write("short.secret", "short")
	s.write("planwarm.yaml", "graphs: [{ name: shop, schema: { file: "+s.path("schema.graphql")+" }, cosmo: { organization_id: o1, federated_graph_id: g1, jwt_secret_file: "+s.path("short.secret")+" } }]\n")
	s.must("token", "cosmo", "shop", "-o", "./graph.token").check(t, exitDone, "fewer than 32 bytes")
	info := decode[tokenInfo](t, s.must("token", "show", "./graph.token", "--secret-file", "./short.secret", "--json").out)
	if info.OrganizationID != "o1" || info.FederatedGraphID != "g1" || info.Signature != "good" {
		t.Errorf("token is %+v", info)
	}
}
