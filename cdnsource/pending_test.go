package cdnsource_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
)

var delivered = cdnsource.Delivery{Source: "cosmo", ID: "a", At: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC), Window: time.Minute}

// A write whose answer got lost is one delivery, also when somebody wrote since.
func TestPendingLostAnswer(t *testing.T) {
	for name, then := range map[string]func(*cdnsource.Store) error{
		"nobody else": func(*cdnsource.Store) error { return nil },
		"another delivery": func(other *cdnsource.Store) error {
			d := delivered
			d.ID = "b"
			_, _, err := other.SavePending(context.Background(), storefront, d)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFaulty()
				s, other := newStore(t, b), newStore(t, b)
				b.put["pending.json"] = []fault{{apply: true, err: cdnsource.ErrAmbiguous, then: func() {
					if err := then(other); err != nil {
						t.Errorf("the other delivery: %v", err)
					}
				}}}
				p, fresh, err := s.SavePending(t.Context(), storefront, delivered)
				if err != nil || !fresh || !p.Open {
					t.Fatalf("fresh %t, %+v, %v", fresh, p, err)
				}
				n := 0
				for _, d := range p.Deliveries {
					if d.ID == delivered.ID {
						n++
					}
				}
				if n != 1 {
					t.Errorf("the delivery is there %d times", n)
				}
			})
		})
	}
}

func TestPendingUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		b.always = func(string, string) error { return cdnsource.ErrDenied }
		_, fresh, err := newStore(t, b).SavePending(t.Context(), storefront, delivered)
		if !errors.Is(err, cdnsource.ErrDenied) || fresh {
			t.Errorf("fresh %t, %v", fresh, err)
		}
	})
}

// An object that cannot be read is told to who reads, and replaced by the next delivery.
func TestPendingCorrupt(t *testing.T) {
	b := cdnsource.NewMemory()
	s := newStore(t, b)
	key := "default/storefront/pending.json"
	for _, body := range []string{"", "nonsense", `{"format":"other"}`, `{"format":"planwarm-pending/v1","graph":{"namespace":"default","name":"other"}}`} {
		if _, err := b.Put(t.Context(), key, []byte(body), cdnsource.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Pending(t.Context(), storefront); !errors.Is(err, cdnsource.ErrCorrupt) {
			t.Errorf("%q: %v", body, err)
		}
		if p, fresh, err := s.SavePending(t.Context(), storefront, delivered); err != nil || !fresh || !p.Open {
			t.Errorf("%q: fresh %t, %v", body, fresh, err)
		}
	}
}

func TestPendingBounds(t *testing.T) {
	s := newStore(t, cdnsource.NewMemory())
	for name, d := range map[string]cdnsource.Delivery{
		"no source": {ID: "a"}, "no id": {Source: "cosmo"}, "long id": {Source: "cosmo", ID: strings.Repeat("a", 1000)},
	} {
		if _, _, err := s.SavePending(t.Context(), storefront, d); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
	var p cdnsource.Pending
	for i := range 100 {
		d := delivered
		d.ID, d.At = strings.Repeat("\x01", 100+i%20), d.At.Add(time.Duration(i)*time.Hour)
		var err error
		if p, _, err = s.SavePending(t.Context(), storefront, d); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.Deliveries) > 32 {
		t.Errorf("%d deliveries are remembered", len(p.Deliveries))
	}
}
