//go:build corpora

package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/planwarm/planwarm/schema"
)

// TestPlanCorpora plans every operation of the public graphs below
// PLANWARM_CORPORA. Lifting its literals changes neither its key nor what its
// plan fetches.
func TestPlanCorpora(t *testing.T) {
	graphs, err := filepath.Glob(filepath.Join(os.Getenv("PLANWARM_CORPORA"), "*", "supergraph.graphql"))
	if err != nil || len(graphs) == 0 {
		t.Fatalf("no graphs below PLANWARM_CORPORA: %v", err)
	}
	for _, graph := range graphs {
		sdl, err := os.ReadFile(graph)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := schema.Load(sdl)
		if err != nil {
			t.Fatal(err)
		}
		e := newEngine(t, string(sdl), Options{PlanOnly: true})
		files, err := filepath.Glob(filepath.Join(filepath.Dir(graph), "*", "*.graphql"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sources, err := schema.ParseDocument(file, text)
			if err != nil {
				t.Fatal(err)
			}
			for _, src := range sources {
				op, err := sc.Parse(src.Text, src.Name)
				if err != nil {
					t.Error(src.Locate(err))
					continue
				}
				exact, lifted := plannedAs(t, e, file, src.Text, src.Name), plannedAs(t, e, file, op.Canonical, op.Name)
				if exact == nil || lifted == nil {
					continue
				}
				if exact.Key != lifted.Key || exact.Fetches != lifted.Fetches || exact.Depth != lifted.Depth {
					t.Errorf("%s %s: lifting its literals changes the plan", file, src.Name)
				}
			}
		}
	}
}

func plannedAs(t *testing.T, e *Engine, file, text, name string) *Planned {
	t.Helper()
	p, err := e.Prepare(text, name, nil)
	if err != nil {
		t.Errorf("%s %s: %v", file, name, err)
		return nil
	}
	out, err := e.Plan(p)
	if err != nil {
		t.Errorf("%s %s: %v", file, name, err)
	}
	return out
}
