package schema

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Defaults of a Watcher.
const (
	DefaultPoll  = 5 * time.Second
	fetchTimeout = 30 * time.Second
)

// Options say what a Watcher watches. One of File and URL is required.
type Options struct {
	File string
	URL  string        // http or https
	Poll time.Duration // DefaultPoll when 0
	// Token, when set, returns the bearer token for URL. It is asked each
	// time, so that a token file may be exchanged.
	Token  func() (string, error)
	Client *http.Client // http.DefaultClient when nil
	Logger *zap.Logger  // none when nil
	// OnChange is called from Run or Check with each new schema, one call at
	// a time. old is nil the first time.
	OnChange func(old, new *Schema)
}

// Status is what a Watcher knows of its schema.
type Status struct {
	ID        string    // of the current schema, "" when there is none yet
	LoadedAt  time.Time // when the current schema came
	CheckedAt time.Time // of the last check, whatever came of it
	Err       error     // of the last check; nil when it was fine
	FailedAt  time.Time // when the last check that failed did
}

// Watcher keeps the newest good schema of a file or a URL. A load that fails
// leaves the last good one in force.
type Watcher struct {
	options Options
	origin  origin
	log     *zap.Logger
	current atomic.Pointer[Schema]

	check  sync.Mutex // held over one check and its OnChange
	bad    error      // why what was read last cannot be loaded; guarded by check
	mu     sync.Mutex // guards status
	status Status
}

// origin is where the bytes of a schema come from. It returns errUnchanged
// when they are those that it returned last.
type origin interface {
	read(ctx context.Context) ([]byte, error)
}

var errUnchanged = errors.New("unchanged")

// NewWatcher checks the options. Nothing is read before Run or Check.
func NewWatcher(o Options) (*Watcher, error) {
	if (o.File == "") == (o.URL == "") {
		return nil, errors.New("watch schema: one of file and url is required")
	}
	if o.Poll < 0 {
		return nil, fmt.Errorf("watch schema: poll %s is negative", o.Poll)
	}
	if o.Poll == 0 {
		o.Poll = DefaultPoll
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	w := &Watcher{options: o}
	if o.File != "" {
		w.origin = &file{path: o.File}
		w.log = o.Logger.With(zap.String("component", "schema"), zap.String("file", o.File))
		return w, nil
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("watch schema: url is not an http or https address") // it may hold a password
	}
	w.origin = &remote{url: o.URL, client: o.Client, token: o.Token}
	w.log = o.Logger.With(zap.String("component", "schema"), zap.String("host", u.Host))
	return w, nil
}

// Current returns the newest good schema, nil before the first.
func (w *Watcher) Current() *Schema { return w.current.Load() }

// Status says how the watching goes.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Run checks at once and then every poll until ctx ends. It returns the error of ctx.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(w.options.Poll)
	defer tick.Stop()
	for {
		w.Check(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Check looks once and reports whether there is a new schema. What went wrong
// is in Status and, when it is news, in the log.
func (w *Watcher) Check(ctx context.Context) bool {
	w.check.Lock()
	defer w.check.Unlock()
	next, err := w.load(ctx)
	if ctx.Err() != nil {
		return false // stopped: no failure of the source
	}
	old := w.current.Load()
	changed := next != nil && (old == nil || old.ID() != next.ID())
	if changed {
		w.current.Store(next)
	}
	w.record(err, changed)
	if !changed {
		return false
	}
	w.log.Info("schema loaded", zap.String("id", next.ID()), zap.String("kind", string(next.Kind())), zap.String("version", next.Version()))
	if w.options.OnChange != nil {
		w.options.OnChange(old, next)
	}
	return true
}

// load returns the schema of the origin, or nil when it is the one from before.
func (w *Watcher) load(ctx context.Context) (*Schema, error) {
	data, err := w.origin.read(ctx)
	if errors.Is(err, errUnchanged) {
		return nil, w.bad // content that cannot be loaded stays so
	}
	if err != nil {
		return nil, err
	}
	next, err := Load(data)
	w.bad = err
	return next, err
}

// record updates the status. A failure is logged once, not at every poll.
func (w *Watcher) record(err error, changed bool) {
	now := time.Now()
	w.mu.Lock()
	before := w.status.Err
	w.status.CheckedAt, w.status.Err = now, err
	if err != nil {
		w.status.FailedAt = now
	}
	if changed {
		w.status.ID, w.status.LoadedAt = w.current.Load().ID(), now
	}
	w.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		w.log.Warn("schema not loaded", zap.Bool("keeping_last", w.current.Load() != nil), zap.Error(err))
	case err == nil && before != nil:
		w.log.Info("schema source recovered")
	}
}
