// Command planwarm keeps a GraphQL router's query-plan cache warm.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/planwarm/planwarm/cdnsource/embedded"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit code of the process.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 1 && args[0] == embedded.Command {
		return embedded.RunChild() // a process of its own: nothing of the command line applies
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	c := &cli{stdin: stdin, stdout: stdout, stderr: stderr}
	root := newRootCmd(c)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	return c.fail(cmd, err)
}
