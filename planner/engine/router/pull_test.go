package router

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
)

const oneItem = `{"operations":[{"request":{"operationName":"A","query":"query A { categories { id } }"},"client":{"name":"web","version":"1"},"planwarm":{"p90Ms":1}}],"format":"planwarm/v1"}`

// roundTrip is a transport that answers in process, so that time can be faked.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func response(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}
}

func testCDN(t *testing.T, url string, client *http.Client) *cdn {
	t.Helper()
	c, err := newCDN(Warmup{CDN: url, Organization: "org", Graph: "graph", Token: "secret-token"}, client)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPullAsksLikeCosmo(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("Content-Encoding", "gzip")
		zw := gzip.NewWriter(w)
		if _, err := io.WriteString(zw, oneItem); err != nil {
			t.Error(err)
		}
		if err := zw.Close(); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	client := server.Client()
	items, err := testCDN(t, server.URL+"/dropped/path", client).pull(t.Context())
	if err != nil || len(items) != 1 || items[0].Request.OperationName != "A" || items[0].Client.Name != "web" {
		t.Fatalf("items %+v, %v", items, err)
	}
	if got.Method != http.MethodGet || got.URL.Path != "/org/graph/cache_warmup/operations.json" ||
		got.Header.Get("Authorization") != "Bearer secret-token" || got.Header.Get("Accept-Encoding") != "gzip" {
		t.Errorf("asked %s %s with %v", got.Method, got.URL, got.Header)
	}
}

func TestPullDropsTokenOnRedirectToAnotherHost(t *testing.T) {
	var token string
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		_, _ = io.WriteString(w, oneItem)
	}))
	defer store.Close()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Another name for the same address is another host.
		http.Redirect(w, r, strings.Replace(store.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
	}))
	defer front.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if _, err := testCDN(t, front.URL, client).pull(t.Context()); err != nil {
		t.Fatal(err)
	}
	if token != "" {
		t.Error("the token went to another host")
	}
}

// TestPullAnswers is the table "the CDN answers" of a Cosmo router: what is
// final at once, and what is tried again for the whole time.
func TestPullAnswers(t *testing.T) {
	for _, c := range []struct {
		name     string
		answer   roundTrip
		wantErr  error // nil: none
		requests int
		took     time.Duration
	}{
		{"200", func(*http.Request) (*http.Response, error) { return response(200, oneItem), nil }, nil, 1, 0},
		{"200 without operations", func(*http.Request) (*http.Response, error) { return response(200, `{"operations":[]}`), nil }, nil, 1, 0},
		{"404", func(*http.Request) (*http.Response, error) { return response(404, ""), nil }, errNothing, 1, 0},
		{"400", func(*http.Request) (*http.Response, error) { return response(400, ""), nil }, errNothing, 1, 0},
		{"401", func(*http.Request) (*http.Response, error) { return response(401, ""), nil }, errNothing, 1, 0},
		{"403", func(*http.Request) (*http.Response, error) { return response(403, ""), nil }, errNothing, 1, 0},
		{"empty body", func(*http.Request) (*http.Response, error) { return response(200, " \n"), nil }, errNothing, 1, 0},
		{"malformed", func(*http.Request) (*http.Response, error) { return response(200, `{"operations":[`), nil }, errNothing, 1, 0},
		{"too large", func(*http.Request) (*http.Response, error) {
			return response(200, `"`+strings.Repeat("a", maxManifest)+`"`), nil
		}, errNothing, 1, 0},
		{"no request", func(*http.Request) (*http.Response, error) { return response(200, `{"operations":[{}]}`), nil }, ErrNoRequest, 1, 0},
		// 1 + 2 + 4 + 8 s, then 16 s do not fit: the time ends at 30 s.
		{"503 always", func(*http.Request) (*http.Response, error) { return response(503, ""), nil }, errAny, 5, 30 * time.Second},
		{"429 always", func(*http.Request) (*http.Response, error) { return response(429, ""), nil }, errAny, 5, 30 * time.Second},
		{"refused always", func(*http.Request) (*http.Response, error) { return nil, errors.New("refused") }, errAny, 5, 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) { n++; return c.answer(r) })}
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				start := time.Now()
				_, err := testCDN(t, "http://cdn", client).pull(ctx)
				if c.wantErr == nil && err != nil || c.wantErr == errAny && err == nil ||
					c.wantErr != nil && c.wantErr != errAny && !errors.Is(err, c.wantErr) {
					t.Errorf("error %v, want %v", err, c.wantErr)
				}
				if took := time.Since(start); n != c.requests || took != c.took {
					t.Errorf("%d requests in %s, want %d in %s", n, took, c.requests, c.took)
				}
				if err != nil && strings.Contains(err.Error(), "secret-token") {
					t.Errorf("the token is in the error: %v", err)
				}
			})
		})
	}
}

// errAny stands for an error without a sentinel.
var errAny = errors.New("any error")

func TestPullRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			if n++; n < 4 {
				return response(500, ""), nil
			}
			return response(200, oneItem), nil
		})}
		start := time.Now()
		items, err := testCDN(t, "http://cdn", client).pull(t.Context())
		if err != nil || len(items) != 1 || time.Since(start) != 7*time.Second {
			t.Errorf("%d items, %v after %s", len(items), err, time.Since(start))
		}
	})
}

func FuzzDecodeList(f *testing.F) {
	f.Add([]byte(oneItem))
	f.Add([]byte(`{"operations":[{}]}`))
	f.Add([]byte(`{"operations":[{"request":null}]}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := decodeList(body)
		if err != nil && !errors.Is(err, errNothing) && !errors.Is(err, ErrNoRequest) {
			t.Errorf("an error without a sentinel: %v", err)
		}
		for _, it := range items {
			if it.Request == nil {
				t.Error("an item without a request got through")
			}
		}
		if err != nil && len(body) > 20 && bytes.Contains([]byte(err.Error()), body) {
			t.Error("the error quotes the body")
		}
	})
}
