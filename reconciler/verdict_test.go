package reconciler_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures"
	proxy "github.com/edgewright/edgewright/fixtures/envoy"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/validate"
	"github.com/edgewright/edgewright/schema"
)

// Verdicts outlive the daemon, but not the Envoy that gave them; and what is served is not asked about again.
func TestVerdictsAreKeptOverARestart(t *testing.T) {
	j := &judge{refuses: "BAD"}
	b := newJudgedBench(t, j)
	b.propose(3, b.withTwo("fine", "BAD"))
	b.until("verdict on pull 3", func() bool { r, ok := b.forge.review(3); return ok && r.Verdict() == forge.Refused })
	asked := len(j.asked)
	restart := func() {
		b.start()
		b.converged()
		b.until("plan on pull 3", func() bool {
			return slices.ContainsFunc(b.View().Pulls, func(p reconciler.PullView) bool { return p.Verdict == string(forge.Refused) })
		})
	}
	restart()
	if len(j.asked) != asked {
		t.Errorf("asked again after a restart: %v", j.asked[asked:])
	}
	if hits := b.metric("edgewright_validation_hits_total"); hits == 0 {
		t.Error("no verdict was counted as known")
	}
	if runs := b.metric("edgewright_validations_total"); runs != 0 {
		t.Errorf("%v contents were counted as asked about", runs)
	}
	b.stop()
	j.name = " of another version"
	restart()
	if again := j.asked[asked:]; !slices.Equal(again, []schema.ServiceID{"one", "two"}) {
		t.Errorf("another Envoy was asked about %v, want what is in the pull and not served", again)
	}
	if runs := b.metric("edgewright_validations_total"); runs != 2 {
		t.Errorf("%v contents were counted as asked about, want 2", runs)
	}
}

// Of what Envoy gives no answer, a warning is told; it holds nothing, and is asked again by the next daemon.
func TestWhatEnvoyGivesNoAnswerAboutGoesOn(t *testing.T) {
	j := &judge{doubts: "ODD"}
	b := newJudgedBench(t, j)
	b.propose(3, b.withTwo("fine", "ODD"))
	b.until("verdict on pull 3", func() bool { _, ok := b.forge.review(3); return ok })
	r, _ := b.forge.review(3)
	if r.Verdict() != forge.Planned || len(r.Warnings) != 1 || r.Warnings[0].Code != "envoy/unvalidated" || r.Warnings[0].Position.File != twoFile {
		t.Fatalf("verdict %s, warnings %v", r.Verdict(), r.Warnings)
	}
	b.start()
	b.until("asked again", func() bool { return j.times("two") == 2 })
	b.repository.commit(b.withTwo("fine", "ODD"))
	b.until("published", func() bool { return b.proxies.publishes("two", "ODD") })
	b.converged()
	if w := b.View().Warnings; !slices.ContainsFunc(w, func(p schema.Problem) bool { return p.Code == "envoy/unvalidated" }) {
		t.Errorf("the page has no warning: %v", w)
	}
}

func TestPreviewWaitsForItsVerdict(t *testing.T) {
	j := &judge{refuses: "BAD"}
	b := newJudgedBench(t, j)
	j.close()
	got := make(chan reconciler.Previewed, 1)
	go func() {
		p, err := b.Preview(context.Background(), reconciler.Preview{Files: b.withTwo("fine", "BAD")})
		if err != nil {
			b.Error(err)
		}
		got <- p
	}()
	select {
	case p := <-got:
		t.Fatalf("answered before anybody has looked: %+v", p)
	case <-time.After(200 * time.Millisecond):
	}
	j.open()
	if p := <-got; len(p.Problems) != 1 || p.Problems[0].Code != "envoy/refused" {
		t.Errorf("problems %v", p.Problems)
	}
}

// stoppedWithDeletionShown is a bench that has shown, on pull 3, that the pull changes service two and lets one of its names go, and was stopped then.
func stoppedWithDeletionShown(t *testing.T, j *judge) *bench {
	t.Helper()
	b := newJudgedBench(t, j)
	b.repository.commit(with(b.withTwo("one", "two"), twoFile, answers("two", `two.trello.acme.example", "three.trello.acme.example`, "two")))
	b.converged()
	b.propose(3, b.withTwo("one", "changed")) // and lets a name go
	b.until("plan on pull 3", func() bool { r, ok := b.forge.review(3); return ok && len(r.Steps) > 0 })
	time.Sleep(100 * time.Millisecond) // it is noted as posted
	b.stop()
	return b
}

