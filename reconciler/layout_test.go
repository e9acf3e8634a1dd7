package reconciler_test

import (
	"fmt"
	"testing"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/render/envoy"
)

// TestFirstLayout: a fleet begins with the buckets that what is declared needs, though Envoy is to look at all of it before it is served.
func TestFirstLayout(t *testing.T) {
	files := fixtures.Declarations(fixtures.EdgeConfig())
	for n := range 400 {
		id := fmt.Sprint("s", n)
		files = with(files, "services/trello/"+id+".cue", declared(id, "edge", "public", id+"."+trelloHost))
	}
	b := newBenchOf(t, files, func(b *bench) { b.validator = &judge{} })
	b.converged()
	b.proxies.mu.Lock()
	defer b.proxies.mu.Unlock()
	for _, r := range b.proxies.history {
		if want := (envoy.Layout{Generation: 1, Buckets: 64}); r.Fleet.ID == "edge" && (r.Layout != want || r.Old.Buckets > 0) {
			t.Fatalf("a release has the layout %+v beside %+v, want %+v", r.Layout, r.Old, want)
		}
	}
	if len(b.proxies.history) == 0 {
		t.Error("nothing was published")
	}
}
