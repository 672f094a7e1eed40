package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/telemetry"
	"github.com/planwarm/planwarm/warmer"
	"go.uber.org/zap"
)

// graphTable is the telemetry of one graph. It outlives reloads of the
// configuration: the snapshot is what is in it.
type graphTable struct {
	graph    manifest.Graph
	instance string
	path     string // of the local checkpoint
	log      *zap.Logger
	table    *telemetry.Table
	canon    *canonicaliser

	mu    sync.Mutex
	store *cdnsource.Store // nil while there is no bucket
}

// newGraphTable opens the table of a graph, as its last checkpoint left it.
func newGraphTable(c config.Config, g manifest.Graph, log *zap.Logger) (*graphTable, error) {
	t := &graphTable{
		graph: g, instance: c.Instance, canon: &canonicaliser{},
		path: checkpointPath(c, g), log: log.With(zap.Stringer("graph", g)),
	}
	table, err := telemetry.NewTable(t.options(c.Telemetry))
	if err != nil {
		return nil, err
	}
	t.table = table
	body, err := os.ReadFile(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		t.log.Warn("checkpoint not read", zap.Error(err))
	default:
		t.restore(body)
	}
	return t, nil
}

func (t *graphTable) options(c config.Telemetry) telemetry.Options {
	return telemetry.Options{
		Instance: t.instance, Canonical: t.canon.canonical, OwnClient: cosmo.DefaultClientName,
		MaxOperations: c.MaxOperations, MaxText: int(c.MaxText),
	}
}

// restore takes over a checkpoint; a broken one loses history, never the start.
func (t *graphTable) restore(body []byte) {
	if err := t.table.Restore(bytes.NewReader(body)); err != nil {
		t.log.Warn("checkpoint refused, telemetry starts anew", zap.Error(err))
		return
	}
	t.log.Info("telemetry restored", zap.Int("operations", t.table.Stats().Operations))
}

// attach gives the table its bucket.
func (t *graphTable) attach(s *cdnsource.Store) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.store = s
}

// recoverTimeout bounds what a start waits for a bucket that does not answer.
const recoverTimeout = 10 * time.Second

// recover has an empty table take over what this instance saved in the bucket,
// as after a move to another disk.
func (t *graphTable) recover(ctx context.Context, s *cdnsource.Store) {
	if t.table.Stats().Operations > 0 {
		return
	}
	ctx, stop := context.WithTimeout(ctx, recoverTimeout)
	defer stop()
	err := s.Checkpoints(ctx, t.graph, func(c cdnsource.Checkpoint) error {
		if c.Instance == t.instance {
			t.restore(c.Body)
		}
		return nil
	})
	if err != nil {
		t.log.Warn("checkpoints not read", zap.Error(err))
	}
}

var _ warmer.UsageSource = (*graphTable)(nil)

// Usages implements warmer.UsageSource over the checkpoints of all instances
// and this instance's live table.
func (t *graphTable) Usages(ctx context.Context, now time.Time, window time.Duration, key func(telemetry.Usage) string) ([]telemetry.Usage, error) {
	tables := []*telemetry.Table{t.table}
	t.mu.Lock()
	store := t.store
	t.mu.Unlock()
	if store != nil {
		err := store.Checkpoints(ctx, t.graph, func(c cdnsource.Checkpoint) error {
			if c.Instance == t.instance {
				return nil // the live table knows more
			}
			other, err := telemetry.ReadTable(bytes.NewReader(c.Body), telemetry.Options{
				Instance: c.Instance, Canonical: t.canon.canonical, OwnClient: cosmo.DefaultClientName,
			})
			if err != nil {
				t.log.Warn("checkpoint of another instance refused", zap.String("instance", c.Instance), zap.Error(err))
				return nil
			}
			tables = append(tables, other)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return telemetry.Combine(now, window, key, tables...), nil
}

// Hottest implements warmer.UsageSource.
func (t *graphTable) Hottest(n int) []telemetry.Usage { return t.table.Hottest(time.Now(), n) }

// Checkpoint implements warmer.UsageSource. It also writes the local copy, from
// which a restart on this disk goes on without the bucket.
func (t *graphTable) Checkpoint() ([]byte, error) {
	var b bytes.Buffer
	if _, err := t.table.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("write checkpoint: %w", err)
	}
	if err := writeFile(t.path, b.Bytes()); err != nil {
		return b.Bytes(), fmt.Errorf("write local checkpoint: %w", err)
	}
	return b.Bytes(), nil
}
