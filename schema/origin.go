package schema

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

// settled is how old a file's modification time must be before an equal one
// proves that nothing was written since: clocks of file systems are coarse,
// and two writes may fall into one tick.
const settled = 2 * time.Second

var (
	_ origin = (*file)(nil)
	_ origin = (*remote)(nil)
)

// file reads a schema from disk. A file that is replaced by a rename, written
// in place, or appears later is seen at the next read.
type file struct {
	path string
	info os.FileInfo // of the last read, nil when it must be read again
	sum  [sha256.Size]byte
	seen bool
}

func (f *file) read(context.Context) ([]byte, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		f.info, f.seen = nil, false
		return nil, fmt.Errorf("read schema: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read schema: %s is no regular file", f.path) // a pipe would block
	}
	if f.info != nil && os.SameFile(f.info, info) && f.info.Size() == info.Size() && f.info.ModTime().Equal(info.ModTime()) {
		return nil, errUnchanged
	}
	data, err := readFile(f.path)
	if err != nil {
		f.info, f.seen = nil, false
		return nil, fmt.Errorf("read schema: %w", err)
	}
	f.info = nil
	if time.Since(info.ModTime()) > settled && int64(len(data)) == info.Size() {
		f.info = info
	}
	return fresh(data, &f.sum, &f.seen)
}

func readFile(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return readBounded(in)
}

// remote reads a schema over HTTP, with If-None-Match once it has an ETag.
type remote struct {
	url    string
	client *http.Client
	token  func() (string, error)
	etag   string
	sum    [sha256.Size]byte
	seen   bool
}

func (r *remote) read(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := r.request(ctx)
	if err != nil {
		return nil, fmt.Errorf("fetch schema: %w", err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		var with *url.Error
		if errors.As(err, &with) {
			err = with.Err // without the URL, which may hold a secret
		}
		return nil, fmt.Errorf("fetch schema: %w", err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && r.seen:
		return nil, errUnchanged
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("fetch schema: status %d", resp.StatusCode)
	}
	data, err := readBounded(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("fetch schema: %w", err)
	}
	r.etag = resp.Header.Get("ETag")
	return fresh(data, &r.sum, &r.seen)
}

func (r *remote) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, errors.New("malformed url")
	}
	if r.etag != "" && r.seen {
		req.Header.Set("If-None-Match", r.etag)
	}
	if r.token == nil {
		return req, nil
	}
	token, err := r.token()
	if err != nil {
		return nil, fmt.Errorf("read token: %w", err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// readBounded reads up to MaxBytes.
func readBounded(in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxBytes)
	}
	return data, nil
}

// fresh returns data, or errUnchanged when it is what was returned last.
func fresh(data []byte, sum *[sha256.Size]byte, seen *bool) ([]byte, error) {
	next := sha256.Sum256(data)
	if *seen && next == *sum {
		return nil, errUnchanged
	}
	*sum, *seen = next, true
	return data, nil
}
