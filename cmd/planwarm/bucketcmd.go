package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

const (
	defaultNamespace = "default"
	defaultTimeout   = time.Minute
)

// bucketCommands are the commands that work on the bucket itself: no sidecar
// has to be running.
func bucketCommands(c *cli) []*cobra.Command {
	return []*cobra.Command{
		newPushCmd(c), newListCmd(c), newRmCmd(c), newDenyCmd(c),
		newHistoryCmd(c), newDiffCmd(c), newRollbackCmd(c), newHoldCmd(c),
		newExplainCmd(c), newInspectCmd(c), newExportCmd(c), newValidateCmd(c),
		newGraphCmd(c), newTokenCmd(c),
	}
}

// bucketFlags are the flags of a command that works on the bucket.
type bucketFlags struct {
	namespace string
	timeout   time.Duration
	quiet     bool
}

func (f *bucketFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", defaultNamespace, "namespace of the graph")
	cmd.Flags().DurationVar(&f.timeout, "timeout", defaultTimeout, "give up when the bucket has not answered for so long")
}

// addWriting adds what only commands that change something have.
func (f *bucketFlags) addWriting(cmd *cobra.Command) {
	f.add(cmd)
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "say nothing when all went well")
}

// desk is an open bucket and the graph that a command is about.
type desk struct {
	config     config.Config
	graph      manifest.Graph
	configured *config.Graph // nil: the configuration does not have the graph
	store      *cdnsource.Store
	storage    *storage
}

// access says what a command is going to do with the bucket.
type access int

const (
	reading access = iota
	writing        // asks the bucket to prove its conditional writes
)

// withGraph runs work on the bucket for a graph, within the time that the flags allow.
func (c *cli) withGraph(ctx context.Context, f bucketFlags, name string, a access, work func(context.Context, *desk) error) error {
	g := manifest.Graph{Namespace: f.namespace, Name: name}
	if err := cdnsource.CheckGraph(g); err != nil {
		return err
	}
	return c.withBucket(ctx, f, g, a, work)
}

