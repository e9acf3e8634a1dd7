package reconciler_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/schema"
)

// TestProtectedNameNeedsTheCount: that the pull had shown it is not enough for a protected name to go.
func TestProtectedNameNeedsTheCount(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), "platform/protected.cue", func(string) string {
		return "package platform\n\nprotected: \"" + web + "\": {reason: \"the front door\", services: [\"trello-web\"]}\n"
	}))
	b.converged()
	b.show(1, with(b.tree(), webFile, gone))
	r, _ := b.forge.review(1)
	if len(r.Vetoes) != 1 || r.Vetoes[0].Guard != plan.GuardProtected || !strings.Contains(r.Comment(), "the front door") {
		t.Errorf("the pull does not tell of the guard:\n%s", r.Comment())
	}
	b.merge(1)
	b.until("it waits", func() bool { return b.View().Deletes == 2 }) // the service and its record
	time.Sleep(200 * time.Millisecond)
	if got := b.records("acme.example")[web]; got != ours {
		t.Fatalf("the record is %q, and nobody confirmed the count", got)
	}
	digest := b.View().Pending
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: digest, Identity: "ann"}); !refused(err, "what is protected: "+web+" (the front door); to go on, confirm the exact count: --confirm-deletes 2") {
		t.Errorf("without the count: %v", err)
	}
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: digest, ConfirmDeletes: 2, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.until("it has gone", func() bool { return b.records("acme.example")[web] == "" })
}

// TestFreezeHoldsRecordsOfWhatIsGone: a freeze of a fleet, or of a team, is also for the records of a service that is declared no more.
func TestFreezeHoldsRecordsOfWhatIsGone(t *testing.T) {
	for what, freeze := range map[string]reconciler.Freeze{"fleet": {Fleets: []schema.FleetID{"edge"}}, "team": {Teams: []schema.TeamID{"trello"}}} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t)
			b.converged()
			freeze.Name, freeze.Reason, freeze.Until, freeze.Identity = "move", "the move", b.now().Add(time.Hour), "ann"
			if err := b.Reconciler.Freeze(t.Context(), freeze); err != nil {
				t.Fatal(err)
			}
			b.land(1, with(b.tree(), webFile, gone))
			b.until("both are frozen", func() bool {
				frozen := slices.DeleteFunc(slices.Clone(b.View().Steps), func(s reconciler.StepView) bool { return s.State != reconciler.Frozen })
				return len(frozen) == 2
			})
			time.Sleep(200 * time.Millisecond)
			if got := b.records("acme.example")[web]; got != ours {
				t.Fatalf("the record is %q, and it is frozen", got)
			}
			if err := b.Reconciler.Freeze(t.Context(), reconciler.Freeze{Name: "move", End: true, Identity: "ann"}); err != nil {
				t.Fatal(err)
			}
			b.until("it goes", func() bool { return b.records("acme.example")[web] == "" })
		})
	}
}

// TestCountLeavesOutWhatIsFrozen: a person is asked for the count of what the digest lets go on, and no other.
func TestCountLeavesOutWhatIsFrozen(t *testing.T) {
	b := newBench(t)
	b.converged()
	freeze := reconciler.Freeze{Name: "move", Reason: "the move", Until: b.now().Add(time.Hour), Zones: []schema.Hostname{"acme.internal"}, Identity: "ann"}
	if err := b.Reconciler.Freeze(t.Context(), freeze); err != nil {
		t.Fatal(err)
	}
	files := b.tree()
	for _, f := range files {
		if strings.HasPrefix(f.Path, "services/") && !strings.HasSuffix(f.Path, "shared.cue") {
			files = with(files, f.Path, gone)
		}
	}
	b.repository.commit(files)
	var waiting, frozen int
	b.until("it waits", func() bool {
		waiting, frozen = 0, 0
		v := b.View()
		for _, s := range v.Steps {
			switch s.State {
			case reconciler.Vetoed:
				waiting++
			case reconciler.Frozen:
				frozen++
			}
		}
		return v.Pending != "" && waiting > 0 && frozen > 0
	})
	v := b.View()
	if v.Deletes != waiting || len(v.Vetoes) != 1 || len(v.Vetoes[0].Steps) != waiting {
		t.Errorf("people are told the count %d, want %d: %+v", v.Deletes, waiting, v.Vetoes)
	}
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: v.Pending, ConfirmDeletes: waiting, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
}

// TestPausedServiceKeepsItsName: another service that takes a name of it, on another fleet, does not get the record.
func TestPausedServiceKeepsItsName(t *testing.T) {
	const moved = "moved." + trelloHost
	b := newBench(t)
	b.repository.commit(with(with(b.tree(), fleetsFile, twoFleets), trello, swap(`"`+trelloHost+`"`, `"`+trelloHost+`", "`+moved+`"`)))
	b.converged()
	before := b.records("acme.example")[moved]
	b.repository.commit(with(b.tree(), trello, drift("pause")))
	b.converged()
	b.land(1, with(with(b.tree(), trello, swap(`"`+trelloHost+`", "`+moved+`"`, `"`+trelloHost+`"`)), nextFile, declared("next", "two", "public", moved)))
	b.until("the record is paused", func() bool {
		return slices.ContainsFunc(b.View().Steps, func(s reconciler.StepView) bool {
			return s.Key.Name == "A "+moved && s.State == reconciler.Paused && strings.Contains(s.Why, "service trello-web")
		})
	})
	time.Sleep(200 * time.Millisecond)
	if got := b.records("acme.example")[moved]; got != before {
		t.Fatalf("the record leads to %s, and who has the name is paused", got)
	}
	b.repository.commit(with(b.tree(), trello, swap("pause", "heal")))
	b.until("it moves", func() bool { return b.records("acme.example")[moved] != before })
	b.quiet()
}
