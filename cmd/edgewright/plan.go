package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/forge"
)

func planCommand() *cobra.Command {
	var state, out string
	var asJSON, detailed, full bool
	cmd := &cobra.Command{
		Use:   "plan [DIR]",
		Short: "Ask the daemon what the declarations in a folder would change",
		Long: "The plan is told as on a pull: what merging the folder would do. With --out it is kept in a file too, which edgewright apply FILE takes\n" +
			"once the branch has what was planned: exactly that is agreed to, or nothing, with what has moved since.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := readFolder(folder(args))
			if err != nil {
				return err
			}
			daemon, err := newClient(state)
			if err != nil {
				return err
			}
			plan, err := daemon.plan(cmd.Context(), files)
			if err != nil {
				return err
			}
			if err := keepPlan(out, plan); err != nil {
				return err
			}
			if err := tellPlan(cmd, plan, asJSON, full); err != nil {
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
	cmd.Flags().StringVar(&out, "out", "", "keep the plan in this file, for edgewright apply FILE")
	cmd.Flags().BoolVar(&full, "full", false, "show all fields of all steps, however many")
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when there are changes")
	return cmd
}

// keepPlan writes a plan to a file, where one is named. What is refused is no plan to keep.
func keepPlan(file string, p reconciler.Previewed) error {
	if file == "" {
		return nil
	}
	if len(p.Problems) > 0 {
		return fmt.Errorf("nothing is kept in %s: the declarations have problems", file)
	}
	data, err := json.MarshalIndent(reconciler.KeptPlan{Digest: p.Digest, Tree: p.Tree, Steps: p.Steps}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o600)
}

func tellPlan(cmd *cobra.Command, p reconciler.Previewed, asJSON, full bool) error {
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), p)
	}
	tellProblems(cmd.ErrOrStderr(), p.Problems)
	tellWarnings(cmd.ErrOrStderr(), p.Warnings)
	_, err := io.WriteString(cmd.OutOrStdout(), forge.Text(p.Review(), forge.Terminal{Colour: colour(cmd.OutOrStdout()), Full: full}))
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
