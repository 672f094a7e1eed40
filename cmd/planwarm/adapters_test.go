package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
)

// keyFiles writes a new pair of keys, as verify_key_file and signing_key_file.
func keyFiles(t *testing.T) (public, private string) {
	t.Helper()
	verify, sign, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte, err error) string {
		path := filepath.Join(t.TempDir(), name)
		if err == nil {
			err = os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	der, err := x509.MarshalPKIXPublicKey(verify)
	public = write("public.pem", "PUBLIC KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(sign)
	private = write("private.pem", "PRIVATE KEY", der, err)
	return public, private
}

// TestFetchersCheckSignatures: from the bucket or over HTTP, a manifest that is
// not signed with the right key is refused, each time it is asked for, and the
// next good one is taken.
func TestFetchersCheckSignatures(t *testing.T) {
	graph := manifest.Graph{Namespace: "default", Name: "storefront"}
	public, private := keyFiles(t)
	_, strange := keyFiles(t)
	verify, err := verifier(public)
	if err != nil {
		t.Fatal(err)
	}
	bucket := cdnsource.NewMemory()
	publish := func(keyFile string) *cdnsource.Store {
		sign, err := signer(keyFile)
		if err != nil {
			t.Fatal(err)
		}
		store, err := cdnsource.NewStore(cdnsource.Options{Bucket: bucket, Sign: sign})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Publish(t.Context(), graph, bucketsuite.Manifest(graph, "A")); err != nil {
			t.Fatal(err)
		}
		return store
	}
	store := publish(private)
	cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, _, err := store.Fetch(context.WithoutCancel(r.Context()), graph)
		body, eerr := manifest.Encode(m)
		if err := errors.Join(err, eerr); err != nil {
			t.Error(err)
		}
		_, _ = w.Write(body) // a client that went away fails its own test
	}))
	t.Cleanup(cdn.Close)
	client, err := cdnsource.NewClient(cdnsource.ClientOptions{URL: cdn.URL})
	if err != nil {
		t.Fatal(err)
	}
	fetchers := map[string]warmer.Fetcher{
		"bucket": &bucketFetcher{store: store, verify: verify}, "cdn": &httpFetcher{client: client, verify: verify},
	}
	for _, step := range []struct {
		name, keyFile string
		want          error
	}{
		{"good", private, nil}, {"wrongly signed", strange, manifest.ErrSignature}, {"not signed", "", manifest.ErrUnsigned}, {"good again", private, nil},
	} {
		publish(step.keyFile)
		for name, f := range fetchers {
			for range 2 { // what was refused must not come out of what is known the second time
				m, err := f.Fetch(t.Context(), graph)
				if !errors.Is(err, step.want) {
					t.Errorf("%s from the %s: %v, want %v", step.name, name, err, step.want)
				}
				if (err == nil) != (len(m.Operations) == 1) {
					t.Errorf("%s from the %s: %d operations with %v", step.name, name, len(m.Operations), err)
				}
			}
		}
	}
}

// TestPublishedIsEncodedOnce: many planwarms poll one that serves them.
func TestPublishedIsEncodedOnce(t *testing.T) {
	graph := manifest.Graph{Namespace: "default", Name: "storefront"}
	m, err := bucketsuite.Manifest(graph, "A"), error(nil)
	m.Writer = "one"
	p := &published{fetched: func(manifest.Graph) (manifest.Manifest, error) { return m, err }}
	current := func() cdnsource.Document {
		t.Helper()
		doc, err := p.Current(t.Context(), graph)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	first := current()
	if again := current(); &again.Body[0] != &first.Body[0] || again.ETag != first.ETag {
		t.Error("it was encoded again")
	}
	m = bucketsuite.Manifest(graph, "B") // of the same number, as after a bucket was replaced
	m.Writer = "two"
	if other := current(); other.ETag == first.ETag {
		t.Error("another manifest has the same ETag")
	}
	err = warmer.ErrNotFound
	if _, err := p.Current(t.Context(), graph); !errors.Is(err, cdnsource.ErrNotFound) {
		t.Errorf("without one: %v, want %v", err, cdnsource.ErrNotFound)
	}
}
