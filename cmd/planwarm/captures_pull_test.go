package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// TestCapturedPullsOverTheWire asks a running sidecar for the warm-up list as a
// real router asked its CDN: before there is one, and after.
func TestCapturedPullsOverTheWire(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(capturesDir + "warm/manifest-requests.json")
	if err != nil {
		t.Fatal(err)
	}
	var pulls []struct {
		Method, Path string
		Headers      map[string]string
	}
	if err := json.Unmarshal(data, &pulls); err != nil || len(pulls) != 2 {
		t.Fatalf("%d captured pulls, error %v", len(pulls), err)
	}
	s := startSidecar(t, sidecarSettings{minExecutions: shut})
	pull := func(i int, path, token string) (int, []byte) {
		header := map[string]string{}
		for k, v := range pulls[i].Headers {
			header[k] = strings.ReplaceAll(v, "<graph token>", token)
		}
		return s.do(pulls[i].Method, "http://"+s.addresses["cdn"]+path, header, nil)
	}
	good := graphToken(t, jwt.MapClaims{"organization_id": "org-storefront", "federated_graph_id": "graph-storefront"})
	for name, c := range map[string]struct {
		path, token string
		want        int
	}{
		"nothing to warm yet":      {pulls[0].Path, good, http.StatusNotFound},
		"a token signed otherwise": {pulls[0].Path, good[:len(good)-4] + "AAAA", http.StatusUnauthorized},
		"no organization":          {pulls[0].Path, graphToken(t, jwt.MapClaims{"federated_graph_id": "graph-storefront"}), http.StatusForbidden},
		"another graph's path":     {strings.Replace(pulls[0].Path, "graph-storefront", "graph-other", 1), good, http.StatusBadRequest},
		"an execution config":      {"/org-storefront/graph-storefront/routerconfigs/latest.json", good, http.StatusNotFound},
	} {
		if code, body := pull(0, c.path, c.token); code != c.want {
			t.Errorf("%s: status %d, want %d: %s", name, code, c.want, body)
		}
	}
	s.send(requests(t, mainUsage)...)
	s.open()
	code, body := pull(1, pulls[1].Path, good)
	if code != http.StatusOK {
		t.Fatalf("status %d: %s", code, body)
	}
	if strings.HasPrefix(string(body), "\x1f\x8b") { // asked for by the captured header
		body = gunzip(t, body)
	}
	var list struct {
		Operations []struct {
			Request *struct {
				Query     string
				Variables json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(body, &list); err != nil || len(list.Operations) != 79 {
		t.Errorf("%d operations, error %v; want the 81 plans without the two that ask for the schema", len(list.Operations), err)
	}
	for i, o := range list.Operations {
		if o.Request == nil || o.Request.Query == "" || o.Request.Variables != nil {
			t.Errorf("operation %d would crash the router, or is not what it reads", i)
		}
	}
	s.stop()
}

func graphToken(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(graphSecret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}
