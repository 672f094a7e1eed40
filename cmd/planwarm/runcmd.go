package main

import (
	"bytes"
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
	"go.yaml.in/yaml/v3"
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
				return c.printConfig(cfg)
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

// printConfig prints the effective configuration as YAML or, with --json, as JSON.
func (c *cli) printConfig(cfg config.Config) error {
	if !c.json {
		return cfg.Print(c.stdout)
	}
	var text bytes.Buffer
	if err := cfg.Print(&text); err != nil {
		return err
	}
	var keys map[string]any
	if err := yaml.Unmarshal(text.Bytes(), &keys); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return c.printJSON(keys)
}

// runSidecar runs generations of the configuration until ctx ends.
func (c *cli) runSidecar(ctx context.Context, cfg config.Config) (err error) {
	switch {
	case len(cfg.Graphs) > 0:
	case c.configPath == "" && !exists(defaultConfigPath):
		return withCode(exitUsage, fmt.Errorf("there is no %s here, and --config names no other; README.md and docs/configuration.md have one", defaultConfigPath))
	default:
		return withCode(exitUsage, errors.New("configuration has no graphs; docs/configuration.md has what a graph needs"))
	}
	log, level, err := newLevelLogger(cfg.Log, c.stderr)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // stderr cannot always be synced
	unlock, err := lockDataDir(ctx, cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	h := newHost(log, level)
	defer func() { err = errors.Join(err, h.close()) }()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	if _, err := startGeneration(ctx, h, cfg); err != nil {
		if ctx.Err() != nil {
			log.Info("planwarm stops before it has started")
			return nil
		}
		return err
	}
	if err := h.announce(cfg.DataDir); err != nil {
		return err
	}
	defer func() { _ = os.Remove(runFilePath(cfg.DataDir)) }() // it only helps to find us
	log.Info("planwarm runs", zap.String("version", version), zap.Int("graphs", len(cfg.Graphs)), zap.String("bucket", h.inForce.storage.url))
	for {
		select {
		case <-ctx.Done():
			log.Info("planwarm stops")
			return nil
		case <-hup:
			c.reload(ctx, h)
		}
	}
}

// reload puts a new generation in the place of the running one, or keeps that
// when the new configuration cannot be put in force.
func (c *cli) reload(ctx context.Context, h *host) {
	cfg, err := c.config()
	if err == nil && len(cfg.Graphs) == 0 {
		err = errors.New("configuration has no graphs")
	}
	var retired *teardown
	if err == nil {
		retired, err = startGeneration(ctx, h, cfg)
	}
	if err != nil {
		h.log.Error("reload refused, the old configuration stays in force", zap.Error(err))
		return
	}
	if level, err := zap.ParseAtomicLevel(cfg.Log.Level); err == nil { // it was checked
		h.level.SetLevel(level.Level())
	}
	if err := retired.stop(); err != nil {
		h.log.Warn("replaced configuration did not end cleanly", zap.Error(err))
	}
	if err := h.announce(cfg.DataDir); err != nil {
		h.log.Warn("addresses not written", zap.Error(err))
	}
	h.log.Info("configuration reloaded", zap.Int("graphs", len(cfg.Graphs)))
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
	for name, s := range h.inForce.servers {
		f.Addresses[name] = s.addr
	}
	if h.inForce.grpc != nil {
		f.Addresses[grpcName] = h.inForce.grpc.addr
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
