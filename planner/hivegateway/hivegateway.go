// Package hivegateway plans operations in a Hive Gateway with router-runtime.
//
// The gateway plans before it looks at variables. So an operation with a
// required variable is planned, and surely not executed, when the variable is
// left out; for all others the plug-in of deploy/hive-gateway answers in place
// of the subgraphs.
//
// The key of a plan is the exact text and the operation name that was sent.
// Plans end with the document in the gateway's parse cache, an hour after the
// text was first seen, used or not: Watch says so just after it.
package hivegateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/hook"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// DefaultLifetime is how long the gateway's parse cache keeps a document.
const DefaultLifetime = time.Hour

// The signs of a reload, besides those of package hook.
const (
	SignExpired = "plans expired"
	SignCounter = "schema change counted"
)

// Options configure a Planner.
type Options struct {
	URL string // of the GraphQL endpoint; required
	// Token returns the token that the plug-in has; nil: there is no plug-in, and
	// only operations with a required variable are planned.
	Token      func() (string, error)
	MetricsURL string // Prometheus page; "" leaves this sign out
	// ReadyURL tells of restarts, which the plug-in tells better: it is asked
	// without one only. "" leaves this sign out.
	ReadyURL string
	Client   *http.Client // nil: one of our own
	// Canary is a query with a real field and without a required variable; ""
	// takes the one that the plug-in names.
	Canary                  string
	OwnVersion              string
	Lifetime                time.Duration // of a plan
	Timeout                 time.Duration // of one request
	MaxBody                 int64         // bytes read of one answer
	WatchInterval, Debounce time.Duration
}

// channel is one of the two ways to plan.
type channel interface {
	planner.Planner
	planner.Verifier
	planner.Watcher
	planner.MutationSafe
	planner.Serial
}

// Planner plans in one Hive Gateway. It is safe for concurrent use.
type Planner struct{ channel }

var (
	_ planner.Planner      = Planner{}
	_ planner.Verifier     = Planner{}
	_ planner.Watcher      = Planner{}
	_ planner.MutationSafe = Planner{}
	_ planner.Serial       = Planner{}
)

// New returns a Planner for one gateway. It sends nothing yet.
func New(o Options) (Planner, error) {
	p, err := build(o)
	if err != nil {
		return Planner{}, fmt.Errorf("new hive gateway planner: %w", err)
	}
	return Planner{p}, nil
}

func build(o Options) (channel, error) {
	if err := planhttp.CheckURLs(o.URL, o.ReadyURL, o.MetricsURL); err != nil {
		return nil, err
	}
	if o.Lifetime < 0 {
		return nil, errors.New("lifetime: negative")
	}
	o.Lifetime = cmp.Or(o.Lifetime, DefaultLifetime)
	o.Client = planhttp.Client(o.Client)
	ends := newExpiry(o.Lifetime)
	counter := &counter{o: o}
	restarts := &planhttp.Restarts{Client: o.Client}
	if o.Token == nil {
		restarts.ReadyURL = o.ReadyURL
	}
	also := func(ctx context.Context, sign string) string {
		restarted, counted := restarts.Look(ctx), counter.look(ctx)
		sign = cmp.Or(sign, restarted, counted)
		if sign != "" {
			ends.clear() // the plans are gone with the graph
		} else if ends.due(time.Now()) {
			sign = SignExpired
		}
		return sign
	}
	if o.Token == nil {
		return newBare(o, ends, also), nil
	}
	return hook.New(hook.Options{
		URL: o.URL, Token: o.Token, Client: o.Client, Canary: o.Canary, OwnVersion: o.OwnVersion, Timeout: o.Timeout, MaxBody: o.MaxBody,
		WatchInterval: o.WatchInterval, Debounce: o.Debounce, Also: also,
		Planned: func(since time.Time) { ends.note(since, time.Now()) },
	})
}
