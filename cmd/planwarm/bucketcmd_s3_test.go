package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
)

// fakeS3 speaks as much S3 as the protocol needs, over the in-memory bucket.
// fail may answer a request instead.
type fakeS3 struct {
	bucket *cdnsource.Memory
	fail   func(w http.ResponseWriter, r *http.Request) bool
}

func s3Error(w http.ResponseWriter, status int, code string) bool {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
	return true
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.fail != nil && f.fail(w, r) {
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/bucket/")
	ctx := context.WithoutCancel(r.Context())
	switch {
	case r.URL.Query().Get("list-type") == "2":
		f.list(ctx, w, r)
	case r.Method == http.MethodPut:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		etag, err := f.bucket.Put(ctx, key, body, cdnsource.PutOptions{
			IfNoneMatch: r.Header.Get("If-None-Match") == "*", IfMatch: strings.Trim(r.Header.Get("If-Match"), `"`),
		})
		if errors.Is(err, cdnsource.ErrConflict) {
			s3Error(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		w.Header().Set("ETag", `"`+etag+`"`)
	case r.Method == http.MethodDelete:
		_ = f.bucket.Delete(ctx, key) // it cannot fail
		w.WriteHeader(http.StatusNoContent)
	default:
		o, err := f.bucket.Get(ctx, key, cdnsource.GetOptions{Limit: 1 << 30})
		if err != nil {
			s3Error(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", `"`+o.ETag+`"`)
		_, _ = w.Write(o.Body) // a client that went away fails its own test
	}
}

func (f *fakeS3) list(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	type object struct {
		Key  string
		Size int64
	}
	var out struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Contents []object
	}
	q := r.URL.Query()
	all, _ := f.bucket.List(ctx, q.Get("prefix"), q.Get("start-after"), 1000) // it cannot fail
	for _, o := range all {
		out.Contents = append(out.Contents, object{o.Key, o.Size})
	}
	_ = xml.NewEncoder(w).Encode(out)
}

// newS3Shop configures a bucket on a fake S3 server.
func newS3Shop(t *testing.T, fail func(http.ResponseWriter, *http.Request) bool) *shop {
	t.Helper()
	s := newShop(t, defaultManifest)
	s.bucket = cdnsource.NewMemory()
	srv := httptest.NewServer(&fakeS3{bucket: s.bucket, fail: fail})
	t.Cleanup(srv.Close)
	s.write("access", "AKEXAMPLE")
	s.write("secret", "very-secret-key")
	s.elsewhere = fmt.Sprintf("bucket: { url: \"s3://bucket/team\", endpoint: %q, access_key_file: %q, secret_key_file: %q }\n",
		srv.URL, s.path("access"), s.path("secret"))
	s.configure(defaultManifest, s.elsewhere)
	return s
}

func TestBucketElsewhere(t *testing.T) {
	t.Parallel()
	s := newS3Shop(t, nil)
	s.must("push", "shop", "-f", "./me.graphql")
	if got := s.listing().names(); got != "Me:active" {
		t.Errorf("stack is %s", got)
	}
	s.must("graph", "list").check(t, exitDone, "default    shop")
}

// TestRollbackSignsAndCopies: what a rollback puts in force is as good as what
// a recompute would, for those who check signatures and those who read the copy.
func TestRollbackSignsAndCopies(t *testing.T) {
	t.Parallel()
	s := newS3Shop(t, nil)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	s.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	s.write("key.pub", publicPEM(t, public))
	s.publish([]manifest.Entry{measuredEntry("Me", meText, "1", 3)}, []manifest.Entry{measuredEntry("Title", titleText, "2", 4)})
	s.configure(fmt.Sprintf("max_operations: 3, signing_key_file: %q, verify_key_file: %q }\n    cosmo: { organization_id: org, federated_graph_id: fg",
		s.path("key.pem"), s.path("key.pub")), s.elsewhere)
	s.refused(exitRefused, []string{"not signed"}, "inspect", "shop")
	s.refused(exitRefused, []string{"not signed"}, "warm", "shop", "--router", "http://127.0.0.1:1/graphql")
	s.must("rollback", "shop", "1")
	s.must("inspect", "shop").check(t, exitDone, "version    3", "good", "Me")
	copied, err := s.bucket.Get(t.Context(), "org/fg/cache_warmup/operations.json", cdnsource.GetOptions{Limit: 1 << 20})
	if err != nil || !strings.Contains(string(copied.Body), "query Me") {
		t.Errorf("the copy is %s, %v", copied.Body, err)
	}
}

func TestBucketThatFails(t *testing.T) {
	t.Parallel()
	always := func(status int, code string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool { return s3Error(w, status, code) }
	}
	for name, test := range map[string]struct {
		fail func(http.ResponseWriter, *http.Request) bool
		code int
		says string
	}{
		"denied":          {always(403, "AccessDenied"), exitFailed, "refuses the credentials"},
		"unknown key":     {always(404, "XAdminUserNotFound"), exitFailed, "refuses the credentials"},
		"wrong signature": {always(403, "SignatureDoesNotMatch"), exitFailed, "refuses the credentials"},
		"no bucket":       {always(404, "NoSuchBucket"), exitFailed, "bucket s3://bucket/team at http://127.0.0.1:"},
		"redirect":        {always(301, "PermanentRedirect"), exitFailed, "check endpoint and region"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newS3Shop(t, test.fail)
			for _, args := range [][]string{
				{"list", "shop"}, {"push", "shop", "-f", "./me.graphql"}, {"push", "new", "--create", "-f", "./me.graphql"}, {"rm", "shop", "Me"}, {"history", "other"},
				{"graph", "list"}, {"explain", "shop", "Me"}, {"deny", "shop", "Me"}, {"hold", "shop"}, {"rollback", "shop", "1"}, {"inspect", "shop"}, {"warm", "shop"},
			} {
				got := s.refused(test.code, []string{test.says}, args...)
				if strings.Contains(got.err, "unknown graph") || strings.Contains(got.err, "very-secret-key") || got.out != "" {
					t.Errorf("%v says\n%s%s", args, got.out, got.err)
				}
			}
		})
	}
}

func TestBucketThatConflicts(t *testing.T) {
	t.Parallel()
	s := newS3Shop(t, func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/pins.json") && s3Error(w, http.StatusPreconditionFailed, "PreconditionFailed")
	})
	s.refused(exitConflict, []string{"others kept writing, nothing was changed"}, "push", "shop", "-f", "./me.graphql")
}

func TestBucketWithoutConditions(t *testing.T) {
	t.Parallel()
	s := newS3Shop(t, func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("If-None-Match")
		r.Header.Del("If-Match")
		return false
	})
	s.refused(exitFailed, []string{"bucket does not keep conditional writes"}, "push", "shop", "-f", "./me.graphql")
	golden(t, s.must("list", "shop").out, "default/shop: 0 operations pushed, room for 3\n")
}

func TestBucketThatHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newS3Shop(t, func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return true
	})
	t.Cleanup(func() { close(release) }) // before the server is closed, which waits for its requests
	s.refused(exitFailed, []string{"did not answer within 200ms"}, "list", "shop", "--timeout", "200ms")
	s.refused(exitUsage, []string{"--timeout 0s is not above zero"}, "list", "shop", "--timeout", "0s")
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newS3Shop(t, func(_ http.ResponseWriter, r *http.Request) bool {
		cancel() // as a signal does
		<-r.Context().Done()
		return true
	})
	c := &cli{stderr: io.Discard, configPath: s.path("planwarm.yaml")}
	err := c.withGraph(ctx, bucketFlags{namespace: "default", timeout: time.Minute}, "shop", reading, func(ctx context.Context, d *desk) error {
		_, err := d.pins(ctx)
		return err
	})
	if err == nil || exitCode(err, true) != exitFailed || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("error is %v", err)
	}
}
