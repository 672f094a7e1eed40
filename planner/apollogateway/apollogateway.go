// Package apollogateway plans operations in an Apollo Gateway that has the hook
// of deploy/apollo-gateway in its process.
//
// The key of a plan is the exact text and the operation name that was sent.
// Planning blocks the gateway's event loop, so one operation goes at a time; the
// hook itself leaves a pause after each.
package apollogateway

import (
	"fmt"
	"net/http"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/hook"
)

// Options configure a Planner.
type Options struct {
	URL    string                 // of the GraphQL endpoint; required
	Token  func() (string, error) // as the hook has it; required
	Client *http.Client           // nil: one of our own
	// Canary is a query with a real field and without a required variable; ""
	// takes the one that the hook names.
	Canary                  string
	OwnVersion              string
	Timeout                 time.Duration // of one request
	MaxBody                 int64         // bytes read of one answer
	WatchInterval, Debounce time.Duration
}

// Planner plans in one Apollo Gateway. It is safe for concurrent use.
type Planner struct{ *hook.Planner }

var (
	_ planner.Planner      = Planner{}
	_ planner.Verifier     = Planner{}
	_ planner.Watcher      = Planner{}
	_ planner.MutationSafe = Planner{}
	_ planner.Serial       = Planner{}
)

// New returns a Planner for one gateway. It sends nothing yet.
func New(o Options) (Planner, error) {
	p, err := hook.New(hook.Options{
		URL: o.URL, Token: o.Token, Client: o.Client, Canary: o.Canary, OwnVersion: o.OwnVersion,
		Timeout: o.Timeout, MaxBody: o.MaxBody, WatchInterval: o.WatchInterval, Debounce: o.Debounce,
	})
	if err != nil {
		return Planner{}, fmt.Errorf("new apollo gateway planner: %w", err)
	}
	return Planner{p}, nil
}
