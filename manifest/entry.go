package manifest

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Expand returns the requests of e one by one: e itself without its variants,
// then each variant with its empty fields filled in from e. A text of its own
// drops the entry's persisted id, which belongs to the entry's text.
func (e Entry) Expand() []Entry {
	all := make([]Entry, 0, 1+len(e.Planwarm.Variants))
	first := e
	first.Planwarm.Variants = nil
	all = append(all, first)
	for _, v := range e.Planwarm.Variants {
		x := first
		if v.OperationName != nil {
			x.Request.OperationName = *v.OperationName
		}
		if v.Query != "" && v.Query != e.Request.Query {
			x.Request.Query = v.Query
			x.Request.Extensions = nil
			x.Planwarm.Lifted = v.Lifted
		}
		if v.Client != nil {
			x.Client = v.Client
		}
		if v.PlanKey != "" {
			x.Planwarm.PlanKey = v.PlanKey
		}
		if len(v.Conditions) > 0 {
			x.Planwarm.Conditions = v.Conditions
		}
		if v.Profile != "" {
			x.Planwarm.Profile = v.Profile
		}
		all = append(all, x)
	}
	return all
}

// Key returns what identifies the entry's slot: its plan key, or for an entry
// without one an identity made from its request.
func (e Entry) Key() string {
	if e.Planwarm.PlanKey != "" {
		return e.Planwarm.PlanKey
	}
	return e.Request.identity()
}

// keys yields the plan keys of e and of its variants; one may come twice.
func (e *Entry) keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		if e.Planwarm.PlanKey != "" && !yield(e.Planwarm.PlanKey) {
			return
		}
		for i := range e.Planwarm.Variants {
			if k := e.Planwarm.Variants[i].PlanKey; k != "" && !yield(k) {
				return
			}
		}
	}
}

// identity tells requests apart by what is sent. It starts with a byte that no
// plan key has, and lengths keep its parts from running into one another.
func (r Request) identity() string {
	hash := ""
	if r.Extensions != nil && r.Extensions.PersistedQuery != nil {
		hash = r.Extensions.PersistedQuery.SHA256Hash
	}
	return joinParts(r.OperationName, hash, r.Query)
}

// fingerprint tells apart what is sent, as whom, and under which conditions.
func (e *Entry) fingerprint() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(e.Planwarm.Conditions)) {
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(strconv.FormatBool(e.Planwarm.Conditions[name]))
		b.WriteByte(';')
	}
	var c Client
	if e.Client != nil {
		c = *e.Client
	}
	return joinParts(e.Request.identity(), c.Name, c.Version, e.Planwarm.PlanKey, e.Planwarm.Profile, b.String())
}

func joinParts(parts ...string) string {
	n := 1
	for _, p := range parts {
		n += len(p) + 8
	}
	b := make([]byte, 0, n)
	b = append(b, '#')
	for _, p := range parts {
		b = strconv.AppendInt(b, int64(len(p)), 10)
		b = append(b, ':')
		b = append(b, p...)
	}
	return string(b)
}
