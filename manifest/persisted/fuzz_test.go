package persisted

import (
	"testing"

	"github.com/planwarm/planwarm/manifest"
)

// FuzzRead: whatever comes, what is read is fit for a manifest.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"broken-id-mismatch.json", "broken-not-a-manifest.json", "broken-unknown-version.json"} {
		f.Add(fixture(f, name))
	}
	f.Add([]byte(`[["x","query A { a(b: \"\"\"c\\\"\"\"\"\"\") }"]]`))
	f.Add([]byte(`{"x":"query A { a }","x":"{ b }"}`))
	f.Add([]byte(`{"version":1,"revision":"r","operations":{"x":"{ a }"}}`))
	f.Add([]byte(`{"operations":[{"request":{"operationName":"A","query":"query A { a } query B { b }"},"client":{"name":"web"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Read("x.json", data)
		if err != nil {
			return
		}
		for _, op := range got.Operations {
			if op.Entry == "" || op.Text == "" || len(op.Text) > manifest.MaxQueryBytes || len(op.Name) > manifest.MaxNameBytes {
				t.Errorf("operation %+v", op)
			}
			if hash := op.SHA256(); hash != "" && len(hash) != 64 {
				t.Errorf("sha256 %q", hash)
			}
		}
		for _, p := range got.Problems {
			if p.Entry == "" || p.Reason == "" {
				t.Errorf("problem %+v", p)
			}
		}
	})
}
