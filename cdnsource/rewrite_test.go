package cdnsource

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// interfering lets somebody else write just before the first write.
type interfering struct {
	Bucket
	body string
}

func (i *interfering) Put(ctx context.Context, key string, body []byte, o PutOptions) (string, error) {
	if i.body != "" {
		if _, err := i.Bucket.Put(ctx, key, []byte(i.body), PutOptions{}); err != nil {
			return "", err
		}
		i.body = ""
	}
	return i.Bucket.Put(ctx, key, body, o)
}

func TestRewrite(t *testing.T) {
	bucket := &interfering{Bucket: NewMemory()}
	s, err := NewStore(Options{Bucket: bucket, Prefix: "prefix"})
	if err != nil {
		t.Fatal(err)
	}
	const key = "warm/manifest.json"
	var saw []string
	rewrite := func(body string) error {
		return s.Rewrite(t.Context(), key, func(current []byte) ([]byte, error) {
			saw = append(saw, string(current))
			if body == "" {
				return nil, nil
			}
			return append(current, body...), nil
		})
	}
	if _, err := s.ReadObject(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Fatalf("read before the first write: %v", err)
	}
	if err := rewrite("a"); err != nil {
		t.Fatal(err)
	}
	bucket.body = "other" // it writes between our read and our write
	if err := rewrite("b"); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(""); err != nil { // nothing to write
		t.Fatal(err)
	}
	if got := strings.Join(saw, ","); got != ",a,other,otherb" {
		t.Errorf("build saw %q", got)
	}
	body, err := s.ReadObject(t.Context(), key)
	if err != nil || string(body) != "otherb" {
		t.Errorf("%q, %v", body, err)
	}
	cause := errors.New("not mine")
	err = s.Rewrite(t.Context(), key, func([]byte) ([]byte, error) { return []byte("x"), cause })
	if after, rerr := s.ReadObject(t.Context(), key); !errors.Is(err, cause) || rerr != nil || string(after) != "otherb" {
		t.Errorf("a build that failed: %v; the object is %q, %v", err, after, rerr)
	}
}

func TestRewriteKeys(t *testing.T) {
	s, err := NewStore(Options{Bucket: NewMemory()})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", "/manifest.json", "a//b", "a/../b", "a/", ".hidden", strings.Repeat("a/", 300) + "b"} {
		err := s.Rewrite(t.Context(), key, func([]byte) ([]byte, error) { return []byte("x"), nil })
		_, rerr := s.ReadObject(t.Context(), key)
		if !errors.Is(err, ErrName) || !errors.Is(rerr, ErrName) {
			t.Errorf("key %q: %v, %v", key, err, rerr)
		}
	}
	if err := CheckKey("manifest.json"); err != nil {
		t.Error(err)
	}
}
