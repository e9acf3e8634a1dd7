// Command edgewright makes an edge, that is AWS and fleets of Envoy, match a git repository.
//
// It only wires: what a verb does is in the packages below, and wire.go is the one place that joins them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler"
)

// Exit codes. ExitChanges is only given where --detailed-exitcode asks for it.
const (
	exitOK      = 0
	exitError   = 1
	exitChanges = 2
	exitRefused = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process: the tests call it.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := command()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	var code exitCode
	var refused *reconciler.Refused
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &refused):
		fmt.Fprintf(errs, "refused: %v\n", err)
		return exitRefused
	}
	fmt.Fprintf(errs, "error: %v\n", err)
	return exitError
}

// exitCode ends the program with this code after everything was said already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "edgewright",
		Short:         "Make an edge (AWS and fleets of Envoy) match a git repository",
		SilenceUsage:  true,
		SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{
			HiddenDefaultCmd: true,
		},
	}
	root.AddCommand(
		serveCommand(), validateCommand(), planCommand(), applyCommand(), renderCommand(),
		statusCommand(), driftCommand(), adoptCommand(), forgetCommand(), freezeCommand(), unfreezeCommand(), historyCommand(), auditCommand(), explainCommand(), showCommand(), newCommand(), fmtCommand(), schemaCommand(), demoCommand(), versionCommand(), evaluateCommand(),
	)
	return root
}
