// Package planner is what planwarm asks of a router: to plan an operation and
// keep the plan, without executing anything. One package below it for each
// kind of router.
package planner

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Outcomes that a caller acts on.
var (
	// ErrExecuted: the router ignored the plan-only request and executed it. A run stops at once.
	ErrExecuted = errors.New("router executed a plan-only request")
	// ErrRefused: the router does not take plan-only requests from us (it fails closed). A run stops.
	ErrRefused = errors.New("router refused plan-only requests")
	// ErrOverloaded: 429, 503 or a time-out; worth another try later, more slowly.
	ErrOverloaded = errors.New("router overloaded")
	// ErrUnavailable: the router cannot be reached, or is not ready.
	ErrUnavailable = errors.New("router unavailable")
	// ErrInvalid: the router cannot plan this operation; another one may be fine.
	ErrInvalid = errors.New("operation refused by the router")
)

// Request is one operation to plan.
type Request struct {
	Query         string
	OperationName string // as it is sent; "" sends none
	PersistedHash string // SHA-256 of a persisted operation, sent where it is that of Query; "" sends none
	Mutation      bool
	Client        string // client name and version, "name@version"; empty: planwarm's own
	// Conditions has the values of variables in @skip and @include. They select
	// the plan; no other variable is ever sent.
	Conditions map[string]bool
	Header     http.Header // of the header profile, may be nil
	PlanKey    string      // the key that is expected, for logs and verification
}

// Result is what a router said of a planned operation.
type Result struct {
	Hit     Hit           // whether the plan was in the cache before this request
	PlanKey string        // as the router reports it, "" when it does not
	Plan    time.Duration // planning time as the router reports it, 0 when it does not
	Took    time.Duration // of the whole request, as seen from here
}

// Hit says whether a router answered from its plan cache.
type Hit uint8

// The values of Hit.
const (
	HitUnknown Hit = iota
	HitYes
	HitNo
)

// Planner makes a router plan an operation without executing it. Errors wrap
// one of the sentinels above.
type Planner interface {
	// Plan plans r and keeps the plan in the router's cache.
	Plan(ctx context.Context, r Request) (Result, error)
	// Probe sends the canary and proves that plan-only requests are honoured
	// now. It returns ErrExecuted or ErrRefused when they are not.
	Probe(ctx context.Context) error
}

// Verifier is a Planner whose Result.Hit can be trusted: Verify asks whether
// the plan of r is in the cache, through a plan-only request.
type Verifier interface {
	Verify(ctx context.Context, r Request) (Hit, error)
}

// Reload is a sign that a router rebuilt its graph and lost its plans.
type Reload struct {
	At   time.Time
	Sign string // such as "cdn pull", "plan cache dropped", "instance changed"
}

// Watcher is a Planner that can see reloads.
type Watcher interface {
	// Watch calls seen for each sign until ctx ends.
	Watch(ctx context.Context, seen func(Reload)) error
}

// Serial is a Planner of a router that plans on the one thread that serves its
// requests. Where Serial is true it is asked one thing at a time, whatever
// concurrency is allowed: more would only wait there, canaries too, which then
// could not tell live traffic from our own.
type Serial interface {
	Serial() bool
}

// Cores is a Planner that can tell how many cores its router may use.
type Cores interface {
	// Cores returns their number, or 0 when it is not known.
	Cores(ctx context.Context) int
}

// MutationSafe is a Planner that knows whether mutations can be planned over
// its channel without any chance of being executed.
type MutationSafe interface {
	MutationSafe() bool
}
