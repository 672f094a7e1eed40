package warmer

import (
	"context"
	"errors"

	"github.com/planwarm/planwarm/planner"
)

// Failure is an item that could not be warmed.
type Failure struct {
	Name    string `json:"name,omitempty"`
	PlanKey string `json:"planKey,omitempty"`
	Profile string `json:"profile,omitempty"` // the header profile that it was sent under
	Reason  string `json:"reason"`
}

// Report says what a run did.
type Report struct {
	Planned     int       `json:"planned"`     // plans that were not in the router's cache
	AlreadyWarm int       `json:"alreadyWarm"` // plans that were
	Failed      int       `json:"failed"`
	Skipped     int       `json:"skipped"`                 // mutations that no channel can plan safely, and what came after the run's end
	Executed    int       `json:"executed"`                // canaries that the router executed
	ByExecution int       `json:"byExecution,omitempty"`   // of Planned, what the owner allowed to be executed (allow_execution)
	Checked     int       `json:"checked"`                 // first checks that gave an answer
	Verified    int       `json:"verified"`                // first checks that found the plan
	Share       *float64  `json:"verifiedShare,omitempty"` // Verified / Checked; nil when the router does not tell
	Stopped     string    `json:"stopped,omitempty"`       // why the run ended before its list
	Failures    []Failure `json:"failures,omitempty"`      // at most 100
	Unplannable []Failure `json:"unplannable,omitempty"`   // of Skipped, what this router keeps nothing of without executing it; at most 100
	// Profiles are, of Skipped, what was not sent for its header profile; at most 100.
	Profiles []ProfileSkip `json:"profiles,omitempty"`
	TookMs   float64       `json:"tookMs"`
}

// stopReason is an error as a report shows it.
func stopReason(err error) string {
	for _, known := range []error{planner.ErrExecuted, planner.ErrRefused, planner.ErrOverloaded, planner.ErrUnavailable, errDeadline, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return err.Error()
}
