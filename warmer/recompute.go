package warmer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
)

// errUnchanged leaves the published manifest as it is.
var errUnchanged = errors.New("manifest unchanged")

// tooSoonError leaves it for min_publish_interval's sake.
type tooSoonError struct{ wait time.Duration }

// Error is what status shows.
func (tooSoonError) Error() string { return "published a moment ago" }

// recompute builds the manifest and publishes it when it is a new one. force
// skips min_publish_interval. Two at once take turns: their writes would only
// make each other fail. The error is a tooSoonError when a changed manifest
// has to wait.
func (g *graph) recompute(ctx context.Context, reasons []Reason, force bool) (PublishReport, error) {
	select {
	case <-ctx.Done():
		return PublishReport{}, ctx.Err()
	case g.recomputing <- struct{}{}:
	}
	defer func() { <-g.recomputing }()
	start := time.Now()
	rep := g.lastReport()
	rep.At, rep.Reasons, rep.Published, rep.Waiting, rep.Error = start.UTC(), reasons, false, "", ""
	err := g.recomputeInto(ctx, &rep, start, force)
	rep.TookMs = milliseconds(time.Since(start))
	var soon tooSoonError
	switch {
	case errors.As(err, &soon):
		rep.Waiting = soon.Error()
	case err != nil:
		rep.Error = err.Error()
	}
	kept := rep
	kept.LeftOut = kept.LeftOut[:min(len(kept.LeftOut), maxShown)]
	g.mu.Lock()
	g.published.last = &kept
	g.mu.Unlock()
	g.metrics.observePublish(g.opts.Graph.String(), rep, err)
	return rep, err
}

// lastReport is where the next report starts from.
func (g *graph) lastReport() PublishReport {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.published.last == nil {
		return PublishReport{}
	}
	return *g.published.last
}

// recomputeInto writes the report only when a manifest was built and, where it
// was worth it, published.
func (g *graph) recomputeInto(ctx context.Context, rep *PublishReport, now time.Time, force bool) error {
	in, err := g.buildInput(ctx, now)
	if err != nil {
		return err
	}
	var result manifest.Result
	var sequence uint64
	var carried int
	m, err := g.opts.Store.PublishIf(ctx, g.opts.Graph, func(_ context.Context, current *manifest.Manifest) (manifest.Manifest, error) {
		sequence = 0
		if current != nil {
			sequence = current.Sequence
		}
		kept := in.carry(current)
		try := in.Input
		try.Previous, try.Candidates, carried = current, slices.Concat(try.Candidates, kept), len(kept)
		var err error
		if result, err = manifest.Build(try); err != nil {
			return manifest.Manifest{}, err
		}
		return result.Manifest, g.worthPublishing(result.Manifest, current, now, force)
	})
	var soon tooSoonError
	switch {
	case err == nil:
		sequence = m.Sequence
		g.refetch.add(ReasonManifest)
	case errors.Is(err, errUnchanged):
	case errors.As(err, &soon):
	default:
		return fmt.Errorf("publish manifest: %w", err)
	}
	rep.Published, rep.Sequence = err == nil, sequence
	rep.Operations, rep.PlanKeys = len(result.Manifest.Operations), countPlanKeys(result.Manifest)
	rep.LeftOut, rep.LeftOutCount, rep.Carried = result.LeftOut, len(result.LeftOut), carried
	if soon.wait > 0 {
		return soon
	}
	return nil
}

// worthPublishing returns errUnchanged or a tooSoonError when m is to be left unpublished.
func (g *graph) worthPublishing(m manifest.Manifest, current *manifest.Manifest, now time.Time, force bool) error {
	switch {
	case current == nil && len(m.Operations) == 0:
		return errUnchanged
	case current == nil:
		return nil
	case manifest.SameContent(*current, m):
		return errUnchanged
	case force:
		return nil
	}
	// The clock of another publisher may be ahead of ours. However far, it does
	// not stop us for longer than the interval.
	age, least := now.Sub(current.GeneratedAt).Abs(), g.opts.Publish.MinPublishInterval
	if age < least {
		return tooSoonError{wait: least - age}
	}
	return nil
}

// buildInput is what a manifest is built from.
type buildInput struct {
	manifest.Input
	schema *schema.Schema
	keyer  Keyer
	heard  bool // telemetry knows of operations
}

// buildInput gathers pins and telemetry under the current schema.
func (g *graph) buildInput(ctx context.Context, now time.Time) (buildInput, error) {
	sc := g.opts.Schema.Current()
	if sc == nil {
		return buildInput{}, ErrNoSchema
	}
	pins, tag, err := g.opts.Store.Pins(ctx, g.opts.Graph)
	if err != nil {
		return buildInput{}, fmt.Errorf("read pins: %w", err)
	}
	g.mu.Lock()
	g.published.tag = tag
	g.mu.Unlock()
	keyer := g.keyer(sc)
	in := buildInput{schema: sc, keyer: keyer}
	c := NewCandidates(sc, keyer)
	if g.opts.Publish.ExactTexts {
		c.KeepTexts()
	}
	c.AddPins(pins.Pins)
	if g.opts.Usages != nil {
		usages, err := g.opts.Usages.Usages(ctx, now, g.opts.Publish.Window, c.Key)
		if err != nil {
			return buildInput{}, fmt.Errorf("read telemetry: %w", err)
		}
		in.heard = len(usages) > 0
		c.AddUsages(usages)
	}
	if err := keyer.err(); err != nil {
		// Every pin would look as if the schema refused it, and leave the manifest.
		return buildInput{}, err
	}
	in.Input = manifest.Input{
		Graph: g.opts.Graph, Schema: sc.ID(), Window: g.opts.Publish.Window, Settings: g.opts.Publish.Settings,
		Candidates: c.List(), Deny: pins.Deny, Now: now,
	}
	return in, nil
}

// carry returns the telemetry entries of the manifest in force as candidates
// while telemetry knows of no operation at all: it was lost, as with a
// checkpoint that cannot be read, or has not come yet. A publisher that knows
// nothing must not empty a manifest that others filled.
func (in *buildInput) carry(current *manifest.Manifest) []manifest.Candidate {
	if in.heard || current == nil {
		return nil
	}
	var out []manifest.Candidate
	for _, e := range current.Operations {
		if e.Planwarm.Source != manifest.SourceTelemetry {
			continue // the pins say themselves what is pushed
		}
		c := manifest.Candidate{Entry: e, SumMs: e.Planwarm.MeanMs * float64(e.Planwarm.Samples)}
		if _, err := in.schema.Parse(e.Request.Query, e.Request.OperationName); err != nil {
			c.Refused = err.Error()
		} else if current.Schema != in.Schema {
			// The keys are of another schema; those of variants come back with telemetry.
			if key, _, err := in.keyer.Key(e.Request.Query, e.Request.OperationName, e.Planwarm.Conditions); err == nil {
				c.Planwarm.PlanKey, c.Planwarm.Variants = key, nil
			}
		}
		out = append(out, c)
	}
	return out
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

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
