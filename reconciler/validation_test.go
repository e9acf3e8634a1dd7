package reconciler_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// What Envoy would not take makes a pull red, at the line of the route, and nothing else of the plan changes.
func TestPullThatEnvoyDoesNotTakeIsRed(t *testing.T) {
	j := &judge{refuses: "BAD"}
	b := newJudgedBench(t, j)
	b.propose(3, b.withTwo("fine", "BAD"))
	b.until("verdict on pull 3", func() bool { _, ok := b.forge.review(3); return ok })
	r, _ := b.forge.review(3)
	if r.Verdict() != forge.Refused || len(r.Problems) != 1 {
		t.Fatalf("verdict %s, problems %v", r.Verdict(), r.Problems)
	}
	p := r.Problems[0]
	if p.Code != "envoy/refused" || p.Position.File != twoFile || p.Position.Line != 10 || !slices.Equal(p.Holds, []schema.ServiceID{"two"}) || !strings.Contains(p.Message, "no such thing") {
		t.Errorf("problem %+v", p)
	}
	if !slices.ContainsFunc(r.Steps, func(s forge.Step) bool { return s.Key.Name == "one" }) {
		t.Errorf("the plan has no step for the other service: %v", r.Steps)
	}
}

// A merged pull's contents were validated when it was planned: nobody is asked about them again, and the pull waits for nothing.
func TestMergedPullIsNotValidatedAgain(t *testing.T) {
	j := &judge{}
	b := newJudgedBench(t, j)
	b.propose(3, b.withTwo("fine", "well"))
	b.until("plan on pull 3", func() bool { r, ok := b.forge.review(3); return ok && len(r.Steps) > 0 })
	j.close() // whoever asks now waits for ever
	b.merge(3)
	b.until("published", func() bool { return b.proxies.publishes("one", "fine") && b.proxies.publishes("two", "well") })
	b.converged()
	if j.times("one") != 1 || j.times("two") != 1 {
		t.Errorf("asked %d and %d times about a merged pull's contents, want once each", j.times("one"), j.times("two"))
	}
	j.open()
}

// What nobody has looked at waits at its last good version until Envoy has; everything else goes on. Refused, it stays there.
func TestDirectPushIsValidatedBeforeItIsPublished(t *testing.T) {
	j := &judge{refuses: "BAD"}
	b := newJudgedBench(t, j)
	b.repository.commit(b.withTwo("first", "first"))
	b.converged()

	j.close()
	b.repository.commit(b.withTwo("first", "BAD"))
	b.until("looked at", func() bool { return b.View().Validating == 1 })
	b.repository.commit(with(b.tree(), oneFile, gone)) // in the meantime the branch goes on
	b.until("the deletion is planned", func() bool { return b.View().Pending != "" })
	if state := b.services()["two"]; state != "changing" {
		t.Errorf("a service that is being looked at is %s", state)
	}
	j.open()
	b.until("held", func() bool { return b.services()["two"] == "held" })
	v := b.View()
	if len(v.Problems) != 1 || v.Problems[0].Code != "envoy/refused" || v.Problems[0].Position.File != twoFile || v.Validating != 0 {
		t.Errorf("problems %v, %d validating", v.Problems, v.Validating)
	}
	if !b.proxies.publishes("two", "first") {
		t.Error("the service does not stay at its last good version")
	}
	b.repository.commit(with(b.tree(), twoFile, answers("two", "two.trello.acme.example", "mended")))
	b.until("mended", func() bool { return b.proxies.publishes("two", "mended") })
}

func TestOthersAreServedWhileOneIsLookedAt(t *testing.T) {
	j := &judge{}
	b := newJudgedBench(t, j)
	b.propose(3, b.withTwo("fine", "well"))
	b.until("plan on pull 3", func() bool { r, ok := b.forge.review(3); return ok && len(r.Steps) > 0 })
	j.close()
	b.repository.commit(b.withTwo("fine", "another"))
	b.until("the known one is published", func() bool { return b.proxies.publishes("one", "fine") })
	time.Sleep(200 * time.Millisecond)
	if b.proxies.publishes("two", "another") {
		t.Fatal("published before anybody has looked at it")
	}
	b.until("the commit has a check", func() bool { return b.forge.tip(b.repository.tip()).Commit != "" })
	if r := b.forge.tip(b.repository.tip()); r.Verdict() != forge.Applying || r.CommitToServed != 0 {
		t.Errorf("the check on the commit says %s, served after %s, while a part of it is looked at", r.Verdict(), r.CommitToServed)
	}
	j.open()
	b.until("the other one too", func() bool { return b.proxies.publishes("two", "another") })
	b.converged()
}

