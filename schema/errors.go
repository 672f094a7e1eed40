package schema

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Rules that this package adds to the validation rules of the specification.
const (
	RuleSyntax = "Syntax" // the text is not GraphQL
	RuleLimit  = "Limit"  // it costs more than a bound of this package allows
	RuleChoice = "Choice" // no operation, or not clear which one
)

const (
	maxErrors  = 20  // told of one operation
	maxMessage = 400 // bytes of one message: names in it may be as long as the text
)

// OperationError is one fault of an operation. Its message never holds a
// literal of the operation.
type OperationError struct {
	File    string // "" when the operation is from no file
	Line    int    // 0 when the fault has no place
	Column  int
	Rule    string
	Message string
}

// Error returns "file:line:column: message (rule)".
func (e *OperationError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
	}
	if e.Line > 0 {
		b.WriteString(strconv.Itoa(e.Line) + ":" + strconv.Itoa(e.Column) + ":")
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(e.Message + " (" + e.Rule + ")")
	return b.String()
}

// OperationErrors are all faults of one operation, in the order of the text.
type OperationErrors []*OperationError

// Error joins the faults, one a line.
func (e OperationErrors) Error() string {
	lines := make([]string, len(e))
	for i, x := range e {
		lines[i] = x.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the single faults.
func (e OperationErrors) Unwrap() []error {
	out := make([]error, len(e))
	for i, x := range e {
		out[i] = x
	}
	return out
}

// InFile returns err with the file of its faults set, if err has any.
func InFile(err error, file string) error {
	var faults OperationErrors
	if !errors.As(err, &faults) {
		return err
	}
	out := make(OperationErrors, len(faults))
	for i, f := range faults {
		with := *f
		with.File = file
		out[i] = &with
	}
	return out
}

func fault(rule string, line, column int, format string, args ...any) OperationErrors {
	return OperationErrors{{Rule: rule, Line: line, Column: column, Message: bounded(fmt.Sprintf(format, args...))}}
}

// bounded cuts a message at a whole character.
func bounded(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + "..."
}

// faultOf turns an error of the parser or of a rule into one of ours. The
// parser has no types.
func faultOf(types *ast.Schema, err *gqlerror.Error) *OperationError {
	f := &OperationError{Rule: err.Rule, Message: bounded(redact(types, err.Rule, err.Message))}
	if len(err.Locations) > 0 {
		f.Line, f.Column = err.Locations[0].Line, err.Locations[0].Column
	}
	return f
}

func inOrder(faults OperationErrors) OperationErrors {
	slices.SortStableFunc(faults, func(a, b *OperationError) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return faults
}

// token is how the parser calls the kind of a token, without its value.
const token = `(\w+|<\w+>|[!$&()\[\]{}:=@|]|\.\.\.)`

// Messages that are known to quote no value. Whatever else a rule about
// values says is replaced: a new message of the library must not become a leak.
var (
	safeSyntax = regexp.MustCompile(`^(Expected (` + token + `|"\w+"), found ` + token +
		`|Unexpected ` + token +
		`|expected at least one definition, found ` + token +
		`|exceeded (token limit|maximum nesting depth) of \d+` +
		`|Unterminated string\.)`)
	safeValue = regexp.MustCompile(`^(Field "\w+\.\w+" of required type "[\w\[\]!]+" was not provided\.` +
		`|OneOf Input Object "\w+" must specify exactly one key\.` +
		`|Field "\w+\.\w+" must be non-null\.` +
		`|Field "\w+" is not defined by type "(?<object>\w+)"\.( Did you mean ["\w, ]+\?)?)$`)
	typedValue = regexp.MustCompile(`^(Expected value of type "[\w\[\]!]+"` +
		`|Enum "[\w\[\]!]+" cannot represent non-enum value` +
		`|(Int|String|Boolean|Float|ID) cannot represent an? [a-z -]+ value` +
		`|Int cannot represent non 32-bit signed integer value` +
		`|(Int|Float) cannot represent non-?[ a-z]* value)`)
)

// redact returns message without any value of the operation.
func redact(types *ast.Schema, rule, message string) string {
	switch rule {
	case RuleSyntax:
		if m := safeSyntax.FindString(message); m != "" {
			return m
		}
		return "syntax error"
	case "UniqueInputFieldNames":
		// A literal of a custom scalar may have any key.
		return "There can be only one input field of a name."
	case "ValuesOfCorrectType":
		if m := safeValue.FindStringSubmatch(message); m != nil {
			// The keys of an object are names only where an input object is expected.
			object := types.Types[m[safeValue.SubexpIndex("object")]]
			if m[safeValue.SubexpIndex("object")] == "" || object != nil && object.Kind == ast.InputObject {
				return message
			}
		}
		if m := typedValue.FindString(message); m != "" {
			return m + "."
		}
		return "The value does not fit its type."
	}
	return message
}
