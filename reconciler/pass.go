package reconciler

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
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
	l.forgetDecisions(ctx)
	l.compare()
	l.judge(now)
	if err := l.publish(ctx, now); err != nil {
		return err
	}
	l.rememberGood(ctx)
	if err := l.expire(ctx, now); err != nil {
		return err
	}
	if err := l.adoptAsFound(ctx, now); err != nil {
		return err
	}
	if err := l.startCalls(ctx, now); err != nil {
		return err
	}
	if l.stale { // else it is as it was
		l.rehome()
	}
	l.observeDue(ctx, now)
	l.askSettled(ctx, now)
	l.askShown(ctx, now)
	l.tell(now)
	l.keepVerdicts(ctx, now)
	l.validateDue(ctx)
	return nil
}

// sweep makes everything dirty and counts what the incremental passes had missed.
func (l *loop) sweep(now time.Time) {
	l.forgetGone(now)
	l.forgetFailures()
	l.compare()
	before := maps.Clone(l.steps)
	for key := range l.desired {
		l.dirty[key] = true
	}
	for key := range l.owned {
		l.dirty[key], l.homes[key] = true, struct{}{}
	}
	for _, f := range l.releases {
		for key := range f.release.Snapshot(now).Resources {
			l.dirty[key] = true
		}
	}
	l.compare()
	if missed := differing(before, l.steps); !l.swept.IsZero() && len(missed) > 0 {
		l.Metrics.Missed.Add(float64(len(missed)))
		l.Log.Error("sweep found what incremental passes had missed", "keys", missed)
	}
	l.swept = now
}

// differing are the keys for which there are not the same steps, in order.
func differing(a, b map[resource.Key]plan.Step) []resource.Key {
	var keys []resource.Key
	for key, s := range a {
		if other, there := b[key]; !there || s.ID() != other.ID() {
			keys = append(keys, key)
		}
	}
	for key := range b {
		if _, there := a[key]; !there {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, resource.Key.Compare)
	return keys
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
	in := plan.Input{Desired: desired, Observed: map[resource.Scope]plan.Snapshot{}, Owned: map[resource.Key]plan.Owned{},
		Adopt: map[resource.Key]bool{}, Kept: map[resource.Key]plan.Kept{}}
	for _, f := range l.releases {
		in.Observed[f.release.Scope()] = f.snapshot
	}
	for _, key := range keys {
		if spec, there := in.Observed[key.Scope].Resources[key]; there && key.Kind.OfProxies() { // a release is ours entirely
			in.Owned[key] = plan.Owned{Spec: spec, Service: serviceOf(key)}
		}
		if e, ok := l.owned[key]; ok && e.Spec != nil {
			in.Owned[key] = plan.Owned{Spec: e.Spec, Service: e.Service}
		}
		switch d := l.decisions[key]; {
		case d.Adopt:
			in.Adopt[key] = true
		case d.Kept != nil:
			in.Kept[key] = *d.Kept
		}
		if _, done := in.Observed[key.Scope]; done {
			continue
		}
		if z := l.zones[key.Scope]; z != nil && z.snapshot != nil {
			in.Observed[key.Scope] = *z.snapshot
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
