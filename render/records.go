package render

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// platformRecords are the records that the platform declares itself. Each needs the mark of its zone and the
// health check that it names, and an alias within the zone what it points at.
func platformRecords(p schema.Platform, before *OfPlatform) ([]resource.Resource, error) {
	kept := keptRecords(p, before)
	out := make([]resource.Resource, 0, len(p.Records))
	for i, r := range p.Records {
		if kept != nil && kept[i] != nil {
			out = append(out, kept[i]...)
			continue
		}
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

// keptRecords are the resources of records that another platform had already, by the index of the record. An alias is rendered anew: it
// needs what others declare.
func keptRecords(p schema.Platform, before *OfPlatform) [][]resource.Resource {
	if before == nil || !reflect.DeepEqual(before.platform.Zones, p.Zones) {
		return nil
	}
	kept := make([][]resource.Resource, len(p.Records))
	was, n := 0, 0 // the records before, and their resources
	for i, at := range p.Kept(before.platform) {
		if at < 0 || slices.ContainsFunc(p.Records[i].Sets, func(s schema.RecordSet) bool { return s.Alias != nil }) {
			continue
		}
		for ; was < at; was++ {
			n += len(before.platform.Records[was].Sets)
		}
		kept[i] = before.records[n : n+len(p.Records[i].Sets)]
	}
	return kept
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
