// Package render turns declarations into the resources that shall be: pure functions from an edge to a set.
//
// It does not judge declarations (schema/policy does) and knows nothing of what exists (the reconciler does).
package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Edge is every resource of an edge.
func Edge(e schema.Edge) (resource.Set, error) {
	set := resource.Set{}
	platform, err := Platform(e.Platform, nil)
	if err != nil {
		return nil, err
	}
	if err := set.Add(platform.Resources...); err != nil {
		return nil, err
	}
	for _, s := range e.Services {
		resources, err := Service(e.Platform, s)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", s.ID, err)
		}
		if err := set.Add(resources...); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// OfPlatform is what a platform asks for.
type OfPlatform struct {
	Resources []resource.Resource // in the order of their keys

	platform schema.Platform
	records  []resource.Resource // of its records, in their order
}

// Platform is what exists without any service: each fleet, the marker of each zone, and the platform's own records and health checks.
// Of another platform's, which may be nil, it takes what is the same.
func Platform(p schema.Platform, before *OfPlatform) (*OfPlatform, error) {
	var out []resource.Resource
	for _, f := range p.Fleets {
		out = append(out, resource.Resource{
			Key:    fleetKey(f.ID),
			Origin: p.Source.Find("fleets." + string(f.ID)),
			Spec:   resource.ValueOf(fleetSpec(f)),
		})
	}
	for i, z := range p.Zones {
		if slices.ContainsFunc(p.Zones[:i], func(other schema.Zone) bool { return other.Name == z.Name }) {
			return nil, fmt.Errorf("zone %s is declared twice", z.Name)
		}
		marker := dns.Marker(z, p.Name)
		out = append(out, resource.Resource{
			Key:    recordKey(z, marker),
			Origin: p.Source.Find("zones." + string(z.Name)),
			Spec:   resource.ValueOf(marker),
		})
	}
	records, err := platformRecords(p, before)
	if err != nil {
		return nil, err
	}
	out = append(out, records...)
	for _, c := range p.HealthChecks {
		out = append(out, resource.Resource{Key: healthCheckKey(c.Account, c.ID), Origin: p.Source.Find("healthChecks." + string(c.ID)),
			Spec: resource.ValueOf(dns.DeclaredHealthCheck(c))})
	}
	slices.SortFunc(out, func(a, b resource.Resource) int { return a.Key.Compare(b.Key) })
	return &OfPlatform{out, p, records}, nil
}

func fleetSpec(f schema.Fleet) envoy.FleetSpec {
	spec := envoy.FleetSpec{Listeners: f.Listeners, Certificates: f.Certificates, Runtime: f.Runtime}
	if f.Kind == schema.GRPC { // the other kind goes without saying
		spec.Kind = f.Kind
	}
	return spec
}

// Mark is the value of the marker record in each zone that says that records in it may be ours.
func Mark(p schema.Platform) string { return dns.Marker(schema.Zone{}, p.Name).Values[0] }

// IsMark tells whether a key is that of a zone's marker.
func IsMark(key resource.Key) bool { return strings.HasPrefix(key.Name, "TXT "+dns.MarkerPrefix) }

// Service is what one service asks for: its unit in the fleet, and, if there are proxies, address records for its host names. A record needs the unit,
// so that no name is published before something answers for it, and the mark of its zone.
func Service(p schema.Platform, s schema.Service) ([]resource.Resource, error) {
	fleet, ok := p.Fleet(s.Fleet)
	if !ok {
		return nil, fmt.Errorf("fleet %s is not declared", s.Fleet)
	}
	unit, spec, err := envoy.Render(fleet, s)
	if err != nil {
		return nil, err
	}
	served := resource.Resource{
		Key:     serviceKey(fleet.ID, s.ID),
		Service: s.ID,
		Origin:  s.Source.Find(""),
		Spec:    resource.ValueOf(spec),
		Body:    unit.Encode(),
	}
	out := []resource.Resource{served}
	if fleet.Kind == schema.GRPC {
		return out, nil // clients find it by its name themselves
	}
	for i, host := range s.Hosts {
		records, err := records(p, fleet, s, host)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			r.Origin = s.Source.Find(fmt.Sprintf("hosts[%d]", i))
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b resource.Resource) int { return a.Key.Compare(b.Key) })
	return out, nil
}

func records(p schema.Platform, fleet schema.Fleet, s schema.Service, host schema.Hostname) ([]resource.Resource, error) {
	zone, ok := p.ZoneFor(host, s.Exposure)
	if !ok {
		return nil, fmt.Errorf("no %s zone covers host %s", s.Exposure, host)
	}
	specs, err := dns.Addresses(fleet, host)
	if err != nil {
		return nil, err
	}
	needs := []resource.Key{recordKey(zone, dns.Marker(zone, p.Name)), serviceKey(fleet.ID, s.ID)}
	slices.SortFunc(needs, resource.Key.Compare)
	var out []resource.Resource
	for _, spec := range specs {
		out = append(out, resource.Resource{Key: recordKey(zone, spec), Service: s.ID, Spec: resource.ValueOf(spec), Needs: needs, Adopt: s.Adopt})
	}
	return out, nil
}

func fleetKey(id schema.FleetID) resource.Key {
	return resource.Key{Kind: resource.EnvoyFleet, Scope: resource.Scope("fleet/" + id), Name: string(id)}
}

func serviceKey(fleet schema.FleetID, id schema.ServiceID) resource.Key {
	return resource.Key{Kind: resource.EnvoyService, Scope: resource.Scope("fleet/" + fleet), Name: string(id)}
}

func healthCheckKey(account schema.AccountID, id schema.HealthCheckID) resource.Key {
	return resource.Key{Kind: resource.DNSHealthCheck, Scope: resource.HealthChecksScope(account), Name: string(id)}
}

func recordKey(z schema.Zone, r dns.Record) resource.Key {
	return resource.Key{Kind: resource.DNSRecord, Scope: resource.ZoneScope(z.Name), Name: r.KeyName()}
}
