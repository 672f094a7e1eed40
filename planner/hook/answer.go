package hook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// Error codes of the plug-ins.
const (
	codeRefused    = "PLANWARM_REFUSED"
	codeNotPlanned = "PLANWARM_NOT_PLANNED"
)

// state is what a plug-in says below extensions.planwarm.
type state struct {
	Planned    bool     `json:"planned"`
	Hit        *bool    `json:"hit"`
	Ms         float64  `json:"ms"`
	AgeMs      *float64 `json:"ageMs"`
	Generation string   `json:"generation"`
	Canary     string   `json:"canary"`
}

const maxGeneration = 200 // bytes

// answer is what a gateway said to one request.
type answer struct {
	planhttp.Reply
	state *state // nil: no plug-in answered
}

func readState(body []byte) *state {
	var a struct {
		Extensions struct {
			Planwarm *state `json:"planwarm"`
		} `json:"extensions"`
	}
	if json.Unmarshal(body, &a) != nil || a.Extensions.Planwarm == nil || len(a.Extensions.Planwarm.Generation) > maxGeneration {
		return nil
	}
	return a.Extensions.Planwarm
}

// proven says that the plug-in answered, and nobody executed.
func (a answer) proven() bool {
	return a.Status == http.StatusOK && a.Whole && a.Data == planhttp.DataAbsent && !a.Failed && a.state != nil
}

// refused says that the plug-in refused the token.
func (a answer) refused() bool {
	return a.Status == http.StatusForbidden && a.Whole && a.Data == planhttp.DataAbsent && slices.Contains(a.Codes, codeRefused)
}

// canary returns what the answer to a valid query proves: whatever is neither
// proven nor executed is a refusal.
func (a answer) canary(planned bool) error {
	switch {
	case a.Data == planhttp.DataValue:
		return planner.ErrExecuted
	case a.proven() && a.state.Planned == planned:
		return nil
	case a.Status >= http.StatusInternalServerError && a.Status != http.StatusNotImplemented:
		return fmt.Errorf("%w: status %d", planner.ErrUnavailable, a.Status)
	default:
		return fmt.Errorf("%w: status %d without a proof of the plug-in", planner.ErrRefused, a.Status)
	}
}

// verdict is what an answer says of the operation that was sent.
type verdict uint8

const (
	verdictPlanned  verdict = iota
	verdictExecuted         // the operation was executed
	verdictInvalid          // the plug-in could not plan it
	verdictUnproven         // it may have been executed
	verdictUnclear          // the canary has to tell
)

func (a answer) verdict() verdict {
	switch {
	case a.Data == planhttp.DataValue:
		return verdictExecuted
	case a.proven() && a.state.Planned:
		return verdictPlanned
	case a.proven(): // it needs no plan
		return verdictInvalid
	case !a.Whole || !a.Failed:
		return verdictUnproven
	case a.Data == planhttp.DataAbsent && slices.Contains(a.Codes, codeNotPlanned) && a.Status < http.StatusInternalServerError:
		return verdictInvalid
	default:
		// Errors alone prove nothing: Hive Gateway leaves data out, too, when
		// all that it executed has failed.
		return verdictUnclear
	}
}

func (a answer) result() planner.Result {
	r := planner.Result{Took: a.Took}
	if h := a.state.Hit; h != nil {
		r.Hit = planner.HitNo
		if *h {
			r.Hit = planner.HitYes
		}
	}
	if ms := a.state.Ms; ms > 0 && ms < float64(time.Hour/time.Millisecond) && r.Hit != planner.HitYes {
		r.Plan = time.Duration(ms * float64(time.Millisecond))
	}
	return r
}

// since is when the document of the plan came into the cache.
func (a answer) since(now time.Time) time.Time {
	if age := a.state.AgeMs; age != nil && *age > 0 && *age < float64(24*time.Hour/time.Millisecond) {
		return now.Add(-time.Duration(*age * float64(time.Millisecond)))
	}
	return now
}
