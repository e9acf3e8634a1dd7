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
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/validate"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// judge is a validator that refuses what has a word in it, doubts what has another, and notes whom it was asked about. It can be made to
// wait.
type judge struct {
	refuses, doubts string
	name            string

	mu    sync.Mutex
	asked []schema.ServiceID
	gate  chan struct{} // nil: open
}

func (j *judge) By() string { return "judge" + j.name }

func (j *judge) Validate(ctx context.Context, units []envoy.Unit) []validate.Verdict {
	j.mu.Lock()
	gate := j.gate
	for _, u := range units {
		j.asked = append(j.asked, u.Service)
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
