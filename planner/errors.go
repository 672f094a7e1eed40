package planner

import (
	"errors"
	"time"
)

// ErrMutation: a mutation was not sent, since it could have been executed.
var ErrMutation = errors.New("mutation cannot be planned safely")

// ErrProfile: the router refused a request for the header profile it was sent
// under, while it still takes the canary. Other requests are fine.
var ErrProfile = errors.New("router refused the header profile")

// Overload is an ErrOverloaded that knows when to come back.
type Overload struct {
	RetryAfter time.Duration // as the router asks for; 0 when it does not say
	Cause      error
}

// Error names the cause.
func (e *Overload) Error() string {
	if e.Cause == nil {
		return ErrOverloaded.Error()
	}
	return ErrOverloaded.Error() + ": " + e.Cause.Error()
}

// Unwrap makes errors.Is find ErrOverloaded and the cause.
func (e *Overload) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrOverloaded}
	}
	return []error{ErrOverloaded, e.Cause}
}

// RetryAfter returns how long the router that gave err wants to be left alone,
// 0 when it does not say.
func RetryAfter(err error) time.Duration {
	var o *Overload
	if errors.As(err, &o) {
		return o.RetryAfter
	}
	return 0
}
