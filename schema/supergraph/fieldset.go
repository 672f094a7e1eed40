package supergraph

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// maxFieldSet bounds one field set; real ones have a few dozen bytes.
const maxFieldSet = 64 << 10

// ParseFieldSet reads a federation field set, such as "id owner { id }".
func ParseFieldSet(text string) (ast.SelectionSet, error) {
	if len(text) > maxFieldSet {
		return nil, fmt.Errorf("parse field set: %w: %d bytes, at most %d", ErrTooLarge, len(text), maxFieldSet)
	}
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") {
		text = "{" + text + "}"
	}
	doc, err := parser.ParseQuery(&ast.Source{Name: "field set", Input: text})
	if err != nil {
		return nil, fmt.Errorf("parse field set: %w", err)
	}
	if len(doc.Operations) != 1 || len(doc.Fragments) > 0 {
		return nil, errors.New("parse field set: more than one selection set")
	}
	return doc.Operations[0].SelectionSet, nil
}

// Canonical is a field set with its selections sorted. Keys are compared as
// strings by the planner, so the same key must have the same text in every
// subgraph.
func Canonical(text string) (string, error) {
	set, err := ParseFieldSet(text)
	if err != nil {
		return "", err
	}
	return printSelection(set, true), nil
}

// Tidy is a field set in one layout, its order kept.
func Tidy(text string) (string, error) {
	set, err := ParseFieldSet(text)
	if err != nil {
		return "", err
	}
	return printSelection(set, false), nil
}

// topFields lists the fields at the top of a field set.
func topFields(set ast.SelectionSet) []string {
	var out []string
	for _, sel := range set {
		if f, ok := sel.(*ast.Field); ok {
			out = append(out, f.Name)
		}
	}
	return out
}

func printSelection(set ast.SelectionSet, sorted bool) string {
	parts := make([]string, 0, len(set))
	for _, sel := range set {
		switch x := sel.(type) {
		case *ast.Field:
			part := x.Name + printArguments(x.Arguments)
			if len(x.SelectionSet) > 0 {
				part += " { " + printSelection(x.SelectionSet, sorted) + " }"
			}
			parts = append(parts, part)
		case *ast.InlineFragment:
			on := ""
			if x.TypeCondition != "" {
				on = " on " + x.TypeCondition
			}
			parts = append(parts, "..."+on+" { "+printSelection(x.SelectionSet, sorted)+" }")
		}
	}
	if sorted {
		slices.Sort(parts)
	}
	return strings.Join(parts, " ")
}
