package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/planner/dryrun"
	"github.com/planwarm/planwarm/schema"
	"go.uber.org/zap"
)

// schemaSource returns the schema as it is now, or why there is none.
type schemaSource func() (*schema.Schema, error)

// watched is the schema that a watcher has.
func watched(w *schema.Watcher) schemaSource {
	return func() (*schema.Schema, error) {
		if sc := w.Current(); sc != nil {
			return sc, nil
		}
		return nil, errors.Join(errors.New("schema is not loaded"), w.Status().Err)
	}
}

// loadedOnce is the schema of a graph, read when it is first asked for: most
// routers are warmed without it.
func loadedOnce(ctx context.Context, c config.Schema) schemaSource {
	return sync.OnceValues(func() (*schema.Schema, error) {
		w, err := schema.NewWatcher(schema.Options{File: c.File, URL: c.URL, Token: tokenOf(c.TokenFile)})
		if err != nil {
			return nil, err
		}
		w.Check(ctx)
		return watched(w)()
	})
}

// id names the schema, "" while there is none.
func (s schemaSource) id() string {
	sc, err := s()
	if err != nil {
		return ""
	}
	return sc.ID()
}

// variables makes up the variables of an operation.
func (s schemaSource) variables(text, name string, conditions map[string]bool) (json.RawMessage, error) {
	sc, err := s()
	if err != nil {
		return nil, err
	}
	return sc.Variables(text, name, conditions)
}

// canary is the configured query, or one that is chosen from the schema. A
// configured one that needs no variables can do without the schema.
func (s schemaSource) canary(configured string) (dryrun.Canary, error) {
	sc, err := s()
	switch {
	case configured != "" && err != nil:
		return dryrun.Canary{Query: configured}, nil
	case configured != "":
		variables, err := sc.Variables(configured, "", nil)
		if err != nil {
			return dryrun.Canary{}, fmt.Errorf("canary of the configuration: %w", err)
		}
		return dryrun.Canary{Query: configured, Variables: variables}, nil
	case err != nil:
		return dryrun.Canary{}, err
	}
	c, err := sc.Canary()
	return dryrun.Canary{Query: c.Text, Variables: c.Variables}, err
}

// dryRun is what planners of dry runs have in common.
func dryRun(r config.Router, client *http.Client, types schemaSource, log *zap.Logger) dryrun.Options {
	return dryrun.Options{
		URL: r.URL, Client: client, ReadyURL: r.ReadyURL, MetricsURL: r.MetricsURL, Token: tokenOf(r.TokenFile), OwnVersion: version, Logger: log,
		Canary: func() (dryrun.Canary, error) { return types.canary(r.Canary) },
	}
}
