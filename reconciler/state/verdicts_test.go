package state_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/validate"
)

func TestVerdictsAreForgottenWhenNobodyAsks(t *testing.T) {
	view := state.Verdicts{Store: open(t)}
	used := state.Verdict{Content: "a", By: "Envoy 1", Used: noon, Verdict: validate.Verdict{Refused: "no", Route: "r", Backend: "b"}}
	unused := state.Verdict{Content: "b", By: "Envoy 1", Used: noon.Add(-31 * 24 * time.Hour)}
	must(t, view.Put(t.Context(), used, unused))
	must(t, view.Put(t.Context()))
	known, err := view.All(t.Context())
	must(t, err)
	if diff := cmp.Diff(map[string]state.Verdict{"a": used, "b": unused}, known); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	left, err := view.Forget(t.Context(), known, noon)
	must(t, err)
	stored, err := view.All(t.Context())
	must(t, err)
	want := map[string]state.Verdict{"a": used}
	if !cmp.Equal(want, left) || !cmp.Equal(want, stored) {
		t.Errorf("left %v, stored %v", left, stored)
	}
}

func TestVerdictsAreBounded(t *testing.T) {
	view := state.Verdicts{Store: open(t)}
	known := map[string]state.Verdict{}
	for i := range 50_010 {
		content := fmt.Sprintf("%05d", i)
		known[content] = state.Verdict{Content: content, Used: noon.Add(time.Duration(i) * time.Millisecond)}
	}
	must(t, view.Put(t.Context(), known["00000"], known["00010"]))
	left, err := view.Forget(t.Context(), known, noon.Add(time.Minute))
	must(t, err)
	stored, err := view.All(t.Context())
	must(t, err)
	if _, oldest := left["00009"]; oldest || len(left) != 50_000 || len(stored) != 1 {
		t.Errorf("%d are left and %d stored, want the newest 50,000", len(left), len(stored))
	}
}
