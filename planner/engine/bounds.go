package engine

import (
	"fmt"

	"github.com/wundergraph/graphql-go-tools/v2/pkg/ast"
)

// Bounds of what the package takes in. The library underneath has none that
// cover fragments and lists, and its recursion cannot be interrupted.
const (
	MaxText       = 256 << 10 // bytes of an operation's document
	MaxVariables  = 4 << 20   // bytes of variables
	MaxSchema     = 32 << 20  // bytes of a client schema
	MaxNesting    = 500       // open brackets at any point of a text
	MaxSelections = 10_000    // selections of an operation, its fragments inlined
	maxOperations = 1_000     // operations and fragments of a document
)

// checkText bounds a text before anything recursive reads it.
func checkText(text string, most int) error {
	if len(text) > most {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(text), most)
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[', '(':
			if depth++; depth > MaxNesting {
				return fmt.Errorf("%w: nested more than %d deep", ErrTooLarge, MaxNesting)
			}
		case '}', ']', ')':
			depth = max(depth-1, 0)
		case '#':
			for i+1 < len(text) && text[i+1] != '\n' && text[i+1] != '\r' {
				i++
			}
		case '"':
			i = stringEnd(text, i)
		}
	}
	return nil
}

// stringEnd is the index of the last byte of the string that begins at start.
// Brackets inside strings do not nest.
func stringEnd(text string, start int) int {
	if len(text) >= start+3 && text[start:start+3] == `"""` {
		for i := start + 3; i < len(text); i++ {
			switch {
			case text[i] == '\\' && i+3 < len(text) && text[i+1:i+4] == `"""`:
				i += 3
			case text[i] == '"' && i+2 < len(text) && text[i:i+3] == `"""`:
				return i + 2
			}
		}
		return len(text)
	}
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"', '\n':
			return i
		}
	}
	return len(text)
}

// checkSelections bounds the selections that remain when every fragment is
// inlined: fragments that use one another twice grow exponentially.
func checkSelections(doc *ast.Document) error {
	if n := len(doc.OperationDefinitions) + len(doc.FragmentDefinitions); n > maxOperations {
		return fmt.Errorf("%w: %d operations and fragments, at most %d", ErrTooLarge, n, maxOperations)
	}
	c := selectionCounter{doc: doc, known: map[int]int{}, open: map[int]bool{}}
	for _, op := range doc.OperationDefinitions {
		if !op.HasSelections {
			continue
		}
		if c.set(op.SelectionSet) > MaxSelections {
			return fmt.Errorf("%w: more than %d selections", ErrTooLarge, MaxSelections)
		}
	}
	return nil
}

// selectionCounter counts each fragment once, so that counting itself stays linear.
type selectionCounter struct {
	doc   *ast.Document
	known map[int]int // by fragment
	open  map[int]bool
}

func (c *selectionCounter) set(ref int) int {
	total := 0
	for _, s := range c.doc.SelectionSets[ref].SelectionRefs {
		total++
		sel := c.doc.Selections[s]
		switch sel.Kind {
		case ast.SelectionKindField:
			if f := c.doc.Fields[sel.Ref]; f.HasSelections {
				total += c.set(f.SelectionSet)
			}
		case ast.SelectionKindInlineFragment:
			if f := c.doc.InlineFragments[sel.Ref]; f.HasSelections {
				total += c.set(f.SelectionSet)
			}
		case ast.SelectionKindFragmentSpread:
			total += c.fragment(sel.Ref)
		}
		// A sum that is out of bounds need not be exact, only not overflow.
		total = min(total, MaxSelections+1)
	}
	return total
}

func (c *selectionCounter) fragment(spread int) int {
	ref, ok := c.doc.FragmentDefinitionRef(c.doc.FragmentSpreadNameBytes(spread))
	// Unknown fragments and cycles are the validator's to refuse.
	if !ok || c.open[ref] || !c.doc.FragmentDefinitions[ref].HasSelections {
		return 0
	}
	if n, ok := c.known[ref]; ok {
		return n
	}
	c.open[ref] = true
	n := c.set(c.doc.FragmentDefinitions[ref].SelectionSet)
	delete(c.open, ref)
	c.known[ref] = n
	return n
}
