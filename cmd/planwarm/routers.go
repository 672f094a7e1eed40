package main

import (
	"fmt"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/apollo"
	"github.com/planwarm/planwarm/planner/apollogateway"
	"github.com/planwarm/planwarm/planner/hive"
	"github.com/planwarm/planwarm/planner/hivegateway"
	"go.uber.org/zap"
)

// newPlanner builds the planner of a router's kind. types is asked by those
// that make something up from the schema.
func newPlanner(r config.Router, types schemaSource, log *zap.Logger) (planner.Planner, error) {
	switch r.Kind {
	case config.RouterCosmo:
		return newCosmoPlanner(r, log)
	case config.RouterApolloGateway:
		return apollogateway.New(apollogateway.Options{URL: r.URL, Token: tokenOf(r.TokenFile), Canary: r.Canary, OwnVersion: version})
	case config.RouterHiveGateway:
		return hivegateway.New(hivegateway.Options{
			URL: r.URL, Token: tokenOf(r.TokenFile), MetricsURL: r.MetricsURL, Canary: r.Canary, OwnVersion: version, Lifetime: r.PlanLifetime.Std(),
		})
	case config.RouterApollo:
		return apollo.New(dryRun(r, types, log))
	case config.RouterHiveRouter:
		return hive.New(hive.Options{Options: dryRun(r, types, log), Variables: types.variables})
	}
	return nil, fmt.Errorf("router kind %q is not known", r.Kind)
}

// keysOnText says whether a kind of router keys plans on the text and the
// operation name as they were sent.
func keysOnText(k config.RouterKind) bool {
	switch k {
	case config.RouterApollo, config.RouterApolloGateway, config.RouterHiveGateway:
		return true
	}
	return false
}
