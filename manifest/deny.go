package manifest

import (
	"fmt"
	"slices"
	"strings"
)

func (f *faults) deny(at string, d *Deny) {
	if d.ID == "" && d.PlanKey == "" && d.Hash == "" && d.OperationName == "" {
		f.add(at, "names no operation")
	}
	if d.ID != "" && !validSHA256(d.ID) {
		f.add(at+".id", "not 64 lower-case hex digits")
	}
	f.planKey(at+".planKey", d.PlanKey)
	f.text(at+".hash", d.Hash)
	f.text(at+".operationName", d.OperationName)
	f.text(at+".reason", d.Reason)
	f.text(at+".deniedBy", d.DeniedBy)
	f.when(at+".deniedAt", d.DeniedAt)
}

// same reports whether d and o keep the same operations out.
func (d Deny) same(o Deny) bool {
	return d.ID == o.ID && d.PlanKey == o.PlanKey && d.Hash == o.Hash && d.OperationName == o.OperationName
}

// DenyAdd puts d at the end of the deny list. When the list has the same
// denial already, reason, time and person are replaced, and it reports false.
// Pins stay where they are: a denied pin is back when the denial goes.
func (p *Pins) DenyAdd(d Deny) (added bool, err error) {
	var f faults
	f.deny("deny", &d)
	if err := f.err(); err != nil {
		return false, fmt.Errorf("add denial: %w", err)
	}
	list := slices.Clone(p.Deny)
	if i := slices.IndexFunc(list, d.same); i >= 0 {
		list[i] = d
		p.Deny = list
		return false, nil
	}
	if len(list) >= MaxEntries {
		return false, fmt.Errorf("add denial: %w: %d denials, at most %d", ErrTooLarge, len(list)+1, MaxEntries)
	}
	p.Deny = append(list, d)
	return true, nil
}

// DenyRemove takes every denial of s off the list: an id (or its first 8 or
// more digits), a plan key, a hash or an operation name. It returns them, or an
// error that wraps ErrNotFound.
func (p *Pins) DenyRemove(s string) ([]Deny, error) {
	var kept, gone []Deny
	for _, d := range p.Deny {
		prefix := len(s) >= minPrefix && strings.HasPrefix(d.ID, s)
		if s != "" && (prefix || d.PlanKey == s || d.Hash == s || d.OperationName == s) {
			gone = append(gone, d)
		} else {
			kept = append(kept, d)
		}
	}
	if len(gone) == 0 {
		return nil, fmt.Errorf("remove denial %q: %w", clip(s), ErrNotFound)
	}
	p.Deny = kept
	return gone, nil
}

// denials is a deny list made for looking up.
type denials struct {
	ids, keys, hashes, names map[string]bool
}

func newDenials(list []Deny) denials {
	d := denials{make(map[string]bool), make(map[string]bool), make(map[string]bool), make(map[string]bool)}
	put := func(m map[string]bool, s string) {
		if s != "" {
			m[s] = true
		}
	}
	for _, x := range list {
		put(d.ids, x.ID)
		put(d.keys, x.PlanKey)
		put(d.hashes, x.Hash)
		put(d.names, x.OperationName)
	}
	return d
}

// match says what c is denied by; "" when it is not.
func (d denials) match(c *Candidate) string {
	switch {
	case d.empty():
		return ""
	case d.names[c.Request.OperationName]:
		return "by operation name"
	case d.keys[c.Planwarm.PlanKey]:
		return "by plan key"
	case len(d.ids) > 0 && (c.Pin != nil && d.ids[c.Pin.ID] || d.ids[PinID(c.Request)]):
		return "by id"
	}
	for _, h := range c.Hashes {
		if d.hashes[h] {
			return "by hash"
		}
	}
	return ""
}

// strip returns e without the variants that are denied.
func (d denials) strip(e Entry) Entry {
	if d.empty() || len(e.Planwarm.Variants) == 0 {
		return e
	}
	all := e.Expand()
	kept := make([]Variant, 0, len(e.Planwarm.Variants))
	for i, v := range e.Planwarm.Variants {
		if d.match(&Candidate{Entry: all[i+1]}) == "" {
			kept = append(kept, v)
		}
	}
	e.Planwarm.Variants = kept
	return e
}

func (d denials) empty() bool {
	return len(d.ids)+len(d.keys)+len(d.hashes)+len(d.names) == 0
}
