package telemetry

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Canonical is an operation's text as it may be stored.
type Canonical struct {
	Text string // without any literal of a user, unless the owner wants them kept
	Name string // of the operation in Text; "" for one without a name
	Key  string // equal for texts that mean the same
	Type string // query, mutation, subscription, or "" when it was not looked at
	// Identity tells operations of one key apart where routers plan each text
	// for itself. It stands in for the hash of a source that has none; "" is Key.
	Identity string
	// Lifted says that the text as it was sent had literals, or comments, which
	// Text lacks: whatever keys on the exact text does not know Text.
	Lifted bool
}

// Options of a Table. Zero fields get the defaults.
type Options struct {
	// Instance names the planwarm process that owns the table, so that Combine
	// does not count it twice, live and from its own checkpoint.
	Instance string
	// Canonical makes a text storable. It is called once for each text, after
	// its operation was admitted, never under the table's lock, and its errors
	// are remembered. Required: nothing else keeps literals out.
	Canonical func(text, name string) (Canonical, error)
	// OwnClient is the client name of planwarm's own requests. They are no
	// demand; their planning time refreshes what an operation costs.
	OwnClient string

	Window        time.Duration // how long samples count, 1 h to 31 d; default 168 h
	MaxOperations int           // default 20,000
	MaxText       int           // bytes of all texts; default 64 MiB
	MaxHistograms int           // bytes of all counts and histograms, and once more of cumulative streams; default 256 MiB
	MaxIdentities int           // of spans, and of delta points; default 1,048,576
	MaxStreams    int           // cumulative streams; default 131,072
}

// Bounds and defaults of Options.
const (
	DefaultWindow        = 168 * time.Hour
	DefaultMaxOperations = 20_000
	DefaultMaxText       = 64 << 20

	defaultMaxHistograms = 256 << 20
	defaultMaxIdentities = 1 << 20
	defaultMaxStreams    = 1 << 17

	minWindow     = time.Hour
	maxWindow     = 31 * 24 * time.Hour
	maxOperations = 1 << 22
	maxInstance   = 256
)

func (o *Options) setDefaults() {
	defaultTo := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	defaultTo(&o.MaxOperations, DefaultMaxOperations)
	defaultTo(&o.MaxText, DefaultMaxText)
	defaultTo(&o.MaxHistograms, defaultMaxHistograms)
	defaultTo(&o.MaxIdentities, defaultMaxIdentities)
	defaultTo(&o.MaxStreams, defaultMaxStreams)
}

func (o *Options) validate() error {
	var errs []error
	if o.Canonical == nil {
		errs = append(errs, errors.New("canonical: required"))
	}
	if o.Window < minWindow || o.Window > maxWindow {
		errs = append(errs, fmt.Errorf("window %s: not from %s to %s", o.Window, minWindow, maxWindow))
	}
	if o.MaxOperations < 1 || o.MaxOperations > maxOperations {
		errs = append(errs, fmt.Errorf("max operations %d: not from 1 to %d", o.MaxOperations, maxOperations))
	}
	for _, limit := range []struct {
		name string
		n    int
	}{{"text", o.MaxText}, {"histograms", o.MaxHistograms}, {"identities", o.MaxIdentities}, {"streams", o.MaxStreams}} {
		if limit.n < 1 {
			errs = append(errs, fmt.Errorf("max %s %d: not positive", limit.name, limit.n))
		}
	}
	if len(o.Instance) > maxInstance {
		errs = append(errs, fmt.Errorf("instance: longer than %d bytes", maxInstance))
	}
	return errors.Join(errs...)
}

// Identities are remembered this long after their arrival.
const (
	keepIdentities = 10 * time.Minute
	keepBodies     = time.Minute
)

// Table keeps what is known of each operation, within the bounds of its
// Options whatever comes in. It is safe for concurrent use.
type Table struct {
	options     Options
	windowHours int32

	mu sync.Mutex
	state
	frequencies *frequencies

	// ids remembers which operation a text without a hash belongs to, by the
	// digest of the text; "" is a text that Canonical refused.
	ids *simplelru.LRU[uint64, string]

	stats   Stats
	scratch histogram // of the event at hand
}

var (
	_ Recorder         = (*Table)(nil)
	_ OverflowRecorder = (*Table)(nil)
)

