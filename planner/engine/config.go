package engine

import (
	"fmt"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	gqlds "github.com/wundergraph/graphql-go-tools/v2/pkg/engine/datasource/graphql_datasource"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/plan"

	"github.com/planwarm/planwarm/schema/supergraph"
)

// flushIntervalMillis is only used for streamed answers, which nothing asks for.
const flushIntervalMillis = 500

// planConfiguration translates a supergraph into what the planner needs to
// know of each subgraph.
func planConfiguration(s *supergraph.Supergraph, factory plan.PlannerFactory[gqlds.Configuration], labels map[string]bool, urls map[string]string) (*plan.Configuration, error) {
	subgraphs, err := s.Subgraphs(labels)
	if err != nil {
		return nil, err
	}
	cfg := &plan.Configuration{DefaultFlushIntervalMillis: flushIntervalMillis, Fields: fieldConfigurations(s)}
	targets := resolvableKeys(subgraphs)
	for _, g := range subgraphs {
		source, err := dataSource(s, g, targets, factory, urls[g.Name])
		if err != nil {
			return nil, fmt.Errorf("configure subgraph %s: %w", g.Name, err)
		}
		cfg.DataSources = append(cfg.DataSources, source)
	}
	return cfg, nil
}

// fieldConfigurations says of every argument that it is passed on.
func fieldConfigurations(s *supergraph.Supergraph) plan.FieldConfigurations {
	var out plan.FieldConfigurations
	for _, d := range s.Definitions() {
		if d.Kind != ast.Object && d.Kind != ast.Interface {
			continue
		}
		for _, f := range d.Fields {
			if len(f.Arguments) == 0 {
				continue
			}
			c := plan.FieldConfiguration{TypeName: d.Name, FieldName: f.Name}
			for _, a := range f.Arguments {
				c.Arguments = append(c.Arguments, plan.ArgumentConfiguration{Name: a.Name, SourceType: plan.FieldArgumentSource})
			}
			out = append(out, c)
		}
	}
	return out
}

// resolvableKeys lists, for each type, the keys by which some subgraph resolves it.
func resolvableKeys(subgraphs []*supergraph.Subgraph) map[string][]string {
	out := map[string][]string{}
	for _, g := range subgraphs {
		for _, t := range g.Types {
			for _, k := range t.Keys {
				if k.Resolvable && !slices.Contains(out[t.Name], k.Fields) {
					out[t.Name] = append(out[t.Name], k.Fields)
				}
			}
		}
	}
	for _, keys := range out {
		slices.Sort(keys)
	}
	return out
}

func dataSource(s *supergraph.Supergraph, g *supergraph.Subgraph, targets map[string][]string, factory plan.PlannerFactory[gqlds.Configuration], url string) (plan.DataSource, error) {
	metadata, err := subgraphMetadata(s, g, targets)
	if err != nil {
		return nil, err
	}
	sdl := s.SDL(g)
	schema, err := gqlds.NewSchemaConfiguration(sdl, &gqlds.FederationConfiguration{Enabled: true, ServiceSDL: sdl})
	if err != nil {
		return nil, fmt.Errorf("read recovered schema: %w", err)
	}
	if url == "" {
		url = g.URL
	}
	custom, err := gqlds.NewConfiguration(gqlds.ConfigurationInput{
		Fetch:               &gqlds.FetchConfiguration{URL: url, Method: "POST"},
		Subscription:        &gqlds.SubscriptionConfiguration{URL: url},
		SchemaConfiguration: schema,
	})
	if err != nil {
		return nil, fmt.Errorf("configure fetches: %w", err)
	}
	source, err := plan.NewDataSourceConfigurationWithName(g.Enum, g.Name, factory, metadata, custom)
	if err != nil {
		return nil, fmt.Errorf("configure data source: %w", err)
	}
	return source, nil
}
