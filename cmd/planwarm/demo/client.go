package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"time"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// newClient has connections of its own, opened before anything is measured.
func newClient() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
}

// getJSON reads a JSON document.
func getJSON(ctx context.Context, c *http.Client, method, url string, v any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s answered %d", req.URL.Path, res.StatusCode)
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(body, v)
}

// answer is what a router said of one request.
type answer struct {
	took time.Duration
	hit  bool
	key  string
}

// send posts one request to a router.
func send(ctx context.Context, c *http.Client, url string, r request) (answer, error) {
	body, err := json.Marshal(struct {
		OperationName string          `json:"operationName,omitempty"`
		Query         string          `json:"query"`
		Variables     json.RawMessage `json:"variables,omitempty"`
	}{r.name, r.query, r.variables})
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("GraphQL-Client-Name", "demo")
	req.Header.Set("GraphQL-Client-Version", "1.0.0")
	start := time.Now()
	res, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	a := answer{took: time.Since(start), hit: res.Header.Get("X-WG-Execution-Plan-Cache") == "HIT", key: res.Header.Get("X-Plan-Key")}
	if err != nil {
		return a, err
	}
	var said struct {
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return a, fmt.Errorf("operation %q: status %d: %w", r.name, res.StatusCode, err)
	}
	if len(said.Errors) > 0 {
		return a, fmt.Errorf("operation %q: %w", r.name, errors.New(said.Errors[0].Message))
	}
	return a, nil
}

// quantile is the nearest rank.
func quantile(took []time.Duration, q float64) float64 {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return float64(sorted[max(0, i)]) / float64(time.Millisecond)
}
