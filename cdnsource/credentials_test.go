package cdnsource

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestCredentialsOpen(t *testing.T) {
	sign := func(secret []byte, organization, graph string) string {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"organization_id": organization, "federated_graph_id": graph,
		}).SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	c := Credentials{JWTSecrets: [][]byte{handlerKey}, Tokens: []string{pinnedForRun}}
	for name, x := range map[string]struct {
		token, organization, graph string
		want                       bool
	}{
		"signed":                  {sign(handlerKey, "org", "graph"), "org", "graph", true},
		"pinned":                  {pinnedForRun, "org", "graph", true},
		"of another graph":        {sign(handlerKey, "org", "other"), "org", "graph", false},
		"of another organization": {sign(handlerKey, "other", "graph"), "org", "graph", false},
		"signed by another":       {sign([]byte("another secret"), "org", "graph"), "org", "graph", false},
		"no token":                {"", "org", "graph", false},
		"a graph without ids":     {pinnedForRun, "", "", false},
	} {
		if got := c.Opens(x.token, x.organization, x.graph); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
