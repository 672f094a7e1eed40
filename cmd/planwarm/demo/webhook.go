package demo

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/planwarm/planwarm/warmer"
)

// webhookSecret signs the demo's webhook, as the registry would.
const webhookSecret = "demo-webhook-secret"

// publishWebhook repairs the CDN and sends what the schema registry sends after
// a publish. It ends when planwarm has worked that off: the manifest for the new
// schema is published, and the router is warm from it.
func (d *Demo) publishWebhook(ctx context.Context) error {
	d.cdn.broken.Store(false)
	err := poll(ctx, "planwarm to reach the CDN again", func() (bool, error) {
		st, err := d.sidecar.status(ctx, d.client)
		return st.Fetched.Error == "" && st.Fetched.Sequence > 0, err
	})
	if err != nil {
		return err
	}
	if d.result.Webhook.Answer, err = d.sidecar.sendWebhook(ctx, d.client); err != nil {
		return err
	}
	st, run, err := d.sidecar.awaitPublication(ctx, d.client, d.v2.ID())
	if err != nil {
		return err
	}
	p := st.Publication
	w := &d.result.Webhook
	w.Schema, w.Sequence, w.Operations = p.To, p.Sequence, st.Fetched.Operations
	w.Router, w.Source, w.Broken = string(p.Routers[0].State), string(run.Origin), p.Broken
	return nil
}

// published measures the router after the webhook.
func (d *Demo) published(ctx context.Context) (err error) {
	accepted, _ := refusedBy(d.v2, d.operations)
	w := &d.result.Webhook
	w.Run, err = d.measure(ctx, d.router, pass(accepted, d.v2), w.Source)
	return err
}

// sendWebhook sends a signed delivery as Cosmo's control plane writes it and
// returns the state that it was given.
func (s *sidecar) sendWebhook(ctx context.Context, c *http.Client) (state string, err error) {
	body, err := json.Marshal(map[string]any{
		"version": 1, "event": "FEDERATED_GRAPH_SCHEMA_UPDATED",
		"payload": map[string]any{
			"federated_graph": map[string]string{"id": graphID, "name": graph.Name, "namespace": graph.Namespace},
			"organization":    map[string]string{"id": organization, "slug": "demo"},
			"errors":          false,
		},
	})
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url("webhooks")+"/webhooks/cosmo", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Cosmo-Signature-256", hex.EncodeToString(mac.Sum(nil)))
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	var said struct {
		State string `json:"state"`
	}
	err = json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&said)
	if err == nil && res.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("webhook answered %d", res.StatusCode)
	}
	return said.State, err
}

// awaitPublication waits until the publish of a schema is worked off and its
// one router is warm from the manifest.
func (s *sidecar) awaitPublication(ctx context.Context, c *http.Client, schema string) (st warmer.GraphStatus, run warmer.RunRecord, err error) {
	err = poll(ctx, "the publish to be worked off", func() (bool, error) {
		var err error
		if st, err = s.status(ctx, c); err != nil {
			return false, err
		}
		p := st.Publication
		if p == nil || p.State != warmer.PublicationDone || p.To != schema || len(p.Routers) != 1 || len(st.Routers) != 1 {
			return false, nil
		}
		r := st.Routers[0]
		if r.Phase != warmer.PhaseWarm || r.LastRun == nil || r.LastRun.Origin != warmer.OriginManifest || st.Fetched.Sequence < p.Sequence {
			return false, nil
		}
		run = *r.LastRun
		return true, nil
	})
	return st, run, err
}
