package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Input is everything that Build decides on.
type Input struct {
	Graph      Graph
	Schema     string        // "sha256:<hex>" of the current schema, or ""
	Window     time.Duration // over which executions were counted
	Settings   Settings
	Candidates []Candidate // pins and telemetry, in any order
	Deny       []Deny
	Previous   *Manifest // the last published one: it remembers costs
	Now        time.Time
	Writer     string
}

// Result is a manifest that is valid, and what is not in it. The manifest's
// Sequence is one above Previous; the store that claims a number has the last
// word.
type Result struct {
	Manifest Manifest
	LeftOut  []LeftOut
}

// Build makes the manifest out of candidates. It changes nothing it is given,
// and the order of candidates does not matter.
//
// Candidates that share a plan key, their own or a variant's, become one entry;
// one without a key joins those of the same request. The entry's request is the
// newest pin's or else the most executed one's, the others are variants.
// Executions and samples add up; P90 and maximum are the largest, since
// histograms cannot be merged here: whoever has them merges them before, for
// each plan key.
//
// Pins come first, newest first, up to Settings.PinRoom; then telemetry by rank
// in what is left. Gates are for telemetry only. A candidate that breaks a rule
// of the format is left out, so that one bad operation never keeps a manifest
// from being published. An error means that Settings, Graph or the like are wrong.
func Build(in Input) (Result, error) {
	m, err := in.head()
	if err != nil {
		return Result{}, fmt.Errorf("build manifest: %w", err)
	}
	b := builder{in: in, set: in.Settings, now: utc(&in.Now), deny: newDenials(in.Deny), costs: rememberCosts(in.Previous), writer: newWriter()}
	if err := b.spaceLeft(m); err != nil {
		return Result{}, fmt.Errorf("build manifest: %w", err)
	}
	b.left = make([]LeftOut, 0, len(in.Candidates))
	pins, rest := b.slots()
	b.takePins(pins)
	b.takeRanked(b.gate(rest))
	m.Operations = b.entries
	b.sortLeft()
	return Result{Manifest: m, LeftOut: b.left}, nil
}

// head checks what is not a candidate, and makes the manifest without operations.
func (in *Input) head() (Manifest, error) {
	if err := in.Settings.Validate(); err != nil {
		return Manifest{}, err
	}
	m := Manifest{
		Format: Format, Graph: in.Graph, Sequence: 1, Writer: in.Writer, GeneratedAt: in.Now.UTC(),
		Schema: in.Schema, Rank: in.Settings.Rank,
	}
	if in.Previous != nil {
		m.Sequence = in.Previous.Sequence + 1
	}
	if in.Window > 0 {
		m.Window = in.Window.String()
	}
	if in.Settings.Rank != RankP90 && in.Window <= 0 {
		return Manifest{}, fmt.Errorf("%w:\nwindow: %v, want more than 0 for rank %s", ErrInvalid, in.Window, in.Settings.Rank)
	}
	return m, m.Validate()
}

// builder carries one Build from step to step.
type builder struct {
	in      Input
	set     Settings
	now     *time.Time // in UTC
	deny    denials
	costs   costs
	writer  *writer
	space   int // bytes left in the manifest
	values  int // values left in it
	entries []Entry
	planned float64 // milliseconds of planning of entries
	left    []LeftOut
}

// signatureSpace is kept free for a signature, which is added after Build.
const signatureSpace = 2 * MaxNameBytes * 6 // a key id may be all escapes

func (b *builder) spaceLeft(m Manifest) error {
	data, err := Encode(m)
	if err != nil {
		return err
	}
	b.space = MaxBytes - len(data) - signatureSpace
	b.values = maxValues - countValues(data) - 8
	return nil
}

func (b *builder) leave(c *Candidate, why Reason, detail string) {
	b.left = append(b.left, leftOut(c, why, detail))
}

func (b *builder) leaveSlot(s *slot, why Reason, detail string, place int) {
	l := leftOut(s.main, why, detail)
	d := &s.entry.Planwarm
	l.P90Ms, l.Samples, l.Executions, l.Place = d.P90Ms, d.Samples, d.Executions, place
	b.left = append(b.left, l)
}

