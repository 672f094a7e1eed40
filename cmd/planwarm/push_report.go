package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/planhttp"
	"github.com/planwarm/planwarm/schema"
)

// fault is one fault of an operation, for --json.
type fault struct {
	File    string `json:"file,omitempty"`
	Entry   string `json:"entry,omitempty"` // of a persisted-operation file
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Message string `json:"message"`
}

// refusal is what --json says of input that was refused.
type refusal struct {
	Refused   bool           `json:"refused"`
	Faults    []fault        `json:"faults,omitempty"`
	WouldFall []manifest.Pin `json:"wouldFall,omitempty"`
	WouldPark []manifest.Pin `json:"wouldPark,omitempty"`
}

// faultsOf takes an error apart into the single faults in it.
func faultsOf(err error) []fault {
	var one *schema.OperationError
	if x, ok := err.(*schema.OperationError); ok {
		return []fault{{File: x.File, Line: x.Line, Column: x.Column, Rule: x.Rule, Message: x.Message}}
	}
	if x, ok := err.(refusedEntry); ok {
		out := faultsOf(x.err)
		for i := range out {
			out[i].File, out[i].Entry = x.File, x.Entry
		}
		if len(out) == 1 && out[0].Rule == "" {
			out[0].Message = x.Reason // the error for people repeats file and entry
		}
		return out
	}
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) && (errors.As(err, &one) || !errors.Is(err, manifest.ErrInvalid)) {
		var out []fault
		for _, e := range many.Unwrap() {
			out = append(out, faultsOf(e)...)
		}
		return out
	}
	return []fault{{Message: err.Error()}}
}

// refuse ends a command whose input has faults; nothing was changed.
func (c *cli) refuse(err error) error {
	if c.json {
		if jerr := c.printJSON(refusal{Refused: true, Faults: faultsOf(err)}); jerr != nil {
			return jerr
		}
	}
	code := exitRefused
	var coded *codeError
	if errors.As(err, &coded) { // a file that is not there is no fault of its content
		code = coded.code
	}
	return withCode(code, fmt.Errorf("refused, nothing was changed:\n%w", err))
}

// maxToldPins bounds how many pins an error lists; --json has them all.
const maxToldPins = 20

// refuseEviction says what a push of several would have taken out.
func (c *cli) refuseEviction(rep pushReport, err error) error {
	if c.json {
		if jerr := c.printJSON(refusal{Refused: true, WouldFall: rep.Fell, WouldPark: rep.Parked}); jerr != nil {
			return jerr
		}
	}
	var b strings.Builder
	told := 0
	tell := func(what string, pins []manifest.Pin) {
		for _, p := range pins {
			if told++; told <= maxToldPins {
				fmt.Fprintf(&b, "\n  would %s: %s", what, pinText(p))
			}
		}
	}
	tell("fall out", rep.Fell)
	tell("be parked", rep.Parked)
	if told > maxToldPins {
		fmt.Fprintf(&b, "\n  and %d more", told-maxToldPins)
	}
	return withCode(exitRefused, fmt.Errorf("refused, nothing was changed: %w; --evict allows it%s", err, b.String()))
}

func pinText(p manifest.Pin) string {
	return printable(fmt.Sprintf("%s %s, pushed %s by %s", nameOf(p.Request.OperationName), short(p.ID), when(p.PushedAt), or(p.PushedBy, "somebody")))
}

// pushNotes tells of pushed operations that the next manifest leaves out all the same.
func pushNotes(d *desk, r *rules, after manifest.Pins, res manifest.PushResult) ([]string, error) {
	states, err := d.states(r, after, time.Now())
	if err != nil {
		return nil, err
	}
	var notes []string
	for _, list := range [][]manifest.Pin{res.Added, res.Moved} {
		for _, p := range list {
			s, there := states[p.ID]
			if !there || s.in() || s.State == string(manifest.ReasonParked) {
				continue
			}
			notes = append(notes, fmt.Sprintf("%s is pushed, but not in the manifest now: %s", nameOf(p.Request.OperationName), stateText(s)))
		}
	}
	return slices.Concat(notes, persistedNotes(res), profileNotes(d, r, res)), nil
}

// persistedNotes tells of persisted ids that no router is given, since it may
// keep another operation under them.
func persistedNotes(res manifest.PushResult) []string {
	var notes []string
	for _, p := range slices.Concat(res.Added, res.Moved) {
		x := p.Request.Extensions
		if x == nil || x.PersistedQuery == nil || planhttp.Hashes(x.PersistedQuery.SHA256Hash, p.Request.Query) {
			continue
		}
		notes = append(notes, fmt.Sprintf("%s: the persisted id %s is not the SHA-256 of its text, so routers get the text alone",
			nameOf(p.Request.OperationName), short(x.PersistedQuery.SHA256Hash)))
	}
	return notes
}

// stateText is a state for people.
func stateText(s pinState) string {
	text := strings.ReplaceAll(s.State, "-", " ")
	if s.State == string(manifest.ReasonDuplicate) {
		text = "active, shares a plan"
	}
	if detail, _, _ := strings.Cut(s.Detail, "\n"); detail != "" && !(s.in() || s.State == string(manifest.ReasonParked)) {
		text += ": " + detail
	}
	return text
}

func (c *cli) printPush(f pushFlags, r *rules, d *desk, rep pushReport) error {
	moved := ""
	if n := len(rep.Moved); n > 0 {
		moved = fmt.Sprintf(", %d already there and moved to the top", n)
	}
	if err := c.say(f.bucketFlags, "%s: %d added%s; %d of %d places taken", d.graph, len(rep.Added), moved, min(rep.Pins, rep.Limit), rep.Limit); err != nil {
		return err
	}
	t := newTable(c.stdout)
	row := func(what string, pins []manifest.Pin) {
		for _, p := range pins {
			t.row("  "+what, pushedName(p), short(p.ID), clientOf(p.Client), p.PlanKey)
		}
	}
	if !f.quiet {
		row("added", rep.Added)
		row("moved", rep.Moved)
	}
	// What left the manifest is told even to who asked for silence.
	row("fell out at the cap", rep.Fell)
	row("parked by the cap", rep.Parked)
	if err := t.flush(); err != nil {
		return err
	}
	for _, n := range rep.Notes {
		if err := c.line("note: %s", printable(n)); err != nil {
			return err
		}
	}
	if d.configured == nil {
		c.warn("the graph is not in the configuration: the cap is taken to be %d", rep.Limit)
	}
	if f.dryRun {
		return c.say(f.bucketFlags, "dry run: nothing was changed (checked: %s)", r)
	}
	return c.say(f.bucketFlags, "checked: %s", r)
}
