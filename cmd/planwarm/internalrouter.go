package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/planwarm/planwarm/cmd/planwarm/demo"
	"github.com/planwarm/planwarm/planner/engine/router"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
)

// newInternalRouterCmd is the demo's router as a process of its own.
func newInternalRouterCmd(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:    demo.RouterCommand + " CONFIG",
		Short:  "Run the engine router of the demo",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("open router configuration: %w", err)
			}
			cfg, err := router.DecodeConfig(f)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
			log, err := newLogger(config.Log{Level: "info", Format: "json"}, c.stderr)
			if err != nil {
				return err
			}
			cfg.Log = log.With(zap.String("component", "engine router"))
			ctx, stop := untilClosed(cmd.Context(), c.stdin)
			defer stop()
			return router.Main(ctx, cfg, c.stdout)
		},
	}
}

// untilClosed ends the context when r does: a child that is run like this
// cannot outlive its parent, however that ends.
func untilClosed(ctx context.Context, r io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, r)
		cancel()
	}()
	return ctx, cancel
}
