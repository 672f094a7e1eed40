// Package manifest is the format of a warm-up manifest and everything that
// decides what goes into one: validation, ranking, the cap, merging, diffing
// and signing. It is pure: no clock, file, network or environment.
package manifest

import "time"

// Format is the version of the manifest format that this package reads and writes.
const Format = "planwarm/v1"

// Bounds of a manifest. They are checked before and after decoding.
const (
	MaxBytes      = 16 << 20  // of one encoded manifest, and of one pins object
	MaxEntries    = 10_000    // operations in one manifest; also pins and denials of one graph
	MaxQueryBytes = 256 << 10 // of one operation's text
	MaxNameBytes  = 1 << 10   // of a name, a version, a person, a reason
	MaxVariants   = 16        // other requests in one entry
	MaxConditions = 64        // variables in one set of conditions
	MaxProfiles   = 8         // header profiles that one pin is warmed under
)

// Graph names a federated graph.
type Graph struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// String returns namespace/name.
func (g Graph) String() string { return g.Namespace + "/" + g.Name }

// Manifest is the ordered list of operations to warm, the most worthwhile
// first. A Cosmo router reads it as it is: it looks at operations[].request
// and operations[].client and ignores every other field.
type Manifest struct {
	Format      string     `json:"format"`
	Graph       Graph      `json:"graph"`
	Sequence    uint64     `json:"sequence"`
	Writer      string     `json:"writer,omitempty"`
	GeneratedAt time.Time  `json:"generatedAt"`
	Schema      string     `json:"schema,omitempty"` // "sha256:<hex>" of the schema it was built against
	Window      string     `json:"window,omitempty"` // a Go duration, such as "168h"
	Rank        Rank       `json:"rank,omitempty"`
	Signature   *Signature `json:"signature,omitempty"`
	Operations  []Entry    `json:"operations"`
}

// Signature is an Ed25519 signature (base64) over the manifest without this field.
type Signature struct {
	Key     string `json:"key"`
	Ed25519 string `json:"ed25519"`
}

// Rank names an order of candidates.
type Rank string

// The ranks.
const (
	RankP90    Rank = "p90"    // highest P90 planning time first, ties by mean
	RankSaved  Rank = "saved"  // chance of being needed within the horizon × P90
	RankBudget Rank = "budget" // most saved within a planning-time budget
)

// Entry is one plan: the operation that is sent to get it, and what is known of it.
type Entry struct {
	Request  Request `json:"request"`
	Client   *Client `json:"client,omitempty"`
	Planwarm Details `json:"planwarm"`
}

// Request is a GraphQL request without variables.
type Request struct {
	OperationName string      `json:"operationName,omitempty"`
	Query         string      `json:"query"`
	Extensions    *Extensions `json:"extensions,omitempty"`
}

// Extensions of a request; only the persisted query is kept.
type Extensions struct {
	PersistedQuery *PersistedQuery `json:"persistedQuery,omitempty"`
}

// PersistedQuery identifies a persisted operation.
type PersistedQuery struct {
	SHA256Hash string `json:"sha256Hash"` // 64 lower-case hex digits
	Version    int    `json:"version"`    // 1
}

// Client is who sent an operation.
type Client struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// Source says where an entry comes from.
type Source string

// The sources.
const (
	SourceManual    Source = "manual"
	SourceTelemetry Source = "telemetry"
)

// OperationType is query, mutation or subscription.
type OperationType string

// The operation types.
const (
	Query        OperationType = "query"
	Mutation     OperationType = "mutation"
	Subscription OperationType = "subscription"
)

// Details is what planwarm knows of an entry. Times are in milliseconds.
type Details struct {
	Source     Source          `json:"source"`
	Type       OperationType   `json:"type"`
	PlanKey    string          `json:"planKey,omitempty"` // xxhash64 of the normal form as an unsigned decimal
	P90Ms      float64         `json:"p90Ms,omitempty"`
	MaxMs      float64         `json:"maxMs,omitempty"`
	MeanMs     float64         `json:"meanMs,omitempty"`
	Samples    uint64          `json:"samples,omitempty"`    // planning samples (cache misses) behind P90Ms
	Executions uint64          `json:"executions,omitempty"` // requests in the window, hits included
	MeasuredAt *time.Time      `json:"measuredAt,omitempty"`
	Score      float64         `json:"score,omitempty"` // what a rank other than p90 ordered by
	PushedAt   *time.Time      `json:"pushedAt,omitempty"`
	PushedBy   string          `json:"pushedBy,omitempty"`
	Conditions map[string]bool `json:"conditions,omitempty"` // values of variables in @skip and @include
	Profile    string          `json:"profile,omitempty"`    // name of a header profile
	// Lifted says that the query lacks literals that clients send: a router
	// that keys its plans on the exact text never asks for this one.
	Lifted   bool      `json:"lifted,omitempty"`
	Variants []Variant `json:"variants,omitempty"`
}

