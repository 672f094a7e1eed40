package cdnsource_test

import (
	"context"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
)

// recorder remembers under which options each key was written last.
type recorder struct {
	cdnsource.Bucket
	options map[string]cdnsource.PutOptions
}

func (r recorder) Put(ctx context.Context, key string, body []byte, o cdnsource.PutOptions) (string, error) {
	r.options[key] = o
	return r.Bucket.Put(ctx, key, body, o)
}

// TestCaching: a CDN in front of the bucket may keep a version for ever, must
// ask again for what moves, and may keep nothing of the pins.
func TestCaching(t *testing.T) {
	b := recorder{Bucket: cdnsource.NewMemory(), options: map[string]cdnsource.PutOptions{}}
	s := newStore(t, b)
	m := publish(t, s, "A")
	if _, err := s.UpdatePins(t.Context(), storefront, bucketsuite.Pin("A")); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveCheckpoint(t.Context(), storefront, "one", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.CopyTo(t.Context(), "org", "graph", m); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"default/storefront/versions/00000000000000000001.json": "public, max-age=31536000, immutable",
		"default/storefront/latest.json":                        "public, max-age=0, must-revalidate",
		"org/graph/cache_warmup/operations.json":                "public, max-age=0, must-revalidate",
		"default/storefront/pins.json":                          "private, no-store",
		"default/storefront/telemetry/one.bin":                  "private, no-store",
	} {
		o, ok := b.options[key]
		if !ok || o.CacheControl != want {
			t.Errorf("%s: Cache-Control %q, want %q", key, o.CacheControl, want)
		}
		if strings.HasSuffix(key, ".json") && o.ContentType != "application/json" {
			t.Errorf("%s: Content-Type %q", key, o.ContentType)
		}
	}
	if len(b.options) != 5 {
		t.Errorf("%d keys were written, want 5", len(b.options))
	}
}

// TestPointerNeverRepeats: the ETag is the MD5 of the bytes, so a pointer that
// says what it said before must not have the bytes that it had before.
func TestPointerNeverRepeats(t *testing.T) {
	s := newStore(t, cdnsource.NewMemory())
	publish(t, s, "A")
	seen := map[string]bool{}
	for i := range 6 {
		p, err := s.Hold(t.Context(), storefront, i%2 == 0)
		if err != nil {
			t.Fatalf("hold: %v", err)
		}
		if seen[p.ETag] {
			t.Fatal("two writes of the pointer have one ETag")
		}
		seen[p.ETag] = true
	}
}
