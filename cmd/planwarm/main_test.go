package main

import (
	"os"
	"testing"

	"github.com/planwarm/planwarm/cdnsource/embedded"
)

// TestMain lets the test binary be the processes that tests start: the S3
// child of the embedded bucket, and planwarm itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == embedded.Command {
		os.Exit(embedded.RunChild())
	}
	if os.Getenv("PLANWARM_TEST_MAIN") == "1" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}
