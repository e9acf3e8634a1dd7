package state_test

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/schema"
)

func declared(id schema.ServiceID, hosts ...schema.Hostname) schema.Service {
	exact := "1"
	return schema.Service{ID: id, Hosts: hosts, Exposure: schema.Public, Fleet: "edge",
		Backends: []schema.Backend{
			{ID: "next", Location: schema.DNSName{Name: "localhost", Port: 80}},
			{ID: "web", Location: schema.Addresses{netip.MustParseAddrPort("127.0.0.1:9001")}, Health: &schema.HealthCheck{Path: "/healthz"}}},
		Routes: []schema.Route{
			{Name: "api", Match: schema.Match{Path: schema.Prefix("/api"), Headers: []schema.HeaderMatch{{Name: "x-beta", Exact: &exact}}},
				Action: schema.Forward{To: []schema.Destination{{Backend: "web", Weight: 90}, {Backend: "next", Weight: 10}}, Timeout: schema.Duration(5e9)}},
			{Name: "old", Match: schema.Match{Path: schema.Exact("/old")}, Action: schema.Redirect{Path: "/new", Code: 301}},
			{Name: "robots", Match: schema.Match{Path: schema.Regex("/r.*")}, Action: schema.Respond{Status: 200, Body: "x"}}},
		Source: schema.Source{File: "services/t/" + string(id) + ".cue", At: map[string]schema.Position{"hosts[0]": {File: "f", Line: 3, Column: 9}}},
	}
}

func TestLastGoodIsReadAsItWasWritten(t *testing.T) {
	good := state.LastGood{Store: open(t)}
	if _, ok, err := good.Read(t.Context()); ok || err != nil {
		t.Fatalf("at first: %t %v", ok, err)
	}
	first := schema.Edge{Platform: schema.Platform{Name: "acme"}, Services: []schema.Service{declared("a", "a.test"), declared("b", "b.test")}}
	second := schema.Edge{Platform: schema.Platform{Name: "acme"}, Services: []schema.Service{declared("b", "b2.test"), declared("c", "c.test")}}
	for _, edge := range []schema.Edge{first, second, {}} {
		must(t, good.Replace(t.Context(), edge, "c0ffee", nil))
		got, ok, err := good.Read(t.Context())
		if err != nil || !ok {
			t.Fatalf("read: %t %v", ok, err)
		}
		if diff := cmp.Diff(edge, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
			t.Errorf("last good (-want +got):\n%s", diff)
		}
	}
}

func TestLastGoodWritesOnlyWhatDiffers(t *testing.T) {
	store := open(t)
	good := state.LastGood{Store: store}
	must(t, good.Replace(t.Context(), schema.Edge{Services: []schema.Service{declared("a", "a.test"), declared("b", "b.test")}}, "c0ffee", nil))
	must(t, good.Replace(t.Context(), schema.Edge{Services: []schema.Service{declared("a", "a.test"), declared("b", "b2.test")}}, "c0ffee", nil))
	for key, want := range map[string]int64{"platform": 1, "service/a": 1, "service/b": 2} {
		item, err := store.Get(t.Context(), "good", key)
		if err != nil || item.Version != want {
			t.Errorf("%s is at version %d (%v), want %d", key, item.Version, err, want)
		}
	}
}

// Who knows what is stored has only what differs from it written, and what has gone deleted.
func TestLastGoodByDifference(t *testing.T) {
	store := open(t)
	good := state.LastGood{Store: store}
	of := func(revisions map[schema.ServiceID]string) schema.Edge {
		edge := schema.Edge{Platform: schema.Platform{Name: "acme", Revision: "p"}}
		for _, id := range slices.Sorted(maps.Keys(revisions)) {
			s := declared(id, schema.Hostname(id)+".test")
			s.Revision = revisions[id]
			edge.Services = append(edge.Services, s)
		}
		return edge
	}
	first, next := of(map[schema.ServiceID]string{"a": "1", "b": "1", "c": "1"}), of(map[schema.ServiceID]string{"a": "1", "b": "2", "d": "1"})
	must(t, good.Replace(t.Context(), first, "c0", nil))
	must(t, good.Replace(t.Context(), next, "c1", &first))
	got, ok, err := good.Read(t.Context())
	if err != nil || !ok || len(got.Services) != 3 || got.Services[2].ID != "d" {
		t.Errorf("read %+v, %t, %v", got, ok, err)
	}
	for key, want := range map[string]int64{"platform": 1, "service/a": 1, "service/b": 2, "service/d": 1} {
		item, err := store.Get(t.Context(), "good", key)
		if err != nil || item.Version != want {
			t.Errorf("%s is at version %d (%v), want %d", key, item.Version, err, want)
		}
	}
	if commit, err := good.Commit(t.Context()); err != nil || commit != "c1" {
		t.Errorf("the commit is %s, %v", commit, err)
	}
}
