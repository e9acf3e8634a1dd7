package web

import (
	"testing"
	"time"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/election"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
)

func TestVerdict(t *testing.T) {
	step := func(state reconciler.State) []reconciler.StepView {
		return []reconciler.StepView{{Status: reconciler.Status{State: state}}}
	}
	for _, c := range []struct {
		want string
		edit func(*Status)
	}{
		{"converged", func(*Status) {}},
		{"waiting", func(s *Status) { s.Leader.Leads = false }},
		{"starting", func(s *Status) { s.Loaded = false }},
		{"starting", func(s *Status) { s.Services[0].State = "unknown" }},
		{"unreachable", func(s *Status) { s.Loaded, s.Source = false, "refused" }},
		{"unreachable", func(s *Status) { s.Forge = "refused" }},
		{"unreachable", func(s *Status) { s.Zones = []reconciler.ZoneView{{Error: "throttled"}} }},
		{"waits for a person", func(s *Status) { s.Pending, s.Problems = "abc", []schema.Problem{{}} }},
		{"held", func(s *Status) { s.Problems = []schema.Problem{{}} }},
		{"held", func(s *Status) { s.Frozen = true }},
		{"held", func(s *Status) { s.Refusals = []xds.Refusal{{}} }},
		{"held", func(s *Status) { s.Services[0].State = "held" }},
		{"held", func(s *Status) { s.Steps = step(reconciler.Clashes) }},
		{"changing", func(s *Status) { s.Steps = step(reconciler.Applying) }},
		{"changing", func(s *Status) { s.Services[0].State = "changing" }},
		{"changing", func(s *Status) { s.Validating = 1 }},
		{"changing", func(s *Status) { s.Proxies = []xds.Node{{Behind: 1}} }},
	} {
		s := Status{Leader: election.Standing{Leads: true}, View: reconciler.View{Loaded: true, Services: []reconciler.ServiceView{{State: "converged"}}}}
		c.edit(&s)
		if got := s.Verdict(); got != c.want {
			t.Errorf("got %q, want %q of %+v", got, c.want, s)
		}
		if s.Explanation() == "Everything is as declared." && c.want != "converged" {
			t.Errorf("%s is not explained", c.want)
		}
	}
}

func TestRough(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0 s", 40 * time.Millisecond: "40 ms", 12 * time.Second: "12 s",
		5 * time.Minute: "5 min", 3 * time.Hour: "3 h", 72 * time.Hour: "3 days"} {
		if got := rough(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
