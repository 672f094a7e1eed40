package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/planwarm/planwarm/admin"
	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
)

// serveWebhooks opens the listener that schema registries call, when it is configured.
func (g *generation) serveWebhooks() error {
	c := g.config.Webhooks
	srv, err := g.host.server("webhooks", c.Listen)
	if err != nil || srv == nil {
		return err
	}
	o := admin.WebhookOptions{
		Publications: publications{g}, Logger: g.log, Registerer: g.registry,
		CosmoSecrets: g.secretsIn(c.Cosmo.SecretFile), ApolloSecrets: g.secretsIn(c.Apollo.SecretFile), HiveSecrets: g.secretsIn(c.Hive.SecretFile),
	}
	if s := g.secretsIn(c.Generic.SecretFile); s != nil {
		o.Generic = &admin.GenericWebhook{Secrets: s, Header: c.Generic.Header, Prefix: c.Generic.Prefix, Encoding: admin.Encoding(c.Generic.Encoding)}
	}
	for _, p := range g.graphs {
		n := p.config.WebhookNames()
		o.Graphs = append(o.Graphs, admin.WebhookGraph{Graph: p.id, Cosmo: n.Cosmo, Apollo: n.Apollo, Hive: n.Hive})
	}
	h, err := admin.NewWebhooks(o)
	if err != nil {
		return err
	}
	srv.set(h)
	return nil
}

// secretsIn reads a secret file for each request; nil for no file.
func (g *generation) secretsIn(path string) func() []string {
	if path == "" {
		return nil
	}
	return func() []string { return g.secrets(path) }
}

// publications notes publishes in the bucket and has them worked off.
type publications struct{ g *generation }

var _ admin.Publications = publications{}

// Published implements admin.Publications.
func (p publications) Published(ctx context.Context, id manifest.Graph, d admin.Delivery) (fresh bool, err error) {
	for _, part := range p.g.graphs {
		if part.id != id {
			continue
		}
		_, fresh, err := part.store.SavePending(ctx, id, cdnsource.Delivery{Source: d.Source, ID: d.ID, At: d.At, Window: d.Window})
		if err != nil || !fresh {
			return false, err
		}
		return true, p.g.warmer.SchemaPublished(ctx, id)
	}
	return false, fmt.Errorf("graph %s: %w", id, warmer.ErrUnknownGraph)
}

// pendingWork is cdnsource.Store as the warmer asks for what a process before
// this one was told.
type pendingWork struct{ store *cdnsource.Store }

var _ warmer.PendingStore = pendingWork{}

// pending is nil in a process that no registry calls.
func (p *graphPart) pending() warmer.PendingStore {
	if p.g.config.Webhooks.Listen == "" {
		return nil
	}
	return pendingWork{p.store}
}

// Pending implements warmer.PendingStore.
func (w pendingWork) Pending(ctx context.Context, id manifest.Graph) (tag string, err error) {
	p, err := w.store.Pending(ctx, id)
	switch {
	case errors.Is(err, cdnsource.ErrNotFound), err == nil && !p.Open:
		return "", nil
	case err != nil:
		return "", err
	}
	return p.ETag, nil
}

// ClearPending implements warmer.PendingStore.
func (w pendingWork) ClearPending(ctx context.Context, id manifest.Graph, tag string) error {
	err := w.store.ClearPending(ctx, id, cdnsource.Pending{ETag: tag})
	if errors.Is(err, cdnsource.ErrConflict) {
		return fmt.Errorf("%w: %w", warmer.ErrSuperseded, err)
	}
	return err
}
