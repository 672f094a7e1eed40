package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/planwarm/planwarm/cmd/planwarm/demo"
	"github.com/spf13/cobra"
)

func newDemoCmd(c *cli) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole job once, on free loopback ports",
		Long: `Start the storefront subgraphs, a router, a bucket and planwarm in one process
tree; send traffic, publish, and measure the first requests after a cold start,
after a warmed start, after a reload to a new schema while the CDN is broken, and
after the webhook that tells of that schema. It needs nothing else on the machine
and takes under a minute.`,
		Example: `  planwarm demo
  planwarm demo --json
  planwarm demo --keep`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.demo(cmd.Context(), keep) },
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave everything running afterwards and print the addresses, until interrupted")
	return cmd
}

func (c *cli) demo(ctx context.Context, keep bool) (err error) {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	dir, err := os.MkdirTemp("", "planwarm-demo-")
	if err != nil {
		return fmt.Errorf("make demo directory: %w", err)
	}
	d, err := demo.New(demo.Options{Executable: exe, Dir: dir, Progress: c.step})
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	defer func() {
		err = errors.Join(err, d.Close(context.WithoutCancel(ctx)))
		if err == nil || ctx.Err() != nil {
			err = errors.Join(err, os.RemoveAll(dir))
			return
		}
		fmt.Fprintf(c.stderr, "logs are in %s\n", dir) // after a failure they are worth keeping
	}()
	result, err := d.Run(ctx)
	if ctx.Err() != nil {
		return errors.New("demo interrupted") // what else failed, failed of that
	}
	if err != nil {
		return err
	}
	if keep {
		result.Addresses = d.Addresses()
	}
	if err := c.printDemo(result); err != nil {
		return err
	}
	if keep {
		fmt.Fprintln(c.stderr, "running; interrupt to stop")
		<-ctx.Done()
	}
	return nil
}

// step shows progress on a terminal in one line, elsewhere in lines.
func (c *cli) step(n, of int, what string) {
	if f := c.terminal(); f != nil {
		fmt.Fprintf(f, "\r\x1b[K[%d/%d] %s", n, of, what)
		if n == of {
			fmt.Fprintln(f)
		}
		return
	}
	fmt.Fprintf(c.stderr, "[%d/%d] %s\n", n, of, what)
}

func (c *cli) printDemo(r demo.Result) error {
	if c.json {
		return c.printJSON(r)
	}
	if err := r.Print(c.stdout); err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(r.Addresses)) {
		fmt.Fprintf(w, "%s\t%s\n", name, r.Addresses[name])
	}
	return w.Flush()
}
