package reconciler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/release"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// waitsFor says what a step needs that is not there yet. A service is deleted at once: what it lets go lingers. A record is deleted
// once what takes its place is there, and a listener goes when nobody is answered there any more.
func (l *loop) waitsFor(s plan.Step) string {
	switch {
	case s.Key.Kind == resource.EnvoyFleet && plan.TakesTraffic(s):
		return l.stillExposed(s)
	case s.Verb == plan.Delete && s.Key.Kind == resource.DNSRecord:
		return l.notReplaced(s)
	case s.Verb == plan.Delete && s.Key.Kind == resource.DNSHealthCheck:
		return l.stillNamed(s)
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
	for _, other := range l.coming[placeOf(s.Key)] {
		if kindOfRecord(other.Key) != kindOfRecord(s.Key) && !plan.Rivals(s, other) {
			return other.Key.Name + " takes its place, and is not there yet"
		}
	}
	for _, host := range s.Hosts() {
		for _, scope := range sortedKeys(l.zones) {
			for _, kind := range plan.AddressTypes {
				key := recordKey(scope, kind, host)
				if _, desired := l.desired[key]; !desired || plan.Rivals(s, l.steps[key]) {
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

// comingOf are the steps that make an address or a name to look up, by where they make it.
func comingOf(steps []plan.Step) map[place][]plan.Step {
	coming := map[place][]plan.Step{}
	for _, s := range steps {
		if kind := kindOfRecord(s.Key); s.Verb == plan.Create && (kind == "CNAME" || slices.Contains(plan.AddressTypes, kind)) {
			coming[placeOf(s.Key)] = append(coming[placeOf(s.Key)], s)
		}
	}
	return coming
}

// kindOfRecord is the type of a record; empty: it is none.
func kindOfRecord(key resource.Key) string {
	if key.Kind != resource.DNSRecord {
		return ""
	}
	kind, _, _ := strings.Cut(key.Name, " ")
	return kind
}

// stillNamed names a record, also of others, that names a health check: AWS would delete it all the same, and then treat the record in a
// way that nobody can foretell.
func (l *loop) stillNamed(s plan.Step) string {
	names := func(v resource.Value) bool {
		var r struct{ HealthCheck string }
		return bytes.Contains(v, []byte(s.Key.Name)) && json.Unmarshal(v, &r) == nil && r.HealthCheck == s.Key.Name
	}
	for _, f := range l.flights {
		if i := slices.IndexFunc(f.intent.Steps, func(o plan.Step) bool { return names(o.Before) || names(o.After) }); i >= 0 {
			return f.intent.Steps[i].Key.Name + " is being changed, and names it"
		}
	}
	account, _ := s.Key.Scope.HealthChecks()
	for _, scope := range sortedKeys(l.zones) {
		if _, is := scope.Zone(); !is || l.accountOf(scope) != account {
			continue
		}
		z := l.zones[scope]
		if z.snapshot == nil {
			return fmt.Sprintf("whether records of %s name it is not known yet", scope)
		}
		var naming []string
		for key, v := range z.snapshot.Resources {
			if names(v) {
				naming = append(naming, key.Name)
			}
		}
		if len(naming) > 0 {
			return fmt.Sprintf("%s in %s names it", slices.Min(naming), scope)
		}
	}
	return ""
}

// accountOf is the account of a zone, also of one that the platform has given up.
func (l *loop) accountOf(scope resource.Scope) schema.AccountID {
	if zone, declared := l.zoneOf(scope); declared {
		return zone.Account
	}
	for key, e := range l.owned {
		if key.Scope == scope {
			return e.Account.ID
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
	holders := map[schema.FleetID]release.Holders{}
	for again := true; again; {
		again = false
		for _, s := range steps {
			if s.Key.Kind != resource.EnvoyService || l.status[s.Key].State != Ready {
				continue
			}
			if why := l.nameTaken(s, holders); why != "" {
				l.status[s.Key] = Status{Waits, why}
				again = true
			}
		}
	}
}

// nameTaken says which name of a step another service of the fleet still holds, or is to take but cannot yet.
func (l *loop) nameTaken(s plan.Step, known map[schema.FleetID]release.Holders) string {
	fleet := fleetOf(s.Key.Scope)
	f := l.releases[fleet]
	if f == nil || s.Verb == plan.Delete {
		return ""
	}
	holders, there := known[fleet]
	if !there {
		if f.holders == nil {
			f.holders = f.release.Holders()
		}
		holders = f.holders
		known[fleet] = holders
	}
	for _, host := range s.Hosts() {
		holder, is := holders.Other(host, schema.ServiceID(s.Key.Name))
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
