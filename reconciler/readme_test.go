package reconciler_test

import (
	"os"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/schema/load"
)

// TestReadmeIsTrue holds the declaration that the README shows, and each line of the comment that a change to it yields.
func TestReadmeIsTrue(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "## A declaration")
	_, declared, _ := strings.Cut(section, "```cue\n")
	declared, comment, found := strings.Cut(declared, "```\n")
	if !found {
		t.Fatal("the README shows no declaration")
	}
	b := newBench(t)
	b.converged()
	var files []load.File
	for _, f := range b.tree() {
		if f.Path != "services/statuspage/statuspage.cue" {
			files = append(files, f)
			continue
		}
		if string(f.Data) != declared {
			t.Errorf("the README declares\n%s\nand the repository\n%s", declared, f.Data)
		}
		changed := strings.NewReplacer(`["status.acme.example"]`, `["status.acme.example", "uptime.status.acme.example"]`, "pong", "PONG").Replace(declared)
		files = append(files, load.File{Path: f.Path, Data: []byte(changed)})
	}
	p, err := b.Preview(t.Context(), reconciler.Preview{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	posted, lines := p.Review().Comment(), 0
	for line := range strings.Lines(comment) {
		line, quoted := strings.CutPrefix(strings.TrimSpace(line), ">")
		if !quoted {
			continue
		}
		lines++
		if !strings.Contains(posted, strings.TrimSpace(line)) {
			t.Errorf("the comment has no line %q:\n%s", line, posted)
		}
	}
	if lines < 10 {
		t.Errorf("the README shows %d lines of the comment", lines)
	}
}
