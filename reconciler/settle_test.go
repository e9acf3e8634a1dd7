package reconciler_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

func valuesOf(v resource.Value) string {
	var r dns.Record
	if v == nil || json.Unmarshal(v, &r) != nil {
		return ""
	}
	return fmt.Sprint(r.Values, " ", r.TTL)
}

const (
	web     = "trello.acme.example"
	webFile = "services/trello/trello-web.cue"
	ours    = "192.0.2.10 192.0.2.11"
)

func worldRecord(host string, values ...string) world.RecordSet {
	return world.Simple("A", host+".", 5, values...)
}

// by changes a record by hand, and waits until that is seen.
func (b *bench) byHand(host, value string) {
	b.Helper()
	b.world.Put(b.zones["acme.example"], world.Simple("A", host+".", 5, value))
	b.until("the drift is seen", func() bool {
		return slices.ContainsFunc(b.View().Drifts, func(d reconciler.Drift) bool { return d.Key.Name == "A "+host && d.Healed.IsZero() })
	})
}

func (b *bench) settle(choice reconciler.Choice, names ...string) error {
	_, err := b.Settle(b.Context(), reconciler.Settle{Choice: choice, Names: names, Identity: "ann"})
	return err
}

func drift(m string) func(string) string { return swap("	hosts:", "	drift: \""+m+"\"\n	hosts:") }

func TestDriftIsReported(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), webFile, drift("report")))
	b.converged()
	b.byHand(web, "203.0.113.9")
	time.Sleep(250 * time.Millisecond)
	if got := b.records("acme.example")[web]; got != "203.0.113.9" {
		t.Fatalf("the record is %s: it was put back, and should only have been reported", got)
	}
	b.byHand2("jira.acme.example", "203.0.113.9") // of a service that heals
	if err := b.settle(reconciler.ChoosePutBack, web); err != nil {
		t.Fatal(err)
	}
	b.until("put back", func() bool { return b.records("acme.example")[web] == ours })
	b.quiet()
}

// byHand2 changes a record by hand that is healed.
func (b *bench) byHand2(host, value string) {
	b.Helper()
	b.world.Put(b.zones["acme.example"], world.Simple("A", host+".", 5, value))
	b.until("healed", func() bool { return b.records("acme.example")[host] == ours })
}

func TestDriftIsKept(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), webFile, drift("report")))
	b.converged()
	b.byHand(web, "203.0.113.9")
	if err := b.settle(reconciler.ChooseKeep, "A "+web); err != nil {
		t.Fatal(err)
	}
	b.until("nothing is left to do", func() bool { return len(b.View().Steps) == 0 && b.View().Drifts[0].Kept == "ann" })
	b.repository.commit(with(b.tree(), webFile, swap("report", "heal")))
	b.converged()
	b.stop()
	b.start()
	b.converged()
	time.Sleep(250 * time.Millisecond)
	if got := b.records("acme.example")[web]; got != "203.0.113.9" {
		t.Fatalf("the record is %s: it was agreed to leave it", got)
	}
	b.byHand2(web, "203.0.113.10") // another change is another question
	b.quiet()
}

func TestPausedServiceIsLeftAlone(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), webFile, drift("pause")))
	b.converged()
	b.byHand(web, "203.0.113.9")
	b.land(1, with(b.tree(), webFile, swap(`hosts: ["trello.acme.example"]`, `hosts: ["trello.acme.example", "more.trello.acme.example"]`)))
	b.until("the change waits", func() bool {
		return slices.ContainsFunc(b.View().Steps, func(s reconciler.StepView) bool {
			return s.Key.Name == "A more.trello.acme.example" && s.State == reconciler.Paused
		})
	})
	time.Sleep(200 * time.Millisecond)
	if _, there := b.records("acme.example")["more.trello.acme.example"]; there || b.records("acme.example")[web] != "203.0.113.9" {
		t.Fatalf("records changed: %v", b.records("acme.example"))
	}
	b.repository.commit(with(b.tree(), webFile, swap("pause", "heal")))
	b.until("all of it is done", func() bool {
		r := b.records("acme.example")
		return r["more.trello.acme.example"] == ours && r[web] == ours
	})
	b.quiet()
}

func TestForgetLetsGo(t *testing.T) {
	b := newBench(t)
	b.converged()
	if err := b.settle(reconciler.ChooseForget, "nobody.acme.example"); !refused(err, "nothing there is ours by that name") {
		t.Errorf("forgetting what is not there: %v", err)
	}
	if err := b.settle(reconciler.ChooseForget, web); err != nil {
		t.Fatal(err)
	}
	b.land(1, with(b.tree(), webFile, gone))
	b.until("the service has gone", func() bool {
		v := b.View()
		return v.Commit == b.repository.tip() && len(v.Steps) == 0
	})
	time.Sleep(200 * time.Millisecond)
	if got := b.records("acme.example")[web]; got != ours {
		t.Errorf("the record is %q: it was let go, and should stay as it was", got)
	}
}

func refused(err error, words string) bool {
	var r *reconciler.Refused
	return errors.As(err, &r) && strings.Contains(r.Why, words)
}

