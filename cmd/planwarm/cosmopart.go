package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/warmer"
	"go.uber.org/zap"
)

// volumePoll is how often the files on the shared volume are compared.
const volumePoll = 2 * time.Second

// cosmoPart is what is done for the Cosmo routers of a graph beside answering
// their pulls. Each field is nil where it is not configured.
type cosmoPart struct {
	part      *graphPart
	log       *zap.Logger
	signer    *cosmo.Signer
	file      *cosmo.FileSource
	toucher   *cosmo.Toucher
	persisted *cosmo.PersistedWriter
	series    *cdnsource.PullSeries

	baseline uint64 // sequence of the manifest that needs no touch
	known    bool   // baseline is set
	told     error  // why the touch that is due was put off, as it was logged
}

func newCosmoPart(ctx context.Context, p *graphPart) (*cosmoPart, error) {
	c := p.config.Cosmo
	part := &cosmoPart{part: p, log: p.g.log.With(zap.Stringer("graph", p.id))}
	if flags := featureFlags(p.config); flags > 0 && soleRouter(p.config) {
		// Where several routers pull, their series cannot be told apart.
		part.series = cdnsource.NewPullSeries(1+flags, 0)
	}
	var err error
	if part.signer, err = cosmoSigner(c); err != nil {
		return nil, err
	}
	if c.File != "" {
		if part.file, err = cosmo.NewFileSource(c.File); err != nil {
			return nil, err
		}
	}
	if c.Touch != "" {
		if part.toucher, err = cosmo.NewToucher(c.Touch, c.TouchInterval.Std(), nil); err != nil {
			return nil, err
		}
	}
	if c.PersistedManifest.Object != "" {
		part.persisted, err = cosmo.NewPersistedWriter(ctx, cosmo.PersistedOptions{
			Store: p.publisher(), Key: c.PersistedManifest.Object, Own: p.ownPersisted(), Entries: p.resolved, Logger: part.log,
		})
	}
	return part, err
}

// featureFlags is the largest number of feature flags of a router.
func featureFlags(g config.Graph) int {
	flags := 0
	for _, r := range g.Routers {
		flags = max(flags, r.Pull.FeatureFlags)
	}
	return flags
}

// cosmoSigner reads the signing key of a graph; nil for none.
func cosmoSigner(c config.Cosmo) (*cosmo.Signer, error) {
	if c.SigningKeyFile == "" {
		return nil, nil
	}
	key, err := readSecret(c.SigningKeyFile)
	if err != nil {
		return nil, err
	}
	s, err := cosmo.NewSigner([]byte(key), cosmo.SignerOptions{OrganizationID: c.OrganizationID, FederatedGraphID: c.FederatedGraphID})
	if err != nil {
		return nil, fmt.Errorf("cosmo.signing_key_file %s: %w", c.SigningKeyFile, err)
	}
	return s, nil
}

// ownPersisted reads the owner's persisted operations; nil where there are none.
func (p *graphPart) ownPersisted() func(context.Context) ([]byte, error) {
	c := p.config.Cosmo.PersistedManifest
	switch {
	case c.Own != "":
		return func(context.Context) ([]byte, error) { return readBoundedFile(c.Own, cosmo.MaxPersistedBytes) }
	case c.OwnObject != "":
		return func(ctx context.Context) ([]byte, error) { return p.store.ReadObject(ctx, c.OwnObject) }
	}
	return nil
}

var _ cosmo.Rewriter = (*publisher)(nil)

// Rewrite implements cosmo.Rewriter. Two publishers that overwrote one another
// would take operations away, so the bucket has to be proved as for a manifest.
func (p *publisher) Rewrite(ctx context.Context, key string, build func(current []byte) ([]byte, error)) error {
	if err := p.prove(ctx); err != nil {
		return err
	}
	return p.store.Rewrite(ctx, key, build)
}

// resolved has what was published; false while that is not known.
func (p *graphPart) resolved() ([]manifest.Entry, bool) {
	entries, err := p.g.warmer.Resolved(p.id)
	return entries, err == nil
}

// run keeps files and objects current until ctx ends.
func (c *cosmoPart) run(ctx context.Context) {
	if c.persisted != nil {
		c.part.g.wg.Go(func() { _ = c.persisted.Run(ctx) }) // it ends with ctx only
	}
	if c.file == nil && !c.part.config.Cosmo.TouchOnManifest {
		return
	}
	c.part.g.wg.Go(func() {
		tick := time.NewTicker(volumePoll)
		defer tick.Stop()
		for {
			c.look(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// look writes the list first, so that a router which the touch sends to the
// file finds the new one.
func (c *cosmoPart) look(ctx context.Context) {
	if c.file != nil && !c.writeFile(ctx) {
		return
	}
	if !c.part.config.Cosmo.TouchOnManifest {
		return
	}
	p, err := c.part.g.warmer.Progress(c.part.id)
	if err != nil || !p.Fetched {
		return
	}
	if !c.known {
		// What was there at our start the routers have pulled at theirs.
		c.known, c.baseline = true, p.Sequence
	}
	if p.Sequence == c.baseline {
		return
	}
	switch err := c.touch(p); {
	case err == nil:
		c.baseline, c.told = p.Sequence, nil
		c.log.Info("execution config touched for a new manifest", zap.Uint64("sequence", p.Sequence))
	case c.told == nil || c.told.Error() != err.Error():
		c.told = err
		c.log.Info("touch of the execution config put off", zap.Error(err))
	}
}

// writeFile brings the file source up to date and says whether it is.
func (c *cosmoPart) writeFile(ctx context.Context) bool {
	doc, err := c.part.g.warmer.Document(ctx, c.part.id)
	if err != nil && !errors.Is(err, warmer.ErrNotFound) {
		c.log.Warn("file source not current", zap.Error(err))
		return false
	}
	changed, err := c.file.Write(doc.Body)
	if err != nil {
		c.log.Warn("file source not current", zap.Error(err))
		return false
	}
	if changed {
		c.log.Info("file source written", zap.Uint64("sequence", doc.Sequence))
	}
	return true
}

func (c *cosmoPart) touch(p warmer.Progress) error { return c.toucher.Touch(p.Generations) }

// errNoTouch says that a graph has no execution config to touch.
var errNoTouch = errors.New("cosmo.touch is not configured for this graph")

// touch makes the routers of a graph rebuild, when it is time for that.
func (g *generation) touch(_ context.Context, id manifest.Graph) error {
	part := g.part(id)
	if part == nil || part.cosmo.toucher == nil {
		return errNoTouch
	}
	p, err := g.warmer.Progress(id)
	if err != nil {
		return err
	}
	return part.cosmo.touch(p)
}

func (g *generation) part(id manifest.Graph) *graphPart {
	for _, p := range g.graphs {
		if p.id == id {
			return p
		}
	}
	return nil
}

// isNews says whether a pull tells anything: with feature flags only the first
// and the last of a rebuild do.
func (g *generation) isNews(id manifest.Graph, at time.Time) bool {
	p := g.part(id)
	if p == nil || p.cosmo.series == nil {
		return true
	}
	first, last := p.cosmo.series.Pull(at)
	return first || last
}
