package warmer

import "time"

// RouterState is what status shows of a router.
type RouterState struct {
	Name       string     `json:"name"`
	Phase      Phase      `json:"phase"`
	Generation int        `json:"generation"` // counts the router's rebuilds that were seen
	Warm       int        `json:"warm"`       // plans proven in this generation
	LastSign   string     `json:"lastSign,omitempty"`
	LastRun    *RunRecord `json:"lastRun,omitempty"`
}

// Phase is what a router's warmer is doing.
type Phase string

// The phases.
const (
	PhaseWaiting  Phase = "waiting"  // for the router to be ready
	PhaseWarming  Phase = "warming"  // a run is under way
	PhaseWarm     Phase = "warm"     // the last run went through its list
	PhaseStopped  Phase = "stopped"  // the router does not honour plan-only requests
	PhaseDegraded Phase = "degraded" // the last run ended early for another reason
)

// RunRecord is one run that took place.
type RunRecord struct {
	At         time.Time `json:"at"`
	Generation int       `json:"generation"` // of the router, as far as it was known
	Reasons    []Reason  `json:"reasons"`
	Origin     Origin    `json:"origin"`
	Broken     []Broken  `json:"broken,omitempty"` // operations that were not sent, since the schema refuses them; at most 100
	// Inexact are operations that were not sent since no client sends their
	// text; at most 100, of InexactCount.
	Inexact      []Inexact `json:"inexact,omitempty"`
	InexactCount int       `json:"inexactCount,omitempty"`
	Report
}
