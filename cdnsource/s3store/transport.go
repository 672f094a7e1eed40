package s3store

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	dialTimeout  = 5 * time.Second
	idleTimeout  = 90 * time.Second
	maxIdle      = 32
	maxErrorBody = 64 << 10
	maxBody      = 80 << 20 // above every limit that a caller asks for
)

func newTransport(timeout time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: timeout,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConnsPerHost:   maxIdle,
		ForceAttemptHTTP2:     true,
	}
}

// newHTTPClient follows no redirect: one would carry pushed operations to a
// host that nobody configured, under a signature that is not for it.
func newHTTPClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     bounded{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded bounds every response body: the SDK reads the body of an error and
// of a list to its end.
type bounded struct{ next http.RoundTripper }

// RoundTrip sends one request.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	limit := int64(maxBody)
	if resp.StatusCode >= 300 {
		limit = maxErrorBody
	}
	resp.Body = &boundedBody{Reader: io.LimitReader(resp.Body, limit), Closer: resp.Body}
	return resp, nil
}

type boundedBody struct {
	io.Reader
	io.Closer
}

func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("endpoint: not an http or https URL")
	}
	if u.User != nil {
		return errors.New("endpoint: credentials do not belong into a URL")
	}
	return nil
}

// ErrURL says that a bucket's URL is not s3://bucket or s3://bucket/prefix.
var ErrURL = errors.New("not of the form s3://bucket/prefix")

// ParseURL takes s3://bucket/prefix apart.
func ParseURL(raw string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(raw, "s3://")
	if !ok {
		return "", "", ErrURL
	}
	bucket, prefix, _ = strings.Cut(rest, "/")
	if bucket == "" || strings.ContainsAny(rest, "?#@ ") {
		return "", "", ErrURL
	}
	return bucket, strings.Trim(prefix, "/"), nil
}
