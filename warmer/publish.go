package warmer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/telemetry"
	"go.uber.org/zap"
)

// Errors of a recompute that a caller acts on.
var (
	// ErrHeld: a rollback holds the manifest until somebody lifts it.
	ErrHeld = errors.New("manifest is held")
	// ErrNoSchema: nothing can be built before the schema is known.
	ErrNoSchema = errors.New("schema is not loaded")
)

// Store is where manifests are published.
type Store interface {
	// PublishIf makes what build returns the newest manifest. build is given the
	// current one (nil when there is none) and called again when another writer
	// was faster; the manifest it returns as unchanged is not written.
	PublishIf(ctx context.Context, graph manifest.Graph, build func(ctx context.Context, current *manifest.Manifest) (manifest.Manifest, error)) (manifest.Manifest, error)
	// Pins returns the pushed operations and the deny list, with a tag that
	// changes when they do. No pins is no error.
	Pins(ctx context.Context, graph manifest.Graph) (manifest.Pins, string, error)
	// SaveCheckpoint keeps this instance's telemetry.
	SaveCheckpoint(ctx context.Context, graph manifest.Graph, body []byte) error
}

// UsageSource knows what telemetry says of the operations of a graph.
type UsageSource interface {
	// Usages returns the operations seen in the window before now, those of
	// all instances together. Operations for which key is equal are one.
	Usages(ctx context.Context, now time.Time, window time.Duration, key func(telemetry.Usage) string) ([]telemetry.Usage, error)
	// Hottest returns the n most used operations of this instance.
	Hottest(n int) []telemetry.Usage
	// Checkpoint returns this instance's state.
	Checkpoint() ([]byte, error)
}

// PublishOptions says how a graph's manifest is made.
type PublishOptions struct {
	Settings           manifest.Settings
	Window             time.Duration
	RecomputeInterval  time.Duration
	MinPublishInterval time.Duration
	PinsPoll           time.Duration
	CheckpointInterval time.Duration
}

// published is the outcome of the last recompute.
type published struct {
	Last *PublishReport
	tag  string // of the pins it was made from
}

// PublishReport says what a recompute did.
type PublishReport struct {
	At         time.Time          `json:"at"`
	Reasons    []Reason           `json:"reasons"`
	Published  bool               `json:"published"`
	Sequence   uint64             `json:"sequence"`
	Operations int                `json:"operations"`
	PlanKeys   int                `json:"planKeys"`
	LeftOut    []manifest.LeftOut `json:"leftOut,omitempty"`
	Waiting    string             `json:"waiting,omitempty"` // why a changed manifest was not published yet
	TookMs     float64            `json:"tookMs"`
	Error      string             `json:"error,omitempty"`
}

// errUnchanged leaves the published manifest as it is.
var errUnchanged = errors.New("manifest unchanged")

// errTooSoon leaves it for min_publish_interval's sake.
var errTooSoon = errors.New("published a moment ago")

// recompute builds the manifest and publishes it when it is a new one. force
// skips min_publish_interval.
func (g *graph) recompute(ctx context.Context, reasons []Reason, force bool) (PublishReport, error) {
	start := time.Now()
	rep := PublishReport{At: start.UTC(), Reasons: reasons}
	err := g.recomputeInto(ctx, &rep, start, force)
	rep.TookMs = float64(time.Since(start)) / float64(time.Millisecond)
	if err != nil {
		rep.Error = err.Error()
	}
	g.mu.Lock()
	g.published.Last = &rep
	g.mu.Unlock()
	g.metrics.observePublish(g.opts.Graph.String(), rep, err)
	return rep, err
}

func (g *graph) recomputeInto(ctx context.Context, rep *PublishReport, now time.Time, force bool) error {
	in, tag, err := g.buildInput(ctx, now)
	if err != nil {
		return err
	}
	var result manifest.Result
	m, err := g.opts.Store.PublishIf(ctx, g.opts.Graph, func(_ context.Context, current *manifest.Manifest) (manifest.Manifest, error) {
		in.Previous = current
		var err error
		if result, err = manifest.Build(in); err != nil {
			return manifest.Manifest{}, err
		}
		return result.Manifest, g.worthPublishing(result.Manifest, current, now, force)
	})
	if in.Previous != nil {
		rep.Sequence = in.Previous.Sequence
	}
	rep.Operations, rep.PlanKeys = len(result.Manifest.Operations), countPlanKeys(result.Manifest)
	rep.LeftOut = result.LeftOut
	switch {
	case errors.Is(err, errUnchanged):
	case errors.Is(err, errTooSoon):
		rep.Waiting = errTooSoon.Error()
	case err != nil:
		return fmt.Errorf("publish manifest: %w", err)
	default:
		rep.Published, rep.Sequence = true, m.Sequence
		g.log.Info("manifest published", zap.Uint64("sequence", m.Sequence), zap.Int("operations", len(m.Operations)))
		g.refetch.add(ReasonManifest)
	}
	g.mu.Lock()
	g.published.tag = tag
	g.mu.Unlock()
	return nil
}

// worthPublishing returns errUnchanged or errTooSoon when m is to be left unpublished.
func (g *graph) worthPublishing(m manifest.Manifest, current *manifest.Manifest, now time.Time, force bool) error {
	switch {
	case current == nil && len(m.Operations) == 0:
		return errUnchanged
	case current == nil:
		return nil
	case manifest.SameContent(*current, m):
		return errUnchanged
	case !force && now.Sub(current.GeneratedAt) < g.opts.Publish.MinPublishInterval:
		return errTooSoon
	}
	return nil
}

// buildInput gathers pins and telemetry under the current schema.
func (g *graph) buildInput(ctx context.Context, now time.Time) (manifest.Input, string, error) {
	sc := g.opts.Schema.Current()
	if sc == nil {
		return manifest.Input{}, "", ErrNoSchema
	}
	pins, tag, err := g.opts.Store.Pins(ctx, g.opts.Graph)
	if err != nil {
		return manifest.Input{}, "", fmt.Errorf("read pins: %w", err)
	}
	c := NewCandidates(sc, g.keyer(sc))
	c.AddPins(pins.Pins)
	if g.opts.Usages != nil {
		usages, err := g.opts.Usages.Usages(ctx, now, g.opts.Publish.Window, c.Key)
		if err != nil {
			return manifest.Input{}, "", fmt.Errorf("read telemetry: %w", err)
		}
		c.AddUsages(usages)
	}
	return manifest.Input{
		Graph: g.opts.Graph, Schema: sc.ID(), Window: g.opts.Publish.Window, Settings: g.opts.Publish.Settings,
		Candidates: c.List(), Deny: pins.Deny, Now: now,
	}, tag, nil
}

// countPlanKeys counts the different plans of a manifest, those of variants included.
func countPlanKeys(m manifest.Manifest) int {
	keys := map[string]bool{}
	for _, e := range m.Operations {
		for _, x := range e.Expand() {
			if x.Planwarm.PlanKey != "" {
				keys[x.Planwarm.PlanKey] = true
			}
		}
	}
	return len(keys)
}
