package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

func TestWaits(t *testing.T) {
	serves := func(hosts ...schema.Hostname) resource.Value { return resource.ValueOf(envoy.Spec{Hosts: hosts}) }
	service := func(verb Verb, name string, before, after resource.Value) Step {
		return Step{Key: resource.Key{Kind: resource.EnvoyService, Scope: "fleet/edge", Name: name}, Verb: verb, Before: before, After: after}
	}
	record := func(verb Verb, kind, host string, before, after *dns.Record) Step {
		value := func(r *dns.Record) resource.Value {
			if r == nil {
				return nil
			}
			r.Name, r.Type, r.TTL = schema.Hostname(host), kind, 60
			return resource.ValueOf(*r)
		}
		return Step{Key: resource.Key{Kind: resource.DNSRecord, Scope: "zone/acme.test", Name: kind + " " + host}, Verb: verb, Before: value(before), After: value(after)}
	}
	check := func(verb Verb) Step {
		return Step{Key: resource.Key{Kind: resource.DNSHealthCheck, Scope: "healthchecks/", Name: "eu"}, Verb: verb}
	}
	needs := func(s Step, keys ...resource.Key) Step { s.Needs = keys; return s }
	a := func() *dns.Record { return &dns.Record{Values: []string{"192.0.2.1"}} }
	watched := func() *dns.Record { return &dns.Record{Values: []string{"192.0.2.1"}, HealthCheck: "eu"} }
	wiki := service(Create, "wiki", nil, serves("w.acme.test"))
	elsewhere := record(Create, "A", "w.acme.test", nil, a())
	elsewhere.Key.Scope = "zone/w.acme.test"
	for name, c := range map[string]struct {
		steps []Step
		want  [][]Wait
	}{
		"record of a new service": {
			[]Step{wiki, needs(record(Create, "A", "w.acme.test", nil, a()), wiki.Key)},
			[][]Wait{nil, {{0, Served}}}},
		"record of a service that stays": {
			[]Step{needs(record(Update, "A", "w.acme.test", a(), a()), wiki.Key)},
			[][]Wait{nil}},
		"record and the check that it names": {
			[]Step{check(Create), needs(record(Create, "A", "x.acme.test", nil, watched()), check(Create).Key)},
			[][]Wait{nil, {{0, There}}}},
		"a check that is there already is not waited for": {
			[]Step{check(Update), needs(record(Create, "A", "x.acme.test", nil, watched()), check(Create).Key)},
			[][]Wait{nil, nil}},
		"check and the records that named it": {
			[]Step{check(Delete), record(Update, "A", "x.acme.test", watched(), a()), record(Delete, "A", "y.acme.test", watched(), nil)},
			[][]Wait{{{1, Unnamed}, {2, Unnamed}}, nil, nil}},
		"rivals": {
			[]Step{record(Create, "A", "x.acme.test", nil, a()), record(Delete, "CNAME", "x.acme.test", a(), nil)},
			[][]Wait{{{1, Together}}, {{0, Together}}}},
		"a name that moves": {
			[]Step{service(Update, "old", serves("o.acme.test", "w.acme.test"), serves("o.acme.test")), service(Update, "new", serves("n.acme.test"), serves("n.acme.test", "w.acme.test"))},
			[][]Wait{nil, {{0, Released}}}},
		"a name of both before and after": {
			[]Step{service(Update, "one", serves("o.acme.test"), serves("o.acme.test")), service(Update, "two", serves("o.acme.test"), serves("o.acme.test"))},
			[][]Wait{nil, nil}},
		"what takes its place in another zone": {
			[]Step{record(Delete, "A", "w.acme.test", a(), nil), elsewhere},
			[][]Wait{{{1, Replaced}}, nil}},
		"service that goes": {
			[]Step{service(Delete, "wiki", serves("w.acme.test"), nil), record(Delete, "A", "w.acme.test", a(), nil)},
			[][]Wait{nil, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Waits(c.steps)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
