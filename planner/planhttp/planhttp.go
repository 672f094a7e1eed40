// Package planhttp has what the planners have in common that ask a router over
// HTTP to plan an operation without executing it: the client, what an operation
// is, what an answer proves, whether the router is trusted, and how a reload is
// watched for.
//
// Every router ignores a plan-only header that it does not allow, without a
// sign, and executes the operation. So nothing here takes an answer for a
// success that did not prove itself.
package planhttp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
)

// maxRetryAfter bounds what a router may ask for.
const maxRetryAfter = 5 * time.Minute

// Client copies a client, or makes one, that follows no redirect: it may lead
// to a place that knows nothing of the plan-only header, and executes.
func Client(c *http.Client) *http.Client {
	if c == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy = nil // the router is beside us
		t.MaxIdleConnsPerHost = 64
		c = &http.Client{Transport: t}
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// CheckURL returns an error that names what the address is for, and not the
// address, which may hold credentials.
func CheckURL(name, address string) error {
	if p, err := url.Parse(address); err != nil || (p.Scheme != "http" && p.Scheme != "https") || p.Host == "" {
		return fmt.Errorf("%s: not an http or https address", name)
	}
	return nil
}

// CheckURLs checks the address of an endpoint, and those of its readiness and
// its metrics, which may be left out.
func CheckURLs(endpoint, ready, metrics string) error {
	faults := []error{CheckURL("url", endpoint)}
	if ready != "" {
		faults = append(faults, CheckURL("ready url", ready))
	}
	if metrics != "" {
		faults = append(faults, CheckURL("metrics url", metrics))
	}
	return errors.Join(faults...)
}

// Get reads a page within a time; anything but 200 is an error.
func Get(ctx context.Context, c *http.Client, address string, timeout time.Duration, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("%w: bad address", planner.ErrUnavailable)
	}
	res, err := c.Do(req)
	if err != nil {
		return TransportError(ctx, err)
	}
	defer func() { _ = res.Body.Close() }() // nothing is lost: it was only read
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: status %d", planner.ErrUnavailable, res.StatusCode)
	}
	return read(res.Body)
}

// NewRequest is a POST of r to a GraphQL endpoint with these variables and the
// headers of r's profile, less the reserved ones. Persisted operations are
// named by their hash beside the text, unless it is that of another text: a
// router may take the operation that it keeps under the hash, which nobody
// here has read and which may be a mutation.
func NewRequest(ctx context.Context, address string, r planner.Request, variables any, reserved ...string) (*http.Request, error) {
	body := struct {
		Query         string               `json:"query"`
		OperationName string               `json:"operationName,omitempty"`
		Variables     any                  `json:"variables,omitempty"`
		Extensions    *manifest.Extensions `json:"extensions,omitempty"`
	}{Query: r.Query, OperationName: r.OperationName, Variables: variables}
	if r.PersistedHash != "" && Hashes(r.PersistedHash, r.Query) {
		body.Extensions = &manifest.Extensions{PersistedQuery: &manifest.PersistedQuery{SHA256Hash: r.PersistedHash, Version: 1}}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("%w: cannot be encoded", planner.ErrInvalid)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: bad address", planner.ErrUnavailable)
	}
	copyProfile(req.Header, r.Header, reserved)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// Hashes says whether a hash is that of a text, as it is or without the blank
// space around it, as a file has it that ends with a line.
func Hashes(hash, text string) bool {
	for _, t := range []string{text, strings.TrimSpace(text)} {
		if sum := sha256.Sum256([]byte(t)); hash == hex.EncodeToString(sum[:]) {
			return true
		}
	}
	return false
}

// transportHeaders belong to the connection, or to how a body is written, and
// are never a profile's to set.
var transportHeaders = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Host", "Content-Length", "Content-Type", "Content-Encoding", "Accept", "Accept-Encoding", "Expect",
}

// copyProfile copies the headers of a profile. A reserved name that ends with -
// reserves all that begin with it.
func copyProfile(dst, src http.Header, reserved []string) {
	for name, values := range src {
		name = http.CanonicalHeaderKey(name)
		taken := slices.Contains(transportHeaders, name) || slices.ContainsFunc(reserved, func(r string) bool {
			r = http.CanonicalHeaderKey(r)
			return r == name || strings.HasSuffix(r, "-") && strings.HasPrefix(name, r)
		})
		if !taken {
			dst[name] = append([]string(nil), values...)
		}
	}
}

// HeaderValue says whether a secret can be sent as a header as it is.
func HeaderValue(v string, most int) bool {
	if v == "" || len(v) > most {
		return false
	}
	for _, c := range []byte(v) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// TransportError maps an error of the connection. The text of a url.Error holds
// the address, which may hold credentials.
func TransportError(ctx context.Context, err error) error {
	var ue *url.Error
	timeout := errors.As(err, &ue) && ue.Timeout()
	if ue != nil {
		err = ue.Err
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%w: %w", planner.ErrUnavailable, context.Canceled)
	case timeout || ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return &planner.Overload{Cause: context.DeadlineExceeded}
	default:
		return fmt.Errorf("%w: %w", planner.ErrUnavailable, err)
	}
}

// StatusError returns the error of a status that says something of the router,
// whatever was asked: overloaded, not there, or a redirect. Others are nil.
func StatusError(status int, h http.Header) error {
	cause := fmt.Errorf("status %d", status)
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return &planner.Overload{RetryAfter: RetryAfter(h.Get("Retry-After"), time.Now()), Cause: cause}
	case http.StatusNotFound, http.StatusBadGateway:
		return fmt.Errorf("%w: %w", planner.ErrUnavailable, cause)
	case http.StatusProxyAuthRequired:
		return fmt.Errorf("%w: %w", planner.ErrRefused, cause)
	}
	if status >= 300 && status < 400 {
		return fmt.Errorf("%w: a redirect is not followed: %w", planner.ErrRefused, cause)
	}
	return nil
}

// RetryAfter reads seconds or a date, at most five minutes ahead.
func RetryAfter(value string, now time.Time) time.Duration {
	var d time.Duration
	if s, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
		d = time.Duration(min(max(s, 0), int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
