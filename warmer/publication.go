package warmer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"go.uber.org/zap"
)

// ReasonWebhook is that of a round that a schema registry asked for.
const ReasonWebhook Reason = "webhook"

// ErrSuperseded is what a PendingStore returns when another publish came meanwhile.
var ErrSuperseded = errors.New("another publish came meanwhile")

// PendingStore keeps over restarts that a schema was published.
type PendingStore interface {
	// Pending returns a tag of the work that is open, "" when none is.
	Pending(ctx context.Context, graph manifest.Graph) (tag string, err error)
	// ClearPending says that what tag stands for is done. The error wraps
	// ErrSuperseded when there is more to do by now.
	ClearPending(ctx context.Context, graph manifest.Graph, tag string) error
}

// SchemaChecker is a SchemaSource that can look for a new schema at once.
type SchemaChecker interface {
	// Check looks once and reports whether there is a new schema.
	Check(ctx context.Context) bool
	// Status says how that went.
	Status() schema.Status
}

var _ SchemaChecker = (*schema.Watcher)(nil)

// PublicationState is how far the work on a published schema is.
type PublicationState string

// The states.
const (
	PublicationLoading   PublicationState = "loading"   // the new schema is looked for
	PublicationBuilding  PublicationState = "building"  // the manifest is built for it
	PublicationWaiting   PublicationState = "waiting"   // for routers to load it
	PublicationDone      PublicationState = "done"      // every router loaded it, or ran out of time
	PublicationUnchanged PublicationState = "unchanged" // the schema is the one from before
	PublicationFailed    PublicationState = "failed"    // the schema cannot be had
)

// Publication is what came of a schema that a registry said was published.
type Publication struct {
	At          time.Time        `json:"at"` // when the work began
	State       PublicationState `json:"state"`
	From        string           `json:"from,omitempty"` // ids of the schemas
	To          string           `json:"to,omitempty"`
	BrokenCount int              `json:"brokenCount"`
	Broken      []Broken         `json:"broken,omitempty"`   // of the manifest that was in force, refused by the new schema; at most 100
	Sequence    uint64           `json:"sequence,omitempty"` // of the manifest for the new schema
	Routers     []RouterLoad     `json:"routers,omitempty"`
	Error       string           `json:"error,omitempty"`
}

// RouterLoad is what is known of one router and the new schema.
type RouterLoad struct {
	Name   string    `json:"name"`
	State  LoadState `json:"state"`
	At     time.Time `json:"at,omitzero"`      // of the run that followed
	Origin Origin    `json:"origin,omitempty"` // what that run was made from
	Detail string    `json:"detail,omitempty"`
}

// LoadState says whether a router has the new schema.
type LoadState string

// The states of a router.
const (
	LoadWaiting LoadState = "waiting" // no sign yet
	LoadWarm    LoadState = "warm"    // it reloaded and was warmed
	LoadEnded   LoadState = "loaded"  // it reloaded, and its run ended early
	LoadTimeout LoadState = "timeout" // no sign came; it was warmed all the same
)

const (
	// schemaWait is how long a new schema is looked for: a webhook can be
	// faster than the place that the schema is fetched from.
	schemaWait     = 30 * time.Second
	schemaPause    = 500 * time.Millisecond
	schemaPauseMax = 5 * time.Second
	// loadTimeout is how long routers are waited for.
	loadTimeout = 10 * time.Minute
	// loadLead is how long before planwarm saw the schema a router may have loaded it.
	loadLead   = 15 * time.Second
	loadPoll   = 200 * time.Millisecond
	pendingGap = 5 * time.Second // between attempts at the bucket
)

// publication is the work on published schemas.
type publication struct {
	queue *queue

	mu     sync.Mutex
	last   *schema.Schema // that was noted last
	seen   *schemaChange  // that nobody has worked off yet
	worked schemaChange   // that was worked off last
	status *Publication
}

// schemaChange is a new schema, with what was in force when it was seen.
type schemaChange struct {
	at       time.Time
	from, to *schema.Schema
	fromID   string
	inForce  []manifest.Entry
}

