package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler/jail"
)

// evaluateCommand is the confined child that evaluates declarations for a daemon or a command, over its standard input and output.
func evaluateCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "evaluate",
		Short:  "Evaluate declarations for another edgewright process",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if code := jail.Serve(os.Stdin, os.Stdout); code != 0 {
				return exitCode(code)
			}
			return nil
		},
	}
}

// newEvaluator evaluates in confined children of this very program.
func newEvaluator(log *slog.Logger) *jail.Evaluator {
	return &jail.Evaluator{Log: log}
}
