package manifest

import (
	"fmt"
	"slices"
	"strings"
)

// Difference is what changed from one manifest to another. Entries are matched
// by Entry.Key. It has no texts.
type Difference struct {
	Added   []Change `json:"added"`
	Removed []Change `json:"removed"`
	Moved   []Change `json:"moved"`   // the fewest entries whose moves explain the new order
	Changed []Change `json:"changed"` // the same plan, but other requests or another source
}

// Change is what happened to one entry. Places count from 1; 0: not there.
type Change struct {
	OperationName string   `json:"operationName,omitempty"`
	PlanKey       string   `json:"planKey,omitempty"`
	Source        Source   `json:"source"`
	Client        *Client  `json:"client,omitempty"`
	From          int      `json:"from,omitempty"`
	To            int      `json:"to,omitempty"`
	P90Ms         float64  `json:"p90Ms,omitempty"`
	Fields        []string `json:"fields,omitempty"` // what changed: query, client, variants, ...
}

// Empty reports whether there is no difference.
func (d Difference) Empty() bool {
	return len(d.Added)+len(d.Removed)+len(d.Moved)+len(d.Changed) == 0
}

// Diff says what changed from a to b. Figures do not count.
func Diff(a, b Manifest) Difference {
	// Empty lists, not null, for whoever reads it as JSON.
	d := Difference{Added: []Change{}, Removed: []Change{}, Moved: []Change{}, Changed: []Change{}}
	// Entries without plan keys may share a key, as one text sent by two clients.
	was := make(map[string][]int, len(a.Operations))
	for i := range a.Operations {
		key := a.Operations[i].Key()
		was[key] = append(was[key], i)
	}
	type pair struct{ from, to int }
	var both []pair
	stays := make([]bool, len(a.Operations))
	for i := range b.Operations {
		e := &b.Operations[i]
		key := e.Key()
		if len(was[key]) == 0 {
			d.Added = append(d.Added, change(e, 0, i+1))
			continue
		}
		from := was[key][0]
		was[key] = was[key][1:]
		stays[from] = true
		both = append(both, pair{from, i})
		if fields := changedFields(&a.Operations[from], e); len(fields) > 0 {
			c := change(e, from+1, i+1)
			c.Fields = fields
			d.Changed = append(d.Changed, c)
		}
	}
	for i := range a.Operations {
		if !stays[i] {
			d.Removed = append(d.Removed, change(&a.Operations[i], i+1, 0))
		}
	}
	froms := make([]int, len(both))
	for i, p := range both {
		froms[i] = p.from
	}
	for i, kept := range increasing(froms) {
		if !kept {
			d.Moved = append(d.Moved, change(&b.Operations[both[i].to], both[i].from+1, both[i].to+1))
		}
	}
	return d
}

func change(e *Entry, from, to int) Change {
	return Change{
		OperationName: e.Request.OperationName, PlanKey: e.Planwarm.PlanKey, Source: e.Planwarm.Source,
		Client: e.Client, From: from, To: to, P90Ms: e.Planwarm.P90Ms,
	}
}

// changedFields names what differs between two entries of the same plan.
func changedFields(a, b *Entry) []string {
	var fields []string
	note := func(differs bool, name string) {
		if differs {
			fields = append(fields, name)
		}
	}
	note(a.Request.OperationName != b.Request.OperationName, "operationName")
	note(a.Request.Query != b.Request.Query, "query")
	x, y := a.Request, b.Request
	x.OperationName, x.Query, y.OperationName, y.Query = "", "", "", ""
	note(x.identity() != y.identity(), "persistedQuery")
	note(compareClients(a.Client, b.Client) != 0, "client")
	note(a.Planwarm.Source != b.Planwarm.Source, "source")
	note(a.Planwarm.Profile != b.Planwarm.Profile, "profile")
	// The plan key is equal, so that only the conditions and what stands before them are left to differ.
	c, e := Entry{Planwarm: Details{Conditions: a.Planwarm.Conditions}}, Entry{Planwarm: Details{Conditions: b.Planwarm.Conditions}}
	note(c.fingerprint() != e.fingerprint(), "conditions")
	note(a.variantPrint() != b.variantPrint(), "variants")
	return fields
}

// increasing marks a longest increasing subsequence of distinct numbers: what
// can be said to have stayed in its place.
func increasing(seq []int) []bool {
	var tails []int // tails[n]: index of the smallest end of a run of n+1
	before := make([]int, len(seq))
	for i, v := range seq {
		n, _ := slices.BinarySearchFunc(tails, v, func(t, v int) int { return seq[t] - v })
		before[i] = -1
		if n > 0 {
			before[i] = tails[n-1]
		}
		if n == len(tails) {
			tails = append(tails, i)
		} else {
			tails[n] = i
		}
	}
	kept := make([]bool, len(seq))
	if len(tails) == 0 {
		return kept
	}
	for i := tails[len(tails)-1]; i >= 0; i = before[i] {
		kept[i] = true
	}
	return kept
}

// String is d for people: one line for each change.
func (d Difference) String() string {
	if d.Empty() {
		return "no difference\n"
	}
	var b strings.Builder
	for _, c := range d.Added {
		fmt.Fprintf(&b, "+ %s at %d\n", c.label(), c.To)
	}
	for _, c := range d.Removed {
		fmt.Fprintf(&b, "- %s from %d\n", c.label(), c.From)
	}
	for _, c := range d.Moved {
		fmt.Fprintf(&b, "> %s from %d to %d\n", c.label(), c.From, c.To)
	}
	for _, c := range d.Changed {
		fmt.Fprintf(&b, "~ %s: %s\n", c.label(), strings.Join(c.Fields, ", "))
	}
	return b.String()
}

func (c Change) label() string {
	var b strings.Builder
	if c.OperationName != "" {
		b.WriteString(c.OperationName)
	} else {
		b.WriteString("(no name)")
	}
	if c.PlanKey != "" {
		b.WriteString(" [" + c.PlanKey + "]")
	}
	if c.Client != nil && c.Client.Name != "" {
		b.WriteString(" " + c.Client.Name)
		if c.Client.Version != "" {
			b.WriteString("@" + c.Client.Version)
		}
	}
	if c.Source == SourceManual {
		b.WriteString(" pinned")
	}
	if c.P90Ms > 0 {
		fmt.Fprintf(&b, " p90 %.1f ms", c.P90Ms)
	}
	return b.String()
}
