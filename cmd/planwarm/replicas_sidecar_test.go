package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/planner/cosmo/cosmodouble"
	"github.com/planwarm/planwarm/warmer"
)

// A sidecar that is given a name warms what stands at its addresses, shows each
// by itself, with metrics of its own.
func TestSidecarWarmsTheAddressesOfAName(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{})
	router := httptest.NewServer(d)
	t.Cleanup(router.Close)
	name := strings.Replace(router.URL, "127.0.0.1", "localhost", 1) + "/graphql"
	s := newSidecar(t, sidecarSettings{})
	s.reconfigure("warm: {", `routers: [ { url: "`+name+`", resolve: true } ]
    warm: {`)
	s.start()
	s.pushed("query Pushed { me { id } }")
	s.await("the replica to be warm", func() bool {
		for _, r := range s.status().Routers {
			if r.Name == name+"#127.0.0.1" && r.Phase == warmer.PhaseWarm && r.Warm > 0 {
				return true
			}
		}
		return false
	})
	for _, r := range s.status().Routers {
		if !strings.HasPrefix(r.Name, name+"#") {
			t.Errorf("router %s is not one address", r.Name)
		}
	}
	s.await("to be ready", func() bool {
		code, _ := s.do(http.MethodGet, "http://"+s.addresses["health"]+"/readyz", nil, nil)
		return code == http.StatusOK
	})
	_, page := s.do(http.MethodGet, "http://"+s.addresses["health"]+"/metrics", nil, nil)
	if !strings.Contains(string(page), `planwarm_warm_runs_total{outcome="warm",router="`+name+`#127.0.0.1"}`) {
		t.Error("the replica has no metrics of its own")
	}
}
