package dns

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/schema"
)

func fleet(ttl time.Duration, addresses ...string) schema.Fleet {
	f := schema.Fleet{ID: "edge", TTL: schema.Duration(ttl)}
	for _, a := range addresses {
		f.Addresses = append(f.Addresses, netip.MustParseAddr(a))
	}
	return f
}

func TestAddresses(t *testing.T) {
	const host = "jira.acme.example"
	a := func(values ...string) Record { return Record{Name: host, Type: "A", TTL: 60, Values: values} }
	aaaa := func(values ...string) Record { return Record{Name: host, Type: "AAAA", TTL: 60, Values: values} }
	for _, c := range []struct {
		name  string
		fleet schema.Fleet
		want  []Record
		err   string
	}{
		{"one address", fleet(time.Minute, "192.0.2.1"), []Record{a("192.0.2.1")}, ""},
		{"sorted as text, as Route53 compares them", fleet(time.Minute, "192.0.2.9", "192.0.2.10"), []Record{a("192.0.2.10", "192.0.2.9")}, ""},
		{"the same address twice", fleet(time.Minute, "192.0.2.1", "192.0.2.1"), []Record{a("192.0.2.1")}, ""},
		{"both families", fleet(time.Minute, "2001:db8:0::1", "192.0.2.1"), []Record{a("192.0.2.1"), aaaa("2001:db8::1")}, ""},
		{"only IPv6", fleet(time.Minute, "2001:db8::1"), []Record{aaaa("2001:db8::1")}, ""},
		{"no address", fleet(time.Minute), nil, "fleet edge has no addresses"},
		{"less than a second", fleet(time.Millisecond, "192.0.2.1"), nil, "fleet edge has a ttl of 1ms, want whole seconds"},
		{"no whole seconds", fleet(1500*time.Millisecond, "192.0.2.1"), nil, "fleet edge has a ttl of 1.5s, want whole seconds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Addresses(c.fleet, host)
			if (err != nil) != (c.err != "") || err != nil && err.Error() != c.err {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMarkerNamesTheEdge(t *testing.T) {
	want := Record{Name: "_edgewright.acme.example", Type: "TXT", TTL: 300, Values: []string{`"heritage=edgewright,edge=acme"`}}
	if diff := cmp.Diff(want, Marker(schema.Zone{Name: "acme.example"}, "acme")); diff != "" {
		t.Errorf("marker (-want +got):\n%s", diff)
	}
}
