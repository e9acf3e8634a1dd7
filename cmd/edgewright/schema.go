package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/form"
	"github.com/edgewright/edgewright/schema/load"
	"github.com/edgewright/edgewright/schema/reference"
)

func schemaCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "schema", Short: "Write, show and compare the schema that declarations obey", Args: cobra.NoArgs}
	cmd.AddCommand(vendorCommand(), jsonSchemaCommand(), referenceCommand(), schemaCheckCommand())
	return cmd
}

func vendorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "vendor [DIR]",
		Short: "Write the schema into an edge-config checkout, so that cue vet and editors know it",
		Long: "Writes the schema as a CUE package into cue.mod/pkg, and services/constraints.cue and platform/constraints.cue, which hold the\n" +
			"declarations to it: `cue vet -c ./...` then judges them offline. Run it again after an update of edgewright.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return vendor(cmd.OutOrStdout(), folder(args)) },
	}
}

func vendor(out io.Writer, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "platform")); err != nil {
		return fmt.Errorf("%s has no folder platform: name the root of an edge-config checkout", dir)
	}
	module := filepath.Join(dir, "cue.mod", "module.cue")
	if _, err := os.Stat(module); errors.Is(err, fs.ErrNotExist) {
		if err := writeVendored(out, dir, "cue.mod/module.cue", []byte("module: \"edge-config.example\"\nlanguage: version: \"v0.17.0\"\n")); err != nil {
			return err
		}
	}
	files := load.Vendored()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := writeVendored(out, dir, name, files[name]); err != nil {
			return err
		}
	}
	return nil
}

// writeVendored writes a file, but never over one that somebody else wrote.
func writeVendored(out io.Writer, dir, name string, data []byte) error {
	file := filepath.Join(dir, filepath.FromSlash(name))
	old, err := os.ReadFile(file)
	switch {
	case err == nil && bytes.Equal(old, data):
		_, err := fmt.Fprintln(out, "unchanged", name)
		return err
	case err == nil && !bytes.HasPrefix(old, []byte(load.VendorMark)):
		return fmt.Errorf("%s was not written by this command: move what it says to another file, and remove it", name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "written  ", name)
	return err
}

func jsonSchemaCommand() *cobra.Command {
	var of string
	cmd := &cobra.Command{
		Use:   "json",
		Short: "Print the schema as JSON Schema (draft 2020-12), for editors",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			forms, err := form.Read(schema.CUE())
			if err != nil {
				return err
			}
			root, is := forms[of]
			if !is {
				return fmt.Errorf("--of %s: the schema has %v", of, forms.Names())
			}
			return writeJSON(cmd.OutOrStdout(), forms.JSONSchema(root))
		},
	}
	cmd.Flags().StringVar(&of, "of", "Service", "definition that the schema is of")
	return cmd
}

func referenceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reference",
		Short: "Print the reference of declarations, in Markdown",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			forms, err := form.Read(schema.CUE())
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), reference.Markdown(forms))
			return err
		},
	}
}
