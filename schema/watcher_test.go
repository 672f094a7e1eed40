package schema

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const (
	sdlOne = "type Query { one: Int }"
	sdlTwo = "type Query { two: Int }"
)

// watched is a Watcher on a file, checked by hand.
type watched struct {
	*Watcher
	path    string
	changes []string // "old -> new", by root field
	logs    *observer.ObservedLogs
}

func watchFile(t *testing.T) *watched {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	w := &watched{path: filepath.Join(t.TempDir(), "schema.graphql"), logs: logs}
	var err error
	w.Watcher, err = NewWatcher(Options{File: w.path, Logger: zap.New(core), OnChange: func(old, next *Schema) {
		w.changes = append(w.changes, rootField(old)+" -> "+rootField(next))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func rootField(s *Schema) string {
	if s == nil {
		return "none"
	}
	return s.types.Query.Fields[0].Name
}

func (w *watched) write(t *testing.T, text string, age time.Duration) {
	t.Helper()
	if err := os.WriteFile(w.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(w.path, at, at); err != nil {
		t.Fatal(err)
	}
}

func (w *watched) expect(t *testing.T, changed bool, field string) {
	t.Helper()
	if got := w.Check(t.Context()); got != changed {
		t.Errorf("changed: %v, want %v (%v)", got, changed, w.Status().Err)
	}
	if got := rootField(w.Current()); got != field {
		t.Errorf("current schema has %q, want %q", got, field)
	}
}

func TestWatchFile(t *testing.T) {
	w := watchFile(t)
	w.expect(t, false, "none")
	if !errors.Is(w.Status().Err, os.ErrNotExist) {
		t.Errorf("status of a missing file: %v", w.Status().Err)
	}
	w.write(t, sdlOne, time.Hour)
	w.expect(t, true, "one")
	w.expect(t, false, "one")
	w.write(t, sdlOne, time.Minute) // touched: no change
	w.expect(t, false, "one")
	w.write(t, sdlTwo, 0)
	w.expect(t, true, "two")
	if got := strings.Join(w.changes, ", "); got != "none -> one, one -> two" {
		t.Errorf("changes: %s", got)
	}
	if s := w.Status(); s.Err != nil || s.ID != w.Current().ID() || s.LoadedAt.IsZero() || s.FailedAt.IsZero() {
		t.Errorf("status %+v", s)
	}
}

func TestWatchSeesWritesWithinOneTickOfTheClock(t *testing.T) {
	w := watchFile(t)
	w.write(t, sdlOne, 0)
	w.expect(t, true, "one")
	info, err := os.Stat(w.path)
	if err != nil {
		t.Fatal(err)
	}
	// In place, of the same size and with the same time.
	w.write(t, sdlTwo, 0)
	if err := os.Chtimes(w.path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	w.expect(t, true, "two")
}

func TestWatchSeesARenamedFile(t *testing.T) {
	w := watchFile(t)
	w.write(t, sdlOne, time.Hour)
	w.expect(t, true, "one")
	info, err := os.Stat(w.path)
	if err != nil {
		t.Fatal(err)
	}
	next := w.path + ".next"
	if err := os.WriteFile(next, []byte(sdlTwo), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(next, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, w.path); err != nil {
		t.Fatal(err)
	}
	w.expect(t, true, "two")
}

func TestWatchKeepsTheLastGoodSchema(t *testing.T) {
	w := watchFile(t)
	w.write(t, sdlOne, time.Hour)
	w.expect(t, true, "one")
	w.write(t, "type Query {", time.Minute)
	for range 3 {
		w.expect(t, false, "one")
		if w.Status().Err == nil {
			t.Error("the fault is forgotten")
		}
	}
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	w.expect(t, false, "one")
	w.write(t, sdlOne, time.Minute)
	w.expect(t, false, "one")
	if err := w.Status().Err; err != nil {
		t.Errorf("still failing: %v", err)
	}
	if n := w.logs.FilterMessage("schema not loaded").Len(); n != 2 {
		t.Errorf("%d warnings, want one for each of two faults", n)
	}
	if n := w.logs.FilterMessage("schema source recovered").Len(); n != 1 {
		t.Errorf("%d recoveries told, want 1", n)
	}
}

func TestWatchRefusesWhatIsNoFile(t *testing.T) {
	w, err := NewWatcher(Options{File: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if w.Check(t.Context()) || w.Status().Err == nil {
		t.Error("a folder was read")
	}
}

// server answers without a network.
type server struct {
	sync.Mutex
	status  int
	body    string
	etag    string
	fail    error
	asked   int
	fetched int
	last    *http.Request
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.Lock()
	defer s.Unlock()
	s.asked++
	s.last = r
	if s.fail != nil {
		return nil, s.fail
	}
	resp := &http.Response{StatusCode: s.status, Header: http.Header{}, Body: http.NoBody, Request: r}
	if s.etag != "" {
		resp.Header.Set("ETag", s.etag)
		if r.Header.Get("If-None-Match") == s.etag {
			resp.StatusCode = http.StatusNotModified
			return resp, nil
		}
	}
	s.fetched++
	resp.Body = io.NopCloser(strings.NewReader(s.body))
	return resp, nil
}

func TestRunPollsAURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &server{status: http.StatusOK, body: sdlOne, etag: `"a"`}
		changes := 0
		w, err := NewWatcher(Options{
			URL: "http://schema.invalid/sdl", Poll: time.Minute, Client: &http.Client{Transport: srv},
			Token:    func() (string, error) { return "t0ken", nil },
			OnChange: func(_, _ *Schema) { changes++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		// after lets time pass, then looks at the server or changes it.
		after := func(d time.Duration, f func()) {
			time.Sleep(d) // of the bubble's clock
			synctest.Wait()
			srv.Lock()
			defer srv.Unlock()
			f()
		}
		after(0, func() {
			if rootField(w.Current()) != "one" || srv.asked != 1 {
				t.Errorf("not loaded at once: asked %d times", srv.asked)
			}
			if got := srv.last.Header.Get("Authorization"); got != "Bearer t0ken" {
				t.Errorf("authorization %q", got)
			}
		})
		after(3*time.Minute, func() {
			if srv.asked != 4 || srv.fetched != 1 {
				t.Errorf("asked %d, fetched %d times; want 4 and 1", srv.asked, srv.fetched)
			}
			srv.status, srv.etag = http.StatusBadGateway, ""
		})
		after(time.Minute, func() {
			if err := w.Status().Err; err == nil || rootField(w.Current()) != "one" {
				t.Errorf("after a 502: %v, %s", err, rootField(w.Current()))
			}
			srv.status, srv.body = http.StatusOK, sdlTwo
		})
		after(2*time.Minute, func() {
			if rootField(w.Current()) != "two" || w.Status().Err != nil {
				t.Errorf("after the new one: %s: %v", rootField(w.Current()), w.Status().Err)
			}
		})
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run ended with %v", err)
		}
		if changes != 2 {
			t.Errorf("%d changes told, want 2", changes)
		}
	})
}

func TestBadContentStaysBadWhileItIsUnchanged(t *testing.T) {
	srv := &server{status: http.StatusOK, body: "<html>", etag: `"a"`}
	w, err := NewWatcher(Options{URL: "http://schema.invalid/", Client: &http.Client{Transport: srv}})
	if err != nil {
		t.Fatal(err)
	}
	for i, fail := range []error{nil, nil, errors.New("down"), nil} {
		srv.fail = fail
		w.Check(t.Context())
		if w.Status().Err == nil {
			t.Errorf("check %d found nothing wrong", i)
		}
	}
	if srv.fetched != 1 {
		t.Errorf("fetched %d times", srv.fetched)
	}
}

func TestFetchErrorsTellNoSecret(t *testing.T) {
	srv := &server{fail: errors.New("connection refused")}
	w, err := NewWatcher(Options{URL: "http://user:hunter2@schema.invalid/?key=hunter2", Client: &http.Client{Transport: srv},
		Token: func() (string, error) { return "hunter2", nil }})
	if err != nil {
		t.Fatal(err)
	}
	w.Check(t.Context())
	if err := w.Status().Err; err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
	_, err = NewWatcher(Options{URL: "ftp://hunter2@x"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestReadIsBounded(t *testing.T) {
	if _, err := readBounded(endless{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{{}, {File: "a", URL: "http://b"}, {File: "a", Poll: -1}, {URL: "schema.graphql"}} {
		if _, err := NewWatcher(o); err == nil {
			t.Errorf("accepted %+v", o)
		}
	}
}
