package config

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/planwarm/planwarm/manifest"
	"go.yaml.in/yaml/v3"
)

// Bounds of header profiles.
const (
	maxProfiles    = 32      // of one graph
	maxHeaders     = 16      // of one profile
	maxHeaderName  = 128     // bytes
	maxHeaderValue = 8 << 10 // bytes
)

// Profile is a set of headers that operations are planned under.
type Profile struct {
	Headers     Headers     `yaml:"headers"`
	HeaderFiles HeaderFiles `yaml:"header_files"`
}

// UnmarshalYAML reads a profile; where there is something else, its text is not
// repeated.
func (p *Profile) UnmarshalYAML(n *yaml.Node) error {
	type plain Profile
	if n.Kind != yaml.MappingNode {
		return notMapping(n, "headers and header_files")
	}
	return n.Decode((*plain)(p))
}

// Headers are headers with their values, which may be secrets: an error must
// not repeat them.
type Headers map[string]string

// UnmarshalYAML reads header names with their values.
func (h *Headers) UnmarshalYAML(n *yaml.Node) error { return decodeHeaders(n, (*map[string]string)(h)) }

// HeaderFiles are headers with the files that have their values.
type HeaderFiles map[string]string

// UnmarshalYAML reads header names with their files.
func (h *HeaderFiles) UnmarshalYAML(n *yaml.Node) error {
	return decodeHeaders(n, (*map[string]string)(h))
}

func decodeHeaders(n *yaml.Node, to *map[string]string) error {
	if n.Kind != yaml.MappingNode {
		return notMapping(n, "header names with texts")
	}
	for i := 1; i < len(n.Content); i += 2 {
		if v := n.Content[i]; v.Kind != yaml.ScalarNode && v.Kind != yaml.AliasNode {
			return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: the value of a header is not a text", v.Line)}}
		}
	}
	return n.Decode(to)
}

// notMapping is a fault without the value, unlike what the decoder says.
func notMapping(n *yaml.Node, of string) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: is not a mapping of %s", n.Line, of)}}
}

// reservedHeaders are not a profile's to set: those of the connection, of how a
// body is written, those that ask routers for a plan instead of an execution,
// and the name that planwarm goes by. One that ends with - reserves all that
// begin with it.
var reservedHeaders = []string{
	"Connection", "Keep-Alive", "Proxy-", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
	"Host", "Content-", "Accept", "Accept-Encoding", "Expect",
	"X-Wg-", "X-Planwarm-", "Apollo-Expose-Query-Plan", "Hive-Expose-Query-Plan",
	"Graphql-Client-", "Apollographql-Client-", "X-Grafbase-Client-", "X-Grafbase-Telemetry", "User-Agent",
}

// ReservedHeader says whether a header is not a profile's to set.
func ReservedHeader(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return slices.ContainsFunc(reservedHeaders, func(r string) bool {
		return name == r || strings.HasSuffix(r, "-") && strings.HasPrefix(name, r)
	})
}

// ValidHeaderValue says whether a value can be sent as that of a header.
func ValidHeaderValue(v string) bool {
	if v == "" || len(v) > maxHeaderValue || strings.Trim(v, " \t") != v {
		return false
	}
	return !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func (g Graph) checkProfiles(k *checker, key string) {
	if len(g.Profiles) > maxProfiles {
		k.fault(key, "%d profiles, at most %d", len(g.Profiles), maxProfiles)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(g.Profiles)) {
		if !manifest.ValidProfile(name) {
			k.fault(key, "%q is not a name of lower-case letters, digits, - and _", name)
			continue
		}
		g.Profiles[name].check(k, key+"."+name)
	}
}

func (p Profile) check(k *checker, key string) {
	if n := len(p.Headers) + len(p.HeaderFiles); n == 0 || n > maxHeaders {
		k.fault(key, "has %d headers, not 1 to %d", n, maxHeaders)
		return
	}
	seen := map[string]bool{} // a name in another case is the same header
	for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
		at := key + ".headers"
		k.header(at, name, seen)
		if !ValidHeaderValue(p.Headers[name]) {
			k.fault(at, "the value of %q is empty, too long or cannot be sent", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.HeaderFiles)) {
		at := key + ".header_files"
		k.header(at, name, seen)
		if file := p.HeaderFiles[name]; file == "" {
			k.fault(at, "the file of %q is not named", name)
		} else {
			k.secretFile(at, file)
		}
	}
}

func (k *checker) header(key, name string, seen map[string]bool) {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case !headerName(name):
		k.fault(key, "%q is not the name of a header", name)
	case ReservedHeader(name):
		k.fault(key, "%q is not a profile's to set", name)
	case seen[canonical]:
		k.fault(key, "%q is there twice", name)
	}
	seen[canonical] = true
}

// headerName says whether s is a token of RFC 9110.
func headerName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != "" && len(s) <= maxHeaderName
}

// withoutValues shows which headers a profile has, and not their values.
func withoutValues(profiles map[string]Profile) map[string]Profile {
	profiles = maps.Clone(profiles)
	for name, p := range profiles {
		p.Headers = maps.Clone(p.Headers)
		for h := range p.Headers {
			p.Headers[h] = "***"
		}
		profiles[name] = p
	}
	return profiles
}
