package web

import (
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/xds"
)

// Status is everything that the daemon says of itself.
type Status struct {
	reconciler.View
	Proxies  []xds.Node    `json:"proxies"`
	Refusals []xds.Refusal `json:"refusals"`
	Version  string        `json:"version"`
}

func (s *server) status() Status {
	return Status{View: *s.Loop.View(), Proxies: s.Proxies.Nodes(), Refusals: s.Proxies.Refusals(), Version: s.Version}
}

// Verdict says in a word how things are, the most urgent first.
func (s Status) Verdict() string {
	switch {
	case !s.Loaded && s.Source == "":
		return "starting"
	case s.Unreachable():
		return "unreachable"
	case s.Frozen:
		return "frozen"
	case s.Pending != "":
		return "waits for a person"
	case len(s.Problems) > 0:
		return "held"
	case len(s.Refusals) > 0:
		return "refused by Envoy"
	case len(s.Steps) > 0:
		return "changing"
	}
	return "converged"
}

// Unreachable tells whether something that the daemon needs does not answer.
func (s Status) Unreachable() bool {
	for _, z := range s.Zones {
		if z.Error != "" {
			return true
		}
	}
	return s.Source != "" || s.Forge != ""
}

// Explanation is the verdict in a sentence.
func (s Status) Explanation() string {
	switch s.Verdict() {
	case "starting":
		return "No commit was evaluated yet; proxies are served what they were served before."
	case "unreachable":
		return "Something does not answer; what was good last is served on."
	case "frozen":
		return "A problem in platform/ holds everything where it is."
	case "waits for a person":
		return "Steps that take traffic away, and that nobody was shown, wait until somebody agrees."
	case "held":
		return "Some services stay at their last good declaration."
	case "refused by Envoy":
		return "An Envoy refused what a service declares; its last version is served on."
	case "changing":
		return "Changes are on their way."
	}
	return "Everything is as declared."
}
