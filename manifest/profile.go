package manifest

import (
	"slices"
	"strconv"
)

// maxProfileName bounds the name of a header profile.
const maxProfileName = 64

// ValidProfile says whether name can be that of a header profile: lower-case
// letters, digits, - and _.
func ValidProfile(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return name != "" && len(name) <= maxProfileName
}

// profiles checks the header profiles of a pin.
func (f *faults) profiles(at string, names []string) {
	if len(names) > MaxProfiles {
		f.add(at, "%d, at most %d", len(names), MaxProfiles)
		return
	}
	for i, name := range names {
		at := at + "[" + strconv.Itoa(i) + "]"
		if !ValidProfile(name) {
			f.add(at, "not a name of lower-case letters, digits, - and _")
		} else if slices.Contains(names[:i], name) {
			f.add(at, "is there twice")
		}
	}
}

// UnderProfiles gives e a variant for each request that it has and each header
// profile, at most MaxVariants. A router plans a request once for each set of
// headers, whatever the plan key says: the key is of the text alone.
func (e *Entry) UnderProfiles(names []string) {
	requests := e.Planwarm.Variants
	variants := slices.Clip(requests)
	for _, name := range names {
		variants = append(variants, Variant{Profile: name})
		for _, v := range requests {
			v.Profile = name
			variants = append(variants, v)
		}
	}
	e.Planwarm.Variants = variants[:min(len(variants), MaxVariants)]
}

// Profiles are the header profiles that e is warmed under, each once; "" is none.
func (e *Entry) Profiles() []string {
	names := []string{e.Planwarm.Profile}
	for _, v := range e.Planwarm.Variants {
		if v.Profile != "" && !slices.Contains(names, v.Profile) {
			names = append(names, v.Profile)
		}
	}
	return names
}

// unprofiled takes the entry's own profile away when a member of its slot is
// sent without one, which no variant could say: its empty fields are the entry's.
func (s *slot) unprofiled() {
	d := &s.entry.Planwarm
	if d.Profile == "" {
		return
	}
	for _, c := range s.members {
		if c.Planwarm.Profile == "" {
			d.Profile = ""
			return
		}
	}
}
