// Package front plays what can stand before a router, or become of one, and
// answers in its place. It is for tests.
package front

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Mode is what becomes of a request.
type Mode uint8

// The modes.
const (
	Pass         Mode = iota // the handler behind it answers
	Unavailable              // 503 with Retry-After
	Limited                  // 429 with Retry-After
	Redirect                 // a proxy sends everybody elsewhere
	HTML                     // a login page answers with 200
	Huge                     // 10 MB that say nothing
	Nothing                  // an empty object
	Slow                     // no answer before Delay, or before the client is gone
	Broken                   // a 500 that is no GraphQL
	Unauthorized             // 401
)

// Bad are all modes but Pass.
var Bad = []Mode{Unavailable, Limited, Redirect, HTML, Huge, Nothing, Slow, Broken, Unauthorized}

// Delay is how long Slow waits.
const Delay = time.Minute

// Front is a handler before another one.
type Front struct {
	Behind http.Handler

	mu   sync.Mutex
	mode Mode
}

var _ http.Handler = (*Front)(nil)

// Set changes the mode.
func (f *Front) Set(m Mode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mode = m
}

// ServeHTTP answers as the mode has it.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	mode := f.mode
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch mode {
	case Pass:
		f.Behind.ServeHTTP(w, r)
	case Unavailable:
		refuse(w, http.StatusServiceUnavailable)
	case Limited:
		refuse(w, http.StatusTooManyRequests)
	case Redirect:
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusTemporaryRedirect)
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body>sign in</body></html>") // the client may be gone
	case Huge:
		_, _ = io.WriteString(w, `{"extensions":{"noise":"`)
		line := []byte(strings.Repeat("x", 1<<16))
		_, _ = io.Copy(w, bytes.NewReader(bytes.Repeat(line, 160)))
		_, _ = io.WriteString(w, `"}}`)
	case Nothing:
		_, _ = io.WriteString(w, "{}")
	case Slow:
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the client is gone
		select {
		case <-r.Context().Done():
		case <-time.After(Delay):
		}
	case Broken:
		http.Error(w, "internal error", http.StatusInternalServerError)
	case Unauthorized:
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Retry-After", "2")
	w.WriteHeader(status)
}
