//go:build linux && (amd64 || arm64)

package jail

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// FuzzConfined holds that a declaration and a shared file beside it, whatever they say, are answered by the child in bounded time, as in
// process where they meet no limit, and that the service beside them is not touched.
func FuzzConfined(f *testing.F) {
	for _, a := range attacks() {
		shared := []byte("package services\n")
		if len(a.files) == 2 && a.files[1].Path == "services/trello/shared.cue" {
			shared = a.files[1].Data
		}
		if len(a.files[0].Data) < 10_000 && !strings.HasPrefix(a.codes, "limit/") { // those that end at once
			f.Add(a.files[0].Data, shared)
		}
	}
	self, err := os.Executable()
	if err != nil {
		f.Fatal(err)
	}
	e := &Evaluator{Command: []string{self, "evaluate"}, Limits: Limits{WallPerFile: time.Second, CPUPerFile: time.Second}}
	f.Cleanup(e.Close)
	good := fixtures.Example("", "tier: \"critical\"\nowner: {team: \"trello\", oncall: _who}\n")
	good.Data = append(good.Data, "_who: \"#trello\"\n"...)
	f.Fuzz(func(t *testing.T, file, shared []byte) {
		unit := load.Unit{Files: []load.File{{Path: hostileFile, Data: file}, {Path: "services/trello/shared.cue", Data: shared}}}
		began := time.Now()
		results, err := e.Evaluate(t.Context(), []load.Unit{unit, {Files: []load.File{good}}})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
		if len(results[1].Problems) > 0 || results[1].Service == nil {
			t.Errorf("the service beside it has %v", results[1].Problems)
		}
		if slices.ContainsFunc(results[0].Problems, func(p schema.Problem) bool { return p.Code[:6] == "limit/" }) {
			return
		}
		want, err := (&load.Trusted{}).Evaluate(t.Context(), []load.Unit{unit})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text(t, want), text(t, results[:1])); diff != "" {
			t.Errorf("confined evaluation differs (-trusted +confined):\n%s", diff)
		}
	})
}
