package cdnsource

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func getFrom(h http.Handler, path, remote string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = remote
	r.Header.Set("Authorization", "Bearer "+pinnedForRun)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// FuzzHandler sends any path, token and condition: the answer is always one of
// the few that a router bears, and content only comes for the right token.
func FuzzHandler(f *testing.F) {
	f.Add(handlerPath, "Bearer "+graphToken(f), "gzip", `"v3"`)
	f.Add(handlerPath, "Bearer "+pinnedForRun, "", "*")
	f.Add(v1Path, "", "gzip;q=0", `W/"v3-gzip", "x`)
	f.Add("/%2f/%00/cache_warmup/operations.json", "Bearer a.b.c", "*;q=1e999", ",,,")
	f.Add("/v1/graphs/../..//manifest", "Bearer eyJhbGciOiJub25lIn0.e30.", "\x00", "")
	h := newTestHandler(f, func(o *HandlerOptions) { o.Tokens = func() []string { return []string{pinnedForRun} } })
	good := map[string]bool{"Bearer " + graphToken(f): true, "Bearer " + pinnedForRun: true}
	f.Fuzz(func(t *testing.T, path, auth, accept, match string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}, Header: http.Header{}}
		r.Header.Set("Authorization", auth)
		r.Header.Set("Accept-Encoding", accept)
		r.Header.Set("If-None-Match", match)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch w.Code {
		case 400, 401, 403, 404:
		case 200, 304:
			if !good[auth] && w.Body.Len() > 0 && !equalsAny(mustBearer(r), []string{pinnedForRun}) {
				if _, ok := verify(mustBearer(r), handlerKey); !ok {
					t.Fatalf("content for a wrong token on %q", path)
				}
			}
		default:
			t.Fatalf("status %d", w.Code)
		}
	})
}

func mustBearer(r *http.Request) string {
	token, _ := bearer(r)
	return token
}

// FuzzRender: whatever a document holds, it is refused or every operation that
// is served has a query, also when some are withheld.
func FuzzRender(f *testing.F) {
	f.Add(numbered(3).Body, "2")
	f.Add([]byte(`{"operations":[{"request":{}}]}`), "")
	f.Add([]byte(`{"operations":null}`), "x")
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		r, err := render(Document{Body: body})
		if err != nil {
			return
		}
		cut, n := r.without(map[string]struct{}{key: {}})
		again, err := render(Document{Body: cut.body})
		if err != nil || len(again.keys) != len(r.keys)-n {
			t.Fatalf("%d of %d operations withheld, %d left: %v", n, len(r.keys), len(again.keys), err)
		}
	})
}
