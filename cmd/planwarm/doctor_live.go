package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/cmd/planwarm/doctor"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
	"github.com/planwarm/planwarm/warmer"
	"go.uber.org/zap"
)

const (
	examineTimeout = 30 * time.Second // for all questions to one router
	askTimeout     = 10 * time.Second // for one page
)

// doctorQuery has a plan that nobody else asks for, and needs no subgraph even
// when it is executed.
const doctorQuery = "query PlanwarmDoctor{planwarmDoctor:__typename}"

// reloadSeries are the series of a metrics page, any of which tells of reloads.
var reloadSeries = map[config.RouterKind][]string{
	config.RouterCosmo:       {"router_graphql_cache_keys_stats_total"},
	config.RouterApollo:      {"apollo_router_state_change_total", "apollo_router_open_connections"},
	config.RouterHiveRouter:  {"hive_router_supergraph_poll_total"},
	config.RouterHiveGateway: {"graphql_envelop_schema_change"},
}

// examineRouter asks one running router. Nothing is sent once its canary, or
// anything else, was executed.
func (e *examination) examineRouter(ctx context.Context, r config.Router, types schemaSource) {
	e.input.Live = nil
	name := publicURL(r.URL)
	if subject := doctor.SubjectOf(r.Kind); subject == "" || subject == doctor.Grafbase {
		e.notes = append(e.notes, name+" is not asked: a "+string(r.Kind)+" router has no plan-only requests to prove")
		return
	}
	p, err := newPlanner(r, types, zap.NewNop())
	if err != nil {
		e.notes = append(e.notes, name+" is not asked: "+err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(ctx, examineTimeout)
	defer cancel()
	live := &doctor.Live{
		Router: name, Pulls: r.Kind == config.RouterCosmo,
		PlugIn: r.Kind == config.RouterApolloGateway || r.Kind == config.RouterHiveGateway && r.TokenFile != "",
	}
	live.Probe = p.Probe(ctx)
	e.canaries++
	if safe, ok := p.(planner.MutationSafe); ok && live.Probe == nil {
		live.MutationSafe = safe.MutationSafe()
	}
	if v, ok := p.(planner.Verifier); ok && live.Probe == nil && r.Kind == config.RouterCosmo {
		live.TellsHits = true
		// The first question makes the plan, the second has to find it.
		for range 2 {
			if live.Hit, live.HitErr = v.Verify(ctx, planner.Request{Query: doctorQuery, OperationName: "PlanwarmDoctor"}); live.HitErr != nil {
				break
			}
		}
	}
	e.executed += live.Executed()
	live.Page = metricsPage(ctx, r)
	live.Ready = readyPage(ctx, r)
	e.input.Live = live
}

// metricsPage looks for what tells of reloads.
func metricsPage(ctx context.Context, r config.Router) doctor.PageState {
	names := reloadSeries[r.Kind]
	if r.MetricsURL == "" {
		return doctor.PageNone
	}
	var series []planhttp.Series
	err := planhttp.Get(ctx, planhttp.Client(nil), r.MetricsURL, askTimeout, func(body io.Reader) (err error) {
		series, err = planhttp.ReadPage(body, names...)
		return err
	})
	if err != nil {
		return doctor.PageFailed
	}
	for _, s := range series {
		if r.Kind != config.RouterCosmo || s.Labels["cache_type"] == "plan" && s.Labels["operation"] == "added" {
			return doctor.PageGood
		}
	}
	return doctor.PageLacking
}

func readyPage(ctx context.Context, r config.Router) doctor.PageState {
	if r.ReadyURL == "" {
		return doctor.PageNone
	}
	if planhttp.Get(ctx, planhttp.Client(nil), r.ReadyURL, askTimeout, func(io.Reader) error { return nil }) != nil {
		return doctor.PageFailed
	}
	return doctor.PageGood
}

// publicURL is a URL without what may be a secret in it.
func publicURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "router"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// examineSidecar asks the sidecar that was named, or that runs with this
// configuration; there need be none.
func (c *cli) examineSidecar(ctx context.Context, e *examination, f remoteFlags) error {
	running := runningAddresses(e.config.DataDir)
	if f.server == "" && running["admin"] == "" {
		e.notes = append(e.notes, "no sidecar runs with this configuration; start it (planwarm run) to have what it hears examined too")
		return nil
	}
	r, err := c.remote(f)
	if err != nil {
		return withCode(exitUsage, err)
	}
	r.http.Timeout = askTimeout
	g := e.input.Graph
	out := &doctor.Running{
		Where: publicURL(r.base), Graph: manifest.Graph{Namespace: g.Namespace, Name: g.Name},
		Pulls: g.Cosmo.OrganizationID != "" && g.Cosmo.File == "",
	}
	e.input.Sidecar = out
	var s warmer.Status
	if out.Err = r.call(ctx, http.MethodGet, "/status", nil, &s); out.Err != nil {
		return nil
	}
	if g.Name == "" && len(s.Graphs) == 1 { // nothing names a graph, and there is one
		out.Graph = s.Graphs[0].Graph
	}
	for i := range s.Graphs {
		if s.Graphs[i].Graph == out.Graph {
			out.Status = &s.Graphs[i]
		}
	}
	if page := healthURL(r.base, running["health"], e.config); page != "" {
		err := planhttp.Get(ctx, planhttp.Client(nil), page+"/metrics", askTimeout, func(body io.Reader) error {
			series, err := planhttp.ReadPage(body, doctor.MetricNames()...)
			out.Metrics = series
			return err
		})
		if err != nil {
			out.Metrics = nil
		}
	}
	return nil
}

// runningAddresses are those of the sidecar that runs in a data directory.
func runningAddresses(dataDir string) map[string]string {
	var running runFile
	data, err := os.ReadFile(runFilePath(dataDir))
	if err != nil || json.Unmarshal(data, &running) != nil {
		return nil
	}
	return running.Addresses
}

// healthURL is where the sidecar's metrics are: at the address that it wrote
// down when it is the one that runs here, or else at the configured port of
// the host that was named.
func healthURL(base, running string, c config.Config) string {
	listen := c.Health.Listen
	if running != "" {
		listen = running
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		u, err := url.Parse(base)
		if err != nil {
			return ""
		}
		host = u.Hostname()
	}
	return "http://" + net.JoinHostPort(host, port)
}
