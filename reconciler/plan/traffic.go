package plan

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// TakesTraffic tells whether a step that nobody was shown has to wait for a person: it deletes, takes over what others made, or a
// service loses a host name
// or changes its exposure, or a fleet loses a listener (design, invariant 4).
func TakesTraffic(s Step) bool {
	switch {
	case s.Verb == Delete || s.Verb == Adopt:
		return true
	case s.Verb != Update:
		return false
	case s.Key.Kind == resource.EnvoyService:
		before, after := serviceSpec(s.Before), serviceSpec(s.After)
		return before.Exposure != after.Exposure || loses(before.Hosts, after.Hosts)
	case s.Key.Kind == resource.EnvoyFleet:
		before, after := fleetSpec(s.Before), fleetSpec(s.After)
		return losesListener(before.Listeners, after.Listeners) || loses(certified(before), certified(after))
	}
	return false
}

// answers is what of a service's specification says who gets an answer. A plan asks it often, and the whole is long.
type answers struct {
	Hosts    []schema.Hostname `json:"hosts"`
	Exposure schema.Exposure   `json:"exposure"`
}

func serviceSpec(v resource.Value) (spec answers) {
	if v == nil {
		return spec
	}
	_ = json.Unmarshal(v, &spec) // what we rendered ourselves
	return spec
}

func fleetSpec(v resource.Value) (spec envoy.FleetSpec) {
	_ = json.Unmarshal(v, &spec)
	return spec
}

// losesListener tells whether a client that is answered before may not be after: a listener is gone or elsewhere, or has another form
// of TLS.
func losesListener(before, after []schema.Listener) bool {
	return slices.ContainsFunc(before, func(l schema.Listener) bool {
		return !slices.ContainsFunc(after, func(o schema.Listener) bool { return reflect.DeepEqual(l, o) })
	})
}

// certified are the names that a fleet has certificates for. In which files these are does not matter.
func certified(spec envoy.FleetSpec) (hosts []schema.Hostname) {
	for _, c := range spec.Certificates {
		hosts = append(hosts, c.Hosts...)
	}
	return hosts
}

func loses[T comparable](before, after []T) bool {
	return slices.ContainsFunc(before, func(t T) bool { return !slices.Contains(after, t) })
}

// Hosts are the host names that a step touches, sorted.
func (s Step) Hosts() []schema.Hostname {
	var hosts []schema.Hostname
	switch s.Key.Kind {
	case resource.EnvoyService:
		hosts = slices.Concat(serviceSpec(s.Before).Hosts, serviceSpec(s.After).Hosts)
	case resource.DNSRecord:
		for _, v := range []resource.Value{s.Before, s.After} {
			var record struct{ Name schema.Hostname }
			if json.Unmarshal(v, &record) == nil && record.Name != "" {
				hosts = append(hosts, record.Name)
			}
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