// However long pulls are looked at, there is room for the branch.
func TestPullsDoNotKeepTheBranchWaiting(t *testing.T) {
	j := &judge{stalls: "SLOW"}
	b := newJudgedBench(t, j)
	j.close()
	for n := range 3 {
		b.propose(3+n, b.withTwo("one", "SLOW"+strings.Repeat("!", n)))
	}
	b.until("asked about a pull", func() bool { return j.times("two") > 0 })
	b.until("shown", func() bool {
		return len(b.View().Pulls) == 3 && !slices.ContainsFunc(b.View().Pulls, func(p reconciler.PullView) bool { return p.Verdict != "validating" })
	})
	b.repository.commit(with(b.tree(), "services/trello/three.cue", answers("three", "three.trello.acme.example", "pushed")))
	b.until("published", func() bool { return b.proxies.publishes("three", "pushed") })
	if n := j.times("two"); n != 1 {
		t.Errorf("%d pulls are looked at at a time, want 1", n)
	}
	j.open()
	b.until("plans on all pulls", func() bool {
		return !slices.ContainsFunc(b.View().Pulls, func(p reconciler.PullView) bool { return p.Verdict != string("planned") })
	})
}

// A name that moves goes with the service that is looked at: until then it stays where it is.
func TestNameStaysUntilItsTakerIsLookedAt(t *testing.T) {
	j := &judge{refuses: "BAD"}
	b := newJudgedBench(t, j)
	b.repository.commit(b.withTwo("first", "first"))
	b.converged()
	moved := func(text string) []load.File {
		return with(with(b.tree(), oneFile, answers("one", "other.trello.acme.example", "first")), twoFile, answers("two", `two.trello.acme.example", "one.trello.acme.example`, text))
	}
	for _, text := range []string{"BAD", "fine"} {
		j.close()
		b.repository.commit(moved(text))
		b.until("looked at", func() bool { return b.View().Validating > 0 })
		time.Sleep(100 * time.Millisecond)
		if holder, _ := b.proxies.serves("one.trello.acme.example"); holder != "one" {
			t.Fatalf("%s: the name is at %q before anybody has looked at its taker", text, holder)
		}
		for id, state := range b.services() {
			if want := map[schema.ServiceID]string{"one": "changing", "two": "changing"}[id]; want != "" && state != want {
				t.Errorf("%s: %s is %s while it is looked at", text, id, state)
			}
		}
		j.open()
		if text == "BAD" {
			b.until("held together", func() bool { s := b.services(); return s["one"] == "held" && s["two"] == "held" })
		}
	}
	b.until("somebody has to agree", func() bool { return b.View().Pending != "" })
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: b.View().Pending, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.until("moved", func() bool { holder, _ := b.proxies.serves("one.trello.acme.example"); return holder == "two" })
	b.converged()
}

// A platform that cannot serve what a service was before does not hold everything while it is looked at what the service becomes: the
// commit takes effect as a whole, a moment later.
func TestPlatformThatWaitsForAServiceHasNoProblem(t *testing.T) {
	two := `fleets: two: {listeners: public: port: 9090, addresses: ["192.0.2.20"], ttl: "5s"}` + "\n"
	fleet := func(name string) func(string) string {
		return func(s string) string { return strings.Replace(s, `fleet: "edge"`, `fleet: "`+name+`"`, 1) }
	}
	j := &judge{}
	b := newJudgedBench(t, j)
	b.repository.commit(with(with(b.withTwo("one", "two"), "platform/two.cue", func(string) string { return "package platform\n" + two }), twoFile, fleet("two")))
	b.until("served by its fleet", func() bool {
		b.proxies.mu.Lock()
		defer b.proxies.mu.Unlock()
		return len(b.proxies.releases["two"].Services) == 1
	})
	j.close()
	b.repository.commit(with(with(b.tree(), "platform/two.cue", gone), twoFile, answers("two", "two.trello.acme.example", "moved")))
	b.until("looked at", func() bool { return b.View().Validating == 1 })
	if v := b.View(); len(v.Problems) > 0 || v.Frozen {
		t.Errorf("problems %v, frozen %v", v.Problems, v.Frozen)
	}
	j.open()
	b.until("moved", func() bool { return b.proxies.publishes("two", "moved") })
	b.until("told so", func() bool { return b.View().Validating == 0 })
	if v := b.View(); len(v.Problems) > 0 {
		t.Errorf("problems %v", v.Problems)
	}
}
