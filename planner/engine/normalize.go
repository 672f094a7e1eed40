package engine

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wundergraph/graphql-go-tools/v2/pkg/ast"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/astnormalization"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/astparser"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/astprinter"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/asttransform"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/astvalidation"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/operationreport"
)

// Timings are the durations of the phases that come before execution.
type Timings struct {
	Parse     time.Duration
	Normalize time.Duration
	Validate  time.Duration
	Plan      time.Duration
}

// normalizer brings operations into the form that a Cosmo router hashes and
// plans. It is safe for concurrent use.
type normalizer struct {
	schema *ast.Document // as clients see it; only read
	kits   sync.Pool     // of *kit
}

// kit holds what one operation at a time may use. Building it costs more than
// normalising a small operation does.
type kit struct {
	operation *astnormalization.OperationNormalizer
	validator *astvalidation.OperationValidator
	variables *astnormalization.VariablesNormalizer
	mapper    *astnormalization.VariablesMapper
}

// normalized is an operation in normal form.
type normalized struct {
	doc       *ast.Document
	name      string // never empty while the library works on doc
	anonymous bool   // name is not the client's
	kind      ast.OperationType
	beforeMap string // printed without its name, variables as the client called them
	unnamed   string // printed without its name
	named     string // printed with its name
	variables []byte // with the lifted literals
	remap     map[string]string
	timings   Timings
}

// temporaryName is what an anonymous operation is called while it is
// normalised, since the library selects operations by their name.
const temporaryName = "Anonymous"

func newNormalizer(clientSDL string) (*normalizer, error) {
	schema, err := parseSchema(clientSDL)
	if err != nil {
		return nil, err
	}
	n := &normalizer{schema: schema}
	n.kits.New = func() any {
		return &kit{
			operation: astnormalization.NewWithOpts(
				astnormalization.WithRemoveNotMatchingOperationDefinitions(),
				astnormalization.WithRemoveFragmentDefinitions(),
				astnormalization.WithInlineFragmentSpreads(),
				astnormalization.WithRemoveUnusedVariables(),
			),
			validator: astvalidation.DefaultOperationValidator(),
			// Literals are lifted by this one and not by an option of the first
			// pass, which leaves the variables of a lifted object declared.
			variables: astnormalization.NewVariablesNormalizer(),
			mapper:    astnormalization.NewVariablesMapper(),
		}
	}
	return n, nil
}

// parseSchema reads SDL and adds what introspection needs.
func parseSchema(sdl string) (doc *ast.Document, err error) {
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, recovered(errors.New("read schema"), r)
		}
	}()
	if err := checkText(sdl, MaxSchema); err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	parsed, report := astparser.ParseGraphqlDocumentString(sdl)
	if report.HasErrors() {
		return nil, reportError(errors.New("read schema"), nil, report)
	}
	if err := asttransform.MergeDefinitionWithBaseSchema(&parsed); err != nil {
		return nil, fmt.Errorf("read schema: merge introspection types: %w", err)
	}
	return &parsed, nil
}

// normalize brings one operation of a document into normal form. With
// sortArguments the arguments of each field are put in order first.
func (n *normalizer) normalize(text, name string, variables []byte, sortArguments bool) (out *normalized, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, fmt.Errorf("normalize operation: %w", recovered(ErrInvalid, r))
		}
	}()
	start := time.Now()
	doc, err := parseOperation(text, variables)
	if err != nil {
		return nil, fmt.Errorf("parse operation: %w", err)
	}
	out = &normalized{doc: doc, name: name}
	if err := out.pick(); err != nil {
		return nil, fmt.Errorf("parse operation: %w", err)
	}
	if sortArguments {
		sortFieldArguments(doc)
	}
	out.timings.Parse = time.Since(start)
	k := n.kits.Get().(*kit)
	if err := out.run(k, n.schema); err != nil {
		return nil, err
	}
	// After a fault or a panic a kit may be half-way through: it is not put back.
	n.kits.Put(k)
	return out, nil
}

