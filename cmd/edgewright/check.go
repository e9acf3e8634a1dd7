package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/corpus"
	"github.com/edgewright/edgewright/schema/form"
	"github.com/edgewright/edgewright/schema/load"
)

const mostMisfits = 10 // that are shown of one folder

func schemaCheckCommand() *cobra.Command {
	var folder string
	cmd := &cobra.Command{
		Use:   "check OLD NEW",
		Short: "Tell whether a change of the schema breaks files that fitted before",
		Long: "OLD and NEW are folders of a schema's .cue files, or the word builtin for the schema of this program. Each difference is told as\n" +
			"one that breaks files or one that is compatible. Old declarations that edgewright keeps are held to both as well, and with --corpus\n" +
			"those of an edge-config checkout.",
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
			held, err := oldDeclarations(folder)
			if err != nil {
				return err
			}
			for _, name := range slices.Sorted(maps.Keys(held)) {
				misfits := misfitsSince(held[name], old, now)
				breaks += len(misfits)
				for _, p := range misfits[:min(len(misfits), mostMisfits)] {
					fmt.Fprintf(cmd.OutOrStdout(), "breaks      %s: %s\n", name, p)
				}
				if more := len(misfits) - mostMisfits; more > 0 {
					fmt.Fprintf(cmd.OutOrStdout(), "breaks      %s: %d more\n", name, more)
				}
			}
			if breaks > 0 {
				return exitCode(exitRefused)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "compatible: every file that fitted fits")
			return err
		},
	}
	cmd.Flags().StringVar(&folder, "corpus", "", "folder of an edge-config checkout whose declarations are held to both")
	return cmd
}

// oldDeclarations are what edgewright keeps, and what is in a folder where one is named.
func oldDeclarations(folder string) (map[string][]load.File, error) {
	held := map[string][]load.File{}
	for name, files := range corpus.Folders() {
		for _, path := range slices.Sorted(maps.Keys(files)) {
			held[name] = append(held[name], load.File{Path: path, Data: files[path]})
		}
	}
	if folder == "" {
		return held, nil
	}
	files, err := readFolder(folder)
	if err != nil {
		return nil, err
	}
	held[folder] = files
	return held, nil
}

// misfitsSince are what declarations that fit one schema do not fit in another.
func misfitsSince(files []load.File, old, now form.Schema) []schema.Problem {
	before := map[string]bool{}
	for _, p := range load.Misfits(files, old) {
		before[p.Position.File] = true
	}
	return slices.DeleteFunc(load.Misfits(files, now), func(p schema.Problem) bool { return before[p.Position.File] })
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
