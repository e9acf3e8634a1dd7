package reconciler_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures"
	proxy "github.com/edgewright/edgewright/fixtures/envoy"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/validate"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// judge is a validator that refuses what has a word in it, doubts what has another, and notes whom it was asked about. It can be made to
// wait, also for what has a third word only.
type judge struct {
	refuses, doubts, stalls string
	name                    string

	mu    sync.Mutex
	asked []schema.ServiceID
	gate  chan struct{} // nil: open
}

func (j *judge) By() string { return "judge" + j.name }

func (j *judge) Validate(ctx context.Context, units []envoy.Unit) []validate.Verdict {
	j.mu.Lock()
	gate := j.gate
	stalled := j.stalls == ""
	for _, u := range units {
		j.asked = append(j.asked, u.Service)
		stalled = stalled || bytes.Contains(u.VirtualHost, []byte(j.stalls))
	}
	if !stalled {
		gate = nil
	}
	j.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	verdicts := make([]validate.Verdict, len(units))
	for i, u := range units {
		switch {
		case j.refuses != "" && bytes.Contains(u.VirtualHost, []byte(j.refuses)):
			verdicts[i] = validate.Verdict{Refused: "no such thing", Route: "all"}
		case j.doubts != "" && bytes.Contains(u.VirtualHost, []byte(j.doubts)):
			verdicts[i] = validate.Verdict{Unsure: "Envoy did not end within 30s"}
		}
	}
	return verdicts
}

// times is how often it was asked about a service.
func (j *judge) times(id schema.ServiceID) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, asked := range j.asked {
		if asked == id {
			n++
		}
	}
	return n
}

func (j *judge) close() { j.mu.Lock(); j.gate = make(chan struct{}); j.mu.Unlock() }
func (j *judge) open()  { j.mu.Lock(); close(j.gate); j.gate = nil; j.mu.Unlock() }

func newJudgedBench(t *testing.T, j *judge) *bench {
	t.Helper()
	b := newBenchOf(t, fixtures.Declarations(fixtures.EdgeConfig()), func(b *bench) { b.validator = j })
	b.converged()
	return b
}

// answers makes a service answer every path itself, with a text.
func answers(id, host, text string) func(string) string {
	return func(string) string {
		return `package services

services: "` + id + `": {
	owner: {team: "trello", oncall: "x"}
	hosts: ["` + host + `"]
	exposure: "public"
	fleet: "edge"
	routes: [
		{name: "ping", match: path: exact: "/ping", respond: status: 200},
		{name: "all", respond: {status: 200, body: "` + text + `"}},
	]
}
`
	}
}

const oneFile, twoFile = "services/trello/one.cue", "services/trello/two.cue"

func (b *bench) withTwo(one, two string) []load.File {
	return with(with(b.tree(), oneFile, answers("one", "one.trello.acme.example", one)), twoFile, answers("two", "two.trello.acme.example", two))
}

// body is what a service of the fixture answers, as it is published.
func (p *proxies) publishes(id schema.ServiceID, text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Contains(p.releases["edge"].Services[id].Unit.VirtualHost, []byte(text))
}

func (b *bench) services() map[schema.ServiceID]string {
	out := map[schema.ServiceID]string{}
	for _, s := range b.View().Services {
		out[s.ID] = s.State
	}
	return out
}

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

// metric is the sum of a counter over its labels.
func (b *bench) metric(name string) (sum float64) {
	b.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name {
				sum += m.Counter.GetValue()
			}
		}
	}
	return sum
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

// What was agreed to stays agreed to while somebody looks: a pull that was merged while another Envoy was installed has shown its deletion.
func TestApprovalsOutlastTheLook(t *testing.T) {
	j := &judge{}
	b := newJudgedBench(t, j)
	b.repository.commit(with(b.withTwo("one", "two"), twoFile, answers("two", `two.trello.acme.example", "three.trello.acme.example`, "two")))
	b.converged()
	b.propose(3, b.withTwo("one", "changed")) // and lets a name go
	b.until("plan on pull 3", func() bool { r, ok := b.forge.review(3); return ok && len(r.Steps) > 0 })
	time.Sleep(100 * time.Millisecond) // it is noted as posted
	b.stop()
	j.name = " of another version"
	j.close()
	b.merge(3)
	b.start()
	b.until("looked at", func() bool { return b.View().Validating == 1 })
	b.until("the pull is followed", func() bool { return len(b.View().Merged) == 1 })
	if v := b.View().Merged[0]; v.Verdict != string(forge.Applying) {
		t.Errorf("the merged pull is %s while it is looked at", v.Verdict)
	}
	time.Sleep(200 * time.Millisecond)
	j.open()
	b.until("published", func() bool { return b.proxies.publishes("two", "changed") })
	b.until("the name is gone", func() bool { return b.records("acme.example")["three.trello.acme.example"] == "" })
	if v := b.View(); v.Pending != "" {
		t.Errorf("steps wait for a person: %v", v.Steps)
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
