package reconciler

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/schema"
)

func service(id schema.ServiceID, hosts ...schema.Hostname) schema.Service {
	return schema.Service{ID: id, Hosts: hosts}
}

func edge(services ...schema.Service) schema.Edge { return schema.Edge{Services: services} }

// Invariant 7: an invalid declaration affects its own service only, with those that the commit ties to it.
func TestInvariant7InvalidDeclarationHoldsItsServiceAndItsTies(t *testing.T) {
	problem := func(id schema.ServiceID) schema.Problem {
		return schema.Problem{Holds: schema.Holding(id), Code: "test", Message: "broken"}
	}
	cases := []struct {
		name     string
		good     schema.Edge
		declared schema.Edge
		problems []schema.Problem
		mentions func(schema.ServiceID, schema.Hostname) bool
		want     schema.Edge
		held     []schema.ServiceID
		ok       bool
	}{
		{
			name: "others converge", ok: true,
			good:     edge(service("a", "a.test"), service("b", "b.test")),
			declared: edge(service("a", "a2.test")),
			problems: []schema.Problem{problem("b")},
			want:     edge(service("a", "a2.test"), service("b", "b.test")),
			held:     []schema.ServiceID{"b"},
		},
		{
			name: "a moved name waits for the broken taker", ok: true,
			good:     edge(service("a", "a.test", "x.test"), service("b", "b.test")),
			declared: edge(service("a", "a.test"), service("b", "b.test", "x.test")),
			problems: []schema.Problem{problem("b")},
			want:     edge(service("a", "a.test", "x.test"), service("b", "b.test")),
			held:     []schema.ServiceID{"a", "b"},
		},
		{
			name: "a moved name waits for the broken giver", ok: true,
			good:     edge(service("a", "a.test", "x.test"), service("b", "b.test")),
			declared: edge(service("b", "b.test", "x.test")),
			problems: []schema.Problem{problem("a")},
			want:     edge(service("a", "a.test", "x.test"), service("b", "b.test")),
			held:     []schema.ServiceID{"a", "b"},
		},
		{
			name: "a taker that cannot be read but mentions the name", ok: true,
			good:     edge(service("a", "a.test", "x.test"), service("b", "b.test"), service("c", "c.test")),
			declared: edge(service("a", "a.test"), service("c")),
			problems: []schema.Problem{problem("b")},
			mentions: func(id schema.ServiceID, h schema.Hostname) bool { return id == "b" && h == "x.test" },
			want:     edge(service("a", "a.test", "x.test"), service("b", "b.test"), service("c")),
			held:     []schema.ServiceID{"a", "b"},
		},
		{
			name: "a deleted service whose name goes to a broken one stays", ok: true,
			good:     edge(service("a", "a.test")),
			declared: edge(service("b", "a.test")),
			problems: []schema.Problem{problem("b")},
			want:     edge(service("a", "a.test")),
			held:     []schema.ServiceID{"a", "b"},
		},
		{
			name: "a broken service that is new is left out", ok: true,
			good:     edge(service("a", "a.test")),
			declared: edge(service("a", "a.test")),
			problems: []schema.Problem{problem("b")},
			want:     edge(service("a", "a.test")),
			held:     []schema.ServiceID{"b"},
		},
		{
			name:     "a fault in the platform holds everything",
			good:     edge(service("a", "a.test")),
			declared: edge(),
			problems: []schema.Problem{problem("")},
			want:     edge(service("a", "a.test")),
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.mentions == nil {
				c.mentions = func(schema.ServiceID, schema.Hostname) bool { return false }
			}
			got, why, ok := holdBack(c.good, c.declared, c.problems, c.mentions)
			if ok != c.ok {
				t.Fatalf("ok = %t, want %t", ok, c.ok)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("effective edge (-want +got):\n%s", diff)
			}
			var ids []schema.ServiceID
			for id := range why {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			if diff := cmp.Diff(c.held, ids); diff != "" {
				t.Errorf("held (-want +got):\n%s", diff)
			}
		})
	}
}
