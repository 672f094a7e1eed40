package cosmo

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/cosmo/cosmodouble"
)

// TestStrangeWires: what only a real connection can do to an answer, after a
// canary that was honoured. None of it is taken for a plan, none is sent again
// by itself, and only a canary goes before the next operation.
func TestStrangeWires(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		_, _ = io.WriteString(w, `{"data":null}`)
	}))
	defer other.Close()
	var timeIsUp func() // for the request that is under way
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   error
		shut   bool // until somebody probes
	}{
		"empty": {func(http.ResponseWriter, *http.Request) {}, planner.ErrRefused, true},
		"one answer too many": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"data":null}{"data":{"a":1}}`)
		}, planner.ErrRefused, true},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"data":null`)
		}, planner.ErrUnavailable, false},
		"breaks off behind the answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"data":null}`)
		}, planner.ErrUnavailable, false},
		"reset before the answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, planner.ErrUnavailable, false},
		"reset in the answer": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"data":null`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, planner.ErrUnavailable, false},
		"gzip bomb": {bomb(`{"extensions":{"x":"`, `"},"data":null}`), planner.ErrRefused, true},
		"drips until the time is up": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"data":null,"extensions":{"x":[`)
			for range 3 {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
			}
			timeIsUp()
			<-r.Context().Done()
		}, planner.ErrOverloaded, false},
		"redirect to another host": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusPermanentRedirect)
		}, planner.ErrRefused, true},
	} {
		for _, h2 := range []bool{false, true} {
			t.Run(name+map[bool]string{false: ", HTTP/1.1", true: ", HTTP/2"}[h2], func(t *testing.T) {
				d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.FailsClosed, Token: rightToken})
				var operations atomic.Int64
				var bad atomic.Bool
				srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					r.Body = io.NopCloser(strings.NewReader(string(body)))
					if !strings.Contains(string(body), "product") || !bad.Load() {
						d.ServeHTTP(w, r)
						return
					}
					operations.Add(1)
					c.answer(w, r)
				}))
				srv.EnableHTTP2 = h2
				srv.StartTLS()
				defer srv.Close()
				p, err := New(Options{URL: srv.URL + "/graphql", Client: srv.Client(), Token: right})
				if err != nil {
					t.Fatal(err)
				}
				defer p.client.CloseIdleConnections()
				if _, err := p.Plan(t.Context(), query("A")); err != nil {
					t.Fatal(err)
				}
				bad.Store(true)
				ctx := &deadline{Context: t.Context(), passed: make(chan struct{})}
				timeIsUp = sync.OnceFunc(func() { close(ctx.passed) })
				defer timeIsUp()
				if _, err := p.Plan(ctx, query("B")); !errors.Is(err, c.want) {
					t.Fatalf("%v, want %v", err, c.want)
				}
				if n := operations.Load(); n != 1 {
					t.Errorf("sent %d times", n)
				}
				bad.Store(false)
				before := len(d.Requests())
				_, err = p.Plan(t.Context(), query("B"))
				if shut := errors.Is(err, planner.ErrRefused); shut != c.shut || !shut && err != nil {
					t.Errorf("the next one: %v, shut %v, want %v", err, shut, c.shut)
				}
				if n := len(d.Requests()) - before; n != map[bool]int{true: 0, false: 2}[c.shut] {
					t.Errorf("%d requests for the next one: a canary goes first, or nothing", n)
				}
			})
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests, and their tokens, went elsewhere", n)
	}
}

// deadline is a context whose deadline passes when a test says so.
type deadline struct {
	context.Context
	passed chan struct{}
}

func (d *deadline) Done() <-chan struct{} { return d.passed }

func (d *deadline) Err() error {
	select {
	case <-d.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// bomb answers with 8 MB that are a few kilobytes on the wire.
func bomb(head, tail string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, head) // the client goes when it has read enough
		block := strings.Repeat("x", 1<<16)
		for range 128 {
			if _, err := io.WriteString(z, block); err != nil {
				return
			}
		}
		_, _ = io.WriteString(z, tail)
		_ = z.Close()
	}
}
