package cosmo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
)

// Plan has the router plan r and keep the plan.
//
// The client of r is not sent: a plan is the same for every client, and under
// our own name telemetry can tell these requests from live ones.
func (p *Planner) Plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	res, err := p.plan(ctx, r)
	if err != nil {
		p.learn(err)
		return planner.Result{}, fmt.Errorf("plan operation: %w", err)
	}
	return res, nil
}

// Verify asks whether the plan of r was in the cache. The question plans it
// when it was not.
func (p *Planner) Verify(ctx context.Context, r planner.Request) (planner.Hit, error) {
	res, err := p.plan(ctx, r)
	if err != nil {
		p.learn(err)
		return planner.HitUnknown, fmt.Errorf("verify operation: %w", err)
	}
	return res.Hit, nil
}

func (p *Planner) plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	kind, err := kindOf(r.Query, r.OperationName)
	if err != nil {
		return planner.Result{}, err
	}
	if kind == kindSubscription {
		return planner.Result{}, fmt.Errorf("%w: a subscription is not planned over http", planner.ErrInvalid)
	}
	mutation := r.Mutation || kind == kindMutation
	if mutation && !p.o.FailsClosed {
		return planner.Result{}, planner.ErrMutation
	}
	if err := p.ensure(ctx); err != nil {
		return planner.Result{}, err
	}
	if mutation {
		// Proven each time: a reload since the last proof may have removed the key.
		if err := p.proveClosed(ctx); err != nil {
			return planner.Result{}, err
		}
	}
	a, err := p.send(ctx, r, p.o.Token)
	if err != nil {
		return planner.Result{}, err
	}
	if err := p.judge(ctx, a); err != nil {
		return planner.Result{}, err
	}
	return a.result(), nil
}

// judge decides what the answer to an operation means. An answer that can mean
// two things (the operation is refused, or the router changed its mind about
// us) is settled by the canary, which is never invalid.
func (p *Planner) judge(ctx context.Context, a answer) error {
	switch a.verdict() {
	case verdictPlanned:
		return nil
	case verdictExecuted:
		return planner.ErrExecuted
	case verdictInvalid:
		return fmt.Errorf("%w: status %d", planner.ErrInvalid, a.status)
	case verdictUnproven:
		return fmt.Errorf("%w: status %d without a proof that nothing was executed", planner.ErrRefused, a.status)
	}
	p.probing.Lock()
	defer p.probing.Unlock()
	if err := p.probe(ctx); err != nil {
		return err
	}
	return fmt.Errorf("%w: status %d", planner.ErrInvalid, a.status)
}

// send posts one request. Its errors wrap a sentinel of package planner and
// name neither address nor headers.
func (p *Planner) send(ctx context.Context, r planner.Request, token func() (string, error)) (answer, error) {
	req, err := p.request(ctx, r, token)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	start := time.Now()
	res, err := p.client.Do(req.WithContext(ctx))
	if err != nil {
		return answer{}, transportError(ctx, err)
	}
	defer func() { _ = res.Body.Close() }() // the answer is read already
	body, err := io.ReadAll(io.LimitReader(res.Body, p.o.MaxBody+1))
	a := answer{status: res.StatusCode, header: res.Header, took: time.Since(start)}
	a.proof = prove(body, int64(len(body)) <= p.o.MaxBody && err == nil)
	if a.proof == proofExecuted {
		return a, nil // the most important thing that an answer can say, whatever else it says
	}
	if err != nil {
		return answer{}, transportError(ctx, err)
	}
	return a, a.fault()
}

func (p *Planner) request(ctx context.Context, r planner.Request, token func() (string, error)) (*http.Request, error) {
	body := struct {
		Query         string               `json:"query"`
		OperationName string               `json:"operationName,omitempty"`
		Variables     map[string]bool      `json:"variables,omitempty"`
		Extensions    *manifest.Extensions `json:"extensions,omitempty"`
	}{Query: r.Query, OperationName: r.OperationName, Variables: r.Conditions}
	if r.PersistedHash != "" {
		body.Extensions = &manifest.Extensions{PersistedQuery: &manifest.PersistedQuery{SHA256Hash: r.PersistedHash, Version: 1}}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("%w: cannot be encoded", planner.ErrInvalid)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.o.URL, bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: bad address", planner.ErrUnavailable)
	}
	profile(req.Header, r.Header)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-WG-Skip-Loader", "true")
	req.Header.Set("GraphQL-Client-Name", p.o.OwnClientName)
	if p.o.OwnVersion != "" {
		req.Header.Set("GraphQL-Client-Version", p.o.OwnVersion)
	}
	if token == nil {
		return req, nil
	}
	t, err := token()
	if err != nil {
		// Without its token the request would be executed.
		return nil, fmt.Errorf("%w: %w", planner.ErrRefused, err)
	}
	if !sendable(t) {
		return nil, fmt.Errorf("%w: the token is empty, too long, or no header value", planner.ErrRefused)
	}
	req.Header.Set("X-WG-Token", t)
	return req, nil
}

func sendable(token string) bool {
	if token == "" || len(token) > maxTokenBytes {
		return false
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// profile copies the headers of a profile, less those that are ours to set:
// X-WG-Trace and X-WG-Include-Query-Plan bypass the plan cache, and a profile
// must not take the plan-only header or our name away.
func profile(dst, src http.Header) {
	for name, values := range src {
		name = http.CanonicalHeaderKey(name)
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
			"Host", "Content-Length", "Content-Type", "Content-Encoding", "Accept", "Accept-Encoding", "Expect",
			"Graphql-Client-Name", "Graphql-Client-Version":
			continue
		}
		if !strings.HasPrefix(name, "X-Wg-") {
			dst[name] = append([]string(nil), values...)
		}
	}
}

// transportError maps an error of the connection. The text of a url.Error holds
// the address, which may hold credentials.
func transportError(ctx context.Context, err error) error {
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
