//go:build corpora

package schema

import (
	"os"
	"path/filepath"
	"testing"
)

// TestVariablesOfTheCorpora: the schemas of public graphs accept the variables
// of at least 99 % of their operations. The rest is listed with its reason.
func TestVariablesOfTheCorpora(t *testing.T) {
	graphs, err := filepath.Glob(filepath.Join(os.Getenv("PLANWARM_CORPORA"), "*", "supergraph.graphql"))
	if err != nil || len(graphs) == 0 {
		t.Fatalf("no graphs below PLANWARM_CORPORA: %v", err)
	}
	all, good, withVariables := 0, 0, 0
	for _, graph := range graphs {
		data, err := os.ReadFile(graph)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Load(data)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := s.Canary(); err != nil {
			t.Errorf("%s: %v", graph, err)
		} else if _, err := accepted(s, c.Text, "", nil); err != nil {
			t.Errorf("%s: canary %s: %v", graph, c.Text, err)
		}
		files, err := filepath.Glob(filepath.Join(filepath.Dir(graph), "*", "*.graphql"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			list, err := ParseDocument(filepath.Base(file), text)
			if err != nil {
				t.Fatal(err)
			}
			for _, src := range list {
				all++
				raw, err := accepted(s, src.Text, src.Name, nil)
				if err != nil {
					t.Logf("%s %s: %v\n%s", src.File, src.Name, err, raw)
					continue
				}
				good++
				if raw != nil {
					withVariables++
				}
			}
		}
	}
	t.Logf("%d of %d operations accepted, %d of them with variables", good, all, withVariables)
	if all < 200 || good*100 < all*99 {
		t.Errorf("%d of %d operations accepted, want 99 %%", good, all)
	}
}
