package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// server is an HTTP listener that outlives reloads: its handler is swapped, so
// that a router never finds the port closed.
type server struct {
	asked   string // the address as configured
	addr    string // the address that it has
	handler atomic.Pointer[http.Handler]
	next    http.Handler // of the generation that is being prepared
	http    *http.Server
	done    chan struct{}

	begun     chan struct{} // closed when a generation is in force, or none will be
	beginOnce sync.Once
}

// startPatience is how long a request waits for a first generation. A router
// that starts together with planwarm would be told by an early 404 that there is
// nothing to warm.
const startPatience = time.Second

// newServer serves 404 until a handler is set.
func newServer() *server {
	s := &server{done: make(chan struct{}), begun: make(chan struct{})}
	h := http.NotFoundHandler()
	s.handler.Store(&h)
	return s
}

// listen opens the address.
func listen(name, addr string, log *zap.Logger) (*server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	s := newServer()
	s.asked, s.addr = addr, ln.Addr().String()
	s.http = &http.Server{
		Handler: s,
		// Senders of telemetry post large bodies over slow links, and
		// /recompute answers when it is done; a reader that takes nothing must
		// not hold a slot of /metrics for good.
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute,
		WriteTimeout:      5 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          zap.NewStdLog(log.With(zap.String("component", name)).WithOptions(zap.IncreaseLevel(zap.ErrorLevel))),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("listener ended", zap.String("listener", name), zap.Error(err))
		}
	}()
	log.Info("listening", zap.String("listener", name), zap.String("addr", s.addr))
	return s, nil
}

// ServeHTTP answers with what is in force.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.begun:
	default:
		s.awaitBegin(r.Context())
	}
	(*s.handler.Load()).ServeHTTP(w, r)
}

func (s *server) awaitBegin(ctx context.Context) {
	timer := time.NewTimer(startPatience)
	defer timer.Stop()
	select {
	case <-s.begun:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (s *server) begin() { s.beginOnce.Do(func() { close(s.begun) }) }

// set says what the generation that is being prepared serves here.
func (s *server) set(h http.Handler) { s.next = h }

// commit puts what was set in force.
func (s *server) commit() {
	if h := s.next; h != nil {
		s.handler.Store(&h)
		s.next = nil
	}
	s.begin()
}

// close answers what is under way, then ends.
func (s *server) close(ctx context.Context) error {
	s.begin()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}
