package reconciler

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/release"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// publish writes the ready steps of each fleet into its release and serves it. The one write of the release is the journal of it.
func (l *loop) publish(ctx context.Context, now time.Time) error {
	ready := map[schema.FleetID][]plan.Step{}
	for _, s := range l.sortedSteps() {
		if s.Key.Kind.OfProxies() && l.status[s.Key].State == Ready {
			id := fleetOf(s.Key.Scope)
			ready[id] = append(ready[id], s)
		}
	}
	for _, id := range sortedKeys(ready) {
		f := l.fleet(id)
		steps := ready[id]
		if err := l.replaceRelease(ctx, f, f.release.Apply(steps, l.tip.Hash, now).Grow(now), l.contents(steps), l.entries(steps, "served", now)...); err != nil {
			return err
		}
		l.count(ctx, steps, "served")
	}
	return nil
}

// fleet is the release of a fleet, made empty when it is the first time.
func (l *loop) fleet(id schema.FleetID) *fleet {
	f := l.releases[id]
	if f == nil {
		f = &fleet{release: release.Release{Fleet: id, Layout: l.firstLayout(id)}}
		f.snapshot = f.release.Snapshot(l.Now())
		l.releases[id] = f
	}
	return f
}

// firstLayout is chosen by what is declared for a fleet: its services come a moment later, and need not outgrow anything.
func (l *loop) firstLayout(id schema.FleetID) envoy.Layout {
	services, domains := 0, 0
	for _, s := range l.edge.Services {
		if s.Fleet == id {
			services++
			domains += len(s.Hosts)
		}
	}
	for held := range l.held { // some of them come too
		if _, counted := l.edge.Service(held); !counted {
			services++
		}
	}
	return envoy.Layout{Generation: 1, Buckets: envoy.Buckets(services, domains)}
}

// replaceRelease stores a fleet's new release with contents that it is the first to speak of, by compare-and-set, and publishes it.
func (l *loop) replaceRelease(ctx context.Context, f *fleet, next release.Release, contents []state.Op, told ...audit.Entry) error {
	var version int64
	err := l.Books.Audit.With(ctx, func(ctx context.Context, more ...state.Op) (err error) {
		version, err = l.Books.Releases.Put(ctx, next, f.stored, f.version, append(more, contents...)...)
		return err
	}, told...)
	if err != nil {
		return fmt.Errorf("store release of fleet %s: %w", next.Fleet, err)
	}
	changed := next.Differing(f.release)
	before := f.release
	f.release, f.stored, f.version = next, next, version
	l.noteRelease(f, before, changed)
	l.compare()
	l.stale = true
	return l.serve(ctx, f)
}

// noteRelease brings what is known of a fleet's release up to date, with the services in which it is not as before.
func (l *loop) noteRelease(f *fleet, before release.Release, changed []schema.ServiceID) {
	f.snapshot.Taken = l.Now()
	set := func(key resource.Key, value resource.Value) {
		if bytes.Equal(f.snapshot.Resources[key], value) {
			return
		}
		if l.dirty[key] = true; value == nil {
			delete(f.snapshot.Resources, key)
		} else {
			f.snapshot.Resources[key] = value
		}
	}
	set(f.release.FleetKey(), f.release.Spec)
	for _, id := range changed {
		was, now := before.Services[id], f.release.Services[id]
		if f.holders != nil {
			f.holders.Move(id, was.Hosts(), now.Hosts())
		}
		if now.Removed {
			now.Spec = nil
		}
		set(f.release.Key(id), now.Spec)
	}
}

// serve hands a fleet's release to the proxies. Only what differs from the one that they were handed before is made anew.
func (l *loop) serve(ctx context.Context, f *fleet) error {
	changed := f.release.Differing(f.handed)
	next, err := l.handOut(ctx, f, changed)
	if err != nil {
		return err
	}
	if len(f.out.Services) > 0 && len(f.out.Held)+len(next.Held) == 0 {
		next.Changed = changed
	}
	l.Proxies.Publish(next)
	if l.handed.IsZero() {
		l.handed = l.Now()
	}
	f.handed, f.out = f.release, next
	return nil
}

// handOut is the release as proxies get it. Cohorts that have refused content of it are held at the last good one.
func (l *loop) handOut(ctx context.Context, f *fleet, changed []schema.ServiceID) (xds.Release, error) {
	out := xds.Release{Fleet: f.ports(), Layout: f.release.Layout, Old: f.release.Old, Services: maps.Clone(f.out.Services), Held: map[xds.Cohort]map[schema.ServiceID]xds.Service{}}
	if out.Services == nil {
		out.Services = map[schema.ServiceID]xds.Service{}
	}
	for _, id := range changed {
		e, there := f.release.Services[id]
		if !there {
			delete(out.Services, id)
			continue
		}
		s, err := l.content(ctx, id, e, e.Content, e.Version())
		if err != nil {
			return out, err
		}
		out.Services[id] = s
	}
	for id, e := range f.release.Services {
		refused := e.RefusedNow()
		if len(refused) == 0 {
			continue
		}
		content, version := e.Held()
		held, err := l.content(ctx, id, e, content, version)
		if err != nil {
			return out, err
		}
		for _, r := range refused {
			if out.Held[xds.Cohort(r.Cohort)] == nil {
				out.Held[xds.Cohort(r.Cohort)] = map[schema.ServiceID]xds.Service{}
			}
			out.Held[xds.Cohort(r.Cohort)][id] = held
		}
	}
	return out, nil
}

