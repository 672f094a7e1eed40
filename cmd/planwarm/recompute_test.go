package main

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/admin"
	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
	"go.uber.org/zap"
)

// recomputing is a sidecar that publishes one manifest each time.
type recomputing struct {
	graph manifest.Graph
	to    *publisher
	build error // what building it ends with
}

func (r recomputing) Status() warmer.Status {
	return warmer.Status{Graphs: []warmer.GraphStatus{{Graph: r.graph}}}
}

func (recomputing) Trigger(context.Context, manifest.Graph, warmer.Reason) error { return nil }

func (r recomputing) Recompute(ctx context.Context, g manifest.Graph) (warmer.PublishReport, error) {
	m, err := r.to.PublishIf(ctx, g, func(context.Context, *manifest.Manifest) (manifest.Manifest, error) {
		return bucketsuite.Manifest(g, "A"), r.build
	})
	return warmer.PublishReport{Published: err == nil, Sequence: m.Sequence}, err
}

// A recompute that published nothing says what to do, with the exit code of
// what came in between.
func TestRecomputeExitCodes(t *testing.T) {
	graph := manifest.Graph{Namespace: "staging", Name: "shop"}
	for name, c := range map[string]struct {
		build error
		held  bool
		code  int
		says  string
	}{
		"published":            {nil, false, exitDone, "published"},
		"others keep winning":  {cdnsource.ErrConflict, false, exitConflict, "others kept publishing"},
		"held":                 {nil, true, exitFailed, "planwarm hold shop -n staging --off lifts it"},
		"schema is not loaded": {warmer.ErrNoSchema, false, exitFailed, "the log of the sidecar says why"},
		"bucket fails":         {errors.New("bucket is gone"), false, exitFailed, "bucket is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := cdnsource.NewStore(cdnsource.Options{Bucket: cdnsource.NewMemory(), Attempts: 1})
			if err != nil {
				t.Fatal(err)
			}
			r := recomputing{graph: graph, to: &publisher{store: store, log: zap.NewNop()}}
			if c.held {
				if _, err := r.Recompute(t.Context(), graph); err != nil {
					t.Fatal(err)
				}
				if _, err := store.Hold(t.Context(), graph, true); err != nil {
					t.Fatal(err)
				}
			}
			r.build = c.build
			h, err := admin.NewControl(admin.ControlOptions{Sidecar: r})
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewServer(h)
			defer srv.Close()
			code, out, said := planwarm("recompute", "shop", "-n", "staging", "--server", srv.URL)
			if code != c.code || !strings.Contains(out+said, c.says) {
				t.Errorf("exit %d, want %d with %q\n%s%s", code, c.code, c.says, out, said)
			}
		})
	}
}
