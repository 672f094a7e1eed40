package cdnsource_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
	"github.com/planwarm/planwarm/manifest"
)

var storefront = manifest.Graph{Namespace: "default", Name: "storefront"}

// faulty is a bucket whose writes can be tampered with.
type faulty struct {
	cdnsource.Bucket
	mu sync.Mutex
	// put, when set, takes the place of the next Put of a key that ends so.
	put map[string][]fault
	// always is asked about every call when set.
	always func(op, key string) error
}

// fault is what happens to one write.
type fault struct {
	apply bool   // the write is done all the same
	then  func() // and this, behind it
	err   error
}

func newFaulty() *faulty { return &faulty{Bucket: cdnsource.NewMemory(), put: map[string][]fault{}} }

func (f *faulty) next(key string) (fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for suffix, queue := range f.put {
		if strings.HasSuffix(key, suffix) && len(queue) > 0 {
			f.put[suffix] = queue[1:]
			return queue[0], true
		}
	}
	return fault{}, false
}

func (f *faulty) say(op, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.always == nil {
		return nil
	}
	return f.always(op, key)
}

func (f *faulty) Put(ctx context.Context, key string, body []byte, o cdnsource.PutOptions) (string, error) {
	if err := f.say("put", key); err != nil {
		return "", err
	}
	one, ok := f.next(key)
	if !ok {
		return f.Bucket.Put(ctx, key, body, o)
	}
	if one.apply {
		if _, err := f.Bucket.Put(ctx, key, body, o); err != nil {
			return "", err
		}
	}
	if one.then != nil {
		one.then()
	}
	return "", one.err
}

func (f *faulty) Get(ctx context.Context, key string, o cdnsource.GetOptions) (cdnsource.Object, error) {
	if err := f.say("get", key); err != nil {
		return cdnsource.Object{}, err
	}
	return f.Bucket.Get(ctx, key, o)
}

func (f *faulty) List(ctx context.Context, prefix, after string, limit int) ([]cdnsource.Listed, error) {
	if err := f.say("list", prefix); err != nil {
		return nil, err
	}
	return f.Bucket.List(ctx, prefix, after, limit)
}

func newStore(t *testing.T, b cdnsource.Bucket) *cdnsource.Store {
	t.Helper()
	s, err := cdnsource.NewStore(cdnsource.Options{Bucket: b})
	if err != nil {
		t.Fatalf("new store: %v", err)
	}
	return s
}

func publish(t *testing.T, s *cdnsource.Store, names ...string) manifest.Manifest {
	t.Helper()
	m, err := s.Publish(t.Context(), storefront, bucketsuite.Manifest(storefront, names...))
	if err != nil {
		t.Fatalf("publish: %v", err)
	}
	return m
}

func inForce(t *testing.T, s *cdnsource.Store) (manifest.Manifest, cdnsource.Pointer) {
	t.Helper()
	m, p, err := s.Fetch(t.Context(), storefront)
	if err != nil {
		t.Fatalf("fetch: %v", err)
	}
	return m, p
}
