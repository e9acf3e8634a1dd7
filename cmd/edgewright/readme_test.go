package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestReadmeCommands runs what the README tells authors to run, line by line, in a copy of the fixtures.
func TestReadmeCommands(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "## Write declarations")
	section, _, _ = strings.Cut(section, "\n## ")
	script := "cd edge-config\n"
	for line := range strings.Lines(section) {
		if command, is := strings.CutPrefix(line, "    edgewright "); is {
			command, _, _ = strings.Cut(command, " # ")
			script += "exec edgewright " + strings.TrimSpace(command) + "\n"
		}
	}
	if n := strings.Count(script, "exec "); n < 8 {
		t.Fatalf("the README has %d commands for authors", n)
	}
	file := filepath.Join(t.TempDir(), "readme.txtar")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Files: []string{file}, RequireExplicitExec: true, Setup: copyFixtures})
}