// run takes doc through the steps of the router, in its order.
func (o *normalized) run(k *kit, schema *ast.Document) error {
	var r operationreport.Report
	start := time.Now()
	k.operation.NormalizeNamedOperation(o.doc, schema, []byte(o.name), &r)
	if r.HasErrors() {
		return fmt.Errorf("normalize operation: %w", reportError(ErrInvalid, o.doc, r))
	}
	o.timings.Normalize = time.Since(start)

	start = time.Now()
	k.validator.Validate(o.doc, schema, &r)
	if r.HasErrors() {
		return fmt.Errorf("validate operation: %w", reportError(ErrInvalid, o.doc, r))
	}
	o.timings.Validate = time.Since(start)

	start = time.Now()
	k.variables.NormalizeOperation(o.doc, schema, &r)
	if r.HasErrors() {
		return fmt.Errorf("lift literals: %w", reportError(ErrInvalid, o.doc, r))
	}
	var err error
	if o.beforeMap, err = printUnnamed(o.doc); err != nil {
		return fmt.Errorf("print operation: %w", err)
	}
	o.remap = k.mapper.NormalizeOperation(o.doc, schema, &r)
	if r.HasErrors() {
		return fmt.Errorf("rename variables: %w", reportError(ErrInvalid, o.doc, r))
	}
	if o.unnamed, err = printUnnamed(o.doc); err != nil {
		return fmt.Errorf("print operation: %w", err)
	}
	if o.named, err = astprinter.PrintString(o.doc); err != nil {
		return fmt.Errorf("print operation: %w", err)
	}
	o.variables = bytes.Clone(o.doc.Input.Variables)
	o.timings.Normalize += time.Since(start)
	return nil
}

// parseOperation reads a document within the bounds of the package.
func parseOperation(text string, variables []byte) (*ast.Document, error) {
	if err := checkText(text, MaxText); err != nil {
		return nil, err
	}
	if len(variables) > MaxVariables {
		return nil, fmt.Errorf("%w: %d bytes of variables, at most %d", ErrTooLarge, len(variables), MaxVariables)
	}
	doc, report := astparser.ParseGraphqlDocumentString(text)
	if report.HasErrors() {
		return nil, reportError(ErrInvalid, &doc, report)
	}
	if err := checkSize(&doc); err != nil {
		return nil, err
	}
	doc.Input.Variables = []byte("{}")
	if v := bytes.TrimSpace(variables); len(v) > 0 && string(v) != "null" {
		if v[0] != '{' {
			return nil, fmt.Errorf("%w: variables are not an object", ErrInvalid)
		}
		doc.Input.Variables = bytes.Clone(v)
	}
	return &doc, nil
}

// pick finds the operation that is meant and gives it a name if it has none.
func (o *normalized) pick() error {
	ops := o.doc.OperationDefinitions
	if len(ops) == 0 {
		return fmt.Errorf("%w: no operation in the document", ErrInvalid)
	}
	if o.name == "" && len(ops) > 1 {
		return fmt.Errorf("%w: several operations and no name", ErrInvalid)
	}
	for i := range ops {
		name := o.doc.OperationDefinitionNameString(i)
		if name == "" && len(ops) > 1 {
			return fmt.Errorf("%w: an anonymous operation must be alone", ErrInvalid)
		}
		if o.name != "" && name != o.name {
			continue
		}
		o.kind = ops[i].OperationType
		if o.name = name; name == "" {
			o.name, o.anonymous = temporaryName, true
			ops[i].Name = o.doc.Input.AppendInputString(temporaryName)
		}
		return nil
	}
	return fmt.Errorf("%w: no operation of that name", ErrInvalid)
}

// printUnnamed prints doc as it is hashed: without the operation's name.
func printUnnamed(doc *ast.Document) (string, error) {
	names := make([]ast.ByteSliceReference, len(doc.OperationDefinitions))
	for i := range doc.OperationDefinitions {
		names[i] = doc.OperationDefinitions[i].Name
		doc.OperationDefinitions[i].Name = ast.ByteSliceReference{}
	}
	text, err := astprinter.PrintString(doc)
	for i := range doc.OperationDefinitions {
		doc.OperationDefinitions[i].Name = names[i]
	}
	return text, err
}

// sortFieldArguments puts the arguments of every field in order of their names.
func sortFieldArguments(doc *ast.Document) {
	for i := range doc.Fields {
		slices.SortStableFunc(doc.Fields[i].Arguments.Refs, func(a, b int) int {
			return bytes.Compare(doc.ArgumentNameBytes(a), doc.ArgumentNameBytes(b))
		})
	}
}

func kindName(kind ast.OperationType) string {
	switch kind {
	case ast.OperationTypeMutation:
		return "mutation"
	case ast.OperationTypeSubscription:
		return "subscription"
	}
	return "query"
}
