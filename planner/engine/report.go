package engine

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/wundergraph/graphql-go-tools/v2/pkg/ast"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/operationreport"
)

// Outcomes that a caller acts on.
var (
	// ErrInvalid: the operation does not parse, or the schema refuses it.
	ErrInvalid = errors.New("invalid operation")
	// ErrUnplannable: the operation is valid and the planner has no plan for it.
	ErrUnplannable = errors.New("operation cannot be planned")
	// ErrTooLarge: an input exceeds one of the bounds of this package.
	ErrTooLarge = errors.New("too large")
	// ErrSubscription: subscriptions are planned, not served.
	ErrSubscription = errors.New("subscriptions are not served")
	// ErrPlanOnly: the engine was built without the part that executes.
	ErrPlanOnly = errors.New("engine only plans")
	// ErrClosed: the engine was closed.
	ErrClosed = errors.New("engine is closed")
)

// Bounds of what an error tells: names in it may be as long as the text.
const (
	maxReported = 3   // faults of one operation
	maxMessage  = 400 // bytes of one of them
)

// reportError turns a report into an error without any value of a user: what
// the library quotes of literals is left out. doc is the document that the
// report is about.
func reportError(kind error, doc *ast.Document, r operationreport.Report) error {
	var parts []string
	for _, e := range r.ExternalErrors {
		if len(parts) == maxReported {
			parts = append(parts, fmt.Sprintf("and %d more", len(r.ExternalErrors)-maxReported))
			break
		}
		part := withoutValues(doc, e.Message)
		if len(e.Locations) > 0 {
			part += fmt.Sprintf(" (line %d, column %d)", e.Locations[0].Line, e.Locations[0].Column)
		}
		parts = append(parts, part)
	}
	// Internal errors repeat the external ones with source positions of the
	// library; they matter only alone.
	if len(parts) == 0 {
		for _, e := range r.InternalErrors[:min(len(r.InternalErrors), maxReported)] {
			parts = append(parts, withoutValues(doc, e.Error()))
		}
	}
	return fmt.Errorf("%w: %s", kind, strings.Join(parts, "; "))
}

// withoutValues cuts out of a message of the library what it quotes of values,
// and what is too long of it.
func withoutValues(doc *ast.Document, message string) string {
	message = redact(doc, message)
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "..."
	}
	return message
}

func redact(doc *ast.Document, message string) string {
	if before, _, ok := strings.Cut(message, " value: "); ok {
		message = before + " value"
	}
	if rest, ok := strings.CutPrefix(message, `Value "`); ok {
		if i := strings.LastIndex(rest, `" does not exist in `); i >= 0 {
			message = "Value" + rest[i+1:]
		}
	}
	if strings.HasPrefix(message, "Expected value of type ") {
		message, _, _ = strings.Cut(message, ", found ")
	}
	if doc == nil {
		return message
	}
	// The templates above are the ones known; a string literal never gets
	// through, whatever else the library may quote one in.
	for i := range doc.StringValues {
		content := bytes.TrimSpace(doc.Input.ByteSlice(doc.StringValues[i].Content))
		if len(content) > 1 {
			message = strings.ReplaceAll(message, string(content), "...")
		}
	}
	return message
}

// recovered turns a panic of the library into an error. The panic's value may
// hold anything; only what the runtime itself says is told.
func recovered(kind error, value any) error {
	if r, ok := value.(runtime.Error); ok {
		return fmt.Errorf("%w: library panicked: %s", kind, r.Error())
	}
	return fmt.Errorf("%w: library panicked with %T", kind, value)
}
