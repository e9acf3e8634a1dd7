package forge

import (
	"bytes"
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// State is how far a change is. The zero State is a plan that was made.
type State string

const (
	Planned    State = ""
	Refused    State = "refused" // Problems, Clashes or Note say why
	Vetoed     State = "vetoed"  // a guard
	Unknown    State = "unknown" // part of it could not be compared with what is
	Waiting    State = "waiting" // merged, and some steps need apply
	Applying   State = "applying"
	Applied    State = "applied"
	Superseded State = "superseded"
	Closed     State = "closed"
)

// Review is everything that people are told about a change.
type Review struct {
	State    State // Planned becomes Refused, Vetoed or Unknown by itself where the fields below say so
	Head     string
	Base     string
	Tree     string
	Digest   string // of the plan; of what waits, when Waiting
	Commit   string // of the branch, once merged
	Steps    []Step
	Problems []schema.Problem
	Warnings []schema.Problem // they hold nobody
	Vetoes   []plan.Veto
	Clashes  []plan.Clash
	Unknown  []resource.Key
	Held     []Held
	Frozen   bool                         // a problem holds everything
	Drift    []Drift                      // what somebody else changed and this would overwrite, beside the steps that say so
	Observed map[resource.Scope]time.Time // when each scope was looked at
	Note     string                       // one sentence more: a merge conflict, a fork that is not planned

	CommitToServed time.Duration // from the commit until every proxy had it; 0: not yet
	StatusURL      string        // of the page with all of it
}

// Step is a step of the plan and, once merged, how far it is.
type Step struct {
	plan.Step
	Status StepStatus
	Why    string // what it waits for, why it failed
}

// StepStatus is how far a step is. The zero status is not begun.
type StepStatus string

const (
	Pending      StepStatus = ""
	StepApplying StepStatus = "applying"
	StepDone     StepStatus = "done"
	StepWaits    StepStatus = "waits"
	StepApproval StepStatus = "needs apply"
	StepFailed   StepStatus = "failed"
	StepDropped  StepStatus = "dropped" // nobody asks for it any more
)

// Held is a service that stays at its last good declaration.
type Held struct {
	Service schema.ServiceID
	Why     string
}

// Drift is what somebody else changed.
type Drift struct {
	Key    resource.Key
	Fields []plan.FieldChange // from what was applied to what was found
}

// Verdict is the state that the fields come to.
func (r Review) Verdict() State {
	switch {
	case r.State != Planned:
		return r.State
	case len(r.Problems)+len(r.Clashes) > 0:
		return Refused
	case len(r.Vetoes) > 0:
		return Vetoed
	case len(r.Unknown) > 0:
		return Unknown
	}
	return Planned
}

// StepsOf makes steps without a status of a plan's.
func StepsOf(steps []plan.Step) []Step {
	out := make([]Step, len(steps))
	for i, s := range steps {
		out[i].Step = s
	}
	return out
}

// riskiest are the steps in the order in which a reviewer has to look at them.
func (r Review) riskiest() []Step {
	out := make([]Step, len(r.Steps))
	for n, i := range r.riskiestFirst() {
		out[n] = r.Steps[i]
	}
	return out
}

// riskiestFirst is the same by place.
func (r Review) riskiestFirst() []int {
	order, risks := make([]int, len(r.Steps)), make([]int, len(r.Steps))
	for i, s := range r.Steps {
		order[i], risks[i] = i, risk(s)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(risks[a], risks[b]), r.Steps[a].Key.Compare(r.Steps[b].Key))
	})
	return order
}

// takes is the risk up to which a step takes something away from somebody.
const takes = 1

func risk(s Step) int {
	switch {
	case s.Verb == plan.Delete:
		return 0
	case s.Verb == plan.Adopt && !bytes.Equal(s.Before, s.After):
		return takes
	case plan.TakesTraffic(s.Step):
		return takes
	case s.Drift:
		return 2
	case s.Verb == plan.Update:
		return 3
	}
	return 4
}

func (r Review) count(is func(Step) bool) int {
	n := 0
	for _, s := range r.Steps {
		if is(s) {
			n++
		}
	}
	return n
}

func verb(v plan.Verb) func(Step) bool       { return func(s Step) bool { return s.Verb == v } }
func status(is StepStatus) func(Step) bool   { return func(s Step) bool { return s.Status == is } }
func ofKind(k resource.Kind, s Step) bool    { return s.Key.Kind == k }
func takesTrafficByUpdate(s Step) bool       { return s.Verb == plan.Update && plan.TakesTraffic(s.Step) }
func (r Review) merged() bool                { return r.Commit != "" }
func (r Review) has(is func(Step) bool) bool { return slices.ContainsFunc(r.Steps, is) }

// confirm is the count of deletions that has to be typed; 0: none.
func (r Review) confirm() int {
	n := 0
	for _, v := range r.Vetoes {
		n = max(n, v.Deletes)
	}
	return n
}

// apply is the command that lets what waits go on.
func (r Review) apply() string {
	command := "edgewright apply " + r.Digest
	if n := r.confirm(); n > 0 {
		command += fmt.Sprintf(" --confirm-deletes %d", n)
	}
	return command
}

// page is the status page, if its URL is one.
func (r Review) page() string {
	u, err := url.Parse(r.StatusURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsAny(r.StatusURL, "()<>[]`\"\\ \n\r\t@") {
		return ""
	}
	return u.String()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
