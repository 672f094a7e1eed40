package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/planwarm/planwarm/planner/engine/router"
	"github.com/planwarm/planwarm/testdata"
)

// routerProcess is an engine router in a process of its own, so that each start
// is as cold as a start can be.
type routerProcess struct {
	*child
	url string
}

// routerSettings say what one router of the demo is connected to.
type routerSettings struct {
	listen    string // "": a free port
	pull      bool   // its warm-up, from planwarm
	telemetry bool   // to planwarm
}

// spareMemory has every router of the demo collect its garbage less often, as a
// router with memory to spare does: on two cores a collection in the middle of
// one large answer would be measured as that answer's.
const spareMemory = "GOGC=400"

func (d *Demo) routerURL() string { return "http://127.0.0.1:" + d.routerPort }

// startRouter starts a router and waits until it serves.
func (d *Demo) startRouter(ctx context.Context, name string, s routerSettings) (*routerProcess, error) {
	path := filepath.Join(d.Dir, name+".json")
	if err := d.writeRouterConfig(path, s); err != nil {
		return nil, err
	}
	c, err := start(d.Executable, d.Dir, name, []string{spareMemory}, RouterCommand, path)
	if err != nil {
		return nil, err
	}
	release := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() }) // or a router that says nothing holds the demo
	line, err := c.out.ReadBytes('\n')
	release()
	go func() {
		_, _ = io.Copy(io.Discard, c.out) // one line is all it writes
		c.wait()
	}()
	r := &routerProcess{child: c}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w; its log is %s", name, err, c.log.Name()), r.stop())
	}
	var started router.Started
	if err := json.Unmarshal(line, &started); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), r.stop())
	}
	r.url = started.URL
	if err := r.awaitReady(ctx, d.client); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

// RouterCommand is the hidden command that runs the router process.
const RouterCommand = "internal-router"

func (d *Demo) writeRouterConfig(path string, s routerSettings) error {
	c := router.Config{Listen: s.listen, Options: router.Options{
		SupergraphFile: filepath.Join(d.Dir, "router.graphql"), WatchInterval: router.Duration(200 * time.Millisecond),
		SubgraphURLs: d.subgraphs.URLs(), PlanOnly: router.PlanOnlyAllowed,
	}}
	if s.pull {
		unlimited := 0.0
		c.Warmup = router.Warmup{CDN: d.sidecar.url("cdn"), Organization: organization, Graph: graphID, Token: graphToken, Workers: 2, ItemsPerSecond: &unlimited}
	}
	if s.telemetry {
		c.Telemetry = router.Telemetry{OTLP: d.sidecar.url("otlp http"), Usage: d.sidecar.url("otlp http"), Content: true, Interval: router.Duration(time.Second)}
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

func (r *routerProcess) awaitReady(ctx context.Context, c *http.Client) error {
	return poll(ctx, "the router to be ready", func() (bool, error) {
		if err := r.ended(); err != nil {
			return false, err
		}
		return getJSON(ctx, c, http.MethodGet, r.url+"/health/ready", nil) == nil, nil
	})
}

func (r *routerProcess) awaitReload(ctx context.Context, c *http.Client) error {
	return poll(ctx, "the router to reload", func() (bool, error) {
		s, err := r.stats(ctx, c)
		return s.Reloads > 0, err
	})
}

func (r *routerProcess) stats(ctx context.Context, c *http.Client) (s router.Stats, err error) {
	err = getJSON(ctx, c, http.MethodGet, r.url+"/stats", &s)
	return s, err
}

// flush has the router export what telemetry it holds back.
func (r *routerProcess) flush(ctx context.Context, c *http.Client) error {
	return getJSON(ctx, c, http.MethodPost, r.url+"/flush", nil)
}

// subgraphSDL reads a folder of subgraphs by their names.
func subgraphSDL(dir string) (map[string]string, error) {
	names, err := fs.Glob(testdata.Storefront, folder+dir+"/*.graphql")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, path := range names {
		base := path[strings.LastIndexByte(path, '/')+1:]
		if out[strings.TrimSuffix(base, ".graphql")], err = readFile(dir + "/" + base); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// freePort picks a port for the router, whose address planwarm has to know
// before the router starts.
func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("pick a port: %w", err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, errors.Join(err, ln.Close())
}
