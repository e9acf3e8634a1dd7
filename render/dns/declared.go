package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/rdata"
)

// Declared is one set of a record that the platform declares.
func Declared(r schema.Record, s schema.RecordSet) (Record, error) {
	out := Record{Name: r.Name, Type: r.Type, Set: s.ID, Routing: s.Routing, HealthCheck: s.HealthCheck}
	if a := s.Alias; a != nil {
		out.Alias = &Alias{Target: a.Target, Zone: a.Zone, EvaluateHealth: a.EvaluateHealth}
		if out.Alias.Zone == "" {
			out.Alias.Zone = a.KnownZone()
		}
		return out, nil
	}
	ttl := time.Duration(r.TTL)
	if ttl < time.Second || ttl%time.Second != 0 {
		return Record{}, fmt.Errorf("record %s %s has a ttl of %s, want whole seconds", r.Type, r.Name, ttl)
	}
	out.TTL = int(ttl / time.Second)
	for _, v := range s.Values {
		out.Values = append(out.Values, value(r.Type, v))
	}
	slices.Sort(out.Values)
	return out, nil
}

// value is a declared value as Route53 shows it.
func value(kind, v string) string {
	switch kind {
	case "TXT":
		return rdata.Text(v)
	case "A", "AAAA":
		if addr, err := netip.ParseAddr(v); err == nil {
			return addr.String()
		}
	}
	return v
}