// Variant is another request that belongs to the same slot: the same plan
// under another name, text, client or header profile, or the same operation
// under other conditions (then with a plan key of its own). Empty fields are the entry's;
// Entry.Expand fills them in.
type Variant struct {
	OperationName *string         `json:"operationName,omitempty"` // nil: as the entry; "": no name is sent
	Query         string          `json:"query,omitempty"`
	Lifted        bool            `json:"lifted,omitempty"` // of Query, as in Details
	Client        *Client         `json:"client,omitempty"`
	PlanKey       string          `json:"planKey,omitempty"`
	Conditions    map[string]bool `json:"conditions,omitempty"`
	Profile       string          `json:"profile,omitempty"`
}

// Candidate is one plan that may go into a manifest: a pushed operation or one
// seen in telemetry, with its plan key already computed under the current schema.
// Every figure is given once: a pin that telemetry also measured comes either
// with the figures, or next to a candidate of the same plan that has them.
type Candidate struct {
	Entry
	// Hashes are the router's operation hashes of this plan, for Deny.Hash.
	Hashes []string
	// Clients has the executions of each client, for Settings.MaxSharePerClient.
	Clients map[Client]uint64
	// SumMs is the sum of all planning samples, milliseconds.
	SumMs float64
	// Pin is set for pushed operations, Place is its position in the stack: 0 is the newest.
	Pin   *Pin
	Place int
	// Refused says why the current schema (or a planner) refuses it; "" when it does not.
	Refused string
	// Left is a reason, decided outside, that keeps it out (introspection, own request, ...); "" when there is none.
	Left Reason
}

// PinsFormat is the version of the pins object.
const PinsFormat = "planwarm-pins/v1"

// Pin is an operation that somebody pushed. Its text is kept exactly.
type Pin struct {
	ID       string     `json:"id"` // PinID(Request)
	Request  Request    `json:"request"`
	Client   *Client    `json:"client,omitempty"`
	PlanKey  string     `json:"planKey,omitempty"` // under the schema at the time of the push, to find it by
	PushedAt time.Time  `json:"pushedAt"`
	PushedBy string     `json:"pushedBy,omitempty"`
	From     *time.Time `json:"from,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
	// Profiles are the header profiles that it is warmed under, besides none.
	Profiles []string `json:"profiles,omitempty"`
}

// Deny keeps an operation out of the manifest for good. It matches by pin id,
// plan key, operation hash or operation name, whichever are set; one match is
// enough, since a key alone would stop matching with the next schema.
type Deny struct {
	ID            string    `json:"id,omitempty"`
	PlanKey       string    `json:"planKey,omitempty"`
	Hash          string    `json:"hash,omitempty"`
	OperationName string    `json:"operationName,omitempty"`
	Reason        string    `json:"reason,omitempty"`
	DeniedAt      time.Time `json:"deniedAt"`
	DeniedBy      string    `json:"deniedBy,omitempty"`
}

// Pins is the object that holds the pushed operations, newest first, and the deny list of a graph.
type Pins struct {
	Format   string `json:"format"`
	Graph    Graph  `json:"graph"`
	Sequence uint64 `json:"sequence"`
	Nonce    string `json:"nonce"`
	// Recent has the nonces of the last writes, newest last, at most
	// MaxRecentNonces: a writer whose answer got lost finds its own here even
	// when others have written since.
	Recent []string `json:"recent,omitempty"`
	Pins   []Pin    `json:"pins"`
	Deny   []Deny   `json:"deny,omitempty"`
}

// MaxRecentNonces bounds Pins.Recent.
const MaxRecentNonces = 64
