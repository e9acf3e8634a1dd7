package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/forge"
)

func planCommand() *cobra.Command {
	var state string
	var asJSON, detailed bool
	cmd := &cobra.Command{
		Use:   "plan [DIR]",
		Short: "Ask the daemon what the declarations in a folder would change",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := readFolder(folder(args))
			if err != nil {
				return err
			}
			daemon, err := newClient(state)
			if err != nil {
				return err
			}
			var plan reconciler.Previewed
			if err := daemon.call(cmd.Context(), http.MethodPost, "/api/v1/plan", reconciler.Preview{Files: files}, &plan); err != nil {
				return err
			}
			if err := tellPlan(cmd, plan, asJSON); err != nil {
				return err
			}
			switch {
			case len(plan.Problems)+len(plan.Vetoes)+len(plan.Clashes) > 0:
				return exitCode(exitRefused)
			case detailed && len(plan.Steps) > 0:
				return exitCode(exitChanges)
			}
			return nil
		},
	}
	stateFlag(cmd, &state)
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when there are changes")
	return cmd
}

func tellPlan(cmd *cobra.Command, p reconciler.Previewed, asJSON bool) error {
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), p)
	}
	tellProblems(cmd.ErrOrStderr(), p.Problems)
	tellWarnings(cmd.ErrOrStderr(), p.Warnings)
	_, err := io.WriteString(cmd.OutOrStdout(), forge.Text(p.Review(), colour(cmd.OutOrStdout())))
	return err
}

func renderCommand() *cobra.Command {
	var service string
	cmd := &cobra.Command{
		Use:   "render [DIR]",
		Short: "Print, as JSON, every resource that the declarations in a folder ask for",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			commit, err := loadFolder(cmd.Context(), folder(args))
			if err != nil {
				return err
			}
			if len(commit.Problems) > 0 {
				tellProblems(cmd.ErrOrStderr(), commit.Problems)
				return exitCode(exitRefused)
			}
			rendered, err := renderJSON(commit.Edge, service)
			if err != nil {
				return err
			}
			if service != "" && len(rendered) == 0 {
				return fmt.Errorf("no service %q is declared in %s", service, folder(args))
			}
			return writeJSON(cmd.OutOrStdout(), rendered)
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "only the resources of this service")
	return cmd
}
