package plan

import (
	"testing"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

const zone resource.Scope = "zone/edge.test"

var (
	name = resource.Key{Kind: resource.DNSRecord, Scope: zone, Name: "A jira.edge.test"}
	one  = resource.Value(`{"name":"jira.edge.test","values":["192.0.2.1"]}`)
	two  = resource.Value(`{"name":"jira.edge.test","values":["192.0.2.2"]}`)
)

func world(have resource.Value, foreign string) map[resource.Scope]Snapshot {
	s := Snapshot{Scope: zone, Foreign: foreign, Marked: foreign == "", Resources: map[resource.Key]resource.Value{}}
	if have != nil {
		s.Resources[name] = have
	}
	return map[resource.Scope]Snapshot{zone: s}
}

// Invariants 1 (a converged world has no step) and 3 (nothing that is not ours is changed or deleted) are rows of this table.
func TestInvariant1And3DiffByCase(t *testing.T) {
	cases := []struct {
		name     string
		desired  resource.Value
		observed map[resource.Scope]Snapshot
		owned    resource.Value
		want     string // verb and drift of the step, or what else came of it
	}{
		{"converged", one, world(one, ""), one, "nothing"},
		{"converged, but not in the inventory", one, world(one, ""), nil, "nothing"},
		{"new", one, world(nil, ""), nil, "create"},
		{"removed by hand", one, world(nil, ""), one, "create"},
		{"changed in the declaration", two, world(one, ""), one, "update"},
		{"changed by hand", one, world(two, ""), one, "update drift"},
		{"exists and is not ours", one, world(two, ""), nil, "clash"},
		{"no longer declared", nil, world(one, ""), one, "delete"},
		{"no longer declared and changed by hand", nil, world(two, ""), one, "delete"},
		{"no longer declared and gone", nil, world(nil, ""), one, "lost"},
		{"not ours and not declared", nil, world(one, ""), nil, "nothing"},
		{"zone of another edge", one, world(nil, "other"), nil, "clash"},
		{"zone not observed, declared", one, nil, nil, "unknown"},
		{"zone not observed, no longer declared", nil, nil, one, "unknown"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Desired: resource.Set{}, Observed: c.observed, Owned: map[resource.Key]Owned{}}
			if c.desired != nil {
				in.Desired[name] = resource.Resource{Key: name, Service: "jira", Spec: c.desired}
			}
			if c.owned != nil {
				in.Owned[name] = Owned{Spec: c.owned, Service: "jira"}
			}
			if got := say(Diff(in, []resource.Key{name})); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func say(d Difference) string {
	switch {
	case len(d.Steps) == 1 && d.Steps[0].Drift:
		return string(d.Steps[0].Verb) + " drift"
	case len(d.Steps) == 1:
		return string(d.Steps[0].Verb)
	case len(d.Clashes) == 1:
		return "clash"
	case len(d.Unknown) == 1:
		return "unknown"
	case len(d.Lost) == 1:
		return "lost"
	}
	return "nothing"
}

func TestDigestDependsOnTreeAndStepsAlone(t *testing.T) {
	a, b := Step{Key: name, Verb: Update, Before: one, After: two}, Step{Key: name, Verb: Delete, Before: one}
	want := Digest("tree", []Step{a, b})
	explained := a
	explained.Service, explained.Drift = "jira", true
	if got := Digest("tree", []Step{b, explained}); got != want {
		t.Errorf("order or explanation changed the digest: %s, want %s", got, want)
	}
	stale := a
	stale.Before = two
	for what, got := range map[string]string{
		"tree": Digest("other", []Step{a, b}), "pre-image": Digest("tree", []Step{stale, b}), "steps": Digest("tree", []Step{a}),
	} {
		if got == want {
			t.Errorf("another %s has the same digest", what)
		}
	}
}

// Invariant 4: of what nobody was shown, only what takes no traffic away goes on.
func TestInvariant4WhatTakesTrafficAway(t *testing.T) {
	unit := resource.Key{Kind: resource.EnvoyService, Scope: "fleet/edge", Name: "jira"}
	fleet := resource.Key{Kind: resource.EnvoyFleet, Scope: "fleet/edge", Name: "edge"}
	cases := []struct {
		name          string
		key           resource.Key
		verb          Verb
		before, after string
		want          bool
	}{
		{"a service appears", unit, Create, "", `{"hosts":["a.test"]}`, false},
		{"a service goes", unit, Delete, `{"hosts":["a.test"]}`, "", true},
		{"a name is added", unit, Update, `{"hosts":["a.test"],"exposure":"public"}`, `{"hosts":["a.test","b.test"],"exposure":"public"}`, false},
		{"a name is dropped", unit, Update, `{"hosts":["a.test","b.test"],"exposure":"public"}`, `{"hosts":["a.test"],"exposure":"public"}`, true},
		{"the exposure changes", unit, Update, `{"hosts":["a.test"],"exposure":"public"}`, `{"hosts":["a.test"],"exposure":"internal"}`, true},
		{"a record is put back", name, Update, string(one), string(two), false},
		{"a listener is dropped", fleet, Update, `{"listeners":[{"exposure":"public","port":80}]}`, `{"listeners":[]}`, true},
		{"a listener is added", fleet, Update, tlsFleet("", "", ""), `{"listeners":[{"exposure":"public","port":443},{"exposure":"internal","port":80}]}`, false},
		{"a listener takes TLS", fleet, Update, tlsFleet("", "", ""), tlsFleet("1.2", "/a.pem", "a.test"), true},
		{"a policy becomes strict", fleet, Update, tlsFleet("1.2", "/a.pem", "a.test"), tlsFleet("1.3", "/a.pem", "a.test"), true},
		{"a certificate is in another file", fleet, Update, tlsFleet("1.2", "/a.pem", "a.test"), tlsFleet("1.2", "/b.pem", "a.test"), false},
		{"a certificate is dropped", fleet, Update, tlsFleet("1.2", "/a.pem", "a.test"), tlsFleet("1.2", "/a.pem", "b.test"), true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := TakesTraffic(Step{Key: c.key, Verb: c.verb, Before: []byte(c.before), After: []byte(c.after)}); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

// tlsFleet is a fleet with one listener; without a version it takes plain HTTP.
func tlsFleet(minimum, chain string, host schema.Hostname) string {
	spec := envoy.FleetSpec{Listeners: []schema.Listener{{Exposure: "public", Port: 443}}}
	if minimum != "" {
		spec.Listeners[0].TLS = &schema.TLS{Default: "m", Policies: []schema.TLSPolicy{{ID: "m", Minimum: minimum}}}
		spec.Certificates = []schema.Certificate{{ID: "c", Chain: chain, Key: "/key.pem", Hosts: []schema.Hostname{host}}}
	}
	return string(resource.ValueOf(spec))
}
