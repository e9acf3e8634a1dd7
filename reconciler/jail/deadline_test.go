//go:build linux && (amd64 || arm64)

package jail

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// counting counts the units that reach an evaluator.
type counting struct {
	load.Evaluator
	units atomic.Int64
}

func (c *counting) Evaluate(ctx context.Context, units []load.Unit) ([]load.Result, error) {
	results, err := c.Evaluator.Evaluate(ctx, units)
	for _, r := range results {
		if len(r.Problems) > 0 && r.Problems[0].Code == CodeTime {
			c.units.Add(1)
		}
	}
	return results, err
}

// TestCommitHasADeadline holds that a commit full of slow files ends when its time is up, and that the next time goes on from there.
func TestCommitHasADeadline(t *testing.T) {
	const bombs = 12
	files := fixtures.Declarations(fixtures.EdgeConfig())
	evaluator := &counting{Evaluator: start(t, Limits{WallPerFile: 300 * time.Millisecond, CPUPerFile: 300 * time.Millisecond})}
	loader := &load.Loader{Evaluator: evaluator}
	if commit, err := loader.Load(t.Context(), files); err != nil || len(commit.Problems) > 0 { // as the branch is known before a pull is
		t.Fatal(commit.Problems, err)
	}
	for i := range bombs {
		files = append(files, load.File{Path: fmt.Sprintf("services/trello/bomb%d.cue", i), Data: fmt.Appendf(nil,
			"package services\n\nimport \"list\"\n\nservices: bomb%d: hosts: [for a in list.Range(0, 10000, 1) for b in list.Range(0, 10000, 1) {\"a\"}]\n", i)})
	}
	codes := func(ctx context.Context) (slow, untried int) {
		t.Helper()
		commit, err := loader.Load(ctx, files)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range commit.Problems {
			switch p.Code {
			case CodeTime:
				slow++
			case schema.Code("limit/commit"):
				untried++
			default:
				t.Errorf("unexpected: %v", p)
			}
		}
		return slow, untried
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	began := time.Now()
	slow, untried := codes(ctx)
	if slow == 0 || untried == 0 || slow+untried != bombs {
		t.Errorf("%d files met their limit and %d were not tried, want some of each and %d together", slow, untried, bombs)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the commit took %s", took)
	}
	if slow, untried = codes(t.Context()); slow != bombs || untried != 0 {
		t.Errorf("the second time %d files met their limit and %d were not tried, want %d and 0", slow, untried, bombs)
	}
	if n := evaluator.units.Load(); n != bombs {
		t.Errorf("%d files were evaluated to the end, want each of the %d once", n, bombs)
	}
}
