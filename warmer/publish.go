package warmer

import (
	"context"
	"errors"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/telemetry"
)

// Errors of a recompute that a caller acts on.
var (
	// ErrHeld: a rollback holds the manifest until somebody lifts it.
	ErrHeld = errors.New("manifest is held")
	// ErrConflict: other publishers were faster, each time.
	ErrConflict = errors.New("others kept publishing")
	// ErrNoSchema: nothing can be built before the schema is known.
	ErrNoSchema = errors.New("schema is not loaded")
)

// Store is where manifests are published.
type Store interface {
	// PublishIf makes what build returns the newest manifest. build is given the
	// current one (nil when there is none) and called again when another writer
	// was faster; the manifest it returns as unchanged is not written.
	PublishIf(ctx context.Context, graph manifest.Graph, build func(ctx context.Context, current *manifest.Manifest) (manifest.Manifest, error)) (manifest.Manifest, error)
	// Pins returns the pushed operations and the deny list, with a tag that
	// changes when they do. No pins is no error.
	Pins(ctx context.Context, graph manifest.Graph) (manifest.Pins, string, error)
	// SaveCheckpoint keeps this instance's telemetry.
	SaveCheckpoint(ctx context.Context, graph manifest.Graph, body []byte) error
}

// UsageSource knows what telemetry says of the operations of a graph.
type UsageSource interface {
	// Usages returns the operations seen in the window before now, those of
	// all instances together. Operations for which key is equal are one.
	Usages(ctx context.Context, now time.Time, window time.Duration, key func(telemetry.Usage) string) ([]telemetry.Usage, error)
	// Hottest returns the n most used operations of this instance.
	Hottest(n int) []telemetry.Usage
	// Checkpoint returns this instance's state. With an error there may be a
	// state nevertheless, which is good: only its local copy could not be written.
	Checkpoint() ([]byte, error)
}

// PublishOptions says how a graph's manifest is made.
type PublishOptions struct {
	Settings           manifest.Settings
	Window             time.Duration
	RecomputeInterval  time.Duration
	MinPublishInterval time.Duration
	PinsPoll           time.Duration
	CheckpointInterval time.Duration
	// ExactTexts says that a router of the graph keys its plans on exact text:
	// entries have each text that clients send.
	ExactTexts bool
}

// published is the outcome of the last recompute.
type published struct {
	last *PublishReport
	tag  string // of the pins that were read last
}

// PublishReport says what a recompute did. After an error its figures are those
// of the last one that succeeded, whose manifest is still in force.
type PublishReport struct {
	At           time.Time          `json:"at"`
	Reasons      []Reason           `json:"reasons"`
	Published    bool               `json:"published"`
	Sequence     uint64             `json:"sequence"` // of the manifest in force
	Operations   int                `json:"operations"`
	PlanKeys     int                `json:"planKeys"`
	LeftOutCount int                `json:"leftOutCount"`
	LeftOut      []manifest.LeftOut `json:"leftOut,omitempty"` // in status at most 100
	Carried      int                `json:"carried,omitempty"` // operations kept from the manifest in force, since telemetry knows none at all
	Waiting      string             `json:"waiting,omitempty"` // why a changed manifest was not published yet
	TookMs       float64            `json:"tookMs"`
	Error        string             `json:"error,omitempty"`
}
