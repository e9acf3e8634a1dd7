package reconciler_test

import (
	"strings"
	"testing"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/render/resource"
)

// TestResources lists what is ours with what shall be and what is.
func TestResources(t *testing.T) {
	b := newBench(t)
	b.converged()
	ask := func(q reconciler.ResourcesQuery) reconciler.Resources {
		t.Helper()
		got, err := b.Resources(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	all := ask(reconciler.ResourcesQuery{})
	kinds := map[resource.Kind]int{}
	for _, r := range all.Items {
		kinds[r.Key.Kind]++
		if r.State != reconciler.Converged || string(r.Desired) != string(r.Actual) || r.Applied.IsZero() && r.Key.Kind != resource.EnvoyFleet {
			t.Errorf("%s: %s, desired %s, actual %s, applied %s", r.Key, r.State, r.Desired, r.Actual, r.Applied)
		}
	}
	if all.Total != len(all.Items) || kinds[resource.EnvoyService] != 12 || kinds[resource.EnvoyFleet] != 1 || kinds[resource.DNSRecord] < 15 {
		t.Errorf("%d resources: %v", all.Total, kinds)
	}
	few := ask(reconciler.ResourcesQuery{Service: "trello-web", Limit: 1})
	if few.Total != 2 || len(few.Items) != 1 || few.Items[0].Service != "trello-web" {
		t.Errorf("of one service: %+v", few)
	}
	b.repository.commit(with(b.tree(), webFile, drift("report")))
	b.converged()
	b.world.Put(b.zones["acme.example"], world.Simple("A", web+".", 5, "203.0.113.9"))
	b.until("the drift is seen", func() bool { return len(b.View().Steps) == 1 })
	changed := ask(reconciler.ResourcesQuery{Scope: "zone/acme.example", Text: "A " + web})
	if changed.Total != 1 || changed.Items[0].State != reconciler.Approval || !strings.Contains(string(changed.Items[0].Actual), "203.0.113.9") || !strings.Contains(changed.Items[0].Why, "report") {
		t.Errorf("what somebody changed: %+v", changed)
	}
}
