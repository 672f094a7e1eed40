package schema

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
)

// Bounds of a document with many operations, such as a client's whole file.
const (
	MaxDocumentBytes  = 4 << 20
	maxDocumentTokens = 1_000_000
	maxDocumentOutput = 64 << 20 // all texts of its operations, which repeat their fragments
)

// Source is the text of one operation and where it came from.
type Source struct {
	File string // "" when it is from no file
	Name string // "" for an anonymous operation
	Type string // query, mutation or subscription
	Text string
	Line int // of File, at which Text starts

	parts []part // where the parts of Text come from; none when Text is the whole file
}

// part is a definition that was taken out of a file.
type part struct {
	at           int // line of the text at which it starts
	line, column int // of the file
}

// Locate returns err with the positions of its faults changed from those in
// the text to those in the file.
func (s Source) Locate(err error) error {
	var faults OperationErrors
	if !errors.As(err, &faults) {
		return err
	}
	out := make(OperationErrors, len(faults))
	for i, f := range faults {
		with := *f
		with.File = s.File
		if f.Line > 0 {
			with.Line, with.Column = s.position(f.Line, f.Column)
		}
		out[i] = &with
	}
	return out
}

func (s Source) position(line, column int) (int, int) {
	if len(s.parts) == 0 {
		return line + max(s.Line-1, 0), column
	}
	from := s.parts[0]
	for _, p := range s.parts {
		if p.at <= line {
			from = p
		}
	}
	if line == from.at { // a definition may start in the middle of a line
		column += from.column - 1
	}
	return from.line + line - from.at, column
}

// definition is a slice of a document.
type definition struct {
	text         string
	from, to     int // offsets in the document, in runes, as the parser counts
	line, column int
}

func (d definition) has(at *ast.Position) bool { return d.from <= at.Start && at.Start < d.to }

// ParseDocument splits a GraphQL document into its operations, each with the
// fragments that it uses. Texts are cut out of the document as they stand. A
// document with one operation is that operation, byte for byte.
func ParseDocument(file string, text []byte) ([]Source, error) {
	if len(text) > MaxDocumentBytes {
		return nil, fmt.Errorf("parse document %s: %w: %d bytes, at most %d", file, ErrTooLarge, len(text), MaxDocumentBytes)
	}
	input := string(text)
	doc, err := parseTokens(input, maxDocumentTokens)
	if err != nil {
		return nil, InFile(err, file)
	}
	if len(doc.Operations) == 1 {
		op := doc.Operations[0]
		return []Source{{File: file, Name: op.Name, Type: string(op.Operation), Text: input, Line: 1}}, nil
	}
	if err := uniqueNames(doc); err != nil {
		return nil, InFile(err, file)
	}
	sources, err := assemble(doc, definitions(input))
	if err != nil {
		return nil, fmt.Errorf("parse document %s: %w", file, err)
	}
	for i := range sources {
		sources[i].File = file
	}
	return sources, nil
}

// assemble puts each operation together with its fragments. The definitions
// are in the order of the text, as are the nodes of either kind.
func assemble(doc *ast.QueryDocument, defs []definition) ([]Source, error) {
	byName := make(map[string]*ast.FragmentDefinition, len(doc.Fragments))
	for _, f := range doc.Fragments {
		byName[f.Name] = f
	}
	texts := make(map[string]definition, len(doc.Fragments))
	var operations []definition
	for _, d := range defs {
		if len(texts) < len(doc.Fragments) && d.has(doc.Fragments[len(texts)].Position) {
			texts[doc.Fragments[len(texts)].Name] = d
			continue
		}
		operations = append(operations, d)
	}
	if len(operations) != len(doc.Operations) || len(texts) != len(doc.Fragments) {
		return nil, errors.New("cut operations: definitions and text differ")
	}
	out := make([]Source, 0, len(operations))
	total := 0
	for i, op := range doc.Operations {
		used := map[string]bool{}
		reach(op.SelectionSet, byName, used)
		s := Source{Name: op.Name, Type: string(op.Operation), Line: operations[i].line}
		var b strings.Builder
		line := s.add(&b, operations[i], 1)
		for _, f := range doc.Fragments {
			if used[f.Name] {
				b.WriteByte('\n')
				line = s.add(&b, texts[f.Name], line+1)
			}
		}
		s.Text = b.String()
		if total += len(s.Text); total > maxDocumentOutput {
			return nil, fmt.Errorf("%w: operations with their fragments exceed %d bytes", ErrTooLarge, maxDocumentOutput)
		}
		out = append(out, s)
	}
	return out, nil
}

// add appends a definition that starts at a line of the text and returns the
// line at which it ends.
func (s *Source) add(b *strings.Builder, d definition, line int) int {
	b.WriteString(d.text)
	s.parts = append(s.parts, part{at: line, line: d.line, column: d.column})
	return line + lineBreaks(d.text)
}

// lineBreaks counts as the lexer does: \n, \r and \r\n are one each.
func lineBreaks(text string) int {
	return strings.Count(text, "\n") + strings.Count(text, "\r") - strings.Count(text, "\r\n")
}

// definitions cuts a document that parses into its top-level definitions:
// each ends with the brace that closes its selection set.
func definitions(input string) []definition {
	var out []definition
	lex := lexer.New(&ast.Source{Input: input})
	bytesAt := byteOffsets(input)
	depth := 0
	var start *ast.Position
	for {
		tok, err := lex.ReadToken()
		if err != nil || tok.Kind == lexer.EOF {
			return out
		}
		if tok.Kind == lexer.Comment {
			continue
		}
		if start == nil {
			at := tok.Pos
			start = &at
		}
		switch tok.Kind {
		case lexer.BraceL, lexer.ParenL, lexer.BracketL:
			depth++
		case lexer.BraceR, lexer.ParenR, lexer.BracketR:
			depth--
		}
		if tok.Kind == lexer.BraceR && depth == 0 {
			text := input[bytesAt(start.Start):bytesAt(tok.Pos.End)]
			out = append(out, definition{text: text, from: start.Start, to: tok.Pos.End, line: start.Line, column: start.Column})
			start = nil
		}
	}
}

// byteOffsets returns a function from the lexer's offsets, which count
// runes, to bytes. It must be asked in ascending order.
func byteOffsets(input string) func(runes int) int {
	at, seen := 0, 0
	return func(runes int) int {
		for i := range input[at:] {
			if seen == runes {
				at += i
				return at
			}
			seen++
		}
		at = len(input)
		return at
	}
}
