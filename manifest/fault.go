package manifest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// faults collects everything that is wrong with a document. Messages name the
// place and the rule, never the content: it may be somebody's data.
type faults struct {
	all []error
}

func (f *faults) add(at, format string, args ...any) {
	f.all = append(f.all, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)))
}

// err joins the faults below ErrInvalid; nil when there are none.
func (f *faults) err() error {
	if len(f.all) == 0 {
		return nil
	}
	return fmt.Errorf("%w:\n%w", ErrInvalid, errors.Join(f.all...))
}

// text checks a short string.
func (f *faults) text(at, s string) {
	switch {
	case len(s) > MaxNameBytes:
		f.add(at, "%d bytes, at most %d", len(s), MaxNameBytes)
	case !utf8.ValidString(s):
		f.add(at, "not valid UTF-8")
	}
}

// query checks an operation's text.
func (f *faults) query(at, s string) {
	switch {
	case len(s) > MaxQueryBytes:
		f.add(at, "%d bytes, at most %d", len(s), MaxQueryBytes)
	case !utf8.ValidString(s):
		f.add(at, "not valid UTF-8")
	}
}

func (f *faults) planKey(at, key string) {
	if key != "" && !validPlanKey(key) {
		f.add(at, "not an unsigned 64-bit decimal")
	}
}

// when checks that a time can be written as RFC 3339 in UTC.
func (f *faults) when(at string, t time.Time) {
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		f.add(at, "year out of range")
	}
}

func (f *faults) whenSet(at string, t *time.Time) {
	if t != nil {
		f.when(at, *t)
	}
}

// graph checks names that become parts of object keys and URL paths.
func (f *faults) graph(g Graph) {
	f.pathName("graph.namespace", g.Namespace)
	f.pathName("graph.name", g.Name)
	if strings.Contains(g.Namespace, "/") {
		f.add("graph.namespace", "contains a slash")
	}
}

func (f *faults) pathName(at, s string) {
	f.text(at, s)
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r == '\\' {
			f.add(at, "contains a control character or backslash")
			break
		}
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part == "." || part == ".." {
			f.add(at, "empty, or has an empty or relative part")
			break
		}
	}
}

func (f *faults) request(at string, r Request) {
	f.text(at+".operationName", r.OperationName)
	if r.Query == "" {
		// One item without a text crashes a Cosmo router, at start and at every reload.
		f.add(at, "no query")
	}
	f.query(at+".query", r.Query)
	if r.Extensions == nil || r.Extensions.PersistedQuery == nil {
		return
	}
	pq := r.Extensions.PersistedQuery
	at += ".extensions.persistedQuery"
	if !validSHA256(pq.SHA256Hash) {
		f.add(at+".sha256Hash", "not 64 lower-case hex digits")
	}
	if pq.Version != 1 {
		f.add(at+".version", "not 1")
	}
}

func (f *faults) client(at string, c *Client) {
	if c != nil {
		f.text(at+".name", c.Name)
		f.text(at+".version", c.Version)
	}
}

func (f *faults) conditions(at string, c map[string]bool) {
	if len(c) > MaxConditions {
		f.add(at, "%d variables, at most %d", len(c), MaxConditions)
		return
	}
	for name := range c {
		if name == "" || len(name) > MaxNameBytes || !utf8.ValidString(name) {
			f.add(at, "a variable's name is empty, too long or not valid UTF-8")
			return // one fault for the set, so that map order does not show
		}
	}
}

func validPlanKey(key string) bool {
	n, err := strconv.ParseUint(key, 10, 64)
	return err == nil && strconv.FormatUint(n, 10) == key
}

func validSHA256(s string) bool {
	if len(s) != 64 || strings.ToLower(s) != s {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}
