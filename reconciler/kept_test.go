package reconciler_test

import (
	"encoding/json"
	"testing"

	"github.com/edgewright/edgewright/reconciler"
)

// kept is a plan as it goes to a file and comes back.
func (b *bench) kept(q reconciler.Preview) *reconciler.KeptPlan {
	b.Helper()
	p, err := b.Preview(b.Context(), q)
	if err != nil {
		b.Fatal(err)
	}
	data, err := json.Marshal(reconciler.KeptPlan{Digest: p.Digest, Tree: p.Tree, Steps: p.Steps})
	if err != nil {
		b.Fatal(err)
	}
	out := &reconciler.KeptPlan{}
	if err := json.Unmarshal(data, out); err != nil {
		b.Fatal(err)
	}
	return out
}

// TestKeptPlan: a plan that was kept is applied exactly, or refused with what has moved.
func TestKeptPlan(t *testing.T) {
	b := newBench(t)
	b.converged()
	without := with(b.tree(), webFile, gone)
	kept := b.kept(reconciler.Preview{Files: without})
	apply := func(p *reconciler.KeptPlan) error {
		_, err := b.Apply(t.Context(), reconciler.Apply{Plan: p, Identity: "ann"})
		return err
	}
	if err := apply(kept); !refused(err, "merge it first") {
		t.Errorf("before the branch has it: %v", err)
	}
	changed := *kept
	changed.Steps = kept.Steps[:1]
	if err := apply(&changed); !refused(err, "it was changed since") {
		t.Errorf("a plan with a step less: %v", err)
	}
	b.repository.commit(without) // nobody was shown it on a pull
	b.until("it waits", func() bool { return b.View().Pending != "" })
	b.world.Put(b.zones["acme.example"], worldRecord(web, "203.0.113.9"))
	b.until("the record is seen to be another", func() bool {
		for _, s := range b.View().Steps {
			if s.Key.Name == "A "+web && valuesOf(s.Before) == "[203.0.113.9] 5" {
				return true
			}
		}
		return false
	})
	if err := apply(kept); !refused(err, "has moved: dns/record zone/acme.example A "+web) {
		t.Errorf("after somebody changed a record: %v", err)
	}
	b.world.Put(b.zones["acme.example"], worldRecord(web, "192.0.2.10", "192.0.2.11"))
	b.until("it is as planned", func() bool { return apply(kept) == nil })
	b.until("it has gone", func() bool { return b.records("acme.example")[web] == "" })
	b.until("it is done", func() bool { return refused(apply(kept), "nothing of this plan waits") })
}
