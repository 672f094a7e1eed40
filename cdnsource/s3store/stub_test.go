package s3store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/s3store"
)

const etag = "d41d8cd98f00b204e9800998ecf8427e"

// stub opens a bucket on a server that answers as it is told.
func stub(t *testing.T, answer http.HandlerFunc, change func(*s3store.Options)) *s3store.Bucket {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	o := s3store.Options{Endpoint: server.URL, Bucket: "bucket", AccessKey: "AKSTUB", SecretKey: "sk-stub-secret"}
	if change != nil {
		change(&o)
	}
	b, err := s3store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(b.Close)
	return b
}

func answer(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if code != "" {
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>the secret operation text</Message></Error>`, code)
		}
	}
}

var sentinels = []error{cdnsource.ErrNotFound, cdnsource.ErrNotModified, cdnsource.ErrConflict,
	cdnsource.ErrDenied, cdnsource.ErrNoBucket, cdnsource.ErrAmbiguous, cdnsource.ErrTooLarge}

// checkOutcome wants exactly one sentinel, or none, and nothing of what the
// server or the caller said.
func checkOutcome(t *testing.T, what string, err, want error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) != (sentinel == want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	for _, secret := range []string{"operation text", "sk-stub-secret", "the body"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: error repeats %q: %v", what, secret, err)
		}
	}
}

func TestOutcomes(t *testing.T) {
	none := errors.New("no sentinel")
	for _, test := range []struct {
		status                     int
		code                       string
		get, create, replace, list error
	}{
		{409, "ConditionalRequestConflict", cdnsource.ErrConflict, cdnsource.ErrConflict, cdnsource.ErrConflict, cdnsource.ErrConflict},
		{412, "PreconditionFailed", cdnsource.ErrConflict, cdnsource.ErrConflict, cdnsource.ErrConflict, cdnsource.ErrConflict},
		{412, "", cdnsource.ErrConflict, cdnsource.ErrConflict, cdnsource.ErrConflict, cdnsource.ErrConflict},
		{404, "NoSuchKey", cdnsource.ErrNotFound, cdnsource.ErrNoBucket, cdnsource.ErrConflict, cdnsource.ErrNoBucket},
		{404, "NoSuchBucket", cdnsource.ErrNoBucket, cdnsource.ErrNoBucket, cdnsource.ErrNoBucket, cdnsource.ErrNoBucket},
		{404, "XAdminUserNotFound", cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied},
		{403, "SignatureDoesNotMatch", cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied},
		{403, "InvalidAccessKeyId", cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied},
		{403, "AccessDenied", cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied},
		{400, "ExpiredToken", cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied},
		{403, "", cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied, cdnsource.ErrDenied},
		{500, "InternalError", cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous},
		{503, "SlowDown", cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous},
		{502, "", cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous},
		{429, "", cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous, cdnsource.ErrAmbiguous},
		{400, "InvalidRequest", none, none, none, none},
		{304, "", cdnsource.ErrNotModified, cdnsource.ErrNotModified, cdnsource.ErrNotModified, cdnsource.ErrNotModified},
	} {
		t.Run(fmt.Sprint(test.status, test.code), func(t *testing.T) {
			b := stub(t, answer(test.status, test.code), nil)
			_, err := b.Get(t.Context(), "k", cdnsource.GetOptions{Limit: 10})
			checkOutcome(t, "get", err, test.get)
			_, err = b.Put(t.Context(), "k", []byte("the body"), cdnsource.PutOptions{IfNoneMatch: true})
			checkOutcome(t, "create", err, test.create)
			_, err = b.Put(t.Context(), "k", []byte("the body"), cdnsource.PutOptions{IfMatch: etag})
			checkOutcome(t, "replace", err, test.replace)
			_, err = b.List(t.Context(), "p", "", 10)
			checkOutcome(t, "list", err, test.list)
		})
	}
}

// TestRequests looks at what goes over the wire.
func TestRequests(t *testing.T) {
	var got *http.Request
	b := stub(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("ETag", `"`+etag+`"`)
	}, nil)
	returned, err := b.Put(t.Context(), "a/b.json", []byte("the body"), cdnsource.PutOptions{IfMatch: etag, CacheControl: "no-store", ContentType: "application/json"})
	if err != nil || returned != etag {
		t.Fatalf("put: %q, %v", returned, err)
	}
	for name, want := range map[string]string{
		"If-Match":      etag, // without quotes: with them Ceph 16 never finds it equal
		"If-None-Match": "", "Cache-Control": "no-store", "Content-Type": "application/json",
		"X-Amz-Trailer": "", "X-Amz-Checksum-Crc32": "", "Content-Encoding": "",
	} {
		if value := got.Header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	if sum := got.Header.Get("X-Amz-Content-Sha256"); len(sum) != 64 {
		t.Errorf("the signature covers %q, want the SHA-256 of the body", sum)
	}
	if got.URL.Path != "/bucket/a/b.json" || got.ContentLength != 8 {
		t.Errorf("path %q, length %d", got.URL.Path, got.ContentLength)
	}
	if _, err := b.Put(t.Context(), "k", nil, cdnsource.PutOptions{IfNoneMatch: true}); err != nil || got.Header.Get("If-None-Match") != "*" {
		t.Errorf("create: If-None-Match %q, %v", got.Header.Get("If-None-Match"), err)
	}
}

// TestEndpointOfTheUsualChain: a server that the environment names is talked to
// like one that the configuration names.
func TestEndpointOfTheUsualChain(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "AKSTUB", "AWS_SECRET_ACCESS_KEY": "sk-stub-secret",
		"AWS_CONFIG_FILE": t.TempDir() + "/none", "AWS_SHARED_CREDENTIALS_FILE": t.TempDir() + "/none",
	} {
		t.Setenv(name, value)
	}
	b, err := s3store.Open(t.Context(), s3store.Options{Bucket: "bucket"})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(b.Close)
	if _, err := b.Put(t.Context(), "k", []byte("the body"), cdnsource.PutOptions{IfNoneMatch: true}); err != nil {
		t.Fatalf("put: %v", err)
	}
	if got.URL.Path != "/bucket/k" || got.Header.Get("X-Amz-Checksum-Crc32") != "" || got.Header.Get("X-Amz-Trailer") != "" {
		t.Errorf("path %q, headers %v", got.URL.Path, got.Header)
	}
}

// TestNoRetries: the SDK must not send a write again on its own.
func TestNoRetries(t *testing.T) {
	var calls atomic.Int64
	b := stub(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		answer(503, "SlowDown")(w, r)
	}, nil)
	_, err := b.Put(t.Context(), "k", []byte("the body"), cdnsource.PutOptions{IfNoneMatch: true})
	checkOutcome(t, "put", err, cdnsource.ErrAmbiguous)
	if calls.Load() != 1 {
		t.Errorf("%d requests, want 1", calls.Load())
	}
}

func TestSlowServer(t *testing.T) {
	b := stub(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // a server sees that a client has gone once it has read the body
		<-r.Context().Done()
	},
		func(o *s3store.Options) { o.Timeout = 20 * time.Millisecond })
	_, err := b.Put(t.Context(), "k", []byte("the body"), cdnsource.PutOptions{IfMatch: etag})
	checkOutcome(t, "put", err, cdnsource.ErrAmbiguous)
	_, err = b.Get(t.Context(), "k", cdnsource.GetOptions{Limit: 10})
	checkOutcome(t, "get", err, cdnsource.ErrAmbiguous)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("get: %v does not say that it took too long", err)
	}
}

func TestReset(t *testing.T) {
	b := stub(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	}, nil)
	_, err := b.Put(t.Context(), "k", []byte("the body"), cdnsource.PutOptions{IfNoneMatch: true})
	checkOutcome(t, "put", err, cdnsource.ErrAmbiguous)
}

func TestTruncatedBody(t *testing.T) {
	b := stub(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		w.Write([]byte("half"))
	}, nil)
	_, err := b.Get(t.Context(), "k", cdnsource.GetOptions{Limit: 10})
	checkOutcome(t, "get", err, cdnsource.ErrAmbiguous)
}

// TestRedirect: pushed operations go to the configured host or nowhere.
func TestRedirect(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 307, 308} {
		b := stub(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+r.URL.Path, status) }, nil)
		_, err := b.Put(t.Context(), "k", []byte("the body"), cdnsource.PutOptions{IfNoneMatch: true})
		checkOutcome(t, fmt.Sprint(status), err, nil)
		if err != nil && !strings.Contains(err.Error(), "redirect") {
			t.Errorf("%d: %v does not say that it is a redirect", status, err)
		}
	}
	if elsewhere.Load() != 0 {
		t.Errorf("%d requests went where the redirect led", elsewhere.Load())
	}
}

// TestHugeBodies: whatever a server sends, little of it is read.
func TestHugeBodies(t *testing.T) {
	var sent atomic.Int64
	flood := func(status int, head string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			sent.Store(0)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			fmt.Fprint(w, head)
			chunk := []byte(strings.Repeat("the secret operation text ", 40_000))
			for sent.Load() < 256<<20 {
				n, err := w.Write(chunk)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		}
	}
	b := stub(t, flood(500, "<Error><Message>"), nil)
	_, err := b.Put(t.Context(), "k", []byte("the body"), cdnsource.PutOptions{})
	checkOutcome(t, "put", err, cdnsource.ErrAmbiguous)
	b = stub(t, flood(200, ""), nil)
	_, err = b.Get(t.Context(), "k", cdnsource.GetOptions{Limit: 1 << 20})
	checkOutcome(t, "get", err, cdnsource.ErrTooLarge)
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes were taken for a limit of 1 MiB", n)
	}
	b = stub(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000000000000") }, nil)
	_, err = b.Get(t.Context(), "k", cdnsource.GetOptions{Limit: 1 << 20})
	checkOutcome(t, "get with a huge length", err, cdnsource.ErrTooLarge)
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]s3store.Options{
		"no bucket":            {AccessKey: "a", SecretKey: "s"},
		"half the credentials": {Bucket: "b", AccessKey: "a"},
		"endpoint of no URL":   {Bucket: "b", AccessKey: "a", SecretKey: "s", Endpoint: "localhost:9000"},
		"endpoint with secret": {Bucket: "b", AccessKey: "a", SecretKey: "s", Endpoint: "http://user:hunter2@localhost:9000"},
		"negative timeout":     {Bucket: "b", AccessKey: "a", SecretKey: "s", Timeout: -1},
	} {
		if _, err := s3store.Open(t.Context(), o); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseURL(t *testing.T) {
	for raw, want := range map[string][2]string{
		"s3://b": {"b", ""}, "s3://b/": {"b", ""}, "s3://b/p": {"b", "p"}, "s3://b/p/q/": {"b", "p/q"},
	} {
		bucket, prefix, err := s3store.ParseURL(raw)
		if err != nil || bucket != want[0] || prefix != want[1] {
			t.Errorf("%s: %q, %q, %v", raw, bucket, prefix, err)
		}
	}
	for _, raw := range []string{"", "b", "http://b/p", "s3://", "s3:///p", "s3://b/p?x", "s3://user@b"} {
		if _, _, err := s3store.ParseURL(raw); !errors.Is(err, s3store.ErrURL) {
			t.Errorf("%q: %v, want %v", raw, err, s3store.ErrURL)
		}
	}
}
