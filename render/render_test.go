package render

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

func edge() schema.Edge {
	fleet := schema.Fleet{ID: "main", TTL: schema.Duration(5 * time.Second), Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1")},
		Listeners: []schema.Listener{{Exposure: schema.Public, Port: 80}}}
	service := func(id schema.ServiceID, host schema.Hostname) schema.Service {
		return schema.Service{ID: id, Fleet: "main", Exposure: schema.Public, Hosts: []schema.Hostname{host},
			Backends: []schema.Backend{{ID: "web", Location: schema.Addresses{netip.MustParseAddrPort("127.0.0.1:8080")}, Health: &schema.HealthCheck{Path: "/up"}}},
			Routes: []schema.Route{
				{Name: "old", Match: schema.Match{Path: schema.Prefix("/old")}, Action: schema.Redirect{Prefix: "/", Code: 301}},
				{Name: "web", Action: schema.Forward{To: []schema.Destination{{Backend: "web", Weight: 100}}},
					Headers: schema.HeaderEdits{Request: schema.HeaderEdit{Set: map[string]string{"x-a": "1", "x-b": "5%", "x-c": "3"}}}},
			}}
	}
	return schema.Edge{
		Platform: schema.Platform{Name: "test", Fleets: []schema.Fleet{fleet}, Zones: []schema.Zone{{Name: "edge.test", Exposure: schema.Public}}},
		Services: []schema.Service{service("jira", "jira.edge.test"), service("wiki", "*.wiki.edge.test")},
	}
}

func TestInvariant2RenderingIsByteStable(t *testing.T) {
	want, err := Edge(edge())
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != 6 {
		t.Errorf("%d resources, want 6", len(want))
	}
	for range 50 {
		e := edge()
		rand.Shuffle(len(e.Services), func(i, j int) { e.Services[i], e.Services[j] = e.Services[j], e.Services[i] })
		slices.Reverse(e.Platform.Fleets[0].Addresses)
		got, err := Edge(e)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestListenerIsValid(t *testing.T) {
	f := edge().Platform.Fleets[0]
	if err := envoy.Listener(f, f.Listeners[0], netip.MustParseAddrPort("127.0.0.1:8080")).ValidateAll(); err != nil {
		t.Fatal(err)
	}
}
