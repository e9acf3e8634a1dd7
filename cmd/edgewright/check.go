package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/form"
	"github.com/edgewright/edgewright/schema/load"
)

func schemaCheckCommand() *cobra.Command {
	var corpus string
	cmd := &cobra.Command{
		Use:   "check OLD NEW",
		Short: "Tell whether a change of the schema breaks files that fitted before",
		Long: "OLD and NEW are folders of a schema's .cue files, or the word builtin for the schema of this program. Each difference is told as\n" +
			"one that breaks files or one that is compatible. With --corpus, the declarations of that folder are held to both as well.",
		Example: "  edgewright schema check builtin ../edgewright/schema --corpus edge-config",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			old, err := readSchema(args[0])
			if err != nil {
				return err
			}
			now, err := readSchema(args[1])
			if err != nil {
				return err
			}
			breaks := 0
			for _, c := range form.Compare(old, now, "Service", "Platform") {
				word := "compatible"
				if c.Breaks {
					word, breaks = "breaks", breaks+1
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-10s  %s: %s\n", word, c.Path, c.What)
			}
			if corpus != "" {
				files, err := readFolder(corpus)
				if err != nil {
					return err
				}
				for _, p := range load.Refits(files, old, now) {
					breaks++
					fmt.Fprintln(cmd.OutOrStdout(), "breaks     ", p)
				}
			}
			if breaks > 0 {
				return exitCode(exitRefused)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "compatible: every file that fitted fits")
			return err
		},
	}
	cmd.Flags().StringVar(&corpus, "corpus", "", "folder of an edge-config checkout whose declarations are held to both")
	return cmd
}

// readSchema reads a schema from a folder.
func readSchema(dir string) (form.Schema, error) {
	if dir == "builtin" {
		return form.Read(schema.CUE())
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.cue"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s holds no .cue file: name the folder of a schema, or builtin", dir)
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[filepath.Base(name)] = data
	}
	s, err := form.Read(files)
	if err != nil {
		return nil, fmt.Errorf("read the schema in %s: %w", dir, err)
	}
	for _, name := range []string{"Service", "Platform", "ID"} {
		if s[name] == nil {
			return nil, fmt.Errorf("the schema in %s does not define #%s", dir, name)
		}
	}
	return s, nil
}
