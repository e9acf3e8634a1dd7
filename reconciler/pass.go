package reconciler

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// pass does all that can be done now: compare what is dirty, judge each step, publish what proxies may have, start the calls that
// are ready, end what lingered long enough. It never waits.
func (l *loop) pass(ctx context.Context) error {
	now := l.Now()
	l.alarms = map[string]time.Time{}
	if now.Sub(l.swept) >= l.Every.Sweep {
		l.sweep(now)
	}
	l.compare()
	l.judge(now)
	if err := l.publish(ctx, now); err != nil {
		return err
	}
	l.rememberGood(ctx)
	if err := l.expire(ctx, now); err != nil {
		return err
	}
	if err := l.startCalls(ctx, now); err != nil {
		return err
	}
	l.rehome()
	l.observeDue(ctx, now)
	l.askSettled(ctx, now)
	l.askShown(ctx, now)
	l.tell(now)
	return nil
}

// sweep makes everything dirty and counts what the incremental passes had missed.
func (l *loop) sweep(now time.Time) {
	l.forgetGone(now)
	l.forgetFailures()
	l.compare()
	before := len(l.steps)
	for key := range l.desired {
		l.dirty[key] = true
	}
	for key := range l.owned {
		l.dirty[key] = true
	}
	for _, f := range l.releases {
		for key := range f.release.Snapshot(now).Resources {
			l.dirty[key] = true
		}
	}
	l.compare()
	if !l.swept.IsZero() && len(l.steps) != before {
		l.Metrics.Missed.Add(float64(len(l.steps) - before))
		l.Log.Error("sweep found what incremental passes had missed", "before", before, "after", len(l.steps))
	}
	l.swept = now
}

// forgetFailures drops what is known of steps that are asked for no more.
func (l *loop) forgetFailures() {
	pending := map[string]bool{}
	for _, s := range l.steps {
		pending[s.ID()] = true
	}
	maps.DeleteFunc(l.failures, func(id string, _ failure) bool { return !pending[id] })
}

// compare brings steps, clashes and unknowns up to date for the dirty keys. What is in flight is left alone until it has landed.
func (l *loop) compare() {
	if len(l.dirty) == 0 || l.desired == nil || !l.loaded {
		return
	}
	var keys []resource.Key
	for key := range l.dirty {
		if !l.inFlight(key) {
			keys = append(keys, key)
			delete(l.dirty, key)
		}
	}
	slices.SortFunc(keys, resource.Key.Compare)
	d := plan.Diff(l.input(l.desired, keys), keys)
	for _, key := range keys {
		delete(l.steps, key)
		delete(l.clashes, key)
		delete(l.unknown, key)
	}
	for _, s := range d.Steps {
		l.steps[s.Key] = s
		if _, known := l.shown[s.Key]; !known && !l.isDrift(s) {
			l.shown[s.Key] = s // its zone was listed only now
		}
	}
	for _, c := range d.Clashes {
		l.clashes[c.Key] = c
	}
	for _, key := range d.Unknown {
		l.unknown[key] = true
	}
	l.forget(slices.DeleteFunc(d.Lost, func(key resource.Key) bool {
		z, e := l.zones[key.Scope], l.owned[key]
		early := z != nil && z.snapshot != nil && z.snapshot.Taken.Sub(e.Applied) < staleness
		l.dirty[key] = l.dirty[key] || early
		if !l.dirty[key] {
			delete(l.dirty, key)
		}
		return early
	}))
	l.noteDrift(keys)
}

// input is what a diff of these keys looks at.
func (l *loop) input(desired resource.Set, keys []resource.Key) plan.Input {
	in := plan.Input{Desired: desired, Observed: map[resource.Scope]plan.Snapshot{}, Owned: map[resource.Key]plan.Owned{}}
	for _, key := range keys {
		if e, ok := l.owned[key]; ok && e.Spec != nil {
			in.Owned[key] = plan.Owned{Spec: e.Spec, Service: e.Service}
		}
		if _, done := in.Observed[key.Scope]; done {
			continue
		}
		if z := l.zones[key.Scope]; z != nil && z.snapshot != nil {
			in.Observed[key.Scope] = *z.snapshot
		}
	}
	for _, f := range l.releases {
		in.Observed[f.release.Scope()] = f.snapshot
		for key, spec := range f.snapshot.Resources { // a release is ours entirely
			in.Owned[key] = plan.Owned{Spec: spec, Service: serviceOf(key)}
		}
	}
	return in
}

