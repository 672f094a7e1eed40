package telemetry

import (
	"slices"
	"strings"
	"time"
	"unique"
)

// Bounds of what is kept of one operation.
const (
	maxHash      = 128 // bytes of a hash or plan key
	maxName      = 256 // bytes of an operation name
	maxClient    = 128 // bytes of a client's name, and of its version
	maxNames     = 8
	maxClients   = 16
	maxOperation = 256 << 10 // bytes of one text
)

// OtherClient stands for all clients of an operation beyond the first 16.
var OtherClient = Client{Name: "other"}

// operation is what the table knows of one operation.
type operation struct {
	hash    string
	planKey string
	key     string // of the canonical text
	kind    string
	text    string // canonical; "" when unknown
	named   string // the name that the text has; requests may have others
	lifted  bool   // the text lacks what was sent
	source  string // the router's hash where that is no identity

	names   []nameCount
	clients []unique.Handle[Client] // a series counts by index; maxClients means OtherClient
	series  []series                // sorted by slot and group

	count    uint32 // accesses, halved as they age
	lastSeen int64  // Unix nanoseconds of the last execution
	measured int64  // of the last planning sample
	newest   int32  // hour of the newest arrival
	searched int32  // hour of the last search for a client that is gone

	cost   int64 // nanoseconds: planning time of the last warm-up
	costAt int64

	// position in the heap, and the rank that it has there: see leastUsed.
	place      int
	placeCount uint32
	placeSeen  int64

	refused  uint64 // digest of the last text that Canonical refused
	learning bool   // its text is being made canonical
	bytes    int    // of the series, as accounted
}

type nameCount struct {
	name string
	n    uint64
}

// describe keeps what op tells of the operation, n executions long.
func (o *operation) describe(op *Operation, n uint64) {
	if o.planKey == "" && op.PlanKey != "" && len(op.PlanKey) <= maxHash {
		o.planKey = strings.Clone(op.PlanKey)
	}
	if o.kind == "" {
		o.kind = operationType(op.Type)
	}
	if o.source == "" && op.SourceHash != "" && len(op.SourceHash) <= maxHash {
		o.source = strings.Clone(op.SourceHash)
	}
	if op.Name == "" || len(op.Name) > maxName {
		return
	}
	for i := range o.names {
		if o.names[i].name == op.Name {
			o.names[i].n += n
			return
		}
	}
	if len(o.names) < maxNames {
		o.names = append(o.names, nameCount{strings.Clone(op.Name), n})
	}
}

// operationType returns one of the three known types, or "".
func operationType(s string) string {
	for _, known := range []string{"query", "mutation", "subscription"} {
		if strings.EqualFold(s, known) {
			return known
		}
	}
	return ""
}

// client returns the index that c is counted under.
func (o *operation) client(c Client) int16 {
	if len(c.Name) > maxClient || len(c.Version) > maxClient {
		return maxClients
	}
	for i, h := range o.clients {
		if h.Value() == c {
			return int16(i)
		}
	}
	if len(o.clients) < maxClients {
		o.clients = append(o.clients, unique.Make(c))
		return int16(len(o.clients) - 1)
	}
	if o.searched == o.newest { // the window has not moved: no use in searching again
		return maxClients
	}
	if i := o.unusedClient(); i >= 0 {
		o.clients[i] = unique.Make(c)
		return int16(i)
	}
	o.searched = o.newest
	return maxClients
}

// unusedClient returns the index of a client that the window no longer has, so
// that versions which went away make room for new ones, or -1.
func (o *operation) unusedClient() int {
	var used [maxClients + 1]bool
	for i := range o.series {
		for _, b := range o.series[i].clients {
			used[b.index] = true
		}
	}
	return slices.Index(used[:maxClients], false)
}

// clientAt is the client behind an index.
func (o *operation) clientAt(index int16) Client {
	if int(index) < len(o.clients) {
		return o.clients[index].Value()
	}
	return OtherClient
}

// arrive moves the operation's clock to at and returns the slot for it.
func (o *operation) arrive(at time.Time, windowHours int32, g *groups) slot {
	hour := hourOf(at)
	o.move(hour, windowHours, g)
	o.lastSeen = max(o.lastSeen, at.UnixNano())
	return slotAt(hour, o.newest)
}

// move brings the series up to hour. A clock that went back by more than the
// window is believed: otherwise one wrong time in the future would make
// everything after it too old.
func (o *operation) move(hour, windowHours int32, g *groups) {
	if hour > o.newest || hour < o.newest-windowHours {
		o.newest = hour
		o.roll(hour, windowHours, g)
	}
}

// seriesSize is what all series cost.
func (o *operation) seriesSize() int {
	n := 0
	for i := range o.series {
		n += o.series[i].bytes()
	}
	return n
}
