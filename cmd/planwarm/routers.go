package main

import (
	"fmt"
	"net/http"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/apollo"
	"github.com/planwarm/planwarm/planner/apollogateway"
	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/planner/gqlgen"
	"github.com/planwarm/planwarm/planner/grafbase"
	"github.com/planwarm/planwarm/planner/hive"
	"github.com/planwarm/planwarm/planner/hivegateway"
	"go.uber.org/zap"
)

// newPlanner builds the planner of a router's kind. types is asked by those
// that make something up from the schema.
func newPlanner(r config.Router, types schemaSource, log *zap.Logger) (planner.Planner, error) {
	return newPlannerAt(r, nil, types, log)
}

// newPlannerAt is newPlanner for the replica that client leads to; nil:
// wherever the URL leads.
func newPlannerAt(r config.Router, client *http.Client, types schemaSource, log *zap.Logger) (planner.Planner, error) {
	switch r.Kind {
	case config.RouterCosmo:
		return newCosmoPlanner(r, client, log)
	case config.RouterApolloGateway:
		return apollogateway.New(apollogateway.Options{URL: r.URL, Client: client, Token: tokenOf(r.TokenFile), Canary: r.Canary, OwnVersion: version})
	case config.RouterHiveGateway:
		return hivegateway.New(hivegateway.Options{
			URL: r.URL, Client: client, Token: tokenOf(r.TokenFile), ReadyURL: r.ReadyURL, MetricsURL: r.MetricsURL, Canary: r.Canary,
			OwnVersion: version, Lifetime: r.PlanLifetime.Std(),
		})
	case config.RouterApollo:
		return apollo.New(dryRun(r, client, types, log))
	case config.RouterHiveRouter:
		return hive.New(hive.Options{Options: dryRun(r, client, types, log), Variables: types.variables})
	case config.RouterGrafbase:
		return grafbase.New(grafbase.Options{
			URL: r.URL, Client: client, AllowExecution: r.AllowExecution, Variables: types.variables, SchemaID: types.id, Token: tokenOf(r.TokenFile),
			ReadyURL: r.ReadyURL, MetricsURL: r.MetricsURL, OwnVersion: version,
		})
	case config.RouterGqlgen:
		return gqlgen.New(gqlgen.Options{
			URL: r.URL, Client: client, Token: tokenOf(r.TokenFile), ReadyURL: r.ReadyURL, MetricsURL: r.MetricsURL, OwnVersion: version,
		})
	}
	return nil, fmt.Errorf("router kind %q is not known", r.Kind)
}

// newCosmoPlanner plans with signed tokens where the graph has a key, else with
// the token in the router's file, else without one.
func newCosmoPlanner(r config.Router, client *http.Client, log *zap.Logger) (planner.Planner, error) {
	o := cosmo.Options{
		URL: r.URL, Client: client, ReadyURL: r.ReadyURL, MetricsURL: r.MetricsURL, Token: tokenOf(r.TokenFile), OwnVersion: version, Logger: log,
	}
	s, err := cosmoSigner(r.Cosmo())
	if err != nil {
		return nil, err
	}
	if s != nil {
		o.Token = s.Token
	}
	o.FailsClosed = o.Token != nil
	return cosmo.New(o)
}

// keysOnText says whether a kind of router keys plans on the text and the
// operation name as they were sent.
func keysOnText(k config.RouterKind) bool {
	switch k {
	case config.RouterApollo, config.RouterApolloGateway, config.RouterHiveGateway, config.RouterGrafbase, config.RouterGqlgen:
		return true
	}
	return false
}
