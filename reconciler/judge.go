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
	l.status = make(map[resource.Key]Status, len(l.steps))
	steps := l.sortedSteps()
	vetoed := l.guard(steps)
	refused := l.refusals(steps)
	for _, s := range steps {
		l.status[s.Key] = l.judgeStep(s, now, vetoed, refused)
	}
	l.keepNamesTogether(steps)
	l.keepSwapsTogether(steps)
}

func (l *loop) judgeStep(s plan.Step, now time.Time, vetoed map[string]plan.Veto, refused map[resource.Key]plan.Clash) Status {
	id := s.ID()
	if f, is := l.frozenBy(s, l.edge, now); is {
		return Status{Frozen, f.message()}
	}
	mode := l.modeOf(s)
	if mode == schema.Pause {
		return Status{Paused, fmt.Sprintf("drift is \"pause\" for %s: nothing of it is changed", owner(s))}
	}
	if v, ok := vetoed[id]; ok {
		return Status{Vetoed, v.Message + "; " + v.Unblock}
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
		return Status{Approval, fmt.Sprintf("nobody has agreed to this, and drift is \"report\" for %s", owner(s))}
	}
	if f, ok := l.failures[s.ID()]; ok && now.Before(f.retry) {
		l.alarm("retry", f.retry)
		return Status{Failing, f.why}
	}
	if why := l.waitsFor(s); why != "" {
		return Status{Waits, why}
	}
	return Status{State: Ready}
}

// guard asks the guards about the steps that nobody confirmed by count.
func (l *loop) guard(steps []plan.Step) map[string]plan.Veto {
	open := slices.DeleteFunc(slices.Clone(steps), func(s plan.Step) bool { return l.approvals[s.ID()].Confirmed })
	l.vetoes = plan.Guard(open, l.known(l.edge), l.Limits)
	vetoed := map[string]plan.Veto{}
	for _, v := range l.vetoes {
		for _, id := range v.Steps {
			vetoed[id] = v
		}
	}
	return vetoed
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

// modeOf says what becomes of drift in what a step is about.
func (l *loop) modeOf(s plan.Step) schema.DriftMode {
	if service, declared := l.edge.Service(s.Service); declared && service.Drift != "" {
		return service.Drift
	}
	return l.edge.Platform.Defaults.All.Drift
}

// owner names whose a step is.
func owner(s plan.Step) string {
	if s.Service == "" {
		return "the platform"
	}
	return "service " + string(s.Service)
}
