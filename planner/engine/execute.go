package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/wundergraph/astjson"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/ast"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/plan"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/resolve"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/variablesvalidation"
)

// ErrVariables: the variables do not satisfy the operation.
var ErrVariables = errors.New("invalid variables")

// CheckVariables says whether the variables of p satisfy its definitions. The
// error names the variable and never its value.
func (e *Engine) CheckVariables(p *Prepared) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("check variables: %w", recovered(ErrVariables, r))
		}
	}()
	if err := checkText(string(p.normalized.variables), MaxVariables); err != nil {
		return fmt.Errorf("check variables: %w", err)
	}
	validator := variablesvalidation.NewVariablesValidator(variablesvalidation.VariablesValidatorOptions{DisableExposingVariablesContent: true})
	err = validator.ValidateWithRemap(p.normalized.doc, e.normalizer.schema, p.normalized.variables, p.normalized.remap)
	if err == nil {
		return nil
	}
	var invalid *variablesvalidation.InvalidVariableError
	if errors.As(err, &invalid) {
		return fmt.Errorf("check variables: %w: %s", ErrVariables, invalid.Message)
	}
	// Anything else is a fault of the JSON, whose message quotes it.
	return fmt.Errorf("check variables: %w: not a JSON object", ErrVariables)
}

// Execute runs a planned operation and returns the response as JSON, errors of
// subgraphs in it. planned is the plan of p; header is sent to every subgraph
// and may be nil.
func (e *Engine) Execute(ctx context.Context, p *Prepared, planned *Planned, header http.Header) (body []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			body, err = nil, recovered(errors.New("execute operation"), r)
		}
	}()
	switch {
	case e.resolver == nil:
		return nil, fmt.Errorf("execute operation: %w", ErrPlanOnly)
	case p.normalized.doc == nil:
		return nil, errors.New("execute operation: it was prepared to be planned alone")
	case p.normalized.kind == ast.OperationTypeSubscription:
		return nil, fmt.Errorf("execute operation: %w", ErrSubscription)
	case p.PlanKey != planned.Key:
		return nil, errors.New("execute operation: the plan is of another operation")
	}
	synchronous, ok := planned.plan.(*plan.SynchronousResponsePlan)
	if !ok {
		return nil, fmt.Errorf("execute operation: %w", ErrSubscription)
	}
	if err := e.CheckVariables(p); err != nil {
		return nil, fmt.Errorf("execute operation: %w", err)
	}
	variables, err := astjson.ParseBytes(p.normalized.variables)
	if err != nil {
		return nil, fmt.Errorf("execute operation: %w: not a JSON object", ErrVariables)
	}
	rc := resolve.NewContext(ctx)
	rc.Variables = variables
	rc.RemapVariables = p.normalized.remap
	rc.Request = resolve.Request{Header: header}
	rc.SubgraphHeadersBuilder = newSubgraphHeader(header)
	var out bytes.Buffer
	if _, err := e.resolver.ResolveGraphQLResponse(rc, synchronous.Response, nil, &out); err != nil {
		return nil, fmt.Errorf("execute operation: %w", err)
	}
	return out.Bytes(), nil
}
