package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/engine"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
	"go.uber.org/zap"
)

// keyer is engine.Keyer as the warmer asks for it.
type keyer struct{ *engine.Keyer }

var _ warmer.Keyer = keyer{}

func (k keyer) Key(text, name string, conditions map[string]bool) (planKey, hash string, err error) {
	id, err := k.Keyer.Key(text, name, conditions)
	return id.PlanKey, id.Hash, err
}

func newKeyer(sc *schema.Schema) (warmer.Keyer, error) {
	k, err := engine.NewKeyer(sc.ClientSDL())
	return keyer{k}, err
}

// publisher is cdnsource.Store as the warmer asks for it. It publishes only
// into a bucket that has proved that its conditional writes hold.
type publisher struct {
	store    *cdnsource.Store
	instance string
	copyTo   *cosmoCopy // nil: no copy
	log      *zap.Logger

	mu     sync.Mutex
	proved bool
}

// cosmoCopy is where Cosmo's own CDN would have the manifest.
type cosmoCopy struct{ organization, graph string }

var _ warmer.Store = (*publisher)(nil)

func (p *publisher) prove(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proved {
		return nil
	}
	if err := p.store.Probe(ctx); err != nil {
		return err
	}
	p.proved = true
	return nil
}

// PublishIf implements warmer.Store.
func (p *publisher) PublishIf(ctx context.Context, g manifest.Graph, build func(context.Context, *manifest.Manifest) (manifest.Manifest, error)) (manifest.Manifest, error) {
	if err := p.prove(ctx); err != nil {
		return manifest.Manifest{}, err
	}
	m, err := p.store.PublishIf(ctx, g, build)
	switch {
	case errors.Is(err, cdnsource.ErrHeld):
		return m, warmer.ErrHeld
	case errors.Is(err, cdnsource.ErrConflict):
		return m, fmt.Errorf("%w: %w", warmer.ErrConflict, err)
	}
	if err == nil && p.copyTo != nil {
		// The copy is for routers that read the bucket itself; the manifest is
		// published whether or not it succeeds.
		if err := p.store.CopyTo(ctx, p.copyTo.organization, p.copyTo.graph, m); err != nil {
			p.log.Warn("manifest not copied to the path of the router's cdn", zap.Stringer("graph", g), zap.Error(err))
		}
	}
	return m, err
}

// Pins implements warmer.Store.
func (p *publisher) Pins(ctx context.Context, g manifest.Graph) (manifest.Pins, string, error) {
	pins, tag, err := p.store.Pins(ctx, g)
	if errors.Is(err, cdnsource.ErrNotFound) {
		return manifest.Pins{}, "", nil
	}
	return pins, tag, err
}

// SaveCheckpoint implements warmer.Store.
func (p *publisher) SaveCheckpoint(ctx context.Context, g manifest.Graph, body []byte) error {
	return p.store.SaveCheckpoint(ctx, g, p.instance, body)
}

// bucketFetcher fetches manifests from the bucket, cheaply when nothing changed.
type bucketFetcher struct {
	store  *cdnsource.Store
	verify func(manifest.Manifest) error // nil: signatures are not asked for

	mu    sync.Mutex
	known map[manifest.Graph]fetchedVersion
}

type fetchedVersion struct {
	pointer  cdnsource.Pointer
	manifest manifest.Manifest
}

var _ warmer.Fetcher = (*bucketFetcher)(nil)

// Fetch implements warmer.Fetcher.
func (b *bucketFetcher) Fetch(ctx context.Context, g manifest.Graph) (manifest.Manifest, error) {
	b.mu.Lock()
	last := b.known[g]
	b.mu.Unlock()
	m, pointer, err := b.store.FetchIfChanged(ctx, g, last.pointer)
	switch {
	case errors.Is(err, cdnsource.ErrNotModified):
		return last.manifest, nil
	case errors.Is(err, cdnsource.ErrNotFound):
		return m, fmt.Errorf("%w: %w", warmer.ErrNotFound, err)
	case err != nil:
		return m, err
	}
	if b.verify != nil {
		if err := b.verify(m); err != nil {
			return manifest.Manifest{}, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		b.known = map[manifest.Graph]fetchedVersion{}
	}
	b.known[g] = fetchedVersion{pointer, m}
	return m, nil
}

// documents is the warmer as the CDN endpoint asks for what a router pulls.
type documents struct{ warmer *warmer.Warmer }

var _ cdnsource.Source = documents{}

// Current implements cdnsource.Source.
func (d documents) Current(ctx context.Context, g manifest.Graph) (cdnsource.Document, error) {
	doc, err := d.warmer.Document(ctx, g)
	if errors.Is(err, warmer.ErrNotFound) || errors.Is(err, warmer.ErrUnknownGraph) {
		return cdnsource.Document{}, fmt.Errorf("%w: %w", cdnsource.ErrNotFound, err)
	}
	if err != nil {
		return cdnsource.Document{}, err
	}
	return cdnsource.Document{Body: doc.Body, ETag: doc.Digest, Sequence: doc.Sequence, Modified: doc.Modified}, nil
}

// published is the manifest as it is in the bucket, for planwarms that fetch
// from this one. Each version is encoded once, however many ask for it.
type published struct {
	fetched func(manifest.Graph) (manifest.Manifest, error)

	mu      sync.Mutex
	encoded map[manifest.Graph]encodedVersion
}

type encodedVersion struct {
	writer   string
	document cdnsource.Document
}

var _ cdnsource.Source = (*published)(nil)

// Current implements cdnsource.Source.
func (p *published) Current(_ context.Context, id manifest.Graph) (cdnsource.Document, error) {
	m, err := p.fetched(id)
	if err != nil {
		return cdnsource.Document{}, fmt.Errorf("%w: %w", cdnsource.ErrNotFound, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := p.encoded[id]; last.document.Sequence == m.Sequence && last.writer == m.Writer && last.document.Body != nil {
		return last.document, nil
	}
	body, err := manifest.Encode(m)
	if err != nil {
		return cdnsource.Document{}, err
	}
	sum := sha256.Sum256(body)
	doc := cdnsource.Document{Body: body, ETag: hex.EncodeToString(sum[:16]), Sequence: m.Sequence, Modified: m.GeneratedAt}
	if p.encoded == nil {
		p.encoded = map[manifest.Graph]encodedVersion{}
	}
	p.encoded[id] = encodedVersion{m.Writer, doc}
	return doc, nil
}

// httpFetcher fetches manifests over HTTP and checks their signatures.
type httpFetcher struct {
	client *cdnsource.Client
	verify func(manifest.Manifest) error // nil: signatures are not asked for
}

var _ warmer.Fetcher = (*httpFetcher)(nil)

// Fetch implements warmer.Fetcher.
func (f *httpFetcher) Fetch(ctx context.Context, g manifest.Graph) (manifest.Manifest, error) {
	m, err := f.client.Fetch(ctx, g)
	if errors.Is(err, cdnsource.ErrNotFound) {
		return m, fmt.Errorf("%w: %w", warmer.ErrNotFound, err)
	}
	if err == nil && f.verify != nil {
		if err := f.verify(m); err != nil {
			return manifest.Manifest{}, err
		}
	}
	return m, err
}
