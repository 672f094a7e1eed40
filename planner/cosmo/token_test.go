package cosmo_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/planner/cosmo/controlplane"
	"github.com/planwarm/planwarm/planner/cosmo/cosmodouble"
	"github.com/planwarm/planwarm/warmer"
)

const graphToken = "graph-token-for-tests"

func signer(t *testing.T) *cosmo.Signer {
	t.Helper()
	key, err := cosmo.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := cosmo.NewSigner(key, cosmo.SignerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// register plays the start of a router against a control plane that hands out
// the key of s.
func register(t *testing.T, d *cosmodouble.Double, s *cosmo.Signer, token string) error {
	t.Helper()
	h, err := controlplane.New(controlplane.Options{PublicKey: func(token string) (string, error) {
		if token != graphToken {
			return "", controlplane.ErrUnknown
		}
		return s.PublicKey(), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	return d.Register(t.Context(), srv.Client(), srv.URL, token)
}

// run warms a query and two mutations through a router.
func run(t *testing.T, d *cosmodouble.Double, s *cosmo.Signer) (warmer.Report, error) {
	t.Helper()
	srv := httptest.NewServer(d)
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	p, err := cosmo.New(cosmo.Options{URL: srv.URL + "/graphql", Client: client, Token: s.Token, FailsClosed: true})
	if err != nil {
		t.Fatal(err)
	}
	rep, _, err := warmer.Runner{Planner: p}.Run(t.Context(), []warmer.Item{
		{ID: "q", Request: planner.Request{Query: "query Q{product(id:\"1\"){id}}", OperationName: "Q"}},
		{ID: "m", Request: planner.Request{Query: "mutation M{checkout{id}}", OperationName: "M", Mutation: true}},
		{ID: "n", Request: planner.Request{Query: "mutation N{cancel{id}}", OperationName: "N", Mutation: true}},
	})
	return rep, err
}

// TestTokenRoute: with the key of its registration a router plans mutations for
// us, executes nothing, and takes them from nobody else.
func TestTokenRoute(t *testing.T) {
	ours := signer(t)
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.FailsClosed, Hits: cosmodouble.HitDebug})
	if err := register(t, d, ours, graphToken); err != nil {
		t.Fatal(err)
	}
	rep, err := run(t, d, ours)
	if err != nil || rep.Planned != 3 || rep.Skipped != 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	if d.Planned() != 4 { // and the canary's
		t.Errorf("%d plans, want 4", d.Planned())
	}
	// A new key that the router has not been restarted for, or anybody else's.
	sent := len(d.Requests())
	rep, err = run(t, d, signer(t))
	if !errors.Is(err, planner.ErrRefused) || rep.Planned != 0 {
		t.Fatalf("with another key: %+v, %v", rep, err)
	}
	if n := len(d.Requests()) - sent; n != 1 {
		t.Errorf("%d requests with another key, want the canary", n)
	}
	if n := len(d.Executed()); n != 0 {
		t.Fatalf("%d operations executed: %v", n, d.Executed())
	}
	// After its restart the router has the new key.
	next := signer(t)
	if err := register(t, d, next, graphToken); err != nil {
		t.Fatal(err)
	}
	if rep, err = run(t, d, next); err != nil || rep.AlreadyWarm+rep.Planned != 3 || len(d.Executed()) != 0 {
		t.Fatalf("after the rotation: %+v, %v, %d executed", rep, err, len(d.Executed()))
	}
}

// TestTokenRouteWithoutRegistration: a router that was refused has no key. It
// ignores the token and executes: the canary, and nothing after it.
func TestTokenRouteWithoutRegistration(t *testing.T) {
	ours := signer(t)
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.Ignored})
	if err := register(t, d, ours, "another token"); !errors.Is(err, cosmodouble.ErrNoKey) {
		t.Fatalf("registration with another token: %v", err)
	}
	rep, err := run(t, d, ours)
	if !errors.Is(err, planner.ErrExecuted) || rep.Planned != 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	if e := d.Executed(); len(e) != 1 || e[0].Subgraph || e[0].Mutation {
		t.Fatalf("executed: %+v", e)
	}
}
