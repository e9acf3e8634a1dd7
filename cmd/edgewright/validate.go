package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

func validateCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate [DIR]",
		Short: "Check the declarations in a folder and tell every problem with its place",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			commit, err := loadFolder(cmd.Context(), folder(args))
			if err != nil {
				return err
			}
			if asJSON {
				return answerProblemsJSON(cmd, commit)
			}
			tellProblems(cmd.ErrOrStderr(), commit.Problems)
			tellWarnings(cmd.ErrOrStderr(), commit.Warnings)
			fmt.Fprintln(cmd.OutOrStdout(), verdict(commit))
			return refusedBy(commit.Problems)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return cmd
}

func answerProblemsJSON(cmd *cobra.Command, commit load.Commit) error {
	err := writeJSON(cmd.OutOrStdout(), struct {
		Services int              `json:"services"`
		Problems []schema.Problem `json:"problems"`
		Warnings []schema.Problem `json:"warnings"`
	}{len(services(commit)), append([]schema.Problem{}, commit.Problems...), append([]schema.Problem{}, commit.Warnings...)})
	if err != nil {
		return err
	}
	return refusedBy(commit.Problems)
}

func verdict(commit load.Commit) string {
	if n := len(commit.Problems); n > 0 {
		holds := fmt.Sprintf("%d of %s", len(heldBy(commit.Problems)), count(len(services(commit)), "service"))
		if slices.ContainsFunc(commit.Problems, schema.Problem.OfPlatform) {
			holds = "everything"
		}
		return fmt.Sprintf("refused: %s, holding back %s", count(n, "problem"), holds)
	}
	return fmt.Sprintf("valid: %s, %s", count(len(commit.Edge.Services), "service"), count(hostCount(commit.Edge), "host name"))
}

func hostCount(e schema.Edge) (n int) {
	for _, s := range e.Services {
		n += len(s.Hosts)
	}
	return n
}

// services are all that a commit speaks of, also those that could not be read.
func services(commit load.Commit) map[schema.ServiceID]bool {
	ids := map[schema.ServiceID]bool{}
	for _, s := range commit.Edge.Services {
		ids[s.ID] = true
	}
	for id := range heldBy(commit.Problems) {
		ids[id] = true
	}
	return ids
}

// heldBy are the services that problems hold.
func heldBy(problems []schema.Problem) map[schema.ServiceID]bool {
	ids := map[schema.ServiceID]bool{}
	for _, p := range problems {
		for _, id := range p.Holds {
			ids[id] = true
		}
	}
	return ids
}

func refusedBy(problems []schema.Problem) error {
	if len(problems) > 0 {
		return exitCode(exitRefused)
	}
	return nil
}

// loadFolder evaluates the declarations of a folder in the limited child process.
func loadFolder(ctx context.Context, dir string) (load.Commit, error) {
	files, err := readFolder(dir)
	if err != nil {
		return load.Commit{}, err
	}
	evaluator := newEvaluator(nil)
	defer evaluator.Close()
	return (&load.Loader{Evaluator: evaluator, Today: today, Progress: tellProgress(os.Stderr)}).Load(ctx, files)
}

// today is the day on which waivers and deprecated fields end, here.
func today() schema.Date { return schema.DateOf(time.Now()) }
