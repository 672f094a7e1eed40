package cdnsource

import (
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

func FuzzDecodePending(f *testing.F) {
	p := Pending{Format: PendingFormat, Graph: manifest.Graph{Namespace: "default", Name: "storefront"}, Open: true,
		Since: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC), Deliveries: []Delivery{{Source: "cosmo", ID: "a"}}, Nonce: "n"}
	body, err := p.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add(body[:len(body)/2])
	f.Add([]byte(`{"format":"planwarm-pending/v1","recent":[{"at":"0000-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := decodePending(body)
		if err != nil {
			return
		}
		again, err := p.encode()
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		back, err := decodePending(again)
		if err != nil || back.Open != p.Open || len(back.Deliveries) != len(p.Deliveries) {
			t.Fatalf("round trip: %+v, %v", back, err)
		}
	})
}
