package admin

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/planwarm/planwarm/manifest"
)

// onlyStorefront fails on work for a graph that is not configured.
type onlyStorefront struct{ t *testing.T }

func (o onlyStorefront) Published(_ context.Context, g manifest.Graph, d Delivery) (bool, error) {
	if g != storefront || len(d.ID) != 64 {
		o.t.Errorf("work for %s with id %q", g, d.ID)
	}
	return true, nil
}

// FuzzWebhooks: whatever a sender that knows its secret writes gets an answer,
// and without the signature it gets none but 401.
func FuzzWebhooks(f *testing.F) {
	bodies, err := filepath.Glob("testdata/webhooks/*/*/body.json")
	if err != nil {
		f.Fatal(err)
	}
	for i, path := range bodies {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), body, "")
	}
	f.Add(uint8(3), []byte(`{"graph":"storefront","id":"\u0000"}`), "v1=")
	f.Fuzz(func(t *testing.T, which uint8, body []byte, signature string) {
		o := options(t, onlyStorefront{t})
		o.Generic.Encoding = EncodingHex
		h := newWebhooks(t, o)
		s := samples(t)
		sender := []struct{ path, header, prefix, secret string }{
			{"cosmo", "X-Cosmo-Signature-256", "", s.Cosmo}, {"apollo", "X-Apollo-Signature", "sha256=", s.Apollo},
			{"hive/" + hiveSecret, "", "", ""}, {"generic", "X-Signature", "v1=", genericSecret},
		}[which%4]
		send := func(signature string) int {
			r := httptest.NewRequest(http.MethodPost, "/webhooks/"+sender.path, bytes.NewReader(body))
			if sender.header != "" {
				r.Header[http.CanonicalHeaderKey(sender.header)] = []string{signature}
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		right := sender.prefix + hex.EncodeToString(mac(sender.secret, body))
		switch status := send(right); status {
		case http.StatusAccepted, http.StatusBadRequest:
		default:
			t.Errorf("%s: status %d", sender.path, status)
		}
		if status := send(signature); sender.header != "" && signature != right && status != http.StatusUnauthorized {
			t.Errorf("%s: status %d for another signature", sender.path, status)
		}
	})
}
