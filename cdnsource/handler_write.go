package cdnsource

import (
	"net/http"
	"strconv"
	"strings"
)

// gzipSuffix tells the entity tag of the compressed variant from the identity's.
const gzipSuffix = "-gzip"

// writeConditional answers with the document, or 304 when the client has it.
func writeConditional(w http.ResponseWriter, r *http.Request, doc *rendering) int {
	h := w.Header()
	zipped := gzipTag(doc.etag)
	tag := doc.etag
	if acceptsGzip(r.Header.Values("Accept-Encoding")) {
		tag = zipped
	}
	if !doc.modified.IsZero() {
		h.Set("Last-Modified", doc.modified.UTC().Format(http.TimeFormat))
	}
	h.Set("Vary", "Accept-Encoding")
	// Either variant in If-None-Match says that the client has this content; the
	// answer names the one that it has, so that a cache refreshes the right copy.
	for _, candidate := range []string{tag, doc.etag, zipped} {
		if matchesTag(r.Header.Values("If-None-Match"), candidate) {
			h.Set("ETag", candidate)
			w.WriteHeader(http.StatusNotModified)
			return http.StatusNotModified
		}
	}
	h.Set("ETag", doc.etag)
	return writeDocument(w, r, doc)
}

// writeDocument answers 200 with the document, compressed when the client takes it.
func writeDocument(w http.ResponseWriter, r *http.Request, doc *rendering) int {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	body := doc.body
	if acceptsGzip(r.Header.Values("Accept-Encoding")) {
		// What cannot be compressed is sent as it is.
		if zipped, err := doc.zipped(); err == nil {
			body = zipped
			h.Set("Content-Encoding", "gzip")
			if tag := h.Get("ETag"); tag != "" {
				h.Set("ETag", gzipTag(tag))
			}
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		// An error here is the client's going away; there is nobody left to tell.
		_, _ = w.Write(body)
	}
	return http.StatusOK
}

func gzipTag(etag string) string {
	return strings.TrimSuffix(etag, `"`) + gzipSuffix + `"`
}

// matchesTag says whether an If-None-Match names etag (weak comparison).
func matchesTag(headers []string, etag string) bool {
	for _, header := range headers {
		for one := range strings.SplitSeq(header, ",") {
			one = strings.TrimSpace(one)
			if one == "*" || strings.TrimPrefix(one, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// acceptsGzip reads Accept-Encoding; a quality of zero refuses.
func acceptsGzip(headers []string) bool {
	star := false
	for _, header := range headers {
		for one := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(one, ";")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "gzip", "x-gzip":
				return quality(params) > 0
			case "*":
				star = quality(params) > 0
			}
		}
	}
	return star
}

func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(p), "=")
		if !ok || !strings.EqualFold(name, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0
		}
		return q
	}
	return 1
}
