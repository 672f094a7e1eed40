package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Config is a router as a process of its own. It is decoded from JSON.
type Config struct {
	Options
	Listen string `json:"listen,omitempty"` // default: a free loopback port
}

// Started is the one line of JSON that Main writes when it listens.
type Started struct {
	URL string `json:"url"` // base URL: /graphql, /health/ready, /stats, /metrics
}

const (
	// stopTimeout bounds the orderly end of Main.
	stopTimeout = 10 * time.Second
	// headerTimeout is long, since clients open connections ahead of their use,
	// and a request on one that is closed just then cannot be sent again.
	headerTimeout = 2 * time.Minute
)

// DecodeConfig reads a Config; an unknown key is an error.
func DecodeConfig(r io.Reader) (Config, error) {
	var c Config
	dec := json.NewDecoder(io.LimitReader(r, maxSupergraph*2))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("decode router config: %w", err)
	}
	return c, nil
}

// Main runs a router until ctx ends, writes Started to out when it listens,
// and returns nil after an orderly end.
func Main(ctx context.Context, c Config, out io.Writer) (err error) {
	setDefault(&c.Listen, "127.0.0.1:0")
	if c.Metrics == nil {
		// A page like that of a Cosmo router: it tells restarts, and how many cores there are.
		c.Metrics = prometheus.NewRegistry()
		c.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	r, err := New(ctx, c.Options)
	if err != nil {
		return err
	}
	// Each stop step has its own time: ctx is over when they begin.
	stop := func(step func(context.Context) error) error {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return step(stopping)
	}
	defer func() { err = errors.Join(err, stop(r.Close)) }()
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("start router: %w", err)
	}
	server := &http.Server{Handler: r, ReadHeaderTimeout: headerTimeout, ErrorLog: zap.NewStdLog(r.log)}
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-running.Done()
		return stop(server.Shutdown)
	})
	group.Go(func() error {
		if err := json.NewEncoder(out).Encode(Started{URL: "http://" + ln.Addr().String()}); err != nil {
			return fmt.Errorf("announce router: %w", err)
		}
		return r.Run(running)
	})
	return group.Wait()
}
