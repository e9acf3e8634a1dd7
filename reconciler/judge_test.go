package reconciler_test

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/edgewright/edgewright/fixtures"
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

// tip is what the check on a commit of the branch says.
func (f *board) tip(commit string) forge.Review {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said[forge.Target{SHA: commit}]
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
