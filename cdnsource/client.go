package cdnsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// clientTimeout bounds one fetch over HTTP.
const clientTimeout = 15 * time.Second

// ClientOptions configure a Client.
type ClientOptions struct {
	// URL is the base under which /v1/graphs/{namespace}/{graph}/manifest is. Required.
	URL string
	// Token, when set, returns the bearer token; it is asked each time.
	Token func() (string, error)
	// HTTP sends the requests; nil: one of our own. Redirects are followed
	// without the token when they leave the host, as net/http does.
	HTTP *http.Client
}

// Client fetches published manifests over HTTP, from a CDN or another
// planwarm's endpoint. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	token func() (string, error)
	http  *http.Client

	mu    sync.Mutex
	known map[manifest.Graph]tagged
}

// tagged is a manifest and the ETag it came with.
type tagged struct {
	etag     string
	manifest manifest.Manifest
}

// NewClient checks the options. It sends nothing yet.
func NewClient(o ClientOptions) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("new cdn client: url is not http(s) with a host")
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: clientTimeout}
	}
	return &Client{base: u, token: o.Token, http: o.HTTP, known: map[manifest.Graph]tagged{}}, nil
}

// Fetch returns the manifest of a graph. An answer that nothing changed costs
// no body. The error wraps ErrNotFound, ErrDenied, ErrTooLarge or what is wrong
// with the content.
func (c *Client) Fetch(ctx context.Context, g manifest.Graph) (manifest.Manifest, error) {
	if err := CheckGraph(g); err != nil {
		return manifest.Manifest{}, fmt.Errorf("fetch manifest: %w", err)
	}
	m, err := c.fetch(ctx, g)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("fetch manifest: %w", withoutURL(err))
	}
	return m, nil
}

func (c *Client) fetch(ctx context.Context, g manifest.Graph) (manifest.Manifest, error) {
	c.mu.Lock()
	last := c.known[g]
	c.mu.Unlock()
	req, err := c.request(ctx, g, last.etag)
	if err != nil {
		return manifest.Manifest{}, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return manifest.Manifest{}, err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		if last.etag == "" { // it was not asked: an empty manifest would be taken for the one in force
			return manifest.Manifest{}, fmt.Errorf("%w: not modified, without a condition", ErrCorrupt)
		}
		return last.manifest, nil
	case http.StatusNotFound:
		return manifest.Manifest{}, ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return manifest.Manifest{}, fmt.Errorf("%w: status %d", ErrDenied, res.StatusCode)
	default:
		return manifest.Manifest{}, fmt.Errorf("%w: status %d", ErrAmbiguous, res.StatusCode)
	}
	// net/http has decompressed the body: the bound holds for what comes out.
	m, err := manifest.Decode(io.LimitReader(res.Body, manifest.MaxBytes+1))
	if err != nil {
		return manifest.Manifest{}, err
	}
	if m.Graph != g {
		return manifest.Manifest{}, fmt.Errorf("%w: it is of graph %s", ErrCorrupt, m.Graph)
	}
	c.mu.Lock()
	c.known[g] = tagged{etag: res.Header.Get("ETag"), manifest: m}
	c.mu.Unlock()
	return m, nil
}

func (c *Client) request(ctx context.Context, g manifest.Graph, etag string) (*http.Request, error) {
	u := c.base.JoinPath("v1", "graphs", g.Namespace, g.Name, "manifest")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "planwarm")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	if c.token == nil {
		return req, nil
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return req, nil
}
