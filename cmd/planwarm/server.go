package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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
}

// listen opens the address and serves 404 until a handler is set.
func listen(name, addr string, log *zap.Logger) (*server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	s := &server{asked: addr, addr: ln.Addr().String(), done: make(chan struct{}), next: http.NotFoundHandler()}
	s.commit()
	s.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.handler.Load()).ServeHTTP(w, r) }),
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

// set says what the generation that is being prepared serves here.
func (s *server) set(h http.Handler) { s.next = h }

// commit puts what was set in force.
func (s *server) commit() {
	if h := s.next; h != nil {
		s.handler.Store(&h)
		s.next = nil
	}
}

// close answers what is under way, then ends.
func (s *server) close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}
