package schema

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
)

// Bounds of one operation. Real ones stay far below: the largest of the
// storefront has 19 KB, 3,000 tokens and 1,500 fields.
const (
	MaxTextBytes  = 256 << 10 // of one operation's text
	maxTokens     = 40_000
	maxDepth      = 100       // of selections, through fragments, and of values
	maxFragments  = 500       // in one document
	maxVariables  = 2_000     // of one operation, which are searched one by one, here and for its plan key
	maxArguments  = 200       // of one field or directive
	maxFields     = 50_000    // after fragments are expanded
	maxWork       = 1_000_000 // fields, arguments and values after fragments are expanded
	maxVisits     = 500_000   // by the validator, which enters each fragment again for each one that leads to it
	maxComparison = 1_000_000 // of fields with the same response name
)

// size is what a selection set costs with its fragments expanded.
type size struct {
	nodes int // selections
	work  int // selections, arguments and values: what one comparison may look at
	depth int
}

// meter measures an operation before anything expensive looks at it.
type meter struct {
	fragments map[string]*ast.FragmentDefinition
	sizes     map[string]size
	open      map[string]bool // fragments that are being measured: meeting one again is a cycle
	err       OperationErrors
}

// checkLimits refuses an operation that would be expensive to validate. The
// document holds one operation and the fragments it reaches.
func checkLimits(op *ast.OperationDefinition, fragments map[string]*ast.FragmentDefinition) error {
	m := &meter{fragments: fragments, sizes: map[string]size{}, open: map[string]bool{}}
	if n := len(op.VariableDefinitions); n > maxVariables {
		return limit(op.Position, "%d variables, at most %d", n, maxVariables)
	}
	own := m.directives(op.Directives)
	for _, v := range op.VariableDefinitions {
		own += m.directives(v.Directives)
		if v.DefaultValue != nil {
			own += m.value(v.DefaultValue, 1)
		}
	}
	total := m.set(op.SelectionSet, 1)
	if m.err != nil {
		return m.err
	}
	visits := total.nodes
	for _, s := range m.sizes {
		visits += s.nodes
	}
	switch {
	case total.depth > maxDepth: // through fragments that were measured elsewhere
		return limit(op.Position, "nested deeper than %d", maxDepth)
	case total.nodes > maxFields:
		return limit(op.Position, "more than %d fields with its fragments expanded", maxFields)
	case total.work > maxWork:
		return limit(op.Position, "more than %d fields, arguments and values with its fragments expanded", maxWork)
	case visits > maxVisits:
		return limit(op.Position, "fragments lead to one another too often")
	}
	// Fewer than this cannot need more comparisons than allowed, whatever their names.
	if w := total.work + own; w*w/2 <= maxComparison {
		return nil
	}
	c := &comparisons{fragments: fragments, meter: m}
	if c.level([]ast.SelectionSet{op.SelectionSet}); c.cost > maxComparison {
		return limit(op.Position, "too many fields have the same response name")
	}
	return nil
}

// checkCanonical refuses a canonical text that would itself be refused:
// variables are longer than the literals that they stand for.
func checkCanonical(op *ast.OperationDefinition, text string) error {
	switch n := len(op.VariableDefinitions); {
	case n > maxVariables:
		return limit(op.Position, "%d variables and different literals, at most %d", n, maxVariables)
	case len(text) > MaxTextBytes:
		return limit(op.Position, "the text has %d bytes with its literals lifted, at most %d", len(text), MaxTextBytes)
	case len(text) <= maxTokens: // a token has a byte at least
		return nil
	}
	lex := lexer.New(&ast.Source{Input: text})
	for range maxTokens {
		tok, err := lex.ReadToken()
		if err != nil || tok.Kind == lexer.EOF {
			return nil
		}
	}
	return limit(op.Position, "more than %d tokens with its literals lifted", maxTokens)
}

func limit(at *ast.Position, format string, args ...any) OperationErrors {
	return fault(RuleLimit, at.Line, at.Column, format, args...)
}

func (m *meter) set(set ast.SelectionSet, depth int) size {
	var sum size
	if depth > maxDepth && len(set) > 0 {
		// Stopping at once matters: a size that was cut short cannot be
		// remembered, and measuring it again each time is exponential.
		m.err = limit(set[0].GetPosition(), "nested deeper than %d", maxDepth)
		return sum
	}
	for _, s := range set {
		if m.err != nil {
			return sum
		}
		sum = sum.plus(m.selection(s, depth))
	}
	return sum
}

func (m *meter) selection(s ast.Selection, depth int) size {
	switch x := s.(type) {
	case *ast.Field:
		below := m.set(x.SelectionSet, depth+1)
		own := 1 + m.arguments(x.Arguments) + m.directives(x.Directives)
		return size{nodes: 1 + below.nodes, work: own + below.work, depth: 1 + below.depth}
	case *ast.InlineFragment:
		below := m.set(x.SelectionSet, depth+1)
		return size{nodes: 1 + below.nodes, work: 1 + m.directives(x.Directives) + below.work, depth: 1 + below.depth}
	case *ast.FragmentSpread:
		below := m.fragment(x, depth)
		return size{nodes: 1 + below.nodes, work: 1 + m.directives(x.Directives) + below.work, depth: 1 + below.depth}
	}
	return size{}
}

func (m *meter) fragment(spread *ast.FragmentSpread, depth int) size {
	if known, ok := m.sizes[spread.Name]; ok {
		return known
	}
	f := m.fragments[spread.Name]
	if f == nil {
		return size{} // KnownFragmentNames tells
	}
	if m.open[spread.Name] {
		m.err = fault("NoFragmentCycles", spread.Position.Line, spread.Position.Column, "Cannot spread fragment %q within itself.", spread.Name)
		return size{}
	}
	m.open[spread.Name] = true
	s := m.set(f.SelectionSet, depth+1)
	delete(m.open, spread.Name)
	s.work += m.directives(f.Directives)
	m.sizes[spread.Name] = s
	return s
}

func (m *meter) directives(list ast.DirectiveList) int {
	n := len(list)
	for _, d := range list {
		n += m.arguments(d.Arguments)
	}
	return n
}

func (m *meter) arguments(list ast.ArgumentList) int {
	if len(list) > maxArguments && m.err == nil {
		m.err = limit(list[0].Position, "%d arguments, at most %d", len(list), maxArguments)
	}
	n := len(list)
	for _, a := range list {
		n += m.value(a.Value, 1)
	}
	return n
}

func (m *meter) value(v *ast.Value, depth int) int {
	if depth > maxDepth {
		if m.err == nil {
			m.err = limit(v.Position, "a value nested deeper than %d", maxDepth)
		}
		return 0
	}
	n := 1
	for _, c := range v.Children {
		n += m.value(c.Value, depth+1)
	}
	return n
}

// plus adds up neighbours. The sums saturate: fragments that double one
// another fifty times over would overflow.
func (a size) plus(b size) size {
	const most = 1 << 40
	return size{nodes: min(a.nodes+b.nodes, most), work: min(a.work+b.work, most), depth: max(a.depth, b.depth)}
}
