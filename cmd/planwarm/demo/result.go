package demo

import "github.com/planwarm/planwarm/warmer"

// Result is what the demo measured; --json prints it.
type Result struct {
	Bucket            string     `json:"bucket"`
	Manifest          Manifest   `json:"manifest"`
	Runs              Runs       `json:"runs"`
	Warm              WarmResult `json:"warm"`
	Broken            []string   `json:"broken"`            // operations that the v2 schema refuses
	ExecutedByWarming uint64     `json:"executedByWarming"` // requests that subgraphs saw while only warming went on
	RefusedOfWarming  uint64     `json:"refusedOfWarming"`  // what warming sent meanwhile and the router refused: broken operations are not sent
	Webhook           Webhook    `json:"webhook"`

	Addresses map[string]string `json:"addresses,omitempty"` // with Keep
}

// Webhook is what came of a publish that the registry told of, and a pass over
// the operations after it.
type Webhook struct {
	Answer     string          `json:"answer"` // state that the delivery was given
	Schema     string          `json:"schema"`
	Sequence   uint64          `json:"sequence"` // of the manifest for that schema
	Operations int             `json:"operations"`
	Router     string          `json:"router"` // whether the router loaded the schema and was warmed
	Broken     []warmer.Broken `json:"broken"` // of the manifest before, with the reason
	Run
}

// Manifest is the published one.
type Manifest struct {
	Sequence   uint64 `json:"sequence"`
	Operations int    `json:"operations"`
	PlanKeys   int    `json:"planKeys"`
}

// Runs are the four measured passes over the operations.
type Runs struct {
	Cold     Run `json:"cold"`     // a fresh router process without planwarm
	Warmed   Run `json:"warmed"`   // a fresh router process with planwarm
	Fallback Run `json:"fallback"` // after a hot reload to v2 while the CDN is broken
	Steady   Run `json:"steady"`   // the warmed process once more
}

// Run is one pass. PlanMisses and PlanningMs are the router's own counters.
type Run struct {
	Requests          int     `json:"requests"`
	Source            string  `json:"source"` // what the warm-up was made from
	FirstRequestP50Ms float64 `json:"firstRequestP50Ms"`
	FirstRequestP99Ms float64 `json:"firstRequestP99Ms"`
	PlanMisses        uint64  `json:"planMisses"`
	PlanningMs        float64 `json:"planningMs"`
	// ManifestMisses are misses of operations that are in the manifest.
	ManifestMisses int `json:"manifestMisses"`
}

// WarmResult sums up the warming before the warmed run: the plans that the
// router made from the list it pulled, and the run that checked them.
type WarmResult struct {
	Planned       int      `json:"planned"`
	AlreadyWarm   int      `json:"alreadyWarm"`
	Failed        int      `json:"failed"`
	Skipped       int      `json:"skipped"`
	TookMs        float64  `json:"tookMs"`
	VerifiedShare *float64 `json:"verifiedShare"`
	Pulled        int      `json:"pulled"` // planned by the router from what it pulled, mutations included
}
