package web

import (
	"slices"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/aws/budget"
	"github.com/edgewright/edgewright/reconciler/election"
	"github.com/edgewright/edgewright/reconciler/xds"
)

// Status is everything that the daemon says of itself.
type Status struct {
	reconciler.View
	Proxies  []xds.Node        `json:"proxies"`
	Refusals []xds.Refusal     `json:"refusals"`
	Turned   []xds.TurnedAway  `json:"turned_away,omitempty"` // proxies that may not connect, the newest first
	Version  string            `json:"version"`
	Leader   election.Standing `json:"leader"`
	Budgets  []budget.Account  `json:"budgets,omitempty"`

	Evaluated  int `json:"evaluated"` // of those being evaluated now
	Evaluating int `json:"evaluating"`

	Unvalidated string `json:"unvalidated,omitempty"` // why Envoy is not asked before services are published; empty: it is
}

func (s *server) status() Status {
	status := Status{View: *s.Loop.View(), Proxies: s.Proxies.Nodes(), Refusals: s.Proxies.Refusals(), Turned: s.Proxies.TurnedAway(), Version: s.Version,
		Unvalidated: s.Config.Unvalidated, Leader: s.Leader()}
	if s.Config.Budgets != nil {
		status.Budgets = s.Config.Budgets()
	}
	if s.Evaluating != nil {
		status.Evaluated, status.Evaluating = s.Config.Evaluating()
	}
	return status
}

// Verdict says in a word how things are, the most urgent first.
func (s Status) Verdict() string {
	switch {
	case !s.Leader.Leads:
		return "waiting"
	case !s.Loaded && s.Source == "" && !s.Frozen:
		return "starting"
	case s.unreachable():
		return "unreachable"
	case s.Pending != "":
		return "waits for a person"
	case s.held():
		return "held"
	case s.serviceIs("unknown"):
		return "starting"
	case len(s.Steps) > 0 || s.Validating > 0 || s.serviceIs("changing") || s.behind():
		return "changing"
	}
	return "converged"
}

// Explanation is the verdict in a sentence.
func (s Status) Explanation() string {
	switch s.Verdict() {
	case "waiting":
		return "Not this process: " + whoLeads(s.Leader) + "."
	case "starting":
		return "Not everything was looked at yet; proxies are served what they were served before."
	case "unreachable":
		return "Something does not answer; what was good last is served on."
	case "waits for a person":
		return s.whyWaits()
	case "held":
		return s.whyHeld()
	case "changing":
		return "Changes are on their way."
	}
	return "Everything is as declared."
}

func (s Status) whyWaits() string {
	if len(s.Vetoes) > 0 {
		return "A guard stopped steps that take much away at once, or something protected; they wait until somebody confirms the count."
	}
	return "Steps that take traffic away, and that nobody was shown, wait until somebody agrees."
}

func (s Status) whyHeld() string {
	switch {
	case s.Frozen:
		return "A problem of the platform holds everything where it is."
	case len(s.Problems) == 0 && len(s.Refusals) > 0:
		return "An Envoy refused what a service declares; its last good version is served on."
	case len(s.Problems) == 0 && !s.serviceIs("held"):
		return "Something that is not ours is in the way."
	}
	return "Some services stay at their last good declaration until somebody mends the new one."
}

// unreachable tells whether something that the daemon needs does not answer.
func (s Status) unreachable() bool {
	return s.Source != "" || s.Forge != "" || slices.ContainsFunc(s.Zones, func(z reconciler.ZoneView) bool { return z.Error != "" })
}

// held tells whether something does not go on until somebody changes something.
func (s Status) held() bool {
	clashes := func(step reconciler.StepView) bool { return step.State == reconciler.Clashes }
	return s.Frozen || len(s.Problems)+len(s.Refusals) > 0 || s.serviceIs("held") || slices.ContainsFunc(s.Steps, clashes)
}

func (s Status) serviceIs(state string) bool {
	return slices.ContainsFunc(s.Services, func(one reconciler.ServiceView) bool { return one.State == state })
}

func (s Status) behind() bool {
	return slices.ContainsFunc(s.Proxies, func(n xds.Node) bool { return n.Behind > 0 })
}
