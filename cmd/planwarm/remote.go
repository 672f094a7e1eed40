package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// maxAnswer bounds what a sidecar may answer.
const maxAnswer = 64 << 20

// remote is the control endpoint of a running sidecar.
type remote struct {
	base  string
	token string
	http  *http.Client
}

// remoteFlags say which sidecar a command talks to.
type remoteFlags struct{ server, tokenFile string }

func (f *remoteFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.server, "server", "", "control endpoint of a running sidecar, such as http://127.0.0.1:7660 (default: the one that runs with this configuration)")
	cmd.Flags().StringVar(&f.tokenFile, "token-file", "", "file with its bearer token (default: admin.token_file)")
}

// remote finds the sidecar: the one that was named, the one that wrote its
// address into the data directory, or the configured address.
func (c *cli) remote(f remoteFlags) (*remote, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	r := &remote{base: f.server, http: &http.Client{Timeout: 3 * time.Minute}}
	if r.base == "" {
		r.base = "http://" + cfg.Admin.Listen
		if data, err := os.ReadFile(runFilePath(cfg.DataDir)); err == nil {
			var running runFile
			if json.Unmarshal(data, &running) == nil && running.Addresses["admin"] != "" {
				r.base = "http://" + running.Addresses["admin"]
			}
		}
	}
	if u, err := url.Parse(r.base); err != nil || u.Host == "" {
		return nil, withCode(exitUsage, errors.New("--server is not a URL such as http://127.0.0.1:7660"))
	}
	path := f.tokenFile
	if path == "" {
		path = cfg.Admin.TokenFile
	}
	if r.token, err = readSecret(path); err != nil {
		return nil, err
	}
	return r, nil
}

// call sends a request without a body and decodes the answer into v.
func (r *remote) call(ctx context.Context, method, path string, query url.Values, v any) error {
	u := r.base + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, nil)
	if err != nil {
		return fmt.Errorf("ask sidecar: %w", err)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask sidecar at %s (is planwarm run running?): %w", r.base, errors.Unwrap(err))
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask sidecar: %w", err)
	}
	if res.StatusCode >= 300 {
		return remoteError(res.StatusCode, body)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("read sidecar's answer: %w", err)
	}
	return nil
}

// remoteError is what the sidecar said was wrong, with the exit code it has here.
func remoteError(status int, body []byte) error {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil || said.Error == "" {
		said.Error = http.StatusText(status)
	}
	err := fmt.Errorf("sidecar refused with status %d: %s", status, said.Error)
	switch status {
	case http.StatusNotFound:
		return withCode(exitNotFound, err)
	case http.StatusConflict:
		return withCode(exitConflict, err)
	}
	return withCode(exitFailed, err)
}
