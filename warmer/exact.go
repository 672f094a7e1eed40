package warmer

import (
	"cmp"
	"slices"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/telemetry"
)

// Some routers key their plans on the text and the operation name as they were
// sent. For these an operation is warmed in each text that clients send, with
// the name and without it, and not at all in a text that no client sends.

// exactMembers are the members of a usage by how worthwhile their text is: those
// whose text is what clients send, by executions.
func exactMembers(u telemetry.Usage) []telemetry.Member {
	var out []telemetry.Member
	for _, m := range u.Members {
		if m.Text != "" {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b telemetry.Member) int {
		return cmp.Or(compareLifted(a.Lifted, b.Lifted), cmp.Compare(b.Executions, a.Executions), cmp.Compare(a.Hash, b.Hash))
	})
	return out
}

func compareLifted(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// withTexts gives e the texts of the usage: the most sent one is the entry's,
// others are variants, as many as fit. Where every text lacks something it is
// said of the entry.
func withTexts(e manifest.Entry, u telemetry.Usage) manifest.Entry {
	e.Planwarm.Lifted = u.Lifted
	for i, m := range exactMembers(u) {
		if i == 0 {
			e.Request = manifest.Request{OperationName: m.Name, Query: m.Text}
			e.Planwarm.Lifted = m.Lifted
			continue
		}
		e = withText(e, m)
	}
	return e
}

// withText adds another text to e, unless no client sends it or e has it.
func withText(e manifest.Entry, m telemetry.Member) manifest.Entry {
	switch {
	case m.Lifted || m.Text == "":
		return e
	case e.Planwarm.Lifted:
		e.Request = manifest.Request{OperationName: m.Name, Query: m.Text}
		e.Planwarm.Lifted = false
		return e
	case len(e.Planwarm.Variants) >= manifest.MaxVariants:
		return e
	}
	for _, x := range e.Expand() {
		if x.Request.Query == m.Text {
			return e
		}
	}
	v := manifest.Variant{Query: m.Text}
	if m.Name != e.Request.OperationName {
		v.OperationName = &m.Name
	}
	e.Planwarm.Variants = append(slices.Clip(e.Planwarm.Variants), v)
	return e
}

// Inexact is an operation that a router which keys on exact text is not warmed
// with, since the text is not what clients send.
type Inexact struct {
	Name    string `json:"name,omitempty"`
	PlanKey string `json:"planKey,omitempty"`
	Reason  string `json:"reason"`
}

// reasonLifted is why an entry is inexact.
const reasonLifted = "not warmed: the text that clients send has literals or comments, which are not kept"

// InexactOf lists what Items leaves out of entries for a router that keys on
// exact text. An operation with one text that is exact is not among them.
func InexactOf(entries []manifest.Entry) []Inexact {
	var out []Inexact
	for _, e := range entries {
		lifted := true
		for _, x := range e.Expand() {
			lifted = lifted && x.Planwarm.Lifted
		}
		if lifted {
			out = append(out, Inexact{Name: e.Request.OperationName, PlanKey: e.Planwarm.PlanKey, Reason: reasonLifted})
		}
	}
	return out
}

// exactForms are the requests that warm e in such a router, the form that e has
// itself first: a text with one operation can come with its name and without
// it, which are two plans; one with several needs the name.
func exactForms(e manifest.Entry) []manifest.Entry {
	if e.Planwarm.Lifted {
		return nil
	}
	forms := []manifest.Entry{e}
	operations, err := schema.ParseDocument("", []byte(e.Request.Query))
	if err != nil || len(operations) != 1 {
		return forms
	}
	other := e
	switch name := operations[0].Name; {
	case e.Request.OperationName != "":
		other.Request.OperationName = ""
	case name != "":
		other.Request.OperationName = name
	default:
		return forms
	}
	return append(forms, other)
}
