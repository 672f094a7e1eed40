package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
)

// The demo's ids of the graph on the CDN path, and the token that opens it.
const (
	organization = "org-demo"
	graphID      = "graph-storefront"
	graphToken   = "demo-graph-token"
)

const pollInterval = 50 * time.Millisecond

type routerStatus = warmer.RouterState

// sidecar is the planwarm process.
type sidecar struct {
	*child
	dataDir   string
	addresses map[string]string
}

// configuration is what a user would write, but for ports that are picked and
// intervals that suit a demo.
const configuration = `data_dir: %[1]s
graphs:
  - name: storefront
    schema: { file: %[2]s, poll: 200ms }
    cosmo: { organization_id: ` + organization + `, federated_graph_id: ` + graphID + `, token_file: %[3]s }
    routers: [ { kind: cosmo, url: "%[4]s/graphql", ready_url: "%[4]s/health/ready", metrics_url: "%[4]s/metrics" } ]
    manifest: { min_planning_time: 0s }
    warm: { poll: 500ms, jitter: 0s }
telemetry: { otlp: { http: "127.0.0.1:0", grpc: "" } }
cdn: { listen: "127.0.0.1:0", url: "%[5]s" }
health: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
webhooks: { listen: "127.0.0.1:0", cosmo: { secret_file: %[6]s } }
`

// startSidecar writes the configuration and starts planwarm run.
func startSidecar(ctx context.Context, exe, dir, cdnURL, routerURL string) (*sidecar, error) {
	dataDir, token, config := filepath.Join(dir, "data"), filepath.Join(dir, "graph-token"), filepath.Join(dir, "planwarm.yaml")
	if err := os.WriteFile(token, []byte(graphToken), 0o600); err != nil {
		return nil, err
	}
	webhooks := filepath.Join(dir, "webhook-secret")
	if err := os.WriteFile(webhooks, []byte(webhookSecret), 0o600); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(configuration, dataDir, filepath.Join(dir, "schema.graphql"), token, routerURL, cdnURL, webhooks)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	c, err := start(exe, dir, "planwarm", nil, "run", "--config", config, "--until-stdin-closes")
	if err != nil {
		return nil, err
	}
	go func() {
		_, _ = io.Copy(io.Discard, c.out) // it writes nothing there
		c.wait()
	}()
	s := &sidecar{child: c, dataDir: dataDir}
	if err := s.awaitStart(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// awaitStart reads the addresses, which planwarm writes when it runs.
func (s *sidecar) awaitStart(ctx context.Context) error {
	return poll(ctx, "planwarm to start", func() (bool, error) {
		if err := s.ended(); err != nil {
			return false, err
		}
		data, err := os.ReadFile(filepath.Join(s.dataDir, "run.json"))
		if err != nil {
			return false, nil // not yet
		}
		var f struct {
			Addresses map[string]string `json:"addresses"`
		}
		err = json.Unmarshal(data, &f)
		s.addresses = f.Addresses
		return true, err
	})
}

func (s *sidecar) url(listener string) string { return "http://" + s.addresses[listener] }

func (s *sidecar) recompute(ctx context.Context, c *http.Client) (rep warmer.PublishReport, err error) {
	err = getJSON(ctx, c, http.MethodPost, s.url("admin")+"/recompute", &rep)
	return rep, err
}

func (s *sidecar) status(ctx context.Context, c *http.Client) (warmer.GraphStatus, error) {
	var st warmer.Status
	if err := getJSON(ctx, c, http.MethodGet, s.url("admin")+"/status", &st); err != nil {
		return warmer.GraphStatus{}, err
	}
	if len(st.Graphs) != 1 {
		return warmer.GraphStatus{}, fmt.Errorf("planwarm has %d graphs, want 1", len(st.Graphs))
	}
	return st.Graphs[0], nil
}

// awaitRun waits for a finished warm-up of the router that meets the condition.
func (s *sidecar) awaitRun(ctx context.Context, c *http.Client, met func(routerStatus) bool) (run warmer.RunRecord, err error) {
	err = poll(ctx, "a warm-up to finish", func() (bool, error) {
		st, err := s.status(ctx, c)
		if err != nil {
			return false, err
		}
		for _, r := range st.Routers {
			if r.LastRun != nil && met(r) {
				run = *r.LastRun
				return true, nil
			}
		}
		return false, nil
	})
	return run, err
}

// awaitFetchFailure waits until planwarm has noticed that the CDN is broken.
func (s *sidecar) awaitFetchFailure(ctx context.Context, c *http.Client) error {
	return poll(ctx, "planwarm to miss the CDN", func() (bool, error) {
		st, err := s.status(ctx, c)
		return st.Fetched.Error != "", err
	})
}

func (s *sidecar) awaitSchema(ctx context.Context, c *http.Client, id string) error {
	return poll(ctx, "planwarm to load the new schema", func() (bool, error) {
		st, err := s.status(ctx, c)
		return st.Schema == id, err
	})
}

// planKeys are the plans of the manifest in force.
func (s *sidecar) planKeys(ctx context.Context, c *http.Client) (map[string]bool, error) {
	var raw json.RawMessage
	if err := getJSON(ctx, c, http.MethodGet, s.url("cdn")+"/v1/graphs/"+graph.Namespace+"/"+graph.Name+"/manifest", &raw); err != nil {
		return nil, err
	}
	m, err := manifest.DecodeBytes(raw)
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for _, e := range m.Operations {
		for _, x := range e.Expand() {
			keys[x.Planwarm.PlanKey] = true
		}
	}
	return keys, nil
}

// brokenNames are the operations that a run left out because the schema refuses them.
func brokenNames(run warmer.RunRecord) []string {
	names := make([]string, 0, len(run.Broken))
	for _, b := range run.Broken {
		names = append(names, b.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// poll asks until the answer is yes.
func poll(ctx context.Context, what string, ask func() (bool, error)) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		ok, err := ask()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}
