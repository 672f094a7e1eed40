package main

import (
	"fmt"
	"strings"

	"github.com/planwarm/planwarm/manifest"
)

// matcher tells what goes by the name that a person gave.
type matcher struct {
	what  string
	rules *rules
}

// id says whether an id, or the start of one, is meant.
func (m matcher) id(id string) bool { return len(m.what) >= 8 && strings.HasPrefix(id, m.what) }

func (m matcher) entry(e placed) bool {
	for _, x := range e.Expand() {
		if x.Request.OperationName == m.what || x.Planwarm.PlanKey == m.what || m.id(manifest.PinID(x.Request)) ||
			m.hash(x.Request, x.Planwarm.Conditions) {
			return true
		}
	}
	return false
}

func (m matcher) pin(p listed) bool {
	return p.Request.OperationName == m.what || p.PlanKey == m.what || m.id(p.ID) || m.hash(p.Request, nil)
}

// hash says whether the operation hash that a router gives to a request is meant.
func (m matcher) hash(r manifest.Request, conditions map[string]bool) bool {
	if m.rules.schema == nil || !isNumber(m.what) {
		return false
	}
	_, hash, err := m.rules.keyer.Key(r.Query, r.OperationName, conditions)
	return err == nil && hash == m.what
}

func (m matcher) denial(d manifest.Deny) bool {
	return d.OperationName == m.what || d.PlanKey == m.what || d.Hash == m.what || m.id(d.ID)
}

func (m matcher) leftOut(l manifest.LeftOut) bool {
	return l.OperationName == m.what || l.PlanKey == m.what || m.id(l.PinID)
}

// lines are the explanation in words.
func (e *explanation) lines() []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch e.Verdict {
	case verdictIn:
		add("in the manifest in force (%s)", e.inForce())
	case verdictNext:
		add("not in the manifest in force (%s), but in the next one", e.inForce())
	case verdictOut:
		add("not in the manifest in force (%s)", e.inForce())
	}
	for _, x := range e.Entries {
		add("  place %d of %d: %s", x.Place, e.Size, e.entryText(x))
	}
	for _, p := range e.Pins {
		add("  pushed: %s, place %d of the stack, %s, by %s on %s", nameOf(p.Request.OperationName), p.Place, stateText(p.pinState), or(p.PushedBy, "somebody"), when(p.PushedAt))
	}
	for _, d := range e.Denied {
		reason := ""
		if d.Reason != "" {
			reason = ": " + d.Reason
		}
		add("  denied: %s, by %s on %s%s", denyText(d), or(d.DeniedBy, "somebody"), when(d.DeniedAt), reason)
	}
	for _, l := range e.LeftOut {
		add("  left out at the last recompute: %s %s, %s%s", l.Source, nameOf(l.OperationName), reasonText(l), measured(l.P90Ms, l.Executions))
	}
	if e.Hold {
		add("  the graph is held at version %d: no recompute changes that", e.Sequence)
	}
	return out
}

func (e *explanation) inForce() string {
	if e.Sequence == 0 {
		return "nothing was published yet"
	}
	return fmt.Sprintf("version %d, %s", e.Sequence, some(e.Size, "operation"))
}

// entryText says what brought an entry to its place.
func (e *explanation) entryText(x placed) string {
	d := x.Planwarm
	text := fmt.Sprintf("%s, from telemetry by rank %s", nameOf(x.Request.OperationName), or(string(e.Rank), string(manifest.RankP90)))
	if d.Source == manifest.SourceManual {
		text = fmt.Sprintf("%s, pushed by %s", nameOf(x.Request.OperationName), or(d.PushedBy, "somebody"))
	}
	text += measured(d.P90Ms, d.Executions)
	if d.Samples > 0 {
		text += ", " + some(int(d.Samples), "planning sample")
	} else if d.MeasuredAt != nil {
		text += ", measured " + when(*d.MeasuredAt) + " and not planned since"
	}
	if d.PlanKey != "" {
		text += ", plan key " + d.PlanKey
	}
	if n := len(d.Variants); n > 0 {
		text += ", " + some(n, "variant")
	}
	if d.Lifted {
		text += ", its literals lifted: routers that key plans on exact text are not warmed with it"
	}
	return text
}

func measured(p90 float64, executions uint64) string {
	text := ""
	if p90 > 0 {
		text += ", p90 " + milliseconds(p90) + " ms"
	}
	if executions > 0 {
		text += fmt.Sprintf(", %d executions", executions)
	}
	return text
}

func reasonText(l manifest.LeftOut) string {
	text := strings.ReplaceAll(string(l.Reason), "-", " ")
	if l.Place > 0 {
		text += fmt.Sprintf(" at place %d", l.Place)
	}
	if detail, _, _ := strings.Cut(l.Detail, "\n"); detail != "" {
		text += " (" + detail + ")"
	}
	return text
}

// printLeftOut shows everything that is left out, pushed operations first.
func (c *cli) printLeftOut(e *explanation) error {
	if c.json {
		e.Entries = []placed{} // planwarm inspect has them
		return c.printJSON(e)
	}
	if err := c.line("%s: %s", e.Graph, e.inForce()); err != nil {
		return err
	}
	t := newTable(c.stdout, "LEFT OUT", "SOURCE", "P90 MS", "EXECUTIONS", "PLAN KEY", "WHY")
	n := 0
	told := map[string]bool{}
	for _, p := range e.Pins {
		told[p.ID] = true
		if !p.in() {
			n++
			t.row(nameOf(p.Request.OperationName), string(manifest.SourceManual), "-", "-", or(p.PlanKey, "-"), stateText(p.pinState))
		}
	}
	for _, l := range e.LeftOut {
		if !told[l.PinID] {
			n++
			t.row(nameOf(l.OperationName), string(l.Source), milliseconds(l.P90Ms), count(l.Executions), or(l.PlanKey, "-"), reasonText(l))
		}
	}
	if n > 0 {
		if err := t.flush(); err != nil {
			return err
		}
	}
	if n == 0 {
		if err := c.line("nothing that was pushed is left out"); err != nil {
			return err
		}
	}
	return c.line("sidecar: %s", e.Sidecar)
}
