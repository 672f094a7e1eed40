package main

import (
	"fmt"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/cosmo"
	"go.uber.org/zap"
)

// newPlanner builds the planner of a router's kind.
func newPlanner(r config.Router, log *zap.Logger) (planner.Planner, error) {
	switch r.Kind {
	case config.RouterCosmo:
		return cosmo.New(cosmo.Options{
			URL: r.URL, ReadyURL: r.ReadyURL, MetricsURL: r.MetricsURL, Token: tokenOf(r.TokenFile), FailsClosed: r.TokenFile != "",
			OwnVersion: version, Logger: log,
		})
	}
	return nil, fmt.Errorf("router kind %q is not known", r.Kind)
}
