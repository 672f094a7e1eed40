package config

import (
	"strings"
	"testing"
)

// TestRouterKinds: each kind has its own defaults, which can be overruled.
func TestRouterKinds(t *testing.T) {
	c, err := Parse([]byte(`
graphs:
  - name: storefront
    schema: { file: supergraph.graphql }
    routers:
      - { kind: apollo, url: "http://127.0.0.1:4000/" }
      - { url: "http://127.0.0.1:4001/", kind: hive-router, plan_cache_size: 50, canary: "{me{id}}" }
      - { kind: cosmo, url: "http://127.0.0.1:4002/" }
`), none)
	if err != nil {
		t.Fatal(err)
	}
	r := c.Graphs[0].Routers
	if r[0].Kind != RouterApollo || r[0].PlanCacheSize != 512 || r[0].Pull.Timeout != 0 {
		t.Errorf("apollo: %+v", r[0])
	}
	if r[1].Kind != RouterHiveRouter || r[1].PlanCacheSize != 50 || r[1].Pull.Timeout != 0 || r[1].Canary != "{me{id}}" {
		t.Errorf("hive-router: %+v", r[1])
	}
	if r[2].Kind != RouterCosmo || r[2].PlanCacheSize != 1024 || r[2].Pull.Timeout == 0 {
		t.Errorf("cosmo: %+v", r[2])
	}
	_, err = Parse([]byte("graphs: [{name: a, schema: {file: s}, routers: [{kind: hive, url: \"http://r/\"}]}]"), none)
	if err == nil || !strings.Contains(err.Error(), `graphs[0].routers[0].kind: "hive"`) {
		t.Errorf("an unknown kind: %v", err)
	}
}
