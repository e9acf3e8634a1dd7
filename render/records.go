package render

import (
	"fmt"
	"slices"

	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// platformRecords are the records that the platform declares itself. Each needs the mark of its zone and the
// health check that it names, and an alias within the zone what it points at.
func platformRecords(p schema.Platform) ([]resource.Resource, error) {
	var out []resource.Resource
	for _, r := range p.Records {
		zone, ok := p.ZoneOf(r.Name)
		if !ok {
			return nil, fmt.Errorf("no zone holds the record %s", r.Name)
		}
		for _, s := range r.Sets {
			spec, err := dns.Declared(r, s)
			if err != nil {
				return nil, err
			}
			needs := append([]resource.Key{recordKey(zone, dns.Marker(zone, p.Name))}, targets(p, zone, spec)...)
			if s.HealthCheck.Ours() {
				needs = append(needs, healthCheckKey(zone.Account, s.HealthCheck))
			}
			slices.SortFunc(needs, resource.Key.Compare)
			out = append(out, resource.Resource{Key: recordKey(zone, spec), Origin: p.Source.Find(r.SetPath(s)), Spec: resource.ValueOf(spec), Needs: needs, Adopt: r.Adopt})
		}
	}
	return out, nil
}

// targets are the records in the same zone that an alias answers with.
func targets(p schema.Platform, zone schema.Zone, r dns.Record) []resource.Key {
	if r.Alias == nil || r.Alias.Zone != "" {
		return nil
	}
	target := dns.Record{Name: r.Alias.Target, Type: r.Type}
	var keys []resource.Key
	for _, declared := range p.RecordsAt(r.Alias.Target) {
		for _, s := range declared.Sets {
			if declared.Type == r.Type {
				target.Set = s.ID
				keys = append(keys, recordKey(zone, target))
			}
		}
	}
	if keys == nil { // a service's
		keys = []resource.Key{recordKey(zone, target)}
	}
	return keys
}
