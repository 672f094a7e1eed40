package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
)

// profilesOf makes the headers of a graph's profiles. Secret files are read
// each time that a request is sent.
func profilesOf(g config.Graph) warmer.Profiles {
	return func(name string) (http.Header, error) {
		p, ok := g.Profiles[name]
		if !ok {
			return nil, warmer.ErrNoProfile
		}
		h := make(http.Header, len(p.Headers)+len(p.HeaderFiles))
		for header, value := range p.Headers {
			h.Set(header, value)
		}
		for header, file := range p.HeaderFiles {
			value, err := readSecret(file)
			if err != nil {
				return nil, err
			}
			if !config.ValidHeaderValue(value) {
				return nil, fmt.Errorf("%s cannot be sent as the header %s", file, header)
			}
			h.Set(header, value)
		}
		return h, nil
	}
}

// profileNames are the profiles of a push, each once.
func profileNames(given []string) ([]string, error) {
	var names []string
	for _, name := range given {
		if !manifest.ValidProfile(name) {
			return nil, fmt.Errorf("--profile %q is not a name of lower-case letters, digits, - and _", name)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > manifest.MaxProfiles {
		return nil, fmt.Errorf("--profile: %d profiles, at most %d", len(names), manifest.MaxProfiles)
	}
	return names, nil
}

// namedProfiles are the profiles that a manifest's entry is warmed under.
func namedProfiles(e manifest.Entry) []string {
	return slices.DeleteFunc(e.Profiles(), func(name string) bool { return name == "" })
}

// profileNotes tells of profiles that were pushed and are not configured here,
// which may be a slip of the pen, and of plans for which an entry has no room.
func profileNotes(d *desk, r *rules, res manifest.PushResult) []string {
	var notes, told []string
	for _, p := range slices.Concat(res.Added, res.Moved) {
		for _, name := range p.Profiles {
			if d.configured == nil || slices.Contains(told, name) {
				continue
			}
			if _, ok := d.configured.Profiles[name]; !ok {
				told = append(told, name)
				notes = append(notes, fmt.Sprintf("header profile %s is not configured here; a process that warms needs it", name))
			}
		}
		if n := plansOf(r, p); n > 1+manifest.MaxVariants {
			notes = append(notes, fmt.Sprintf("%s has %d plans under its conditions and header profiles; the first %d are warmed",
				nameOf(p.Request.OperationName), n, 1+manifest.MaxVariants))
		}
	}
	return notes
}

// plansOf is how many plans a pushed operation has.
func plansOf(r *rules, p manifest.Pin) int {
	if r.schema == nil || len(p.Profiles) == 0 {
		return 1
	}
	under := 1 + len(p.Profiles)
	p.Profiles = nil
	set := warmer.NewCandidates(r.schema, r.keyer)
	set.AddPins([]manifest.Pin{p})
	return (1 + len(set.List()[0].Planwarm.Variants)) * under
}

// pushedName is the name of a pin, with its profiles.
func pushedName(p manifest.Pin) string {
	name := nameOf(p.Request.OperationName)
	if len(p.Profiles) > 0 {
		name += " under " + strings.Join(p.Profiles, ", ")
	}
	return name
}

// underProfile says under which profile something was sent.
func underProfile(name string) string {
	if name == "" {
		return ""
	}
	return " under header profile " + name
}
