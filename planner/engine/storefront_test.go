package engine

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/testdata"
)

// storefrontOperation is a line of the storefront's index of operations.
type storefrontOperation struct {
	file, name, kind, hash, planKey string
	validOnV2                       bool
	text                            string
	conditions                      map[string]bool // as the traffic's first request sent them
}

func storefrontFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := testdata.Storefront.ReadFile("storefront/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// storefrontOperations reads the index, operations that the router refused
// included; those have no plan key.
func storefrontOperations(t testing.TB) []storefrontOperation {
	t.Helper()
	r := csv.NewReader(bytes.NewReader(storefrontFile(t, "operations/INDEX.tsv")))
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	traffic := storefrontTraffic(t)
	var out []storefrontOperation
	for _, row := range rows[1:] {
		op := storefrontOperation{
			file: row[0], name: row[1], kind: row[2], hash: row[8], planKey: row[9], validOnV2: row[10] == "yes",
			text:       string(storefrontFile(t, "operations/"+row[0])),
			conditions: map[string]bool{},
		}
		for _, sent := range traffic[strings.TrimSuffix(op.file, ".graphql")] {
			if sent.OperationName == op.name {
				op.conditions = conditionsOf(t, sent.Variables[0])
			}
		}
		out = append(out, op)
	}
	return out
}

// sentRequest is what the traffic sent of one operation.
type sentRequest struct {
	OperationName string
	Variables     []json.RawMessage
}

// storefrontTraffic has, for each file of operations, what was sent of it.
func storefrontTraffic(t testing.TB) map[string][]sentRequest {
	t.Helper()
	var out map[string][]sentRequest
	if err := json.Unmarshal(storefrontFile(t, "operations/variables.json"), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// reportedDocument is a document of the schema usage that a router reported.
type reportedDocument struct {
	Name, Document string
	PlanKey        string `json:"plan_key"`
	Error          bool
}

func reportedDocuments(t testing.TB) []reportedDocument {
	t.Helper()
	b, err := os.ReadFile("testdata/documents.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []reportedDocument
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// conditionsOf is what of a request's variables selects a plan: the booleans.
func conditionsOf(t testing.TB, variables []byte) map[string]bool {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(variables, &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for name, value := range all {
		if b, ok := value.(bool); ok {
			out[name] = b
		}
	}
	return out
}
