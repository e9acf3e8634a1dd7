package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/edgewright/edgewright/schema"
)

// markerTTL is the time to live of a zone's marker, in seconds.
const markerTTL = 300

// Addresses are the records that point a host at a fleet: A, AAAA or both, by the fleet's addresses.
func Addresses(fleet schema.Fleet, host schema.Hostname) ([]Record, error) {
	ttl := time.Duration(fleet.TTL)
	if ttl < time.Second || ttl%time.Second != 0 {
		return nil, fmt.Errorf("fleet %s has a ttl of %s, want whole seconds", fleet.ID, ttl)
	}
	a := Record{Name: host, Type: "A", TTL: int(ttl / time.Second)}
	aaaa := Record{Name: host, Type: "AAAA", TTL: a.TTL}
	addresses := slices.Clone(fleet.Addresses)
	slices.SortFunc(addresses, netip.Addr.Compare)
	for _, addr := range slices.Compact(addresses) {
		if addr.Is4() {
			a.Values = append(a.Values, addr.String())
			continue
		}
		aaaa.Values = append(aaaa.Values, addr.String())
	}
	var records []Record
	for _, r := range []Record{a, aaaa} {
		if len(r.Values) > 0 {
			slices.Sort(r.Values)
			records = append(records, r)
		}
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("fleet %s has no addresses", fleet.ID)
	}
	return records, nil
}

// Marker says which edge fills a zone.
func Marker(zone schema.Zone, edge string) Record {
	return Record{
		Name:   MarkerPrefix + zone.Name,
		Type:   "TXT",
		TTL:    markerTTL,
		Values: []string{fmt.Sprintf(`"heritage=edgewright,edge=%s"`, edge)},
	}
}
