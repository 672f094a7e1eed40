//go:build corpora

package schema

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCorpora reads public graphs with their operations from the folders
// below PLANWARM_CORPORA: each has a supergraph.graphql and operations.
func TestCorpora(t *testing.T) {
	graphs, err := filepath.Glob(filepath.Join(os.Getenv("PLANWARM_CORPORA"), "*", "supergraph.graphql"))
	if err != nil || len(graphs) == 0 {
		t.Fatalf("no graphs below PLANWARM_CORPORA: %v", err)
	}
	for _, graph := range graphs {
		dir := filepath.Dir(graph)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			data, err := os.ReadFile(graph)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Load(data)
			if err != nil {
				t.Fatal(err)
			}
			for _, pattern := range []string{"operations", "generated"} {
				files, err := filepath.Glob(filepath.Join(dir, pattern, "*.graphql"))
				if err != nil {
					t.Fatal(err)
				}
				for _, file := range files {
					checkFile(t, s, file)
				}
			}
		})
	}
}

func checkFile(t *testing.T, s *Schema, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list, err := ParseDocument(filepath.Base(file), text)
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range list {
		op, err := s.Parse(src.Text, src.Name)
		if err != nil {
			t.Errorf("%v", src.Locate(err))
			continue
		}
		again, err := s.Parse(op.Canonical, op.Name)
		if err != nil || again.Canonical != op.Canonical || again.Literals {
			t.Errorf("%s: canonical text changes: %v", src.File, err)
		}
	}
}
