package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/wundergraph/graphql-go-tools/v2/pkg/astparser"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/plan"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/postprocess"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/resolve"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/operationreport"
)

// Prepared is an operation in normal form, together with the variables it was
// sent with. Several goroutines may plan it; one at a time may execute it.
type Prepared struct {
	Identity
	Name    string // "" for an anonymous operation
	Timings Timings

	normalized *normalized
}

// Prepare parses, normalises and validates the operation name of a document;
// name may be empty when there is only one. variables is a JSON object or empty.
func (e *Engine) Prepare(query, name string, variables []byte) (*Prepared, error) {
	n, err := e.normalizer.normalize(query, name, variables, false)
	if errors.Is(err, ErrInvalid) {
		// Two leaves with the same arguments in another order are one field,
		// which the library does not see. The key of every other operation
		// depends on the order in which its arguments were written.
		if sorted, again := e.normalizer.normalize(query, name, variables, true); again == nil {
			n, err = sorted, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("prepare operation: %w", err)
	}
	p := &Prepared{Identity: n.identity(), Timings: n.timings, normalized: n}
	if !n.anonymous {
		p.Name = n.name
	}
	return p, nil
}

// ToPlan is p without what only its execution needs: a copy that is small
// enough to be remembered and can be planned any number of times.
func (p *Prepared) ToPlan() *Prepared {
	n := p.normalized
	return &Prepared{
		Identity: p.Identity, Name: p.Name,
		normalized: &normalized{name: n.name, anonymous: n.anonymous, kind: n.kind, named: n.named},
	}
}

// Planned is a plan. It is not changed after Plan, so it may be shared.
type Planned struct {
	Key     string // of the plan cache, see Identity.PlanKey
	Hash    string // see Identity.Hash
	Type    string // query, mutation or subscription
	Timings Timings
	Fetches int // requests to subgraphs that the plan has
	Depth   int // of them, the most that wait for one another

	plan plan.Plan
}

// Plan plans a prepared operation and leaves the cache alone. The time that it
// takes grows with the square of the plan's fetches and cannot be cut short:
// thousands of them take minutes, where real operations have dozens.
func (e *Engine) Plan(p *Prepared) (out *Planned, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, fmt.Errorf("plan operation: %w", recovered(ErrUnplannable, r))
		}
	}()
	start := time.Now()
	// The planner changes its document, and p may be planned again.
	doc, report := astparser.ParseGraphqlDocumentString(p.normalized.named)
	if report.HasErrors() {
		return nil, fmt.Errorf("plan operation: %w", reportError(ErrUnplannable, &doc, report))
	}
	planner, err := plan.NewPlanner(e.cfg)
	if err != nil {
		return nil, fmt.Errorf("plan operation: make planner: %w", err)
	}
	var r operationreport.Report
	raw := planner.Plan(&doc, e.planning, p.normalized.name, &r, plan.IncludeQueryPlanInResponse())
	if r.HasErrors() {
		return nil, fmt.Errorf("plan operation: %w", reportError(ErrUnplannable, &doc, r))
	}
	postprocess.NewProcessor().Process(raw)
	out = &Planned{Key: p.PlanKey, Hash: p.Hash, Type: p.Type, Timings: p.Timings, plan: raw}
	out.Timings.Plan = time.Since(start)
	out.Fetches, out.Depth = measure(out.QueryPlan())
	return out, nil
}

// QueryPlan is the tree of fetches, for printing and as JSON; nil when nothing
// is fetched.
func (p *Planned) QueryPlan() *resolve.FetchTreeQueryPlanNode {
	switch x := p.plan.(type) {
	case *plan.SynchronousResponsePlan:
		return x.Response.Fetches.QueryPlan()
	case *plan.SubscriptionResponsePlan:
		return x.Response.Response.Fetches.QueryPlan()
	}
	return nil
}

// Tree is the tree of fetches for people to read.
func (p *Planned) Tree() string {
	tree := p.QueryPlan()
	if p.Fetches == 0 || tree == nil {
		return "QueryPlan {}"
	}
	return tree.PrettyPrint()
}

// measure counts the fetches of a tree, and how many of them wait for one another.
func measure(n *resolve.FetchTreeQueryPlanNode) (fetches, depth int) {
	if n == nil {
		return 0, 0
	}
	// The trigger of a subscription comes before its other fetches.
	if n.Fetch != nil || n.Trigger != nil {
		fetches, depth = 1, 1
	}
	below := 0
	for _, child := range n.Children {
		f, d := measure(child)
		fetches += f
		if n.Kind == resolve.FetchTreeNodeKindSequence {
			below += d
		} else {
			below = max(below, d)
		}
	}
	return fetches, depth + below
}

// Check says whether the operation name of a document is valid and can be
// planned: the error wraps ErrInvalid, ErrTooLarge or ErrUnplannable.
func (e *Engine) Check(text, name string) error {
	p, err := e.Prepare(text, name, nil)
	if err != nil {
		return fmt.Errorf("check operation: %w", err)
	}
	if _, err := e.Plan(p); err != nil {
		return fmt.Errorf("check operation: %w", err)
	}
	return nil
}
