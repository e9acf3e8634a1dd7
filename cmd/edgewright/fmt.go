package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

func fmtCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt [PATH...]",
		Short: "Format declarations in place, and print the names of those that changed",
		Long:  "Formats the .cue files that are named, or lie below a folder that is named: by default the current one. cue.mod is left alone.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			var problems []schema.Problem
			changed := 0
			for _, root := range args {
				err := cueFiles(root, func(name string, mode fs.FileMode) error {
					did, faults, err := formatFile(name, mode, check)
					problems = append(problems, faults...)
					if did {
						changed++
						fmt.Fprintln(cmd.OutOrStdout(), name)
					}
					return err
				})
				if err != nil {
					return err
				}
			}
			tellProblems(cmd.ErrOrStderr(), problems)
			if len(problems) > 0 || check && changed > 0 {
				return exitCode(exitRefused)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; exit with 3 if a file would change")
	return cmd
}

// cueFiles visits the plain files of CUE below a path. Links are not followed.
func cueFiles(root string, visit func(name string, mode fs.FileMode) error) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && (d.Name() == "cue.mod" || d.Name()[0] == '.'):
			return filepath.SkipDir
		case !d.Type().IsRegular() || filepath.Ext(name) != ".cue":
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return visit(name, info.Mode().Perm())
	})
}

func formatFile(name string, mode fs.FileMode, check bool) (bool, []schema.Problem, error) {
	old, err := os.ReadFile(name)
	if err != nil {
		return false, nil, err
	}
	formatted, problems := load.Format(load.File{Path: filepath.ToSlash(name), Data: old})
	if len(problems) > 0 || bytes.Equal(old, formatted) {
		return false, problems, nil
	}
	if check {
		return true, nil, nil
	}
	temporary := name + ".new"
	if err := os.WriteFile(temporary, formatted, mode); err != nil {
		return false, nil, err
	}
	if err := os.Rename(temporary, name); err != nil {
		return false, nil, err
	}
	return true, nil, nil
}
