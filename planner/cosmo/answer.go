package cosmo

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// proof is what the body of an answer proves.
type proof uint8

const (
	proofNone     proof = iota // nothing: no GraphQL answer, or not all of it
	proofHonoured              // "data" is null and there are no errors
	proofExecuted              // "data" holds something, were it only null roots
	proofErrors                // errors and no "data": refused before execution
	proofBoth                  // "data" is null and there are errors: perhaps executed
)

// prove says what an answer proves. Data is told although the end was cut off.
func prove(a planhttp.Answer) proof {
	switch {
	case a.Data == planhttp.DataValue:
		return proofExecuted
	case !a.Whole:
		return proofNone
	case a.Data == planhttp.DataNull && a.Failed:
		return proofBoth
	case a.Data == planhttp.DataNull:
		return proofHonoured
	case a.Failed:
		return proofErrors
	default:
		return proofNone
	}
}

// answer is what a router said to one request.
type answer struct {
	planhttp.Reply
	proof proof
}

// verdict is what an answer says of the operation that was sent.
type verdict uint8

const (
	verdictPlanned  verdict = iota
	verdictExecuted         // the operation was executed
	verdictInvalid          // the router refuses this operation
	verdictUnproven         // it may have been executed
	verdictUnclear          // the canary has to tell
)

func (a answer) verdict() verdict {
	switch {
	case a.proof == proofExecuted:
		return verdictExecuted
	case a.proof == proofHonoured && a.Status == http.StatusOK:
		return verdictPlanned
	case a.proof == proofErrors && a.Status < http.StatusBadRequest:
		return verdictInvalid
	case a.proof == proofNone && a.Status < http.StatusBadRequest:
		return verdictUnproven
	default:
		// 400 is a wrong token or a wrong operation, 401 one of ours or of the
		// header profile; data that is null beside errors is a failed plan or a
		// failed execution.
		return verdictUnclear
	}
}

// canary returns what the answer to the canary proves. It is a valid operation,
// so whatever is neither honoured nor executed is a refusal.
func (a answer) canary() error {
	switch {
	case a.proof == proofExecuted:
		return planner.ErrExecuted
	case a.proof == proofHonoured && a.Status == http.StatusOK:
		return nil
	case a.Status >= http.StatusInternalServerError:
		return fmt.Errorf("%w: status %d", planner.ErrUnavailable, a.Status)
	default:
		return fmt.Errorf("%w: status %d without a proof that nothing was executed", planner.ErrRefused, a.Status)
	}
}

// result reads the headers with which a router can be told to report the plan
// cache: its own debug header, or expressions under the names of our README.
func (a answer) result() planner.Result {
	r := planner.Result{Took: a.Took}
	switch {
	case strings.EqualFold(a.Header.Get("X-WG-Execution-Plan-Cache"), "HIT"), a.Header.Get("X-Plan-Hit") == "true":
		r.Hit = planner.HitYes
	case strings.EqualFold(a.Header.Get("X-WG-Execution-Plan-Cache"), "MISS"), a.Header.Get("X-Plan-Hit") == "false":
		r.Hit = planner.HitNo
	}
	if key, err := strconv.ParseUint(a.Header.Get("X-Plan-Key"), 10, 64); err == nil && key != 0 {
		r.PlanKey = strconv.FormatUint(key, 10)
	}
	if d, err := time.ParseDuration(a.Header.Get("X-Plan-Time")); err == nil && d > 0 && d < time.Hour {
		r.Plan = d
	}
	return r
}
