package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/planwarm/planwarm/planner/engine"
	"github.com/planwarm/planwarm/schema"
	"github.com/spf13/cobra"
)

// planFlags are the command line of planwarm plan.
type planFlags struct {
	schema, file, operation, variables string
	conditions                         map[string]string
	verbose                            bool
}

func newPlanCmd(c *cli) *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show how an operation is planned, and what routers call it",
		Long: `Plan one operation in this process and print the tree of fetches, what planning
cost, and the names that a Cosmo router has for it: the key of its plan and
wg.operation.hash. A plan needs a supergraph; other schemas give the names only.

Variables in @skip and @include select the plan: give their values, or the key
is of no plan that traffic asks for. All other variables make no difference.
Times are those of the planner in this process, in which nothing was planned
before. Between routers the order of operations carries over, milliseconds do not.`,
		Example: `  planwarm plan --schema supergraph.graphql -f checkout.graphql
  planwarm plan --schema supergraph.graphql -f product.graphql -o ProductPage --condition withReviews=true`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.plan(cmd.Context(), f) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.schema, "schema", "", "supergraph; SDL or a Cosmo execution config for the names only")
	fs.StringVarP(&f.file, "file", "f", "", "GraphQL document, - for standard input")
	fs.StringVarP(&f.operation, "operation", "o", "", "name of the operation, where the document has several")
	fs.StringVar(&f.variables, "variables", "", "variables as a JSON object; those of @skip and @include are used")
	fs.StringToStringVar(&f.conditions, "condition", nil, "value of a variable of @skip or @include, such as withReviews=true; repeats")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "print the normalised text, whose hash the plan key is")
	return cmd
}

// plan reads schema and operation, plans, and prints.
func (c *cli) plan(ctx context.Context, f planFlags) error {
	if f.schema == "" || f.file == "" {
		return withCode(exitUsage, errors.New("--schema and --file are required"))
	}
	values, err := f.values()
	if err != nil {
		return withCode(exitUsage, err)
	}
	sc, err := readSchemaFile(f.schema)
	if err != nil {
		return err
	}
	src, err := c.planSource(f)
	if err != nil {
		return err
	}
	op, err := sc.Parse(src.Text, src.Name)
	if err != nil {
		return src.Locate(err)
	}
	for name := range f.conditions {
		if !slices.Contains(op.Conditions, name) {
			return withCode(exitUsage, fmt.Errorf("--condition %s: no @skip or @include of the operation takes this variable", name))
		}
	}
	maps.DeleteFunc(values, func(name string, _ bool) bool { return !slices.Contains(op.Conditions, name) })
	out := planOutput{File: src.File, Operation: src.Name, Type: op.Type, Conditions: values}
	if err := out.identify(sc, src, values); err != nil {
		return refusedFile(src.File, err)
	}
	out.Undecided = undecided(sc, src, op.Conditions, values)
	if sc.Kind() == schema.KindSupergraph {
		err = out.plan(ctx, sc, src, values)
	} else {
		out.NoPlan = noPlan(sc.Kind())
	}
	if err != nil {
		return refusedFile(src.File, err)
	}
	return c.printPlan(out, f.verbose)
}

// values are the booleans among --variables and --condition. Nothing else of
// the variables is looked at.
func (f *planFlags) values() (map[string]bool, error) {
	out := map[string]bool{}
	if f.variables != "" {
		var variables map[string]json.RawMessage
		if json.Unmarshal([]byte(f.variables), &variables) != nil {
			return nil, errors.New("--variables is no JSON object")
		}
		for name, raw := range variables {
			var value bool
			if json.Unmarshal(raw, &value) == nil && string(raw) != "null" {
				out[name] = value
			}
		}
	}
	for name, text := range f.conditions {
		value, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("--condition %s: the value is neither true nor false", name)
		}
		out[name] = value
	}
	return out, nil
}

// planSource reads the document and chooses the operation.
func (c *cli) planSource(f planFlags) (schema.Source, error) {
	name, data := f.file, []byte(nil)
	var err error
	if f.file == "-" {
		name = "stdin"
		data, err = io.ReadAll(io.LimitReader(c.stdin, schema.MaxDocumentBytes+1))
	} else {
		data, err = readInputFile(f.file, schema.MaxDocumentBytes)
	}
	if err != nil {
		return schema.Source{}, err
	}
	sources, err := schema.ParseDocument(name, data)
	if err != nil {
		return schema.Source{}, refusedDocument(name, err)
	}
	var names []string
	for _, s := range sources {
		if s.Name == f.operation || f.operation == "" && len(sources) == 1 {
			return s, nil
		}
		names = append(names, strconv.Quote(s.Name))
	}
	switch {
	case len(sources) == 0:
		err = errors.New("the document has no operation")
	case f.operation == "":
		err = fmt.Errorf("the document has several operations, choose one with -o: %s", strings.Join(names, ", "))
	default:
		err = fmt.Errorf("the document has no operation %q, but %s", f.operation, strings.Join(names, ", "))
	}
	return schema.Source{}, refusedFile(name, err)
}

// refusedDocument names the document unless its faults do so themselves.
func refusedDocument(name string, err error) error {
	var faults schema.OperationErrors
	if errors.As(err, &faults) {
		return err
	}
	return refusedFile(name, err)
}

// undecided are the conditions with neither a value nor a default.
func undecided(sc *schema.Schema, src schema.Source, conditions []string, values map[string]bool) []string {
	var out []string
	for _, name := range conditions {
		others := map[string]bool{}
		for _, other := range conditions {
			if other != name {
				others[other] = values[other]
			}
		}
		if _, given := values[name]; given {
			continue
		}
		if _, err := sc.Resolve(src.Text, src.Name, others); err != nil {
			out = append(out, name)
		}
	}
	return out
}

func noPlan(kind schema.Kind) string {
	if kind == schema.KindCosmo {
		return "a Cosmo execution config has no supergraph in it; give the supergraph that it was made from"
	}
	return "a plain schema does not say which subgraph resolves what; give the supergraph"
}

// identify computes what routers call the operation.
func (o *planOutput) identify(sc *schema.Schema, src schema.Source, values map[string]bool) error {
	k, err := engine.NewKeyer(sc.ClientSDL(), engine.WithMemo(0))
	if err != nil {
		return err
	}
	id, err := k.Key(src.Text, src.Name, values)
	if err != nil {
		return err
	}
	o.PlanKey, o.Hash, o.Normalized = id.PlanKey, id.Hash, id.Normalized
	return nil
}

// plan plans the operation once, in an engine that has planned nothing yet.
func (o *planOutput) plan(ctx context.Context, sc *schema.Schema, src schema.Source, values map[string]bool) error {
	e, err := engine.New(ctx, sc.Supergraph(), engine.Options{PlanOnly: true})
	if err != nil {
		return err
	}
	defer e.Close()
	variables, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("encode conditions: %w", err)
	}
	prepared, err := e.Prepare(src.Text, src.Name, variables)
	if err != nil {
		return err
	}
	planned, err := e.Plan(prepared)
	if err != nil {
		return err
	}
	cost := e.Measure(prepared, planned)
	o.Cost, o.Plan, o.tree, o.Unsupported = newPlanCost(cost), planned.QueryPlan(), planned.Tree(), e.Unsupported()
	return nil
}