// TestAdoptIsDeclared: what is in the way is taken over by the declaration, as the pull has shown.
func TestAdoptIsDeclared(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.world.Put(b.zones["acme.example"], world.Simple("A", "next.trello.acme.example.", 60, "203.0.113.9"))
	next := with(b.tree(), nextFile, declared("next", "edge", "public", "next.trello.acme.example"))
	b.repository.commit(next)
	b.until("it is in the way", func() bool { return len(b.View().Foreign) == 1 })
	b.show(1, with(next, nextFile, swap("	hosts:", "	adopt: true\n	hosts:")))
	r, _ := b.forge.review(1)
	if len(r.Clashes) > 0 || !strings.Contains(r.Comment(), "**1 to adopt**") || !strings.Contains(r.Comment(), "becomes ours, and is changed") {
		t.Errorf("the pull does not say what is adopted:\n%s", r.Comment())
	}
	b.merge(1)
	b.until("it is ours", func() bool { return b.records("acme.example")["next.trello.acme.example"] == ours })
	b.quiet()
	b.land(2, with(b.tree(), nextFile, gone))
	b.until("it goes as what is ours goes", func() bool { return b.records("acme.example")["next.trello.acme.example"] == "" })
}

// TestAdoptUnseen: nobody was shown it, so it waits.
func TestAdoptUnseen(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.world.Put(b.zones["acme.example"], world.Simple("A", "next.trello.acme.example.", 5, "192.0.2.10", "192.0.2.11"))
	b.repository.commit(with(b.tree(), nextFile, func(text string) string {
		return swap("	hosts:", "	adopt: true\n	hosts:")(declared("next", "edge", "public", "next.trello.acme.example")(text))
	}))
	b.until("it waits", func() bool {
		return b.View().Pending != "" && slices.ContainsFunc(b.View().Steps, func(s reconciler.StepView) bool { return s.State == reconciler.Approval })
	})
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: b.View().Pending, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.quiet()
}

func TestFreeze(t *testing.T) {
	b := newBench(t)
	b.converged()
	freeze := reconciler.Freeze{Name: "release", Reason: "the release", Until: b.now().Add(time.Hour), Teams: []schema.TeamID{"trello"}, Identity: "ann"}
	for _, c := range []struct {
		change func(*reconciler.Freeze)
		why    string
	}{
		{func(f *reconciler.Freeze) { f.Reason = " " }, "needs a reason"},
		{func(f *reconciler.Freeze) { f.Until = b.now() }, "not in the past"},
		{func(f *reconciler.Freeze) { f.Until = b.now().Add(24 * 365 * time.Hour) }, "ends within 100 days"},
		{func(f *reconciler.Freeze) { f.Teams = []schema.TeamID{"trelo"} }, "there is no team trelo"},
		{func(f *reconciler.Freeze) { f.Name = "A b" }, "needs a name"},
	} {
		bad := freeze
		c.change(&bad)
		if err := b.Reconciler.Freeze(t.Context(), bad); !refused(err, c.why) {
			t.Errorf("got %v, want %q", err, c.why)
		}
	}
	if err := b.Reconciler.Freeze(t.Context(), freeze); err != nil {
		t.Fatal(err)
	}
	b.show(1, with(b.tree(), nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	r, _ := b.forge.review(1)
	if len(r.Vetoes) != 1 || r.Vetoes[0].Guard != "freeze" || !strings.Contains(r.Comment(), "the release") || !strings.Contains(r.Comment(), "edgewright unfreeze release") {
		t.Errorf("the pull does not tell of the freeze:\n%s", r.Comment())
	}
	b.merge(1)
	b.stop() // it outlives a restart
	b.start()
	frozen := func() bool {
		return slices.ContainsFunc(b.View().Steps, func(s reconciler.StepView) bool { return s.State == reconciler.Frozen })
	}
	b.until("it is frozen", frozen)
	b.byHand2("jira.acme.example", "203.0.113.9") // of another team
	if _, there := b.records("acme.example")["next.trello.acme.example"]; there || !frozen() {
		t.Fatal("what is frozen was done")
	}
	if err := b.Reconciler.Freeze(t.Context(), reconciler.Freeze{Name: "other", End: true, Identity: "ann"}); !refused(err, "those that are on: release") {
		t.Errorf("ending another: %v", err)
	}
	if err := b.Reconciler.Freeze(t.Context(), reconciler.Freeze{Name: "release", End: true, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.until("it goes on", func() bool { return b.records("acme.example")["next.trello.acme.example"] == ours })
	b.quiet()
}

// TestFreezeEnds: a declared one goes on by itself after its last day.
func TestFreezeEnds(t *testing.T) {
	b := newBench(t)
	b.converged()
	today := schema.DateOf(b.now().UTC())
	b.repository.commit(with(b.tree(), "platform/freezes.cue", func(string) string {
		return fmt.Sprintf("package platform\n\nfreezes: all: {reason: \"nobody is there\", until: %q}\n", today)
	}))
	b.converged()
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.until("it is frozen", func() bool {
		return len(b.View().Freezes) == 1 && slices.ContainsFunc(b.View().Steps, func(s reconciler.StepView) bool { return s.State == reconciler.Frozen })
	})
	b.ahead.Add(int64(25 * time.Hour))
	b.until("it goes on", func() bool { return b.records("acme.example")["next.trello.acme.example"] == ours })
}
