package reconciler

import (
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
)

// Steps that are ready wait a moment for others of their zone that proxies are about to acknowledge, so that all go out in one call: as long
// as more become ready within gatherTime, and no longer than gatherMost. Proxies take moments, a call is spread in a minute, and AWS takes
// few of them.
const (
	gatherTime = time.Second
	gatherMost = 5 * time.Second
)

// gathering is what a zone's next call waits for.
type gathering struct {
	since time.Time // steps are ready,
	ready int       // as many as were at most,
	grew  time.Time // since then
}

// gathers tells whether a call for a zone is to wait a moment longer.
func (l *loop) gathers(scope resource.Scope, ready []plan.Step, now time.Time) bool {
	z := l.zones[scope]
	if !l.comeSoon(scope) || len(l.Provider.Pack(ready)) > 1 {
		z.gather = gathering{}
		return false
	}
	if z.gather.since.IsZero() {
		z.gather.since = now
	}
	if len(ready) > z.gather.ready {
		z.gather.ready, z.gather.grew = len(ready), now
	}
	until := z.gather.grew.Add(gatherTime)
	if most := z.gather.since.Add(gatherMost); most.Before(until) {
		until = most
	}
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