// SchemaPublished says that the registry has a new schema of the graph. It
// returns at once; Status has what comes of it. Several that come while one is
// worked off are one more round.
func (w *Warmer) SchemaPublished(_ context.Context, id manifest.Graph) error {
	g, err := w.graph(id)
	if err != nil {
		return err
	}
	g.publication.queue.add(ReasonWebhook)
	return nil
}

// noteSchema takes down that there is a new schema, before a manifest is built
// for it: what broke is told by comparison with the one in force now.
func (g *graph) noteSchema() {
	sc := g.opts.Schema.Current()
	if sc == nil {
		return
	}
	g.mu.Lock()
	inForce, built := g.fetched.lastGood.Operations, g.fetched.lastGood.Schema
	g.mu.Unlock()
	p := &g.publication
	p.mu.Lock()
	defer p.mu.Unlock()
	isNew := p.last == nil || p.last.ID() != sc.ID()
	// A process that was started between the publish and its work has never
	// seen the schema before, but the manifest is of that one.
	missed := built != "" && built != sc.ID() && (p.worked.to == nil || p.worked.to.ID() != sc.ID())
	switch {
	case p.seen != nil && isNew: // two in a row: what broke, broke against the first
		p.seen.to, p.seen.at = sc, time.Now()
	case p.seen == nil && isNew:
		p.seen = &schemaChange{at: time.Now(), from: p.last, fromID: schemaID(p.last), to: sc, inForce: inForce}
	case p.seen == nil && missed:
		p.seen = &schemaChange{at: time.Now(), fromID: built, to: sc, inForce: inForce}
	}
	p.last = sc
}

// takeSeen returns the change that nobody has worked off, and makes it the one
// that is worked on; before is when the one before it was seen.
func (p *publication) takeSeen() (change *schemaChange, before time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		return nil, time.Time{}
	}
	change, before = p.seen, p.worked.at
	p.worked, p.seen = *change, nil
	return change, before
}

func (p *publication) waits() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen != nil
}

// show publishes a state of the work.
func (p *publication) show(x Publication) {
	x.Routers = slices.Clone(x.Routers)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = &x
}

func (p *publication) shown() *Publication {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// publicationLoop works off publishes, at the start one that a process before
// this one left behind.
func (g *graph) publicationLoop(ctx context.Context) {
	q := g.publication.queue
	q.add(ReasonStart)
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.ready:
		}
		reasons := q.take()
		tag, err := g.pendingTag(ctx)
		if err != nil && ctx.Err() == nil {
			g.log.Warn("pending publish not read", zap.Error(err))
			q.addLater(pendingGap, ReasonStart)
		}
		if tag == "" && !slices.Contains(reasons, ReasonWebhook) {
			continue
		}
		if g.workOff(ctx) {
			g.clearPending(ctx, tag)
		}
	}
}

func (g *graph) pendingTag(ctx context.Context) (string, error) {
	if g.opts.Pending == nil {
		return "", nil
	}
	ctx, stop := context.WithTimeout(ctx, fetchTimeout)
	defer stop()
	return g.opts.Pending.Pending(ctx, g.opts.Graph)
}

// clearPending ends the work in the bucket. What cannot be cleared is worked
// off once more, which is cheap when nothing changed.
func (g *graph) clearPending(ctx context.Context, tag string) {
	if tag == "" {
		return
	}
	ctx, stop := context.WithTimeout(ctx, fetchTimeout)
	defer stop()
	err := g.opts.Pending.ClearPending(ctx, g.opts.Graph, tag)
	switch {
	case err == nil, ctx.Err() != nil:
	case errors.Is(err, ErrSuperseded):
		g.publication.queue.add(ReasonWebhook)
	default:
		g.log.Warn("pending publish not cleared", zap.Error(err))
	}
}

// addLater asks for a round after d. It starts no goroutine that has to be
// awaited: a queue that nobody reads any more keeps what it gets.
func (q *queue) addLater(d time.Duration, rs ...Reason) {
	time.AfterFunc(d, func() { q.add(rs...) })
}
