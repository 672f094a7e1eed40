package cosmo

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
)

// maxTokens bounds the work of parsing one operation.
const maxTokens = 100_000

// kind is the type of the operation that a router would pick from a document.
type kind uint8

const (
	kindQuery kind = iota
	kindMutation
	kindSubscription
)

// kindOf reads the type out of the text itself: what a caller says of it is not
// enough to send something that could be executed. Errors name no text.
func kindOf(query, operationName string) (kind, error) {
	if len(query) > manifest.MaxQueryBytes {
		return 0, fmt.Errorf("%w: %d bytes of text", planner.ErrInvalid, len(query))
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, maxTokens)
	if err != nil {
		return 0, fmt.Errorf("%w: the text does not parse", planner.ErrInvalid)
	}
	found, worst := 0, kindQuery
	for _, op := range doc.Operations {
		if operationName != "" && op.Name != operationName {
			continue
		}
		found++
		switch op.Operation {
		case ast.Mutation:
			worst = max(worst, kindMutation)
		case ast.Subscription:
			worst = kindSubscription
		}
	}
	if found != 1 {
		return 0, fmt.Errorf("%w: the name selects %d operations", planner.ErrInvalid, found)
	}
	return worst, nil
}
