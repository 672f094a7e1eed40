package manifest

// Reason says why a candidate is not in the manifest.
type Reason string

// The reasons. Those in the first group are decided outside and come in as
// Candidate.Left; Build finds the others.
const (
	ReasonIntrospection Reason = "introspection"
	ReasonSubscription  Reason = "subscription" // the router cannot plan it ahead
	ReasonOwnRequest    Reason = "own-request"  // sent by planwarm or by the router's own warm-up

	ReasonDenied           Reason = "denied"
	ReasonNotYet           Reason = "not-yet" // a pin before its from
	ReasonExpired          Reason = "expired" // a pin at or after its until
	ReasonRefused          Reason = "refused-by-schema"
	ReasonNoText           Reason = "no-text"
	ReasonInvalid          Reason = "invalid"   // breaks a rule of the format
	ReasonDuplicate        Reason = "duplicate" // its plan has a slot already, which it is a part of
	ReasonNoSamples        Reason = "no-samples"
	ReasonMinPlanningTime  Reason = "below-min-planning-time"
	ReasonMaxPlanningTime  Reason = "above-max-planning-time"
	ReasonMinExecutions    Reason = "below-min-executions"
	ReasonClientShare      Reason = "client-share" // its client has its share of slots
	ReasonOverCap          Reason = "over-cap"
	ReasonOverBudget       Reason = "over-budget"   // of planning time, rank budget
	ReasonParked           Reason = "parked"        // a pin below the cap on pins
	ReasonManifestTooLarge Reason = "over-max-size" // the manifest would exceed MaxBytes
)

// Reasons lists all reasons, for whoever counts by them.
func Reasons() []Reason {
	return []Reason{
		ReasonIntrospection, ReasonSubscription, ReasonOwnRequest, ReasonDenied, ReasonNotYet, ReasonExpired, ReasonRefused,
		ReasonNoText, ReasonInvalid, ReasonDuplicate, ReasonNoSamples, ReasonMinPlanningTime, ReasonMaxPlanningTime,
		ReasonMinExecutions, ReasonClientShare, ReasonOverCap, ReasonOverBudget, ReasonParked, ReasonManifestTooLarge,
	}
}

// LeftOut is one candidate that is not in the manifest, and why. It has no
// text, so that it can be logged and kept.
type LeftOut struct {
	OperationName string        `json:"operationName,omitempty"`
	PlanKey       string        `json:"planKey,omitempty"`
	Source        Source        `json:"source"`
	Type          OperationType `json:"type,omitempty"`
	Client        *Client       `json:"client,omitempty"`
	PinID         string        `json:"pinId,omitempty"`
	P90Ms         float64       `json:"p90Ms,omitempty"`
	Samples       uint64        `json:"samples,omitempty"`
	Executions    uint64        `json:"executions,omitempty"`
	Reason        Reason        `json:"reason"`
	Detail        string        `json:"detail,omitempty"`
	Place         int           `json:"place,omitempty"` // in the rank, from 1, for what fell below the cap
}

func leftOut(c *Candidate, why Reason, detail string) LeftOut {
	l := LeftOut{
		OperationName: c.Request.OperationName, PlanKey: c.Planwarm.PlanKey, Source: SourceTelemetry, Type: c.Planwarm.Type,
		Client: c.Client, P90Ms: c.Planwarm.P90Ms, Samples: c.Planwarm.Samples, Executions: c.Planwarm.Executions, Reason: why, Detail: detail,
	}
	if c.Pin != nil {
		l.Source, l.PinID = SourceManual, c.Pin.ID
	}
	return l
}
