package xds

import (
	"maps"
	"slices"
	"strings"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/edgewright/edgewright/schema"
)

// refusal takes what a proxy refused out of what it is sent. Envoy has applied the rest, and names what it could not.
func (t *stream) refusal(l *ledger, out *response, message string) {
	t.log.Warn("proxy refused", "type", l.url, "why", line(message))
	t.why = message
	switch l {
	case t.clusters:
		t.clustersRefused(out, message)
	case t.routes:
		t.routesRefused(out, message)
	default:
		t.otherRefused(l, out, message)
	}
}

// otherRefused notes a refusal of listeners, scopes, filters, secrets or runtime. They stay as they are until the fleet changes.
func (t *stream) otherRefused(l *ledger, out *response, message string) {
	if l == t.listeners {
		t.packed, t.balked = nil, t.frame
	}
	named := slices.DeleteFunc(slices.Clone(out.added), func(r *discoveryv3.Resource) bool { return !strings.Contains(message, r.Name) })
	if len(named) == 0 {
		if t.oldRefused(l, message) {
			return
		}
		named = out.added[:min(1, len(out.added))] // of a secret Envoy does not say which it was
	}
	for _, a := range []*requested{t.runtime, t.filters} {
		if l == a.ledger {
			a.refuse(out, named)
		}
	}
	for _, r := range named {
		why := line(message)
		if !strings.Contains(why, r.Name) {
			why = line(r.Name + ": " + why)
		}
		t.fleet.refuseOther(t.seat, l.url, r.Name, r.Version, why)
	}
}

// oldRefused notes a refusal of what an answer did not bring: a state of the world holds again what was refused before.
func (t *stream) oldRefused(l *ledger, message string) bool {
	found := false
	for _, name := range slices.Sorted(maps.Keys(l.has)) {
		if names(message, name) {
			t.fleet.refuseOther(t.seat, l.url, name, l.has[name], line(message))
			found = true
		}
	}
	return found
}

func (t *stream) clustersRefused(out *response, message string) {
	t.spread(out)
	named, unnamed := map[string]bool{}, map[string]bool{}
	owners := blame{}
	for _, c := range out.added {
		owner := out.owners[c.Name]
		switch {
		case strings.Contains(message, c.Name):
			named[c.Name] = true
		case owner == nil: // retired
			unnamed[c.Name] = true
		default:
			unnamed[c.Name] = true
			owners[owner.ID] = owner
		}
	}
	lost := named
	vague := len(named) == 0 || strings.Contains(message, "truncated")
	if vague {
		lost = map[string]bool{}
		maps.Copy(lost, named)
		maps.Copy(lost, unnamed)
	}
	t.clustersThere(out, lost)
	for name := range named {
		if owner := out.owners[name]; owner != nil {
			t.refuse(owner, nil, message)
			delete(owners, owner.ID)
		}
	}
	if !vague {
		t.dropTrial()
		return
	}
	var units []unit
	for _, id := range slices.Sorted(maps.Keys(owners)) {
		units = append(units, unit{id})
	}
	t.try(units, owners, message)
}

func (t *stream) routesRefused(out *response, message string) {
	t.spread(nil)
	shown := t.shown(out)
	before := t.before(out)
	t.takeBack(out, len(shown) == 0)
	if len(shown) == 0 {
		t.otherRefused(t.routes, out, message)
		return
	}
	for id := range before {
		t.revert(id) // what let a name go must not, while it is unclear whether the taker can
	}
	var suspects, proven []schema.ServiceID
	named := false
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		switch {
		case names(message, "svc/"+string(id)):
			t.condemn(unit{id}, shown, message)
			named = true
		case t.fleet.provenAs(shown[id]):
			proven = append(proven, id)
		default:
			suspects = append(suspects, id)
		}
	}
	if named {
		t.dropTrial()
		return
	}
	seen := map[schema.ServiceID]bool{}
	first, rest := t.units(proven, seen), t.units(suspects, seen)
	for id := range seen {
		t.revert(id)
	}
	if len(first) == 0 || len(rest) == 0 {
		t.try(slices.Concat(first, rest), shown, message)
		return
	}
	t.split(first, rest, shown) // what another proxy has taken is hardly the culprit
}

// shown are the services that an answer showed the proxy in a version that it had not acknowledged.
func (t *stream) shown(out *response) blame {
	shown := blame{}
	for _, r := range out.added {
		b := t.buckets[r.Name]
		if b == nil || len(b.may) == 0 {
			continue
		}
		for _, m := range b.may[len(b.may)-1] {
			if own := t.see(m.ID).own; own == nil || own.Version != m.Version {
				shown[m.ID] = m.version
			}
		}
	}
	return shown
}

// before are the services that had more in these buckets, as last acknowledged, than the answer showed.
func (t *stream) before(out *response) map[schema.ServiceID]bool {
	before := map[schema.ServiceID]bool{}
	for _, r := range out.added {
		b := t.buckets[r.Name]
		if b == nil {
			continue
		}
		for id := range t.holders(r.Name, b) {
			if it := t.see(id); it.own != nil && !same(it.own, it.served.version) {
				before[id] = true
			}
		}
	}
	return before
}

// takeBack notes that the proxy refused these buckets. Of a single one it still has what it had; of several it may have taken
// some.
func (t *stream) takeBack(out *response, hopeless bool) {
	for _, r := range out.added {
		b := t.buckets[r.Name]
		if b == nil {
			continue
		}
		b.flying, b.doubt = false, true
		if hopeless {
			continue // sent again only when it changes
		}
		t.dirty[r.Name] = struct{}{}
		if len(out.added) > 1 || len(b.may) != 2 || !b.known {
			continue
		}
		b.doubt, b.may = false, b.may[:len(b.may)-1]
		t.routes.has[r.Name] = t.render(r.Name, b.may[len(b.may)-1]).Version
	}
}

// condemn keeps what the proxy refused of services from being sent again, and goes back to what it had. Of several together it
// is known only that they are not all good: once one is published anew, they are tried again.
func (t *stream) condemn(u unit, shown blame, message string) {
	known := len(u) == 1 || t.fleet.publishes(u, shown)
	for _, id := range u {
		if known {
			t.refuse(shown[id], u, message)
		}
		t.revert(id)
	}
}

// refuse keeps content from being sent again, to any proxy.
func (t *stream) refuse(v *version, with unit, message string) {
	if v == nil {
		return
	}
	t.log.Warn("content refused", "service", v.ID, "version", v.Version)
	t.fleet.refuse(t.seat, v, with, line(message))
}

// revert makes a service what the proxy last acknowledged of it.
func (t *stream) revert(id schema.ServiceID) {
	it := t.loosen(id)
	old, back := it.served, it.own.in(t.frame.packing)
	t.put(id, goal{back, false})
	t.fleet.ask(t.seat, id)
	for _, v := range []*version{old.version, back} {
		if v == nil {
			continue
		}
		for name := range v.buckets {
			t.dirty[name] = struct{}{}
		}
	}
}

// names tells whether a message holds a name that does not go on.
func names(message, name string) bool {
	for {
		at := strings.Index(message, name)
		if at < 0 {
			return false
		}
		message = message[at+len(name):]
		if message == "" || !strings.ContainsAny(message[:1], "abcdefghijklmnopqrstuvwxyz0123456789-_") {
			return true
		}
	}
}
