package router

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// ErrNoRequest: a warm-up item has no request. A Cosmo router dies of such an
// item at every start and reload, so this one stops too: whoever publishes a
// list like that has to find out here.
var ErrNoRequest = errors.New("warm-up item without a request")

// errNothing: the CDN has no usable list, and asking again would not help.
var errNothing = errors.New("no warm-up list")

// item is one operation of the warm-up list.
type item struct {
	Request *struct {
		OperationName string `json:"operationName"`
		Query         string `json:"query"`
	} `json:"request"`
	Client struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"client"`
}

// cdn asks a Cosmo CDN for the warm-up list.
type cdn struct {
	url    string
	token  string
	client *http.Client
}

// newCDN builds the address that Cosmo asks: only scheme and host of the configured URL count.
func newCDN(o Warmup, client *http.Client) (*cdn, error) {
	u, err := url.Parse(o.CDN)
	if err != nil {
		return nil, fmt.Errorf("parse warmup.cdn: %w", err)
	}
	base := &url.URL{Scheme: u.Scheme, Host: u.Host}
	return &cdn{
		url:    base.JoinPath(url.PathEscape(o.Organization), url.PathEscape(o.Graph), "cache_warmup", "operations.json").String(),
		token:  o.Token,
		client: client,
	}, nil
}

// pull fetches the list. What may pass, 5xx, 429 and refused connections, is
// tried again after 1, 2, 4, 8 and 16 s as long as ctx lasts; every other
// answer is final.
func (c *cdn) pull(ctx context.Context) ([]item, error) {
	for wait := time.Second; ; wait *= 2 {
		items, err := c.get(ctx)
		if err == nil || errors.Is(err, errNothing) || errors.Is(err, ErrNoRequest) {
			return items, err
		}
		if wait > 16*time.Second {
			return nil, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
	}
}

// get asks once.
func (c *cdn) get(ctx context.Context) ([]item, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return nil, fmt.Errorf("pull warm-up list: %w", err)
	}
	// The transport asks for gzip itself, and unpacks it; it also drops the
	// token when a redirect leads to another host.
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	res, err := c.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("pull warm-up list: %w", err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500:
		return nil, fmt.Errorf("pull warm-up list: status %d", res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("pull warm-up list: status %d: %w", res.StatusCode, errNothing)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("pull warm-up list: %w", err)
	}
	return decodeList(body)
}

// decodeList reads a warm-up list and checks what would kill a Cosmo router.
func decodeList(body []byte) ([]item, error) {
	if len(body) > maxManifest {
		return nil, fmt.Errorf("decode warm-up list: over %d bytes: %w", maxManifest, errNothing)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, fmt.Errorf("decode warm-up list: empty: %w", errNothing)
	}
	var list struct {
		Operations []item `json:"operations"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		// The error of encoding/json can quote the body.
		return nil, fmt.Errorf("decode warm-up list: malformed: %w", errNothing)
	}
	if len(list.Operations) > maxItems {
		return nil, fmt.Errorf("decode warm-up list: %d operations, more than %d: %w", len(list.Operations), maxItems, errNothing)
	}
	for i, it := range list.Operations {
		if it.Request == nil {
			return nil, fmt.Errorf("decode warm-up list: operations[%d]: %w", i, ErrNoRequest)
		}
	}
	return list.Operations, nil
}
