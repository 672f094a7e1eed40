package cdnsource

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

var clientGraph = manifest.Graph{Namespace: "default", Name: "storefront"}

func clientManifest(t *testing.T) []byte {
	t.Helper()
	body, err := manifest.Encode(manifest.Manifest{
		Format: manifest.Format, Graph: clientGraph, Sequence: 3, GeneratedAt: time.Unix(1, 0).UTC(), Rank: manifest.RankP90,
		Operations: []manifest.Entry{{Request: manifest.Request{Query: "{a}"}, Planwarm: manifest.Details{
			Source: manifest.SourceTelemetry, Type: manifest.Query, PlanKey: "1",
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func newTestClient(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := NewClient(ClientOptions{URL: srv.URL + "/base", Token: func() (string, error) { return "s3cr3t", nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientFetchesOnceAndAsksAgainCheaply(t *testing.T) {
	body, full := clientManifest(t), 0
	c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/base/v1/graphs/default/storefront/manifest" || r.Header.Get("Authorization") != "Bearer s3cr3t" {
			t.Errorf("asked for %s with %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		w.Header().Set("ETag", `"v3"`)
		if r.Header.Get("If-None-Match") == `"v3"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full++
		_, _ = w.Write(body)
	})
	for range 3 {
		m, err := c.Fetch(t.Context(), clientGraph)
		if err != nil || m.Sequence != 3 || len(m.Operations) != 1 {
			t.Fatalf("fetched %+v, %v", m, err)
		}
	}
	if full != 1 {
		t.Errorf("the body was sent %d times, want once", full)
	}
}

func TestClientTellsWhatIsWrong(t *testing.T) {
	body := clientManifest(t)
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"missing":                                {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, ErrNotFound},
		"refused":                                {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, ErrDenied},
		"broken":                                 {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, ErrAmbiguous},
		"not modified, though nothing was known": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, ErrCorrupt},
		"truncated":                              {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body[:len(body)/2]) }, manifest.ErrMalformed},
		"other graph": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Replace(string(body), "storefront", "other", 1))
		}, ErrCorrupt},
		"html": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, manifest.ErrMalformed},
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			for range 17 {
				_, _ = w.Write(make([]byte, 1<<20))
			}
		}, manifest.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newTestClient(t, tc.answer).Fetch(t.Context(), clientGraph)
			if !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the token is in %v", err)
			}
		})
	}
}
