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
	var dir string
	cmd := &cobra.Command{
		Use:   "validate [DIR | FILE]",
		Short: "Check the declarations in a folder and tell every problem with its place",
		Long: "DIR is the root of an edge-config checkout; it may be named with --dir as well. With a FILE, the checkout that it lies in is checked and\n" +
			"only what is wrong with this file is told.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, within, err := checkout(folder(append(args, dir)))
			if err != nil {
				return err
			}
			commit, err := loadFolder(cmd.Context(), root)
			if err != nil {
				return err
			}
			if within != "" {
				commit.Problems, commit.Warnings = of(within, commit.Problems), of(within, commit.Warnings)
			}
			if asJSON {
				return answerProblemsJSON(cmd, commit)
			}
			tellProblems(cmd.ErrOrStderr(), commit.Problems)
			tellWarnings(cmd.ErrOrStderr(), commit.Warnings)
			if within != "" && len(commit.Problems) == 0 {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "valid: %s\n", within)
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), verdict(commit))
			return refusedBy(commit.Problems)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	cmd.Flags().StringVar(&dir, "dir", ".", "folder of an edge-config checkout")
	return cmd
}

// of are the problems that stand in a file or take part in it.
func of(file string, problems []schema.Problem) []schema.Problem {
	return slices.DeleteFunc(problems, func(p schema.Problem) bool {
		return p.Position.File != file && !slices.ContainsFunc(p.Also, func(at schema.Position) bool { return at.File == file })
	})
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
	root, within, err := checkout(dir)
	if err != nil {
		return load.Commit{}, err
	}
	if within != "" {
		return load.Commit{}, fmt.Errorf("read %s: it is a file: name the root of its checkout, %s", dir, root)
	}
	files, err := readFolder(root)
	if err != nil {
		return load.Commit{}, err
	}
	return loadFiles(ctx, files)
}

// loadFiles evaluates declarations in the limited child process.
func loadFiles(ctx context.Context, files []load.File) (load.Commit, error) {
	evaluator := newEvaluator(nil)
	defer evaluator.Close()
	return (&load.Loader{Evaluator: evaluator, Today: today, Progress: tellProgress(os.Stderr)}).Load(ctx, files)
}

// today is the day on which waivers and deprecated fields end, here.
func today() schema.Date { return schema.DateOf(time.Now()) }
