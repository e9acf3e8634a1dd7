package reconciler_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/state"
)

func TestHostileMarkOfAnotherEdge(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.show(3, with(b.tree(), trello, gone))
	b.world.Put(b.zones["acme.example"], world.Simple("TXT", "_edgewright.acme.example.", 300, `"heritage=edgewright,edge=other"`))
	time.Sleep(300 * time.Millisecond) // it is listed
	writes := len(b.world.Writes())
	b.merge(3)
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	time.Sleep(300 * time.Millisecond)
	for _, w := range b.world.Writes()[writes:] {
		t.Errorf("written to a zone of another edge: %s %s", w.Changes[0].Action, w.Changes[0].ResourceRecordSet.Name)
	}
}

// A mark that was removed by hand comes back, and a service beside it goes its way.
func TestHostileMarkRemovedByHand(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.world.Put(b.zones["acme.example"], world.Simple("TXT", "_edgewright.acme.example.", 30, `"heritage=edgewright,edge=acme"`))
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.until("the mark is seen to be changed", func() bool { return len(b.View().Drifts) == 1 })
	b.quiet()
	for _, r := range b.world.Records(b.zones["acme.example"]) {
		if r.Type == "TXT" && *r.TTL != 300 {
			t.Errorf("mark has ttl %d", *r.TTL)
		}
	}
}

func TestHostileLostAnswerInAZoneThatLeaves(t *testing.T) {
	b := newBench(t)
	b.zones["acme.test"] = b.world.Zone("acme.test")
	b.converged()
	before := b.tree()
	lost := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 1000, Drop: world.AfterCommit})
	b.repository.commit(with(before, zonesFile, func(s string) string { return s + fmt.Sprintf(testZone, b.zones["acme.test"]) }))
	b.until("the call was made", func() bool { return lost.Fired() > 0 })
	b.stop()
	lost.Remove()
	b.repository.commit(before)
	b.start()
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	if !soon(2*time.Second, func() bool { return b.View().Pending != "" }) {
		t.Error("nobody is told of the mark that was left in the zone")
	}
}

func TestHostileZoneWithAnIDIsRemoved(t *testing.T) {
	b := newBench(t)
	b.zones["acme.test"] = b.world.Zone("acme.test")
	b.world.Zone("acme.test")
	before := with(b.tree(), "platform/teams.cue", swap(`domains: ["trello.acme.example"]`, `domains: ["trello.acme.example", "acme.test"]`))
	b.repository.commit(with(with(before, zonesFile, func(s string) string { return s + fmt.Sprintf(testZone, b.zones["acme.test"]) }),
		nextFile, declared("next", "edge", "public", "next.acme.test")))
	b.converged()
	b.repository.commit(before)
	b.until("pending", func() bool { return b.View().Pending != "" })
	b.stop()
	b.start()
	b.until("pending again", func() bool { v := b.View(); return v.Pending != "" && v.Commit == b.repository.tip() })
	ok := soon(2*time.Second, func() bool {
		v := b.View()
		_, _ = b.Apply(context.Background(), reconciler.Apply{Digest: v.Pending, Identity: "ann", ConfirmDeletes: v.Deletes})
		return len(b.records("acme.test")) == 0
	})
	if !ok {
		t.Errorf("the zone is not emptied: %+v", b.View().Zones)
	}
}

// A zone leaves with its services; records there that are not ours stay.
func TestHostileZoneLeavesWithItsServices(t *testing.T) {
	b := newBench(t)
	b.world.Put(b.zones["acme.internal"], world.Simple("A", "theirs.acme.internal.", 60, "203.0.113.9"))
	b.short()
	dns := b.resolve()
	files := with(b.tree(), zonesFile, swap(`"acme.internal": exposure: "internal"`, ""))
	for _, f := range b.tree() {
		if strings.HasPrefix(f.Path, "services/") && strings.Contains(string(f.Data), `acme.internal`) {
			files = with(files, f.Path, gone)
		}
	}
	b.land(3, files)
	b.until("emptied", func() bool { return len(b.records("acme.internal")) == 1 })
	b.until("routes gone", func() bool { _, ok := b.proxies.serves("automation.jira.acme.internal"); return !ok })
	b.until("the mark waits for its count", func() bool { return b.View().Deletes == 1 }) // it is protected
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: b.View().Pending, ConfirmDeletes: 1, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.until("the mark goes", func() bool {
		return !slices.ContainsFunc(b.world.Records(b.zones["acme.internal"]), func(r world.RecordSet) bool { return r.Type == "TXT" })
	})
	dns.fine(t)
	b.quiet()
}

func TestHostileRecordsMoveToAZoneThatIsNotThere(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.land(3, with(b.tree(), zonesFile, func(s string) string { return s + "\nzones: \"trello.acme.example\": exposure: \"public\"\n" }))
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	time.Sleep(300 * time.Millisecond)
	if b.records("acme.example")[trelloHost] == "" {
		t.Error("the name is gone, and its new zone is not there")
	}
}

func TestHostileRenamedEdge(t *testing.T) {
	b := newBench(t)
	b.converged()
	fault := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 2, Status: 400, Code: "InvalidChangeBatch", Message: "[no]"})
	b.repository.commit(with(b.tree(), "platform/acme.cue", swap(`"acme"`, `"acme-two"`)))
	b.until("refused", func() bool { return fault.Fired() == 2 })
	if !soon(3*time.Second, func() bool {
		for _, r := range b.world.Records(b.zones["acme.example"]) {
			if r.Type == "TXT" && strings.Contains(fmt.Sprint(r.Values()), "acme-two") {
				return true
			}
		}
		return false
	}) {
		t.Error("the mark keeps the old name")
	}
}

func TestHostileInventoryForgets(t *testing.T) {
	b := newBench(t)
	b.short()
	b.land(3, with(b.tree(), trello, gone))
	b.until("route gone", func() bool { _, ok := b.proxies.serves(trelloHost); return !ok })
	time.Sleep(1200 * time.Millisecond) // a sweep
	entries, err := state.Inventory{Store: b.store}.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for key, e := range entries {
		if e.Spec == nil {
			t.Errorf("%s is kept, which is gone since %v", key, e.Gone)
		}
	}
}
