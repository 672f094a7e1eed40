package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/planwarm/planwarm/planner/cosmo/controlplane"
)

// withControlPlane answers the registration of routers where a graph has a
// signing key; everything else goes to next.
func (g *generation) withControlPlane(next http.Handler) (http.Handler, error) {
	keys := false
	for _, p := range g.graphs {
		keys = keys || p.cosmo.signer != nil
	}
	if !keys {
		return next, nil
	}
	h, err := controlplane.New(controlplane.Options{PublicKey: g.publicKey, Logger: g.log})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, controlplane.ServicePath) {
			h.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// publicKey is that of the graph which a graph token opens.
func (g *generation) publicKey(token string) (string, error) {
	for _, p := range g.graphs {
		c := p.config.Cosmo
		if p.cosmo.signer != nil && p.credentials().Opens(token, c.OrganizationID, c.FederatedGraphID) {
			return p.cosmo.signer.PublicKey(), nil
		}
	}
	return "", fmt.Errorf("find graph of token: %w", controlplane.ErrUnknown)
}