// admit appends the slot's entry when it is valid and fits, and says whether it did.
func (b *builder) admit(s *slot, place int) bool {
	e := &s.entry
	if e.Request.Query == "" {
		b.leaveSlot(s, ReasonNoText, "", place)
		return false
	}
	if err := e.Validate(); err != nil {
		b.leaveSlot(s, ReasonInvalid, strings.ReplaceAll(err.Error(), "\n", " "), place)
		return false
	}
	data, err := b.writer.entry(*e)
	if err != nil {
		b.leaveSlot(s, ReasonInvalid, "cannot be encoded", place)
		return false
	}
	values := countValues(data)
	if len(data) > b.space || values > b.values {
		b.leaveSlot(s, ReasonManifestTooLarge, strconv.Itoa(len(data))+" bytes", place)
		return false
	}
	b.space -= len(data)
	b.values -= values
	b.entries = append(b.entries, *e)
	b.planned += s.planMs()
	return true
}

// takePins fills the manifest with pins, newest first.
func (b *builder) takePins(pins []*slot) {
	slices.SortFunc(pins, func(x, y *slot) int { return compareCandidates(x.main, y.main) })
	room := b.set.PinRoom()
	for i, s := range pins {
		if len(b.entries) >= room {
			b.leaveSlot(s, ReasonParked, "room for "+strconv.Itoa(room)+" pins", i+1)
			continue
		}
		b.admit(s, i+1)
	}
}

// gate drops what is not worth a slot.
func (b *builder) gate(rest []*slot) []*slot {
	kept := make([]*slot, 0, len(rest))
	for _, s := range rest {
		d := &s.entry.Planwarm
		switch {
		case d.Executions < b.set.MinExecutions:
			b.leaveSlot(s, ReasonMinExecutions, strconv.FormatUint(d.Executions, 10)+" executions", 0)
		case !s.measured && b.set.MinPlanningTime > 0:
			b.leaveSlot(s, ReasonNoSamples, "executed, but never planned within the window", 0)
		case d.P90Ms < milliseconds(b.set.MinPlanningTime):
			b.leaveSlot(s, ReasonMinPlanningTime, "", 0)
		case b.set.MaxPlanningTime > 0 && d.P90Ms > milliseconds(b.set.MaxPlanningTime):
			b.leaveSlot(s, ReasonMaxPlanningTime, "", 0)
		default:
			kept = append(kept, s)
		}
	}
	return kept
}

// takeRanked fills what pins have left over.
func (b *builder) takeRanked(rest []*slot) {
	b.rank(rest)
	room := b.set.MaxOperations - len(b.entries)
	perClient := b.set.clientRoom(room)
	taken := make(map[string]int)
	budget := milliseconds(b.set.Budget)
	for i, s := range rest {
		owner := ""
		if b.set.MaxSharePerClient < 1 {
			owner = s.owner()
		}
		switch {
		case len(b.entries) >= b.set.MaxOperations:
			b.leaveSlot(s, ReasonOverCap, "", i+1)
		case owner != "" && taken[owner] >= perClient:
			b.leaveSlot(s, ReasonClientShare, "its client has "+strconv.Itoa(perClient)+" slots", i+1)
		case b.set.Rank == RankBudget && b.planned+s.planMs() > budget:
			b.leaveSlot(s, ReasonOverBudget, "", i+1)
		default:
			if b.admit(s, i+1) {
				taken[owner]++
			}
		}
	}
}

// sortLeft orders what was left out by reason, then place, then key.
func (b *builder) sortLeft() {
	slices.SortFunc(b.left, func(x, y LeftOut) int {
		if c := cmp.Compare(x.Reason, y.Reason); c != 0 {
			return c
		}
		if c := cmp.Compare(x.Place, y.Place); c != 0 {
			return c
		}
		return cmp.Or(
			cmp.Compare(x.PlanKey, y.PlanKey), cmp.Compare(x.OperationName, y.OperationName), cmp.Compare(x.PinID, y.PinID),
			compareClients(x.Client, y.Client), cmp.Compare(x.Executions, y.Executions), cmp.Compare(x.P90Ms, y.P90Ms),
			cmp.Compare(x.Source, y.Source), cmp.Compare(x.Detail, y.Detail),
		)
	})
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