// What was agreed to stays agreed to while somebody looks: a pull that was merged while another Envoy was installed has shown its deletion.
func TestApprovalsOutlastTheLook(t *testing.T) {
	j := &judge{}
	b := stoppedWithDeletionShown(t, j)
	j.name = " of another version"
	j.close()
	b.merge(3)
	b.start()
	b.until("looked at", func() bool { return b.View().Validating == 1 })
	b.until("the pull is followed", func() bool { return len(b.View().Merged) == 1 })
	if v := b.View().Merged[0]; v.Verdict != string(forge.Applying) {
		t.Errorf("the merged pull is %s while it is looked at", v.Verdict)
	}
	b.until("the pull says what it waits for", func() bool {
		r, _ := b.forge.review(3)
		return slices.ContainsFunc(r.Steps, func(s forge.Step) bool {
			return s.Key.Name == "two" && s.Status == forge.StepWaits && strings.Contains(s.Why, "Envoy looks at it")
		})
	})
	time.Sleep(200 * time.Millisecond)
	b.repository.commit(with(b.tree(), oneFile, answers("one", "one.trello.acme.example", "later"))) // an approval outlasts this too
	b.until("both are looked at", func() bool { return b.View().Validating == 2 })
	j.open()
	b.until("published", func() bool { return b.proxies.publishes("two", "changed") })
	b.until("the name is gone", func() bool { return b.records("acme.example")["three.trello.acme.example"] == "" })
	if v := b.View(); v.Pending != "" {
		t.Errorf("steps wait for a person: %v", v.Steps)
	}
}

// What was agreed to is forgotten when Envoy does not take it: the same step for another reason needs another word.
func TestApprovalOfWhatIsRefusedIsForgotten(t *testing.T) {
	j := &judge{}
	b := stoppedWithDeletionShown(t, j)
	j.name, j.refuses = " of another version", "changed"
	j.close()
	b.merge(3)
	b.start()
	b.until("the pull is followed", func() bool { return len(b.View().Merged) == 1 })
	j.open()
	b.until("held", func() bool { return b.services()["two"] == "held" })
	b.repository.commit(b.withTwo("one", "mended"))
	b.until("somebody is asked", func() bool { return b.View().Pending != "" })
	time.Sleep(200 * time.Millisecond)
	if b.records("acme.example")["three.trello.acme.example"] == "" {
		t.Error("the name went, though nobody was shown that")
	}
}

// What is in effect, but was never served, is looked at before it is: as when the program renders it in another way than the last one.
func TestWhatWasNeverServedIsLookedAt(t *testing.T) {
	b := newBench(t)
	b.converged()
	freeze := reconciler.Freeze{Name: "all", Reason: "test", Until: b.now().Add(time.Hour), Identity: "ann"}
	if err := b.Reconciler.Freeze(t.Context(), freeze); err != nil {
		t.Fatal(err)
	}
	b.repository.commit(b.withTwo("fine", "BAD"))
	b.until("frozen", func() bool { v := b.View(); return v.Commit == b.repository.tip() && len(v.Steps) > 0 })
	time.Sleep(50 * time.Millisecond)
	b.stop()
	j := &judge{refuses: "BAD"}
	b.validator = j
	b.start()
	if err := b.Reconciler.Freeze(t.Context(), reconciler.Freeze{Name: "all", End: true, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.until("the fine one is served", func() bool { return b.proxies.publishes("one", "fine") })
	b.until("the other one is held", func() bool { return b.services()["two"] == "held" })
	time.Sleep(200 * time.Millisecond)
	if b.proxies.publishes("two", "BAD") {
		t.Error("what Envoy would not take was published")
	}
	if n := j.times("two"); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// TestRealEnvoyJudgesAPull is the whole way with the real Envoy: a regular expression that CUE and the rules take, and Envoy does not.
func TestRealEnvoyJudgesAPull(t *testing.T) {
	v, err := validate.New(t.Context(), validate.Config{Binary: proxy.Binary(proxy.Tools(t))})
	if err != nil {
		t.Fatal(err)
	}
	b := newBenchOf(t, fixtures.Declarations(fixtures.EdgeConfig()), func(b *bench) { b.validator = v })
	b.converged()
	b.propose(3, with(b.withTwo("fine", "fine"), twoFile, func(s string) string { return strings.Replace(s, `exact: "/ping"`, `regex: "/\\x{1F600}"`, 1) }))
	b.until("verdict on pull 3", func() bool { _, ok := b.forge.review(3); return ok })
	r, _ := b.forge.review(3)
	if r.Verdict() != forge.Refused || len(r.Problems) != 1 {
		t.Fatalf("verdict %s, problems %v; does a rule know of this by now? then it needs another example", r.Verdict(), r.Problems)
	}
	if p := r.Problems[0]; p.Code != "envoy/refused" || p.Position.File != twoFile || p.Position.Line != 9 || !strings.Contains(p.Message, "route ping: invalid escape sequence") {
		t.Errorf("problem %+v", p)
	}
	for _, line := range []string{twoFile + ":9", "Envoy does not take route ping"} {
		if !strings.Contains(r.Comment(), line) {
			t.Errorf("the comment does not say %q:\n%s", line, r.Comment())
		}
	}
}
