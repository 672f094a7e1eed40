package main

import (
	"errors"
	"fmt"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitConflict = 3 // others kept winning a race
	exitNotFound = 4
	exitRefused  = 5 // by validation
)

// codeError is an error with an exit code of its own.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

// withCode gives err an exit code; nil stays nil.
func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codeError{code: code, err: err}
}

// silentError ends a command whose output has said everything already.
type silentError struct{ code int }

func (e *silentError) Error() string { return "failed" }

// exitCode maps an error to the exit code. What fails before a command has
// started is a fault of the command line.
func exitCode(err error, started bool) int {
	var coded *codeError
	var silent *silentError
	var faults config.Faults
	var operation *schema.OperationError
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &silent):
		return silent.code
	case !started, errors.As(err, &faults):
		return exitUsage
	case errors.Is(err, cdnsource.ErrConflict):
		return exitConflict
	case errors.Is(err, cdnsource.ErrNotFound), errors.Is(err, manifest.ErrNotFound), errors.Is(err, warmer.ErrUnknownGraph):
		return exitNotFound
	case errors.As(err, &operation), errors.Is(err, manifest.ErrWouldEvict), errors.Is(err, manifest.ErrInvalid),
		errors.Is(err, manifest.ErrFormat), errors.Is(err, manifest.ErrMalformed), errors.Is(err, manifest.ErrSignature),
		errors.Is(err, manifest.ErrUnsigned), errors.Is(err, manifest.ErrTooLarge), errors.Is(err, cdnsource.ErrName):
		return exitRefused
	}
	return exitFailed
}

// fail tells why a command failed and returns the exit code.
func (c *cli) fail(cmd *cobra.Command, err error) int {
	code := exitCode(err, c.started)
	var silent *silentError
	if errors.As(err, &silent) {
		return code
	}
	if c.json && !c.printed {
		// Whoever asked for JSON finds a document on standard output in any case.
		_ = c.printJSON(newFailure(err, code)) // the error is told below all the same
	}
	fmt.Fprintf(c.stderr, "planwarm: %v\n", err)
	if code == exitUsage && !c.started {
		if cmd.HasParent() {
			fmt.Fprintf(c.stderr, "Usage: %s\n", cmd.UseLine())
		}
		fmt.Fprintf(c.stderr, "Try %s --help.\n", cmd.CommandPath())
	}
	return code
}

// failure is what --json says of a command that gave no result.
type failure struct {
	Error    string  `json:"error"`
	ExitCode int     `json:"exitCode"`
	Faults   []fault `json:"faults,omitempty"` // of operations, each with its place
}

func newFailure(err error, code int) failure {
	f := failure{Error: err.Error(), ExitCode: code}
	var one *schema.OperationError
	if errors.As(err, &one) {
		f.Faults = faultsOf(err)
	}
	return f
}
