package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// suggestUpTo is the size of text up to which errors come with "Did you
// mean": the suggestions compare each wrong name with every right one, which
// a hostile text can make very many.
const suggestUpTo = 16 << 10

// The rules of the specification, with and without suggestions, in a fixed
// order: the order decides which of two faults at one place is told first.
var (
	fullRules  = ordered(nil)
	plainRules = ordered([]core.Rule{
		rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.ScalarLeafsRuleWithoutSuggestions,
		rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
	})
)

// ordered returns the default rules by name, some of them replaced by their
// variant without suggestions, which keeps the name of the rule.
func ordered(plain []core.Rule) []core.Rule {
	byName := rules.NewDefaultRules().GetInner()
	for _, r := range plain {
		byName[strings.TrimSuffix(r.Name, "WithoutSuggestions")] = r.RuleFunc
	}
	out := make([]core.Rule, 0, len(byName))
	for name, f := range byName {
		out = append(out, core.Rule{Name: name, RuleFunc: f})
	}
	slices.SortFunc(out, func(a, b core.Rule) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// validate runs the rules on one operation and links its nodes to the schema.
func (s *Schema) validate(c *chosen, length int) error {
	if err := checkLimits(c.op, c.byName); err != nil {
		return err
	}
	list := fullRules
	if length > suggestUpTo {
		list = plainRules
	}
	var faults OperationErrors
	dropped := 0
	events := &core.Events{}
	for _, rule := range list {
		rule.RuleFunc(events, func(options ...core.ErrorOption) {
			if len(faults) == maxErrors {
				dropped++
				return
			}
			found := &gqlerror.Error{Rule: rule.Name}
			for _, o := range options {
				o(found)
			}
			faults = append(faults, faultOf(s.types, found))
		})
	}
	core.Walk(s.types, &ast.QueryDocument{Operations: ast.OperationList{c.op}, Fragments: c.fragments}, events)
	if len(faults) == 0 {
		return nil
	}
	faults = inOrder(faults)
	if dropped > 0 {
		faults = append(faults, &OperationError{Rule: RuleLimit, Message: fmt.Sprintf("and %d more faults", dropped)})
	}
	return faults
}
