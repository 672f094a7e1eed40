package cosmo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/planwarm/planwarm/planner"
)

// maxRetryAfter bounds what a router may ask for.
const maxRetryAfter = 5 * time.Minute

// proof is what the body of an answer proves.
type proof uint8

const (
	proofNone     proof = iota // nothing: no GraphQL answer, or not all of it
	proofHonoured              // "data" is null and there are no errors
	proofExecuted              // "data" holds something, were it only null roots
	proofErrors                // errors and no "data": refused before execution
	proofBoth                  // "data" is null and there are errors: perhaps executed
)

// prove reads the body of an answer; whole says that nothing of it is missing.
// It reads token by token, so that data at the beginning is seen although the
// end was cut off.
func prove(body []byte, whole bool) proof {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // a number out of range is data too
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return proofNone
	}
	data, failed := false, false
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return proofNone
		}
		switch name {
		case "data":
			t, err := d.Token()
			if err != nil {
				return proofNone
			}
			if t != nil {
				return proofExecuted
			}
			data = true
		default:
			var v json.RawMessage
			if err := d.Decode(&v); err != nil {
				return proofNone
			}
			failed = failed || name == "errors" && !empty(v)
		}
	}
	if _, err := d.Token(); err != nil || !whole {
		return proofNone
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return proofNone // something follows the answer: it is not one answer
	}
	switch {
	case data && failed:
		return proofBoth
	case data:
		return proofHonoured
	case failed:
		return proofErrors
	default:
		return proofNone
	}
}

// empty says whether a list of errors is null or has no items.
func empty(v json.RawMessage) bool {
	var list []json.RawMessage
	return json.Unmarshal(v, &list) == nil && len(list) == 0
}

// answer is what a router said to one request.
type answer struct {
	status int
	header http.Header
	proof  proof
	took   time.Duration
}

// fault returns the error of an answer that says something of the router, not
// of the operation.
func (a answer) fault() error {
	cause := fmt.Errorf("status %d", a.status)
	switch a.status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return &planner.Overload{RetryAfter: retryAfter(a.header.Get("Retry-After"), time.Now()), Cause: cause}
	case http.StatusNotFound, http.StatusBadGateway:
		// Its GraphQL endpoint is 404 until the router is warm and ready.
		return fmt.Errorf("%w: %w", planner.ErrUnavailable, cause)
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return fmt.Errorf("%w: %w", planner.ErrRefused, cause)
	}
	if a.status >= 300 && a.status < 400 {
		return fmt.Errorf("%w: a redirect is not followed: %w", planner.ErrRefused, cause)
	}
	return nil
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
	case a.proof == proofHonoured && a.status == http.StatusOK:
		return verdictPlanned
	case a.proof == proofErrors && a.status < http.StatusBadRequest:
		return verdictInvalid
	case a.proof == proofNone && a.status < http.StatusBadRequest:
		return verdictUnproven
	default:
		// 400 is a wrong token or a wrong operation; data that is null beside
		// errors is a failed plan or a failed execution.
		return verdictUnclear
	}
}

// canary returns what the answer to the canary proves. It is a valid operation,
// so whatever is neither honoured nor executed is a refusal.
func (a answer) canary() error {
	switch {
	case a.proof == proofExecuted:
		return planner.ErrExecuted
	case a.proof == proofHonoured && a.status == http.StatusOK:
		return nil
	case a.status >= http.StatusInternalServerError:
		return fmt.Errorf("%w: status %d", planner.ErrUnavailable, a.status)
	default:
		return fmt.Errorf("%w: status %d without a proof that nothing was executed", planner.ErrRefused, a.status)
	}
}

// result reads the headers with which a router can be told to report the plan
// cache: its own debug header, or expressions under the names of our README.
func (a answer) result() planner.Result {
	r := planner.Result{Took: a.took}
	switch {
	case strings.EqualFold(a.header.Get("X-WG-Execution-Plan-Cache"), "HIT"), a.header.Get("X-Plan-Hit") == "true":
		r.Hit = planner.HitYes
	case strings.EqualFold(a.header.Get("X-WG-Execution-Plan-Cache"), "MISS"), a.header.Get("X-Plan-Hit") == "false":
		r.Hit = planner.HitNo
	}
	if key, err := strconv.ParseUint(a.header.Get("X-Plan-Key"), 10, 64); err == nil && key != 0 {
		r.PlanKey = strconv.FormatUint(key, 10)
	}
	if d, err := time.ParseDuration(a.header.Get("X-Plan-Time")); err == nil && d > 0 && d < time.Hour {
		r.Plan = d
	}
	return r
}

// retryAfter reads seconds or a date.
func retryAfter(value string, now time.Time) time.Duration {
	var d time.Duration
	if s, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
		d = time.Duration(min(max(s, 0), int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
