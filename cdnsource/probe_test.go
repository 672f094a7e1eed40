package cdnsource_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/planwarm/planwarm/cdnsource"
)

// careless is a bucket that does not keep what it promises.
type careless struct {
	cdnsource.Bucket
	change func(o *cdnsource.PutOptions)
}

func (c careless) Put(ctx context.Context, key string, body []byte, o cdnsource.PutOptions) (string, error) {
	c.change(&o)
	return c.Bucket.Put(ctx, key, body, o)
}

func TestProbeRefuses(t *testing.T) {
	for name, change := range map[string]func(*cdnsource.PutOptions){
		"creates over what is there": func(o *cdnsource.PutOptions) { o.IfNoneMatch = false },
		"replaces a stale etag":      func(o *cdnsource.PutOptions) { o.IfMatch = "" },
		"never finds etags equal": func(o *cdnsource.PutOptions) {
			if o.IfMatch != "" {
				o.IfMatch = `"` + o.IfMatch + `"`
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := careless{Bucket: cdnsource.NewMemory(), change: change}
			if err := newStore(t, b).Probe(t.Context()); !errors.Is(err, cdnsource.ErrUnsafe) {
				t.Fatalf("probe: %v, want %v", err, cdnsource.ErrUnsafe)
			}
			if left, err := b.List(t.Context(), "", "", 10); err != nil || len(left) != 0 {
				t.Fatalf("probe left %v, %v", left, err)
			}
		})
	}
}

// TestProbeTells: the fault of a bucket is told as what it is.
func TestProbeTells(t *testing.T) {
	for _, want := range []error{cdnsource.ErrDenied, cdnsource.ErrNoBucket} {
		b := newFaulty()
		b.always = func(string, string) error { return fmt.Errorf("answer: %w", want) }
		if err := newStore(t, b).Probe(t.Context()); !errors.Is(err, want) || errors.Is(err, cdnsource.ErrUnsafe) {
			t.Errorf("probe: %v, want %v", err, want)
		}
	}
}

// TestProbeRetries: answers that get lost do not condemn a bucket.
func TestProbeRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaulty()
		calls := 0
		b.always = func(string, string) error {
			if calls++; calls%11 == 0 {
				return fmt.Errorf("reset: %w", cdnsource.ErrAmbiguous)
			}
			return nil
		}
		if err := newStore(t, b).Probe(t.Context()); err != nil {
			t.Fatalf("probe: %v", err)
		}
	})
}
