package reconciler_test

import (
	"testing"
	"time"

	"github.com/edgewright/edgewright/reconciler/xds"
)

// Two names of one zone go out in one call where the proxies acknowledge one service a moment after the other, and a service that they
// do not acknowledge holds the other's name for no longer than that moment.
func TestCallsAreGathered(t *testing.T) {
	for what, tc := range map[string]struct {
		soon  bool
		calls int
	}{"one a moment after the other": {true, 1}, "one much later": {false, 2}} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t)
			b.converged()
			b.proxies.slowTo("late", xds.Node{ID: "one", Fleet: "edge"})
			before := b.world.Calls()["ChangeResourceRecordSets"]
			files := b.tree()
			for _, id := range []string{"prompt", "late"} {
				files = with(files, "services/trello/"+id+".cue", declared(id, "edge", "public", id+"."+trelloHost))
			}
			b.repository.commit(files)
			b.until("both are published", func() bool { _, is := b.proxies.serves("late." + trelloHost); return is })
			if tc.soon {
				time.Sleep(100 * time.Millisecond)
				b.proxies.takes("late")
			}
			b.until("the name of who is on time is there", func() bool { return b.records("acme.example")["prompt."+trelloHost] != "" })
			if there := b.records("acme.example")["late."+trelloHost] != ""; there != tc.soon {
				t.Errorf("the late one's name is there: %v", there)
			}
			b.proxies.takes("late")
			b.converged()
			if n := b.world.Calls()["ChangeResourceRecordSets"] - before; n != tc.calls {
				t.Errorf("%d calls, want %d", n, tc.calls)
			}
		})
	}
}