// withBucket is withGraph for commands that are about no single graph too: g is empty then.
func (c *cli) withBucket(ctx context.Context, f bucketFlags, g manifest.Graph, a access, work func(context.Context, *desk) error) error {
	if f.timeout <= 0 {
		return withCode(exitUsage, fmt.Errorf("--timeout %s is not above zero", f.timeout))
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	d := &desk{config: cfg, graph: g, configured: configuredGraph(cfg, g)}
	if err := d.open(ctx, c, a); err != nil {
		return d.clear(ctx, f, err)
	}
	return d.clear(ctx, f, errors.Join(work(ctx, d), d.storage.close()))
}

func configuredGraph(cfg config.Config, g manifest.Graph) *config.Graph {
	i := slices.IndexFunc(cfg.Graphs, func(x config.Graph) bool { return x.Namespace == g.Namespace && x.Name == g.Name })
	if i < 0 {
		return nil
	}
	return &cfg.Graphs[i]
}

func (d *desk) open(ctx context.Context, c *cli, a access) error {
	// Reading must not leave an empty bucket behind in a directory that never had one.
	if dir := filepath.Join(d.config.DataDir, "s3"); a == reading && d.embedded() && len(d.config.Graphs) == 0 && !exists(dir) {
		return withCode(exitNotFound, fmt.Errorf("no embedded bucket in %s: nothing was pushed or published there, or another --config is meant", d.config.DataDir))
	}
	log, err := newLogger(config.Log{Level: "warn", Format: "console"}, c.stderr)
	if err != nil {
		return err
	}
	if d.storage, err = openStorage(ctx, d.config, false, log); err != nil {
		return err
	}
	if d.store, err = d.newStore(log); err == nil && a == writing && !d.embedded() {
		// A bucket without conditional writes would lose what is acknowledged here.
		err = d.store.Probe(ctx)
	}
	if err != nil {
		return errors.Join(err, d.storage.close())
	}
	return nil
}

// newStore signs with the graph's key, since a rollback publishes.
func (d *desk) newStore(log *zap.Logger) (*cdnsource.Store, error) {
	path := ""
	if d.configured != nil {
		path = d.configured.Manifest.SigningKeyFile
	}
	sign, err := signer(path)
	if err != nil {
		return nil, err
	}
	return d.storage.store(d.config, sign, log)
}

func (d *desk) embedded() bool { return d.config.Bucket.URL == config.EmbeddedBucket }

// settings are those of the graph, or the defaults when it is not configured.
func (d *desk) settings() manifest.Settings {
	if d.configured == nil {
		return manifest.DefaultSettings()
	}
	return d.configured.Manifest.Settings()
}

// known returns an error with exit code 4 unless the graph is configured or
// the bucket has something of it.
func (d *desk) known(ctx context.Context) error {
	if d.configured != nil {
		return nil
	}
	there, err := d.store.Exists(ctx, d.graph)
	if err != nil {
		return err
	}
	if !there {
		return withCode(exitNotFound, fmt.Errorf("unknown graph %s: it is not configured, and %s has nothing of it (planwarm graph list shows what is there)", d.graph, d.storage.url))
	}
	return nil
}

// pins are the pins of the graph, none when nothing was ever pushed. An unknown
// graph is an error.
func (d *desk) pins(ctx context.Context) (manifest.Pins, error) {
	pins, _, err := d.store.Pins(ctx, d.graph)
	if errors.Is(err, cdnsource.ErrNotFound) {
		return manifest.Pins{Format: manifest.PinsFormat, Graph: d.graph}, d.known(ctx)
	}
	return pins, err
}

// fetch returns the manifest in force; ok is false when there is none yet. An
// unknown graph is an error.
func (d *desk) fetch(ctx context.Context) (m manifest.Manifest, p cdnsource.Pointer, ok bool, err error) {
	m, p, err = d.store.Fetch(ctx, d.graph)
	if errors.Is(err, cdnsource.ErrNotFound) {
		return m, p, false, d.known(ctx)
	}
	return m, p, err == nil, err
}

// clear says in the person's terms what is wrong with the bucket.
func (d *desk) clear(ctx context.Context, f bucketFlags, err error) error {
	url := d.config.Bucket.URL
	if url != config.EmbeddedBucket && d.config.Bucket.Endpoint != "" {
		url += " at " + d.config.Bucket.Endpoint
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cdnsource.ErrDenied):
		return withCode(exitFailed, fmt.Errorf("bucket %s refuses the credentials, or they do not allow this: %w", url, err))
	case errors.Is(err, cdnsource.ErrNoBucket):
		return withCode(exitFailed, fmt.Errorf("bucket %s does not exist: %w", url, err))
	case errors.Is(context.Cause(ctx), context.Canceled):
		return withCode(exitFailed, fmt.Errorf("interrupted, what was under way is done or not: %w", err))
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return withCode(exitFailed, fmt.Errorf("bucket %s did not answer within %s: %w", url, f.timeout, err))
	case errors.Is(err, cdnsource.ErrAmbiguous):
		return withCode(exitFailed, fmt.Errorf("bucket %s cannot be reached: %w", url, err))
	case errors.Is(err, cdnsource.ErrConflict):
		return withCode(exitConflict, fmt.Errorf("others kept writing, nothing was changed; try again: %w", err))
	}
	return err
}

// completeGraph offers the names of configured graphs to the shell.
func (c *cli) completeGraph(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	cfg, err := c.config()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	namespace := defaultNamespace
	if f := cmd.Flags().Lookup("namespace"); f != nil {
		namespace = f.Value.String()
	}
	var names []cobra.Completion
	for _, g := range cfg.Graphs {
		if g.Namespace == namespace {
			names = append(names, g.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
