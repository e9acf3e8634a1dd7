package reconciler

import (
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
)

// gatherTime is how long steps that are ready may wait for others of their zone that proxies are about to acknowledge, so that all go out
// in one call: proxies take moments, a call is spread in a minute, and AWS takes few of them.
const gatherTime = 500 * time.Millisecond

// gathers tells whether a call for a zone is to wait a moment longer.
func (l *loop) gathers(scope resource.Scope, ready []plan.Step, now time.Time) bool {
	z := l.zones[scope]
	if !l.comeSoon(scope) || len(l.Provider.Pack(ready)) > 1 {
		z.gather = time.Time{}
		return false
	}
	if z.gather.IsZero() {
		z.gather = now
	}
	until := z.gather.Add(gatherTime)
	if now.Before(until) {
		l.alarm("gather", until)
		return true
	}
	return false
}

// comeSoon tells whether a step of a zone waits for nothing but proxies that are connected.
func (l *loop) comeSoon(scope resource.Scope) bool {
	for key, s := range l.steps {
		if key.Scope != scope || l.status[key].State != Waits {
			continue
		}
		if slices.ContainsFunc(s.Needs, func(need resource.Key) bool {
			return need.Kind == resource.EnvoyService && l.connected(fleetOf(need.Scope))
		}) {
			return true
		}
	}
	return false
}
