package manifest_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// A publisher builds, asks whether there is anything new, and encodes.
func ExampleBuild() {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	slow := manifest.Candidate{
		Entry: manifest.Entry{
			Request: manifest.Request{OperationName: "Checkout", Query: "query Checkout { cart { total } }"},
			Planwarm: manifest.Details{
				Type: manifest.Query, PlanKey: "11017789909616755873", P90Ms: 412, Samples: 37, Executions: 9120,
			},
		},
		SumMs: 7400,
	}
	fast := slow
	fast.Request = manifest.Request{OperationName: "Me", Query: "query Me { me { id } }"}
	fast.Planwarm.PlanKey, fast.Planwarm.P90Ms = "7", 0.3

	built, err := manifest.Build(manifest.Input{
		Graph:      manifest.Graph{Namespace: "default", Name: "storefront"},
		Window:     168 * time.Hour,
		Settings:   manifest.DefaultSettings(),
		Candidates: []manifest.Candidate{fast, slow},
		Now:        now,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range built.LeftOut {
		fmt.Println("left out:", l.OperationName, l.Reason)
	}
	var published manifest.Manifest
	fmt.Println("new:", !manifest.SameContent(published, built.Manifest))

	data, err := manifest.Encode(built.Manifest)
	if err != nil {
		fmt.Println(err)
		return
	}
	read, err := manifest.Decode(bytes.NewReader(data))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(manifest.Diff(published, read))
	// Output:
	// left out: Me below-min-planning-time
	// new: true
	// + Checkout [11017789909616755873] p90 412.0 ms at 1
}
