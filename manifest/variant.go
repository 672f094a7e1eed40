package manifest

import (
	"slices"
	"strings"
)

// variants are the requests of all members but the entry's own, each said
// relative to the entry, at most MaxVariants. Those with a plan of their own
// come first, by key or by profile: without its request such a plan is not
// warmed at all, while one that only differs in name or text would find its
// plan in the cache.
func (b *builder) variants(s *slot) []Variant {
	main := s.entry
	main.Planwarm.Variants = nil
	seen := map[string]bool{main.fingerprint(): true}
	var own, other []Variant
	for _, c := range s.members {
		for i, x := range b.deny.strip(c.Entry).Expand() {
			if x.Planwarm.PlanKey == "" {
				x.Planwarm.PlanKey = main.Planwarm.PlanKey // it is in this slot for its request
			}
			if i == 0 && c == s.main && x.Planwarm.Profile == main.Planwarm.Profile {
				continue
			}
			v := relative(main, x)
			print := resolve(main, v)
			if seen[print] {
				continue
			}
			seen[print] = true
			if v.PlanKey != "" || v.Profile != "" {
				own = append(own, v)
			} else {
				other = append(other, v)
			}
		}
	}
	all := append(own, other...)
	if len(all) == 0 {
		return nil
	}
	return slices.Clip(all[:min(len(all), MaxVariants)])
}

// relative says x as a variant of e.
func relative(e, x Entry) Variant {
	var v Variant
	if x.Request.OperationName != e.Request.OperationName {
		name := x.Request.OperationName
		v.OperationName = &name
	}
	if x.Request.Query != e.Request.Query {
		v.Query, v.Lifted = x.Request.Query, x.Planwarm.Lifted
	}
	if x.Client != nil && (e.Client == nil || *x.Client != *e.Client) && *x.Client != (Client{}) {
		v.Client = x.Client
	}
	if x.Planwarm.PlanKey != e.Planwarm.PlanKey {
		v.PlanKey = x.Planwarm.PlanKey
		v.Conditions = x.Planwarm.Conditions
	} else if e.Planwarm.Conditions == nil || v.Query != "" {
		// Equal plans under equal texts have equal conditions, or as good as equal ones.
		v.Conditions = x.Planwarm.Conditions
	}
	if x.Planwarm.Profile != e.Planwarm.Profile {
		v.Profile = x.Planwarm.Profile
	}
	return v
}

// resolve is the fingerprint of v as a variant of e.
func resolve(e Entry, v Variant) string {
	e.Planwarm.Variants = []Variant{v}
	x := e.Expand()[1]
	return x.fingerprint()
}

// variantPrint tells apart candidates that differ in their variants only.
func (e *Entry) variantPrint() string {
	if len(e.Planwarm.Variants) == 0 {
		return ""
	}
	var b strings.Builder
	all := e.Expand()
	for i := range all[1:] {
		b.WriteString(all[i+1].fingerprint())
	}
	return b.String()
}
