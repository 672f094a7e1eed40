package cdnsource

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

func TestHandlerManifestHeaders(t *testing.T) {
	doc := numbered(4)
	doc.Modified = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	h := newTestHandler(t, func(o *HandlerOptions) { o.Source = fixed(doc) })

	plain := get(h, v1Path, "")
	for k, want := range map[string]string{
		"ETag": `"v4"`, "Vary": "Accept-Encoding", "Content-Encoding": "", "Content-Type": "application/json; charset=utf-8",
		"Cache-Control":     "public, max-age=0, must-revalidate",
		"CDN-Cache-Control": "max-age=30, stale-while-revalidate=60, stale-if-error=86400",
		"Last-Modified":     "Sun, 01 Nov 2026 12:00:00 GMT",
	} {
		if got := plain.Header().Get(k); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
	if plain.Code != http.StatusOK || !bytes.Equal(plain.Body.Bytes(), doc.Body) {
		t.Errorf("plain: %d, %d bytes", plain.Code, plain.Body.Len())
	}

	zipped := get(h, v1Path, "", "Accept-Encoding", "br, gzip;q=0.5")
	if zipped.Header().Get("ETag") != `"v4-gzip"` || zipped.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("gzip: %v", zipped.Header())
	}
	zr, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(zr); err != nil || !bytes.Equal(got, doc.Body) {
		t.Errorf("gzip body: %d bytes, %v", len(got), err)
	}
}

func TestHandlerManifestConditional(t *testing.T) {
	h := newTestHandler(t, func(o *HandlerOptions) { o.Source = fixed(numbered(4)) })
	for _, c := range []struct {
		match, accept string
		want          int
		etag          string
	}{
		{`"v4"`, "", 304, `"v4"`},
		{`W/"v4"`, "", 304, `"v4"`},
		{`"a", "v4"`, "", 304, `"v4"`},
		{`*`, "", 304, `"v4"`},
		{`*`, "gzip", 304, `"v4-gzip"`},
		{`"v4-gzip"`, "gzip", 304, `"v4-gzip"`},
		{`"v4"`, "gzip", 304, `"v4"`}, // the same content in the other coding: the client's own copy is good
		{`"v4-gzip"`, "", 304, `"v4-gzip"`},
		{`"v3"`, "", 200, `"v4"`},
		{`v4`, "", 200, `"v4"`},
		{`"V4"`, "", 200, `"v4"`},
		{``, "gzip", 200, `"v4-gzip"`},
	} {
		w := get(h, v1Path, "", "If-None-Match", c.match, "Accept-Encoding", c.accept)
		if w.Code != c.want || w.Header().Get("ETag") != c.etag || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s, %q: %d %s, want %d %s", c.match, c.accept, w.Code, w.Header().Get("ETag"), c.want, c.etag)
		}
		if c.want == 304 && w.Body.Len() != 0 {
			t.Errorf("%s: a 304 with a body", c.match)
		}
	}
}

func TestHandlerManifestTokens(t *testing.T) {
	tokens := []string{"reader-one", "reader-two"}
	h := newTestHandler(t, func(o *HandlerOptions) { o.Tokens = func() []string { return tokens } })
	for token, want := range map[string]int{"": 401, "reader": 401, "reader-one": 200, "reader-two": 200, pinnedForRun: 401} {
		w := get(h, v1Path, token)
		if w.Code != want {
			t.Errorf("token of %d bytes: %d, want %d", len(token), w.Code, want)
		}
		// What a token protects must not come out of a shared cache.
		if cc := w.Header().Get("Cache-Control"); strings.Contains(cc, "public") || w.Header().Get("CDN-Cache-Control") != "" {
			t.Errorf("cacheable in public: %q", cc)
		}
	}
	if w := get(h, "/v1/graphs/default/none/manifest", ""); w.Code != 401 {
		t.Errorf("unknown graph without a token: %d", w.Code)
	}
	if w := get(h, "/v1/graphs/default/none/manifest", "reader-one"); w.Code != 404 {
		t.Errorf("unknown graph: %d", w.Code)
	}
	tokens = nil
	if w := get(h, v1Path, "reader-one"); w.Code != 401 {
		t.Errorf("no tokens left: %d", w.Code)
	}
}

func TestHandlerPublishedIsNotWhatRoutersPull(t *testing.T) {
	h := newTestHandler(t, func(o *HandlerOptions) { o.Published = fixed(numbered(9)) })
	if w := get(h, v1Path, ""); w.Header().Get("ETag") != `"v9"` {
		t.Errorf("published: %s", w.Header().Get("ETag"))
	}
	if w := get(h, handlerPath, pinnedForRun); !bytes.Equal(w.Body.Bytes(), numbered(3).Body) || w.Header().Get("ETag") != "" {
		t.Errorf("pulled: %s", w.Body)
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "x-gzip": true, "br": false, "br, gzip": true, "gzip;q=0": false, "gzip; q=0.0": false,
		"gzip;q=0.1": true, "*": true, "*;q=0": false, "gzip;q=0, *": false, "*, gzip;q=0": false, "identity": false, "gzip;q=x": false,
	} {
		if got := acceptsGzip([]string{header}); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}
