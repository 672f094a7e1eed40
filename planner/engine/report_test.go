package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/wundergraph/graphql-go-tools/v2/pkg/operationreport"
)

// A panic of the library may carry anything; only the runtime's own words are told.
func TestRecovered(t *testing.T) {
	catch := func(f func()) (err error) {
		defer func() { err = recovered(ErrInvalid, recover()) }()
		f()
		return nil
	}
	var empty []int
	index := len(empty)
	if err := catch(func() { empty[index]++ }); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("error %v", err)
	}
	if err := catch(func() { panic("secret") }); !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestReportError(t *testing.T) {
	var r operationreport.Report
	for range 5 {
		r.AddExternalError(operationreport.ExternalError{Message: "Int cannot represent non-integer value: secret", Locations: []operationreport.Location{{Line: 2, Column: 3}}})
	}
	r.AddInternalError(errors.New("told only alone"))
	got := reportError(ErrInvalid, nil, r).Error()
	want := "invalid operation: " + strings.Repeat("Int cannot represent non-integer value (line 2, column 3); ", 3) + "and 2 more"
	if got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	r.ExternalErrors = nil
	if got := reportError(ErrUnplannable, nil, r).Error(); got != "operation cannot be planned: told only alone" {
		t.Errorf("error %q", got)
	}
}
