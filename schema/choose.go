package schema

import (
	"errors"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"
)

// parse reads a document within the bounds of one operation.
func parse(text string) (*ast.QueryDocument, error) {
	if len(text) > MaxTextBytes {
		return nil, fault(RuleLimit, 0, 0, "the text has %d bytes, at most %d", len(text), MaxTextBytes)
	}
	return parseTokens(text, maxTokens)
}

func parseTokens(text string, tokens int) (*ast.QueryDocument, error) {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, tokens)
	if err != nil {
		return nil, syntaxFault(err)
	}
	if len(doc.Operations) == 0 {
		return nil, fault(RuleChoice, 0, 0, "no operation in the text")
	}
	for _, f := range doc.Fragments {
		if len(f.VariableDefinition) > 0 {
			return nil, fault(RuleSyntax, f.Position.Line, f.Position.Column, "Fragment %q must not define variables.", f.Name)
		}
	}
	return doc, nil
}

func syntaxFault(err error) OperationErrors {
	var at *gqlerror.Error
	if !errors.As(err, &at) {
		return fault(RuleSyntax, 0, 0, "syntax error")
	}
	f := faultOf(nil, &gqlerror.Error{Rule: RuleSyntax, Message: at.Message, Locations: at.Locations})
	if strings.HasPrefix(at.Message, "exceeded ") {
		f.Rule = RuleLimit
	}
	return OperationErrors{f}
}

// chosen is one operation of a document with the fragments that it reaches,
// in the order of the text. Everything else of the document is gone.
type chosen struct {
	op        *ast.OperationDefinition
	fragments ast.FragmentDefinitionList
	byName    map[string]*ast.FragmentDefinition
}

// choose picks the operation called name; name may be empty when there is only one.
func choose(doc *ast.QueryDocument, name string) (*chosen, error) {
	if n := len(doc.Fragments); n > maxFragments {
		return nil, limit(doc.Fragments[maxFragments].Position, "%d fragments, at most %d", n, maxFragments)
	}
	if err := uniqueNames(doc); err != nil {
		return nil, err
	}
	var op *ast.OperationDefinition
	for _, o := range doc.Operations {
		if o.Name == name || name == "" && len(doc.Operations) == 1 {
			op = o
		}
	}
	switch {
	case op == nil && name == "":
		return nil, fault(RuleChoice, 0, 0, "%d operations in the text and no name that chooses one", len(doc.Operations))
	case op == nil:
		return nil, fault(RuleChoice, 0, 0, "no operation of that name in the text")
	}
	byName := make(map[string]*ast.FragmentDefinition, len(doc.Fragments))
	for _, f := range doc.Fragments {
		byName[f.Name] = f
	}
	used := map[string]bool{}
	reach(op.SelectionSet, byName, used)
	all := used
	if len(doc.Operations) > 1 {
		all = map[string]bool{}
		for _, o := range doc.Operations {
			reach(o.SelectionSet, byName, all)
		}
	}
	c := &chosen{op: op, byName: map[string]*ast.FragmentDefinition{}}
	for _, f := range doc.Fragments {
		if !all[f.Name] {
			return nil, fault("NoUnusedFragments", f.Position.Line, f.Position.Column, "Fragment %q is never used.", f.Name)
		}
		if used[f.Name] {
			c.fragments = append(c.fragments, f)
			c.byName[f.Name] = f
		}
	}
	return c, nil
}

// uniqueNames holds what is said of the whole document. What else is wrong
// with operations that were not chosen is no fault of the chosen one.
func uniqueNames(doc *ast.QueryDocument) error {
	seen := map[string]bool{}
	for _, o := range doc.Operations {
		if o.Name == "" && len(doc.Operations) > 1 {
			return fault("LoneAnonymousOperation", o.Position.Line, o.Position.Column, "This anonymous operation must be the only defined operation.")
		}
		if seen[o.Name] {
			return fault("UniqueOperationNames", o.Position.Line, o.Position.Column, "There can be only one operation named %q.", o.Name)
		}
		seen[o.Name] = true
	}
	clear(seen)
	for _, f := range doc.Fragments {
		if seen[f.Name] {
			return fault("UniqueFragmentNames", f.Position.Line, f.Position.Column, "There can be only one fragment named %q.", f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

// reach marks the fragments that a selection set leads to. Each is entered
// once, so that neither cycles nor repetition cost anything.
func reach(set ast.SelectionSet, fragments map[string]*ast.FragmentDefinition, used map[string]bool) {
	for _, s := range set {
		switch x := s.(type) {
		case *ast.Field:
			reach(x.SelectionSet, fragments, used)
		case *ast.InlineFragment:
			reach(x.SelectionSet, fragments, used)
		case *ast.FragmentSpread:
			if f := fragments[x.Name]; f != nil && !used[x.Name] {
				used[x.Name] = true
				reach(f.SelectionSet, fragments, used)
			}
		}
	}
}

// hasComment reports whether text has a comment. A # inside a string is none,
// which only the lexer can tell.
func hasComment(text string) bool {
	if !strings.Contains(text, "#") {
		return false
	}
	lex := lexer.New(&ast.Source{Input: text})
	for {
		tok, err := lex.ReadToken()
		if err != nil || tok.Kind == lexer.EOF {
			return false
		}
		if tok.Kind == lexer.Comment {
			return true
		}
	}
}