func serviceOf(key resource.Key) schema.ServiceID {
	if key.Kind == resource.EnvoyService {
		return schema.ServiceID(key.Name)
	}
	return ""
}

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
}

func (l *loop) judgeStep(s plan.Step, now time.Time, vetoed map[string]plan.Veto, refused map[resource.Key]plan.Clash) Status {
	id := s.ID()
	if v, ok := vetoed[id]; ok {
		return Status{Vetoed, v.Message + "; " + v.Unblock}
	}
	if c, ok := refused[s.Key]; ok {
		return Status{Clashes, c.String()}
	}
	if _, agreed := l.approvals[id]; !agreed && plan.TakesTraffic(s) {
		return Status{Approval, "nobody was shown this, and it takes traffic away"}
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
	l.vetoes = plan.Guard(open, l.existing, len(l.edge.Services), l.Limits)
	vetoed := map[string]plan.Veto{}
	for _, v := range l.vetoes {
		for _, id := range v.Steps {
			vetoed[id] = v
		}
	}
	return vetoed
}

// existing counts what is ours now.
func (l *loop) existing() plan.Existing {
	n := plan.Existing{}
	for key, e := range l.owned {
		if e.Spec != nil {
			n.Add(key, e.Service)
		}
	}
	for _, f := range l.releases {
		for key := range f.snapshot.Resources {
			n.Add(key, serviceOf(key))
		}
	}
	return n
}

// refusals are the steps of each zone that AWS would refuse.
func (l *loop) refusals(steps []plan.Step) map[resource.Key]plan.Clash {
	byZone := map[resource.Scope][]plan.Step{}
	for _, s := range steps {
		if s.Key.Kind == resource.DNSRecord {
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

// waitsFor says what a step needs that is not there yet. A service is deleted at once: what it lets go lingers. A record is deleted
// once what takes its place is there, and a listener goes when nobody is answered there any more.
func (l *loop) waitsFor(s plan.Step) string {
	switch {
	case s.Key.Kind == resource.EnvoyFleet && plan.TakesTraffic(s):
		return l.stillExposed(s)
	case s.Verb == plan.Delete && s.Key.Kind == resource.DNSRecord:
		return l.notReplaced(s)
	case s.Verb == plan.Delete:
		return ""
	}
	var why []string
	for _, need := range s.Needs {
		if missing := l.missing(s, need); missing != "" {
			why = append(why, missing)
		}
	}
	return strings.Join(why, "; ")
}

// stillExposed names a service that is answered, or lingers, at a listener that a step takes away.
func (l *loop) stillExposed(s plan.Step) string {
	f := l.releases[fleetOf(s.Key.Scope)]
	if f == nil {
		return ""
	}
	left := fleetSpec(s.After).Listeners
	for _, listener := range fleetSpec(s.Before).Listeners {
		if slices.ContainsFunc(left, func(o schema.Listener) bool { return o.Exposure == listener.Exposure }) {
			continue
		}
		for _, id := range sortedKeys(f.release.Services) {
			if f.release.Services[id].Exposed(listener.Exposure) {
				return fmt.Sprintf("%s may still be asked for at the %s listener", id, listener.Exposure)
			}
		}
	}
	return ""
}

// notReplaced names a desired record of the same host that is not there yet.
func (l *loop) notReplaced(s plan.Step) string {
	for _, host := range s.Hosts() {
		for _, scope := range sortedKeys(l.zones) {
			for _, kind := range addressTypes {
				key := recordKey(scope, kind, host)
				if _, desired := l.desired[key]; !desired {
					continue
				}
				if z := l.zones[scope]; z.snapshot == nil || z.snapshot.Resources[key] == nil {
					return fmt.Sprintf("%s in %s takes its place, and is not there yet", key.Name, scope)
				}
			}
		}
	}
	return ""
}

// missing says why a need is not met: a name may point at a fleet only once every connected proxy of it answers for the name
// (design, invariant 5).
func (l *loop) missing(s plan.Step, need resource.Key) string {
	if need.Kind != resource.EnvoyService {
		z := l.zones[need.Scope]
		if z == nil || z.snapshot == nil || z.snapshot.Resources[need] == nil {
			return fmt.Sprintf("%s is not there yet", need.Name)
		}
		return ""
	}
	f := l.releases[fleetOf(need.Scope)]
	id := schema.ServiceID(need.Name)
	if f == nil {
		return fmt.Sprintf("%s is not served yet", need.Name)
	}
	entry, released := f.release.Services[id]
	for _, host := range s.Hosts() {
		if !released || !slices.Contains(entry.Hosts(), host) {
			return fmt.Sprintf("%s is not served by %s yet", host, need.Scope)
		}
	}
	version, ok := l.Proxies.Acknowledged(f.release.Fleet, id)
	switch {
	case !ok && !l.connected(f.release.Fleet):
		return fmt.Sprintf("no proxy of %s is connected", need.Scope)
	case !ok || version != entry.Version():
		return fmt.Sprintf("not every proxy of %s has acknowledged %s", need.Scope, id)
	}
	return ""
}

func (l *loop) connected(id schema.FleetID) bool {
	return slices.ContainsFunc(l.Proxies.Nodes(), func(n xds.Node) bool { return n.Fleet == id })
}

// keepNamesTogether makes the services between which a name moves wait for each other: nobody takes a name that its holder may
// not let go yet.
func (l *loop) keepNamesTogether(steps []plan.Step) {
	for again := true; again; {
		again = false
		for _, s := range steps {
			if s.Key.Kind != resource.EnvoyService || l.status[s.Key].State != Ready {
				continue
			}
			if why := l.nameTaken(s); why != "" {
				l.status[s.Key] = Status{Waits, why}
				again = true
			}
		}
	}
}

// nameTaken says which name of a step another service of the fleet still holds, or is to take but cannot yet.
func (l *loop) nameTaken(s plan.Step) string {
	f := l.releases[fleetOf(s.Key.Scope)]
	if f == nil || s.Verb == plan.Delete {
		return ""
	}
	for _, host := range s.Hosts() {
		holder, is := f.release.Holder(host, schema.ServiceID(s.Key.Name))
		if !is {
			continue
		}
		key := f.release.Key(holder)
		if other, moves := l.steps[key]; moves && l.status[key].State == Ready && !keeps(other, host) {
			continue
		}
		return fmt.Sprintf("%s still holds %s", holder, host)
	}
	return ""
}

// keeps tells whether a service holds a name after a step.
func keeps(s plan.Step, host schema.Hostname) bool {
	after := s
	after.Before = nil
	return slices.Contains(after.Hosts(), host)
}

func fleetOf(scope resource.Scope) schema.FleetID {
	return schema.FleetID(strings.TrimPrefix(string(scope), "fleet/"))
}

// noteDrift remembers what somebody else changed, once, until it is healed.
func (l *loop) noteDrift(keys []resource.Key) {
	for _, key := range keys {
		i := slices.IndexFunc(l.drifts, func(d Drift) bool { return d.Key == key && d.Healed.IsZero() })
		s, differs := l.steps[key]
		drifted := differs && l.isDrift(s)
		switch {
		case drifted && i < 0:
			l.drifts = append(l.drifts, Drift{Key: key, Service: s.Service, Fields: plan.Fields(s.After, s.Before), Found: l.Now()})
			l.Metrics.Drift.Inc()
			l.Log.Warn("drift found", "key", key, "service", s.Service)
		case !differs && i >= 0:
			l.drifts[i].Healed = l.Now()
		}
	}
	if extra := len(l.drifts) - 100; extra > 0 {
		l.drifts = slices.Delete(l.drifts, 0, extra)
	}
}

// isDrift tells whether a step only puts back what we had applied: also when it is gone altogether.
func (l *loop) isDrift(s plan.Step) bool {
	owned, ours := l.owned[s.Key]
	return s.Drift || s.Verb == plan.Create && ours && bytes.Equal(owned.Spec, s.After)
}
