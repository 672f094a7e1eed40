package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const operationsDir = "../../testdata/storefront/operations/"

// runPlan runs planwarm plan and returns its exit code and outputs.
func runPlan(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(append([]string{"plan"}, args...), strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func planJSON(t *testing.T, args ...string) (planOutput, string) {
	t.Helper()
	code, stdout, stderr := runPlan("", append(args, "--json")...)
	var o planOutput
	if err := json.Unmarshal([]byte(stdout), &o); code != exitDone || err != nil {
		t.Fatalf("exit code %d, error %v: %s", code, err, stderr)
	}
	return o, stderr
}

// Every operation of the storefront has the key and hash that a real router
// has for it, and a plan.
func TestPlanMeetsTheRoutersKeys(t *testing.T) {
	index, err := os.ReadFile(operationsDir + "INDEX.tsv")
	if err != nil {
		t.Fatal(err)
	}
	planned := 0
	for _, line := range strings.Split(strings.TrimSpace(string(index)), "\n")[1:] {
		f := strings.Split(line, "\t")
		file, name, hash, planKey := f[0], f[1], f[8], f[9]
		if planKey == "" || planned == 12 && name != "SkipInclude" && !strings.HasPrefix(file, "multi-") {
			continue // a dozen, and those with a choice: all keys are the engine's tests
		}
		args := []string{"--schema", supergraph, "-f", operationsDir + file}
		if strings.HasPrefix(file, "multi-") {
			args = append(args, "-o", name)
		}
		if name == "SkipInclude" {
			args = append(args, "--variables", `{"id": "p-1", "withReviews": true, "slim": null}`)
		}
		o, stderr := planJSON(t, args...)
		if o.PlanKey != planKey || o.Hash != hash || o.Operation != name || stderr != "" {
			t.Errorf("%s %s: key %s and hash %s, want %s and %s; said %q", file, name, o.PlanKey, o.Hash, planKey, hash, stderr)
		}
		if o.Cost == nil || o.Cost.PlanMs <= 0 || o.Cost.Fetches < o.Cost.Depth || o.NoPlan != "" {
			t.Errorf("%s %s: cost %+v, no plan: %q", file, name, o.Cost, o.NoPlan)
		}
		planned = min(planned+1, 12)
	}
	if planned != 12 {
		t.Errorf("%d operations were planned", planned)
	}
}

func TestPlanConditions(t *testing.T) {
	file := operationsDir + "skip-include-variables.graphql"
	full, _ := planJSON(t, "--schema", supergraph, "-f", file, "--condition", "withReviews=true,slim=false")
	slim, _ := planJSON(t, "--schema", supergraph, "-f", file, "--condition", "withReviews=false", "--condition", "slim=true")
	if full.PlanKey == slim.PlanKey || full.Cost.Fetches != 2 || slim.Cost.Fetches != 1 || len(full.Undecided)+len(slim.Undecided) != 0 {
		t.Errorf("with reviews %+v, slim %+v", full, slim)
	}
	// slim has a default.
	open, _ := planJSON(t, "--schema", supergraph, "-f", file)
	if len(open.Undecided) != 1 || open.Undecided[0] != "withReviews" {
		t.Errorf("undecided %q", open.Undecided)
	}
	if _, _, stderr := runPlan("", "--schema", supergraph, "-f", file); !strings.Contains(stderr, "--condition withReviews=true") {
		t.Errorf("nothing is said of the open condition: %s", stderr)
	}
}

func TestPlanPrintsTheTree(t *testing.T) {
	code, stdout, stderr := runPlan("query Mine { me { id orders { number } } }", "--schema", supergraph, "-f", "-", "--verbose")
	for _, want := range []string{"Mine (query)", "plan key", "hash", "fetches", "2, of which at most 2", "normalised", "{me {id orders {number}}}", `service: "accounts"`, `service: "orders"`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not printed:\n%s", want, stdout)
		}
	}
	if code != exitDone || stderr != "" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if _, brief, _ := runPlan("query Mine { me { id } }", "--schema", supergraph, "-f", "-"); strings.Contains(brief, "normalised ") && strings.Contains(brief, "{me {id}}") {
		t.Errorf("the normalised text is printed without being asked for:\n%s", brief)
	}
}

// What is no supergraph gives the same names, and says why there is no plan.
func TestPlanOfOtherSchemas(t *testing.T) {
	sdl := filepath.Join(t.TempDir(), "schema.graphql")
	if err := os.WriteFile(sdl, []byte("type Query { me: Customer } type Customer { id: ID! displayName: String tier: String }"), 0o600); err != nil {
		t.Fatal(err)
	}
	want, _ := planJSON(t, "--schema", supergraph, "-f", operationsDir+"me.graphql")
	for path, why := range map[string]string{sdl: "plain schema", "../../testdata/storefront/cosmo-execution-config.json": "execution config"} {
		o, _ := planJSON(t, "--schema", path, "-f", operationsDir+"me.graphql")
		if o.PlanKey != want.PlanKey || o.Hash != want.Hash || o.Cost != nil || o.Plan != nil || !strings.Contains(o.NoPlan, why) {
			t.Errorf("%s: %+v", why, o)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		args  []string
		stdin string
		code  int
		says  []string
	}{
		"an unknown field":    {args: []string{"-f", operationsDir + "invalid-unknown-field.graphql"}, code: exitRefused, says: []string{"invalid-unknown-field.graphql:1:46:", "colourName", "(FieldsOnCorrectType)"}},
		"a syntax error":      {args: []string{"-f", write("syntax.graphql", "query A {\n  me { id }\n  ) }")}, code: exitRefused, says: []string{"syntax.graphql:3:3:", "(Syntax)"}},
		"the second of two":   {args: []string{"-f", write("two.graphql", "query A { me { id } }\nquery B {\n  me { none } }"), "-o", "B"}, code: exitRefused, says: []string{"two.graphql:3:8:", "none"}},
		"several, none named": {args: []string{"-f", operationsDir + "multi-cart.graphql"}, code: exitRefused, says: []string{"-o", `"CartBadge"`, `"CartTotal"`}},
		"a name that is none": {args: []string{"-f", operationsDir + "multi-cart.graphql", "-o", "Nope"}, code: exitRefused, says: []string{`"Nope"`, `"CartApply"`}},
		"no operation":        {args: []string{"-f", "-"}, stdin: "fragment F on Query { me { id } }", code: exitRefused, says: []string{"stdin", "no operation"}},
		"a missing file":      {args: []string{"-f", filepath.Join(dir, "none.graphql")}, code: exitNotFound, says: []string{"none.graphql"}},
		"a broken schema":     {args: []string{"-f", "-", "--schema", write("broken.graphql", "type Query {")}, stdin: "{ a }", code: exitRefused, says: []string{"broken.graphql"}},
		"no boolean":          {args: []string{"-f", "-", "--condition", "a=maybe"}, stdin: "{ me { id } }", code: exitUsage, says: []string{"--condition a"}},
		"no condition":        {args: []string{"-f", "-", "--condition", "a=true"}, stdin: "{ me { id } }", code: exitUsage, says: []string{"--condition a", "@skip"}},
		"variables no object": {args: []string{"-f", "-", "--variables", "[1]"}, stdin: "{ me { id } }", code: exitUsage, says: []string{"--variables"}},
		"no file":             {code: exitUsage, says: []string{"--file"}},
	} {
		code, stdout, stderr := runPlan(c.stdin, append([]string{"--schema", supergraph}, c.args...)...)
		if code != c.code || stdout != "" {
			t.Errorf("%s: exit code %d, want %d, printed %q", name, code, c.code, stdout)
		}
		for _, want := range c.says {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: does not say %q: %s", name, want, stderr)
			}
		}
	}
}

// Faults tell where and why, never what a user wrote as a value.
func TestPlanErrorsHoldNoValues(t *testing.T) {
	_, _, stderr := runPlan(`{ product(id: {secret: "hunter2"}) { id } }`, "--schema", supergraph, "-f", "-", "--variables", `{"password": "hunter2"}`)
	if stderr == "" || strings.Contains(stderr, "hunter2") {
		t.Errorf("said %q", stderr)
	}
}