// NewTable returns an empty table.
func NewTable(options Options) (*Table, error) {
	options.setDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("create telemetry table: %w", err)
	}
	state, err := newState(&options)
	if err != nil {
		return nil, fmt.Errorf("create telemetry table: %w", err)
	}
	ids, err := simplelru.NewLRU[uint64, string](max(options.MaxOperations, 1024), nil)
	if err != nil {
		return nil, fmt.Errorf("create telemetry table: %w", err)
	}
	return &Table{
		options:     options,
		windowHours: int32((options.Window + time.Hour - 1) / time.Hour),
		state:       state,
		frequencies: newFrequencies(options.MaxOperations),
		ids:         ids,
	}, nil
}

// state is what a checkpoint holds.
type state struct {
	operations map[string]*operation
	leastUsed  leastUsed
	accesses   uint64 // since the last halving of the counts
	textBytes  int
	histBytes  int
	clock      time.Time // of the last arrival; it goes back when the clock did

	layouts layouts
	groups  groups
	spans   seen
	points  seen
	bodies  seen
	streams streams
}

func newState(o *Options) (state, error) {
	streams, err := newStreams(o.MaxStreams, o.MaxHistograms)
	return state{
		operations: make(map[string]*operation),
		spans:      newSeen(keepIdentities, o.MaxIdentities),
		points:     newSeen(keepIdentities, o.MaxIdentities),
		bodies:     newSeen(keepBodies, o.MaxIdentities),
		streams:    streams,
	}, err
}

// Window is how long samples count.
func (t *Table) Window() time.Duration { return t.options.Window }

// Instance names the process that owns the table.
func (t *Table) Instance() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.options.Instance
}

// own reports whether planwarm itself sent the operation.
func (t *Table) own(c Client) bool {
	return t.options.OwnClient != "" && c.Name == t.options.OwnClient
}

// access counts n executions of op and returns its entry, or nil when it is
// not admitted. The caller holds the lock.
func (t *Table) access(at time.Time, op *Operation, n uint64) *operation {
	if op.Hash == "" || len(op.Hash) > maxHash {
		t.stats.Malformed++
		return nil
	}
	t.clock = at
	n = min(n, uint64(t.options.MaxOperations)) // one body is no reason to forget all others
	estimate := t.frequencies.add(hashOf(op.Hash), n)
	o := t.operations[op.Hash]
	if o == nil {
		if o = t.admit(op.Hash, max(estimate, 1)); o == nil {
			return nil
		}
		o.count = max(uint32(n), estimate)
	} else {
		o.count = uint32(min(uint64(o.count)+n, 1<<31))
	}
	t.age(n)
	o.describe(op, n)
	return o
}

// age halves all counts once every 100 × capacity accesses, so that what was
// popular before does not outweigh what is popular now.
func (t *Table) age(n uint64) {
	t.accesses += n
	if t.accesses >= 100*uint64(t.options.MaxOperations) {
		t.accesses = 0
		t.leastUsed.halve()
	}
}

func (t *Table) full() bool { return len(t.operations) >= t.options.MaxOperations }

// admit adds an operation that was seen estimate times, evicting the least
// used one of a full table when that was used less; otherwise it returns nil.
func (t *Table) admit(hash string, estimate uint32) *operation {
	if t.full() {
		if least := t.leastUsed.top(); estimate <= least.count {
			t.stats.Rejected++
			return nil
		}
		t.evict(t.leastUsed.top())
	}
	o := newOperation(hash)
	t.operations[o.hash] = o
	t.leastUsed.push(o)
	t.stats.Admitted++
	return o
}

func (t *Table) evict(o *operation) {
	t.remove(o)
	t.stats.Evicted++
}

func (t *Table) remove(o *operation) {
	t.leastUsed.remove(o)
	delete(t.operations, o.hash)
	t.textBytes -= len(o.text)
	t.histBytes -= o.bytes
}

// account brings the budget of histograms up to date after o changed, and
// evicts the least used operations while it is exceeded.
func (t *Table) account(o *operation, bytes int) {
	t.histBytes += bytes - o.bytes
	o.bytes = bytes
	for t.histBytes > t.options.MaxHistograms && len(t.leastUsed) > 1 {
		least := t.leastUsed.top()
		if least == o { // the newcomer is the one to go, unless it holds everything
			t.evict(o)
			return
		}
		t.evict(least)
	}
}
