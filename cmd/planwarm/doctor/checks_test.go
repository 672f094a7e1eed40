package doctor

import (
	"strings"
	"testing"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
)

// found are the findings of one subject by their id.
func found(in *Input, s Subject) map[string]Finding {
	out := map[string]Finding{}
	for _, f := range Run(in, s) {
		out[f.ID] = f
	}
	return out
}

// TestNothingToPraise: of what is off, nothing good is said.
func TestNothingToPraise(t *testing.T) {
	in := input(t, "", config.RouterCosmo)
	in.Router = read(t, "version: \"1\"\nrouter_registration: false\ncache_warmup: { enabled: false }\n")
	got := found(in, Cosmo)
	if got["cosmo-warmup-disabled"].OK || got["cosmo-otlp-elsewhere"].OK {
		t.Errorf("%+v, %+v", got["cosmo-warmup-disabled"], got["cosmo-otlp-elsewhere"])
	}
	for _, id := range []string{"cosmo-in-memory-fallback", "cosmo-rate-times-timeout", "cosmo-warmup-timeout-long", "cosmo-file-source", "cosmo-cumulative-temporality"} {
		if f, ok := got[id]; ok {
			t.Errorf("%s: %+v", id, f)
		}
	}
}

// TestTemporalityBehindACollector: attribute sets run out in the router, wherever
// it sends them; an exporter beside the one to planwarm is nobody's concern.
func TestTemporalityBehindACollector(t *testing.T) {
	for exporters, ok := range map[string]bool{
		`[ { exporter: http, endpoint: "http://collector:4318" } ]`:                                                                        false,
		`[ { exporter: http, endpoint: "http://collector:4318", temporality: delta } ]`:                                                    true,
		`[ { exporter: http, endpoint: "http://other:4318" }, { exporter: http, endpoint: "http://127.0.0.1:4318", temporality: delta } ]`: true,
	} {
		in := input(t, "", config.RouterCosmo)
		in.Router = read(t, "telemetry: { metrics: { otlp: { enabled: true, exporters: "+exporters+" } } }")
		if f, there := found(in, Cosmo)["cosmo-cumulative-temporality"]; !there || f.OK != ok {
			t.Errorf("%s: %+v", exporters, f)
		}
	}
}

// TestTwoPlansForEachOperation: a router that finds plans by the exact text keeps
// each operation twice, which counts where its cache is compared with the list.
func TestTwoPlansForEachOperation(t *testing.T) {
	in := input(t, "", config.RouterApollo)
	in.Graph.Manifest.MaxOperations = 200
	for limit, ok := range map[string]bool{"300": false, "500": true} {
		in.Router = read(t, "supergraph: { query_planning: { cache: { in_memory: { limit: "+limit+" } } } }")
		f := found(in, ApolloRouter)["apollo-manifest-above-cache"]
		if f.OK != ok || !ok && !strings.Contains(f.What, "up to 400") {
			t.Errorf("limit %s: %+v", limit, f)
		}
	}
}

// TestPlugInTellsOfReloads: no other sign is asked for where it is.
func TestPlugInTellsOfReloads(t *testing.T) {
	for plugIn, want := range map[bool]bool{true: false, false: true} {
		got := found(&Input{Live: &Live{PlugIn: plugIn}}, LiveRouter)
		for _, id := range []string{"live-metrics-page", "live-ready-url"} {
			if _, there := got[id]; there != want {
				t.Errorf("plug-in %t: %s: %t", plugIn, id, there)
			}
		}
	}
}
