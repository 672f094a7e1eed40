// Package embedded runs a real S3 server, versitygw, as a child process over
// a directory: the default bucket, for which nothing has to be installed.
//
// The child is this program executed again. It ends when its standard input
// closes, however its parent died, and is started again on the same port when
// it dies itself. Any number of servers may run over one directory, each on a
// port of its own: conditions of writes hold across them, by file locks. So a
// command needs no other process to be running, and one that is killed takes
// nobody's server with it.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/s3store"
)

// DefaultBucket is the name of the bucket that Start creates.
const DefaultBucket = "planwarm"

// Command is the argument with which the program must call RunChild.
const Command = "internal-s3"

const (
	region       = "us-east-1"
	startTries   = 3
	readyTimeout = 15 * time.Second
	closeTimeout = 5 * time.Second
	steadyAfter  = 10 * time.Second // a child that lived this long starts again at once
	firstDelay   = 50 * time.Millisecond
	longestDelay = 5 * time.Second
)

// ErrStart says that the server did not come up.
var ErrStart = errors.New("embedded bucket did not start")

// Options of a server. Only Dir is required.
type Options struct {
	// Dir holds the objects, the credentials and the address. It is created.
	Dir    string
	Bucket string
	// Listen is a loopback address; the default is a free port.
	Listen string
	// Announce writes the address to endpoint.json for people and their S3
	// tools. It is for the long-running process of a directory.
	Announce bool
	// Command is what to execute for the child; the default is this program
	// with the argument Command.
	Command []string
	Logger  *zap.Logger
}

// Server is a running embedded bucket.
type Server struct {
	o      Options
	log    *zap.Logger
	creds  Credentials
	addr   string
	bucket *s3store.Bucket

	closing   chan struct{}
	closeOnce sync.Once
	done      chan struct{}

	mu    sync.Mutex
	child *child
}

// Start starts a server and returns when its bucket can be used. ctx bounds
// the start only; Close ends the server.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("start embedded bucket: %w", err)
	}
	if err := os.MkdirAll(o.root(), 0o700); err != nil {
		return nil, fmt.Errorf("start embedded bucket: %w", err)
	}
	creds, err := loadCredentials(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("start embedded bucket: %w", err)
	}
	s := &Server{o: o, log: o.Logger.With(zap.String("component", "embedded bucket")), creds: creds,
		closing: make(chan struct{}), done: make(chan struct{})}
	if err := s.first(ctx); err != nil {
		return nil, fmt.Errorf("start embedded bucket: %w", err)
	}
	go s.supervise()
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start embedded bucket: %w", err), s.Close())
	}
	s.log.Info("embedded bucket started", zap.String("endpoint", s.Endpoint()), zap.String("dir", o.Dir))
	return s, nil
}

func (o *Options) complete() error {
	if o.Dir == "" {
		return errors.New("dir: required")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	o.Dir = dir
	if o.Bucket == "" {
		o.Bucket = DefaultBucket
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Listen != "" {
		host, _, err := net.SplitHostPort(o.Listen)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			return errors.New("listen: not a loopback address with a port")
		}
	}
	if len(o.Command) == 0 {
		exe, err := self()
		if err != nil {
			return err
		}
		o.Command = []string{exe, Command}
	}
	return nil
}

// self is this program. The link in /proc still leads to it when the file was
// replaced by an upgrade.
func self() (string, error) {
	const link = "/proc/self/exe"
	if _, err := os.Stat(link); err == nil {
		return link, nil
	}
	return os.Executable()
}

func (o *Options) root() string { return filepath.Join(o.Dir, "objects") }

// first starts the first child. A free port can be taken by somebody else
// before the child has it: then another one is tried.
func (s *Server) first(ctx context.Context) error {
	var err error
	for range startTries {
		if s.addr, err = s.o.pickAddress(); err != nil {
			return err
		}
		if err = s.launch(ctx); err == nil || ctx.Err() != nil || errors.Is(err, ErrUnsupported) {
			return err
		}
	}
	return err
}

func (o *Options) pickAddress() (string, error) {
	if o.Listen != "" {
		return o.Listen, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("pick port: %w", err)
	}
	addr := l.Addr().String()
	return addr, l.Close()
}

func (s *Server) launch(ctx context.Context) error {
	c, err := startChild(ctx, s.o.Command, childConfig{
		Root: s.o.root(), Listen: s.addr, Region: region, Credentials: s.creds,
	}, s.log)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.child = c
	return nil
}

// open connects to the server and creates the bucket.
func (s *Server) open(ctx context.Context) error {
	bucket, err := s3store.Open(ctx, s.Options())
	if err != nil {
		return err
	}
	s.bucket = bucket
	if err := s.create(ctx); err != nil {
		return err
	}
	if !s.o.Announce {
		return nil
	}
	return writeEndpoint(s.o.Dir, endpointFile{Endpoint: s.Endpoint(), Bucket: s.o.Bucket, Region: region, PID: os.Getpid()})
}

// create makes the bucket. Should the child die in the middle of it, supervise
// is starting another one, which takes a moment.
func (s *Server) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(firstDelay)
	defer tick.Stop()
	for {
		err := s.bucket.Create(ctx)
		if !errors.Is(err, cdnsource.ErrAmbiguous) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// supervise starts the child again whenever it dies, until Close.
func (s *Server) supervise() {
	defer close(s.done)
	delay := firstDelay
	for {
		c := s.current()
		select {
		case <-c.exited:
		case <-s.closing:
			c.stop(closeTimeout)
			return
		}
		s.log.Warn("embedded bucket died", zap.Int("pid", c.pid()), zap.Error(c.err), zap.Duration("took", c.lived))
		if c.lived > steadyAfter {
			delay = firstDelay
		}
		for !s.relaunch(&delay) {
			select {
			case <-s.closing:
				return
			case <-time.After(delay):
			}
		}
	}
}

// relaunch starts the child on the port that clients know. The delay before
// the next try doubles while it keeps dying.
func (s *Server) relaunch(delay *time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-stop:
		}
	}()
	err := s.launch(ctx)
	if err == nil {
		s.log.Info("embedded bucket started again", zap.String("endpoint", s.Endpoint()), zap.Int("pid", s.PID()))
		return true
	}
	*delay = min(*delay*2, longestDelay)
	if ctx.Err() == nil {
		s.log.Error("embedded bucket not started", zap.Error(err), zap.Duration("delay", *delay))
	}
	return false
}

func (s *Server) current() *child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child
}

// Bucket is a client of the server; it lives until Close.
func (s *Server) Bucket() *s3store.Bucket { return s.bucket }

// Options are what another client needs to open the bucket.
func (s *Server) Options() s3store.Options {
	return s3store.Options{Endpoint: s.Endpoint(), Region: region, Bucket: s.o.Bucket,
		AccessKey: s.creds.AccessKey, SecretKey: s.creds.SecretKey}
}

// Endpoint is the server's URL. It stays the same over restarts of the child.
func (s *Server) Endpoint() string { return "http://" + s.addr }

// Credentials are those of the directory.
func (s *Server) Credentials() Credentials { return s.creds }

// PID is the process id of the child that runs now, or ran last.
func (s *Server) PID() int { return s.current().pid() }

// Close ends the server and waits until its child is gone.
func (s *Server) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	<-s.done
	if s.bucket != nil {
		s.bucket.Close()
	}
	if s.o.Announce {
		return removeEndpoint(s.o.Dir)
	}
	return nil
}