// content is an entry as proxies get it with some content, or with none.
func (l *loop) content(ctx context.Context, id schema.ServiceID, e release.Entry, content, version string) (xds.Service, error) {
	s := xds.Service{ID: id, Version: version, Unit: envoy.Unit{Service: id, Exposure: e.Exposure}}
	if content == "" {
		return s, nil
	}
	var err error
	if s.Unit, err = l.unit(ctx, content); err != nil {
		return s, fmt.Errorf("read content of service %s: %w", id, err)
	}
	s.Extra = e.Linger
	if e.Removed {
		s.Unit.Domains = nil
	}
	return s, nil
}

// ports is the fleet as the proxies need it.
func (f *fleet) ports() schema.Fleet {
	spec := fleetSpec(f.release.Spec)
	return schema.Fleet{ID: f.release.Fleet, Kind: spec.Kind, Listeners: spec.Listeners, Certificates: spec.Certificates, Runtime: spec.Runtime}
}

// unit is the content with a hash, from memory or the store.
func (l *loop) unit(ctx context.Context, hash string) (envoy.Unit, error) {
	if u, ok := l.units[hash]; ok {
		return u, nil
	}
	data, err := l.Books.Contents.Get(ctx, hash)
	if err != nil {
		return envoy.Unit{}, err
	}
	u, err := envoy.DecodeUnit(data)
	if err == nil {
		l.units[hash] = u
	}
	return u, err
}

// contents are the writes that keep the bytes of what steps serve.
func (l *loop) contents(steps []plan.Step) (ops []state.Op) {
	for _, s := range steps {
		body := l.desired[s.Key].Body
		if s.Verb == plan.Delete || body == nil {
			continue
		}
		hash := contentOf(s.After)
		if _, known := l.units[hash]; !known {
			ops = append(ops, l.Books.Contents.Put(hash, body))
		}
	}
	return ops
}

// expire ends the lingering of names that no record can lead to any more, and gives back names that are still declared nowhere.
func (l *loop) expire(ctx context.Context, now time.Time) error {
	for _, id := range sortedKeys(l.releases) {
		f := l.releases[id]
		next, changed := f.release.Expire(func(_ schema.ServiceID, p schema.Place) bool {
			return l.mayStillLead(p, f.release.Scope(), now)
		})
		next, retired := next.Retire(now)
		if next.Old.Buckets > 0 {
			l.alarm("retire", next.Until)
		}
		if !changed && !retired {
			continue
		}
		if err := l.replaceRelease(ctx, f, next, nil); err != nil {
			return err
		}
		l.dropUnits()
	}
	return nil
}

// mayStillLead tells whether somebody may still resolve a name to the proxies of a fleet, at the listeners of an exposure: its record
// is there, on its way or in doubt, or was there less than a TTL ago (design, invariant 5). Which service the record was made for
// does not matter: who answers now may be another.
func (l *loop) mayStillLead(place schema.Place, fleet resource.Scope, now time.Time) bool {
	leads := func(needs []resource.Key) bool {
		return slices.ContainsFunc(needs, func(k resource.Key) bool { return k.Scope == fleet })
	}
	for _, f := range l.flights {
		for _, s := range f.intent.Steps {
			if leads(s.Needs) && slices.Contains(s.Hosts(), place.Host) {
				return true
			}
		}
	}
	still := false
	for _, key := range recordKeys(l.owned, l.zones, place.Host) {
		if zone, known := l.zoneOf(key.Scope); known && zone.Exposure != place.Exposure {
			continue
		}
		e := l.owned[key]
		still = still || e.Spec != nil && leads(e.Needs)
		for _, g := range e.Gone {
			if until := g.Until(l.Margin); leads(g.Needs) && now.Before(until) {
				l.alarm("linger", until)
				still = true
			}
		}
	}
	return still
}

// zoneOf is the zone of a scope, if the platform still has it.
func (l *loop) zoneOf(scope resource.Scope) (schema.Zone, bool) {
	name, _ := scope.Zone()
	i := slices.IndexFunc(l.edge.Platform.Zones, func(z schema.Zone) bool { return z.Name == name })
	if i < 0 {
		return schema.Zone{}, false
	}
	return l.edge.Platform.Zones[i], true
}

// dropUnits forgets decoded units that no release speaks of.
func (l *loop) dropUnits() {
	used := map[string]bool{}
	for _, f := range l.releases {
		for _, e := range f.release.Services {
			used[e.Content] = true
			used[e.Good] = true
		}
	}
	for hash := range l.units {
		if !used[hash] {
			delete(l.units, hash)
		}
	}
}
