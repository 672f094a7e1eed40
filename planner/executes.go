package planner

import "errors"

// ErrUnplannable: an operation was not sent, since nothing of it can be kept in
// the router's cache without executing it. It is left out, and is no failure.
var ErrUnplannable = errors.New("operation cannot be planned without executing it")

// Executor is a Planner that may execute the queries it is given, because its
// router keeps nothing of an operation that it did not execute and the owner
// allowed it (allow_execution). Such a Planner never returns ErrExecuted for
// what it executed knowingly, never sends a mutation, and what it plans is
// counted as executed by the warmer.
type Executor interface {
	// Executes says whether Plan executes.
	Executes() bool
}
