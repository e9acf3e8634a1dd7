package reconciler

import (
	"testing"
	"time"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// TestWhatCannotBeRenderedIsHeld holds that a declaration which the rules passed, and which still cannot be rendered, holds its own
// service and no other.
func TestWhatCannotBeRenderedIsHeld(t *testing.T) {
	platform := schema.Platform{Name: "acme", Fleets: []schema.Fleet{{ID: "edge", Listeners: []schema.Listener{{Exposure: "public", Port: 8080}}}}}
	service := func(id schema.ServiceID, fleet schema.FleetID) schema.Service {
		return schema.Service{ID: id, Fleet: fleet, Exposure: "public", Source: schema.Source{File: "services/a/" + string(id) + ".cue"}}
	}
	l := &loop{Reconciler: &Reconciler{Config: Config{Now: time.Now}}}
	d := l.decide(load.Commit{Edge: schema.Edge{Platform: platform, Services: []schema.Service{service("good", "edge"), service("odd", "none")}}})
	if len(d.problems) != 1 || d.problems[0].Code != "service/render" || !d.problems[0].Concerns("odd") {
		t.Errorf("problems: %v", d.problems)
	}
	if _, served := d.edge.Service("good"); !served || d.frozen || len(d.held) != 1 {
		t.Errorf("effective: %v, held %v, frozen %v", d.edge.Services, d.held, d.frozen)
	}
}
