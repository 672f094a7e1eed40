package engine

import (
	"fmt"

	"github.com/wundergraph/graphql-go-tools/v2/pkg/ast"
)

// Bounds of what the package takes in. The library underneath has none that
// cover fragments and lists, its recursion cannot be interrupted, and some of
// its steps grow with the square or the cube of what they are given. Within
// these bounds an operation has its key in seconds at worst; real operations,
// with a dozen arguments, in a millisecond.
const (
	MaxText       = 256 << 10 // bytes of an operation's document
	MaxVariables  = 4 << 20   // bytes of variables
	MaxSchema     = 32 << 20  // bytes of a client schema
	MaxNesting    = 500       // open brackets at any point of a text
	MaxDepth      = 500       // selections within one another, fragments inlined
	MaxSelections = 10_000    // selections of an operation, its fragments inlined
	maxExpanded   = 4 << 20   // bytes of an operation, its fragments inlined
	maxLiterals   = 1_000     // arguments that are no variable, fragments inlined
	maxDefined    = 2_000     // variables that an operation defines
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

// checkSize bounds what remains of each operation when every fragment is
// inlined: fragments that use one another twice grow exponentially.
func checkSize(doc *ast.Document) error {
	if n := len(doc.OperationDefinitions) + len(doc.FragmentDefinitions); n > maxOperations {
		return fmt.Errorf("%w: %d operations and fragments, at most %d", ErrTooLarge, n, maxOperations)
	}
	m := meter{doc: doc, known: map[int]size{}, open: map[int]bool{}}
	for _, op := range doc.OperationDefinitions {
		if n := len(op.VariableDefinitions.Refs); n > maxDefined {
			return fmt.Errorf("%w: %d variables, at most %d", ErrTooLarge, n, maxDefined)
		}
		if !op.HasSelections {
			continue
		}
		switch s := m.set(op.SelectionSet); {
		case s.selections > MaxSelections:
			return fmt.Errorf("%w: more than %d selections", ErrTooLarge, MaxSelections)
		case s.depth > MaxDepth:
			return fmt.Errorf("%w: selections nested more than %d deep", ErrTooLarge, MaxDepth)
		case s.bytes > maxExpanded:
			return fmt.Errorf("%w: more than %d bytes with fragments inlined", ErrTooLarge, maxExpanded)
		case s.literals > maxLiterals:
			return fmt.Errorf("%w: more than %d literals", ErrTooLarge, maxLiterals)
		}
	}
	return nil
}

// size is what a part of an operation comes to with its fragments inlined.
type size struct{ selections, depth, bytes, literals int }

// plus adds up neighbours. A sum that is out of bounds need not be exact, only
// not overflow.
func (s size) plus(o size) size {
	return size{
		selections: min(s.selections+o.selections, MaxSelections+1),
		depth:      max(s.depth, o.depth),
		bytes:      min(s.bytes+o.bytes, maxExpanded+1),
		literals:   min(s.literals+o.literals, maxLiterals+1),
	}
}

// meter measures each fragment once, so that measuring itself stays linear.
type meter struct {
	doc   *ast.Document
	known map[int]size // by fragment
	open  map[int]bool
}

func (m *meter) set(ref int) size {
	var total size
	for _, s := range m.doc.SelectionSets[ref].SelectionRefs {
		below := m.selection(m.doc.Selections[s])
		below.depth++
		total = total.plus(below).plus(size{selections: 1, bytes: 1})
	}
	return total
}

func (m *meter) selection(sel ast.Selection) size {
	switch sel.Kind {
	case ast.SelectionKindField:
		f := m.doc.Fields[sel.Ref]
		own := m.arguments(f.Arguments.Refs)
		own.bytes += len(m.doc.FieldNameBytes(sel.Ref)) + len(m.doc.FieldAliasBytes(sel.Ref))
		return m.below(f.HasSelections, f.SelectionSet).plus(own).plus(m.directives(f.Directives.Refs))
	case ast.SelectionKindInlineFragment:
		f := m.doc.InlineFragments[sel.Ref]
		own := size{bytes: len(m.doc.InlineFragmentTypeConditionName(sel.Ref))}
		return m.below(f.HasSelections, f.SelectionSet).plus(own).plus(m.directives(f.Directives.Refs))
	case ast.SelectionKindFragmentSpread:
		return m.fragment(sel.Ref).plus(m.directives(m.doc.FragmentSpreads[sel.Ref].Directives.Refs))
	}
	return size{}
}

func (m *meter) below(has bool, set int) size {
	if !has {
		return size{}
	}
	return m.set(set)
}

// arguments counts as literals what the library looks up among all those that
// it has lifted before.
func (m *meter) arguments(refs []int) size {
	var s size
	for _, ref := range refs {
		s.bytes += len(m.doc.ArgumentNameBytes(ref))
		if value := m.doc.ArgumentValue(ref); value.Kind != ast.ValueKindVariable {
			s.literals++
			if text, err := m.doc.PrintValueBytes(value, nil); err == nil { // a buffer takes everything
				s.bytes += len(text)
			}
		}
	}
	return s
}

// directives are printed with their arguments, which stay what they are.
func (m *meter) directives(refs []int) size {
	var s size
	for _, ref := range refs {
		s.bytes += len(m.doc.DirectiveNameBytes(ref)) + m.arguments(m.doc.Directives[ref].Arguments.Refs).bytes
	}
	return s
}

func (m *meter) fragment(spread int) size {
	ref, ok := m.doc.FragmentDefinitionRef(m.doc.FragmentSpreadNameBytes(spread))
	// Unknown fragments and cycles are the validator's to refuse.
	if !ok || m.open[ref] || !m.doc.FragmentDefinitions[ref].HasSelections {
		return size{}
	}
	if s, ok := m.known[ref]; ok {
		return s
	}
	m.open[ref] = true
	s := m.set(m.doc.FragmentDefinitions[ref].SelectionSet)
	delete(m.open, ref)
	m.known[ref] = s
	return s
}
