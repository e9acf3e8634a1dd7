package reconciler

import (
	"fmt"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// judge gives every step its status.
func (l *loop) judge(now time.Time) {
	l.status, l.unseenSteps = make(map[resource.Key]Status, len(l.steps)), nil
	steps := l.sortedSteps()
	l.coming = comingOf(steps)
	vetoed := l.guard(steps)
	refused := l.refusals(steps)
	for _, s := range steps {
		l.status[s.Key] = l.judgeStep(s, now, vetoed, refused)
	}
	l.countVetoes(steps)
	l.keepNamesTogether(steps)
	l.keepWithinQuota(steps)
	l.keepSwapsTogether(steps)
}

func (l *loop) judgeStep(s plan.Step, now time.Time, vetoed map[string]plan.Veto, refused map[resource.Key]plan.Clash) Status {
	id := s.ID()
	if f, is := l.frozenBy(s, l.edge, now); is {
		return Status{Frozen, f.message()}
	}
	mode, whose := l.modeOf(s)
	if mode == schema.Pause {
		return Status{Paused, fmt.Sprintf("drift is \"pause\" for %s: nothing of it is changed", whose)}
	}
	if v, ok := vetoed[id]; ok {
		return Status{Vetoed, v.Message}
	}
	if c, ok := refused[s.Key]; ok {
		if rival, is := l.flyingAt(placeOf(s.Key)); is && s.Key.Kind == resource.DNSRecord { // what seems to be in its way may be ours by then, or be gone
			return Status{Waits, rival.Name + " is being changed, and has the same name"}
		}
		return Status{Clashes, c.String()}
	}
	_, agreed := l.approvals[id]
	switch {
	case agreed:
	case s.Verb == plan.Adopt:
		return Status{Approval, "nobody was shown this, and it takes over what somebody else made"}
	case plan.TakesTraffic(s):
		return Status{Approval, "nobody was shown this, and it takes traffic away"}
	case mode == schema.Report && !s.Key.Kind.OfProxies():
		return Status{Approval, fmt.Sprintf("nobody has agreed to this, and drift is \"report\" for %s", whose)}
	}
	if f, ok := l.failures[s.ID()]; ok && now.Before(f.retry) {
		l.alarm("retry", f.retry)
		return Status{Failing, f.why}
	}
	if unjudged, is := l.unjudged(s); is {
		return unjudged
	}
	if why := l.waitsFor(s); why != "" {
		return Status{Waits, why}
	}
	return Status{State: Ready}
}

// guard asks the guards about the steps that nobody confirmed by count.
func (l *loop) guard(steps []plan.Step) map[string]plan.Veto {
	open := slices.DeleteFunc(slices.Clone(steps), func(s plan.Step) bool { return l.approvals[s.ID()].Confirmed })
	l.vetoes = plan.Guard(open, l.known(l.edge))
	vetoed := map[string]plan.Veto{}
	for _, v := range l.vetoes {
		for _, id := range v.Steps {
			vetoed[id] = v
		}
	}
	return vetoed
}

// countVetoes makes the vetoes be about what waits for a person: what is frozen, say, cannot be agreed to now, and is not counted.
func (l *loop) countVetoes(steps []plan.Step) {
	if len(l.vetoes) == 0 {
		return
	}
	l.vetoes = plan.Narrow(l.vetoes, slices.DeleteFunc(slices.Clone(steps), func(s plan.Step) bool {
		return l.status[s.Key].State != Vetoed
	}))
	why := map[string]string{}
	for _, v := range l.vetoes {
		for _, id := range v.Steps {
			why[id] = v.Message + "; " + v.Unblock
		}
	}
	for _, s := range steps {
		if l.status[s.Key].State == Vetoed {
			l.status[s.Key] = Status{Vetoed, why[s.ID()]}
		}
	}
}

// known is what guards know of an edge.
func (l *loop) known(edge schema.Edge) plan.Known {
	account := l.accountNames()
	return plan.Known{Edge: edge, Account: account, Existing: func() plan.Existing { return l.existing(account) }}
}

// existing counts what is ours now.
func (l *loop) existing(account func(resource.Scope) string) plan.Existing {
	n := plan.Existing{}
	for key, e := range l.owned {
		if e.Spec != nil {
			n.Add(key, e.Service, account(key.Scope))
		}
	}
	for _, f := range l.releases {
		for key := range f.snapshot.Resources {
			n.Add(key, serviceOf(key), "")
		}
	}
	return n
}

// accountNames tells people the account that a scope is in; proxies are in none. What was found out is remembered.
func (l *loop) accountNames() func(resource.Scope) string {
	names := map[resource.Scope]string{}
	return func(scope resource.Scope) string {
		if name, known := names[scope]; known {
			return name
		}
		id, is := scope.HealthChecks()
		if _, zone := scope.Zone(); zone {
			id, is = l.accountOf(scope), true
		}
		switch {
		case is && id == "":
			names[scope] = "the daemon's own account"
		case is:
			names[scope] = "account " + string(id)
		default:
			names[scope] = ""
		}
		return names[scope]
	}
}

// refusals are the steps of each scope that AWS would refuse.
func (l *loop) refusals(steps []plan.Step) map[resource.Key]plan.Clash {
	byZone := map[resource.Scope][]plan.Step{}
	for _, s := range steps {
		if !s.Key.Kind.OfProxies() {
			byZone[s.Key.Scope] = append(byZone[s.Key.Scope], s)
		}
	}
	refused := map[resource.Key]plan.Clash{}
	for _, scope := range sortedKeys(byZone) {
		z := l.zones[scope]
		if z == nil || z.snapshot == nil {
			continue
		}
		for _, c := range l.Provider.Refuse(*z.snapshot, byZone[scope]) {
			refused[c.Key] = c
		}
	}
	return refused
}

// keepWithinQuota makes new records wait for room that deletions will make which cannot go yet: all that was planned fits, but AWS would
// refuse the new ones alone.
func (l *loop) keepWithinQuota(steps []plan.Step) {
	ready, more := map[resource.Scope][]plan.Step{}, map[resource.Scope]int{}
	for _, s := range steps {
		if s.Key.Kind.OfProxies() || l.status[s.Key].State != Ready {
			continue
		}
		ready[s.Key.Scope] = append(ready[s.Key.Scope], s)
		if s.Verb == plan.Create {
			more[s.Key.Scope]++
		}
	}
	for _, scope := range sortedKeys(more) {
		z := l.zones[scope]
		if z == nil || z.snapshot == nil || len(z.snapshot.Resources)+more[scope] <= l.mostOf(scope) {
			continue
		}
		for _, c := range l.Provider.Refuse(*z.snapshot, ready[scope]) {
			l.status[c.Key] = Status{Waits, c.Message + " before others have gone"}
		}
	}
}

// modeOf says what becomes of drift in what a step is about, and who says so: whose it is or, where that is stricter, whose it was.
func (l *loop) modeOf(s plan.Step) (mode schema.DriftMode, whose string) {
	mode, whose = l.modeFor(s.Service), owner(s.Service)
	was := l.owned[s.Key].Service
	if _, declared := l.edge.Service(was); !declared || mode == schema.Pause {
		return mode, whose
	}
	if other := l.modeFor(was); other == schema.Pause || other == schema.Report {
		return other, owner(was)
	}
	return mode, whose
}

// modeFor is what a service says, or the platform.
func (l *loop) modeFor(id schema.ServiceID) schema.DriftMode {
	if service, declared := l.edge.Service(id); declared && service.Drift != "" {
		return service.Drift
	}
	return l.edge.Platform.Defaults.All.Drift
}

// owner names whose something is.
func owner(id schema.ServiceID) string {
	if id == "" {
		return "the platform"
	}
	return "service " + string(id)
}
