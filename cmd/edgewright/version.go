package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := buildVersion()
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "edgewright %s (%s)\n", v.Version, v.Go)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return cmd
}

type version struct {
	Version string `json:"version"`
	Go      string `json:"go"`
}

// buildVersion is the module's version, or the commit that it was built from.
func buildVersion() version {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return version{Version: "unknown"}
	}
	v := version{Version: build.Main.Version, Go: build.GoVersion}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" && (v.Version == "" || v.Version == "(devel)") {
			v.Version = s.Value[:min(len(s.Value), 12)]
		}
	}
	return v
}
