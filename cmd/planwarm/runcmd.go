package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

func newRunCmd(c *cli) *cobra.Command {
	var printConfig, untilStdin bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the sidecar",
		Long: `Run the sidecar until it is told to stop: take telemetry, publish manifests,
warm routers. SIGHUP reads the configuration again; telemetry and the fallback
snapshot are kept, and a configuration with faults leaves the old one in force.`,
		Example: `  planwarm run --config planwarm.yaml
  planwarm run --config planwarm.yaml --print-config`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			if printConfig {
				return cfg.Print(c.stdout)
			}
			ctx := cmd.Context()
			if untilStdin {
				var stop context.CancelFunc
				ctx, stop = untilClosed(ctx, c.stdin)
				defer stop()
			}
			return c.runSidecar(ctx, cfg)
		},
	}
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print the effective configuration, which has no secrets, and exit")
	cmd.Flags().BoolVar(&untilStdin, "until-stdin-closes", false, "also stop when standard input is closed, so that a parent cannot leave it behind")
	return cmd
}

// runSidecar runs generations of the configuration until ctx ends.
func (c *cli) runSidecar(ctx context.Context, cfg config.Config) (err error) {
	if len(cfg.Graphs) == 0 {
		return withCode(exitUsage, errors.New("configuration has no graphs; see planwarm run --help"))
	}
	log, err := newLogger(cfg.Log, c.stderr)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // stderr cannot always be synced
	h := newHost(log)
	defer func() { err = errors.Join(err, h.close()) }()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	g, err := startGeneration(ctx, h, cfg)
	if err != nil {
		return err
	}
	defer func() { g.stop() }()
	h.adopt(g.storage, cfg)
	if err := h.announce(cfg.DataDir); err != nil {
		return err
	}
	defer func() { _ = os.Remove(runFilePath(cfg.DataDir)) }() // it only helps to find us
	log.Info("planwarm runs", zap.String("version", version), zap.Int("graphs", len(cfg.Graphs)), zap.String("bucket", g.storage.url))
	for {
		select {
		case <-ctx.Done():
			log.Info("planwarm stops")
			return nil
		case <-hup:
			g = c.reload(ctx, h, g)
		}
	}
}

// reload puts a new generation in the place of the running one, or keeps that
// when the new configuration cannot be put in force.
func (c *cli) reload(ctx context.Context, h *host, old *generation) *generation {
	cfg, err := c.config()
	if err == nil && len(cfg.Graphs) == 0 {
		err = errors.New("configuration has no graphs")
	}
	var next *generation
	if err == nil {
		next, err = startGeneration(ctx, h, cfg)
	}
	if err != nil {
		h.log.Error("reload refused, the old configuration stays in force", zap.Error(err))
		return old
	}
	old.stop()
	h.adopt(next.storage, cfg)
	if err := h.announce(cfg.DataDir); err != nil {
		h.log.Warn("addresses not written", zap.Error(err))
	}
	h.log.Info("configuration reloaded", zap.Int("graphs", len(cfg.Graphs)))
	return next
}

// runFile tells commands on this machine, and people, where the sidecar listens.
type runFile struct {
	PID       int               `json:"pid"`
	Addresses map[string]string `json:"addresses"`
}

func runFilePath(dataDir string) string { return filepath.Join(dataDir, "run.json") }

// announce writes the addresses that the listeners really have.
func (h *host) announce(dataDir string) error {
	f := runFile{PID: os.Getpid(), Addresses: map[string]string{}}
	for name, s := range h.servers {
		f.Addresses[name] = s.addr
	}
	if h.grpc != nil {
		f.Addresses["otlp grpc"] = h.grpc.addr
	}
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("write addresses: %w", err)
	}
	if err := writeFile(runFilePath(dataDir), append(data, '\n')); err != nil {
		return fmt.Errorf("write addresses: %w", err)
	}
	return nil
}
