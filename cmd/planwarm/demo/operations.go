package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/testdata"
)

// operation is one storefront operation as a client sends it.
type operation struct {
	name      string // operationName, may be empty
	query     string
	variables []json.RawMessage // what clients send, at least one
}

// request is an operation with variables.
type request struct {
	name      string
	query     string
	variables json.RawMessage
}

const folder = "storefront/"

// readFile reads from the embedded storefront.
func readFile(name string) (string, error) {
	data, err := testdata.Storefront.ReadFile(folder + name)
	if err != nil {
		return "", fmt.Errorf("read storefront: %w", err)
	}
	return string(data), nil
}

// loadOperations returns every storefront operation that the schema accepts, in
// the order of the files.
func loadOperations(sc *schema.Schema) ([]operation, error) {
	text, err := readFile("operations/variables.json")
	if err != nil {
		return nil, err
	}
	var files map[string][]struct {
		OperationName *string           `json:"operationName"`
		Variables     []json.RawMessage `json:"variables"`
	}
	if err := json.Unmarshal([]byte(text), &files); err != nil {
		return nil, fmt.Errorf("read variables: %w", err)
	}
	names, err := fs.Glob(testdata.Storefront, folder+"operations/*.graphql")
	if err != nil {
		return nil, err
	}
	var out []operation
	for _, path := range names {
		base := strings.TrimSuffix(path[strings.LastIndexByte(path, '/')+1:], ".graphql")
		query, err := readFile("operations/" + base + ".graphql")
		if err != nil {
			return nil, err
		}
		for _, sent := range files[base] {
			op := operation{query: query, variables: sent.Variables}
			if sent.OperationName != nil {
				op.name = *sent.OperationName
			}
			if _, err := sc.Parse(op.query, op.name); err == nil {
				out = append(out, op)
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("storefront has no valid operation")
	}
	return out, nil
}

// pass is every operation once, and once more for each set of conditions that
// clients send: those are plans of their own. The order is fixed.
func pass(ops []operation, sc *schema.Schema) []request {
	var out []request
	for _, op := range ops {
		n := 1
		if parsed, err := sc.Parse(op.query, op.name); err == nil && len(parsed.Conditions) > 0 {
			n = len(op.variables)
		}
		for _, v := range op.variables[:n] {
			out = append(out, request{op.name, op.query, v})
		}
	}
	return out
}

// traffic is Zipf-distributed: the k-th operation is sent in proportion to 1/k,
// at least twice, since what was asked for once may never come again.
func traffic(ops []operation, total int, r *rand.Rand) []request {
	order := r.Perm(len(ops))
	sum := 0.0
	for k := range ops {
		sum += 1 / float64(k+1)
	}
	var out []request
	for k, i := range order {
		n := max(2*len(ops[i].variables[:min(3, len(ops[i].variables))]), int(float64(total)/(float64(k+1)*sum)))
		for j := range n {
			op := ops[i]
			out = append(out, request{op.name, op.query, op.variables[j%len(op.variables)]})
		}
	}
	r.Shuffle(len(out), func(a, b int) { out[a], out[b] = out[b], out[a] })
	return out
}

// refusedBy names the operations that a schema does not accept.
func refusedBy(sc *schema.Schema, ops []operation) (accepted []operation, refused []string) {
	for _, op := range ops {
		if _, err := sc.Parse(op.query, op.name); err != nil {
			refused = append(refused, op.name)
			continue
		}
		accepted = append(accepted, op)
	}
	slices.Sort(refused)
	return accepted, refused
}
