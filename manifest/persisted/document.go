package persisted

import (
	"errors"
	"strings"
)

var errSyntax = errors.New("the text is not a GraphQL document of operations and fragments")

// operationNames returns the names of the operations in a document, "" for an
// anonymous one. It looks no deeper than that: whoever uses the text has a
// schema to check it against.
func operationNames(text string) ([]string, error) {
	s := scanner{rest: strings.TrimPrefix(text, "\uFEFF")}
	var names []string
	for {
		switch t := s.next(); {
		case t == "":
			if s.failed {
				return nil, errSyntax
			}
			return names, nil
		case t == "{":
			names = append(names, "")
			s.skip(t)
		case t == "query", t == "mutation", t == "subscription":
			names = append(names, s.definition())
		case t == "fragment":
			s.definition()
		default:
			return nil, errSyntax
		}
		if s.failed {
			return nil, errSyntax
		}
	}
}

// scanner reads tokens: names, and single characters of everything else.
// Strings, comments and commas are passed over.
type scanner struct {
	rest   string
	failed bool
}

// definition reads from behind its keyword to the end of its selection set,
// and returns its name.
func (s *scanner) definition() string {
	name := ""
	for first := true; ; first = false {
		switch t := s.next(); {
		case t == "":
			s.failed = true
			return name
		case t == "{":
			s.skip(t)
			return name
		case t == "(" || t == "[":
			s.skip(t)
		case first && nameStart(t[0]):
			name = t
		}
	}
}

// skip reads to the bracket that closes the open one.
func (s *scanner) skip(open string) {
	pairs := map[string]string{"{": "}", "(": ")", "[": "]"}
	waiting := []string{pairs[open]}
	for len(waiting) > 0 {
		t := s.next()
		switch t {
		case "":
			s.failed = true
			return
		case "{", "(", "[":
			waiting = append(waiting, pairs[t])
		case "}", ")", "]":
			if t != waiting[len(waiting)-1] {
				s.failed = true
				return
			}
			waiting = waiting[:len(waiting)-1]
		}
	}
}

// next returns the next token, "" at the end.
func (s *scanner) next() string {
	for s.rest != "" {
		switch c := s.rest[0]; {
		case strings.IndexByte(" \t\r\n,", c) >= 0:
			s.rest = s.rest[1:]
		case c == '#':
			_, s.rest, _ = strings.Cut(s.rest, "\n")
		case c == '"':
			s.string()
		case nameStart(c):
			n := 1
			for n < len(s.rest) && (nameStart(s.rest[n]) || s.rest[n] >= '0' && s.rest[n] <= '9') {
				n++
			}
			t := s.rest[:n]
			s.rest = s.rest[n:]
			return t
		default:
			t := s.rest[:1]
			s.rest = s.rest[1:]
			return t
		}
	}
	return ""
}

// string passes over a string or a block string.
func (s *scanner) string() {
	end, rest := `"`, s.rest[1:]
	if block, ok := strings.CutPrefix(s.rest, `"""`); ok {
		end, rest = `"""`, block
	}
	for {
		i := strings.Index(rest, end)
		if i < 0 {
			s.rest, s.failed = "", true
			return
		}
		escapes := 0
		for escapes < i && rest[i-1-escapes] == '\\' {
			escapes++
		}
		// In a block string \""" is the only escape, whatever stands before.
		if escaped := escapes%2 == 1 || len(end) > 1 && escapes > 0; !escaped {
			s.rest = rest[i+len(end):]
			return
		}
		rest = rest[i+1:]
		if len(end) > 1 {
			rest = rest[2:]
		}
	}
}

func nameStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
