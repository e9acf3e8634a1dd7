package reconciler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
)

// A service moves to a new fleet, with a restart in between: the old fleet answers for a TTL.
func TestHostileServiceMovesToAnotherFleet(t *testing.T) {
	b := newBench(t)
	b.short()
	dns := b.resolve()
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	b.land(3, with(b.tree(), trello, onTwo))
	b.until("record leads to the second fleet", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.stop()
	b.start()
	if !soon(time.Second, func() bool { return b.answers("edge", "public", trelloHost) }) {
		t.Error("the old fleet does not answer after the restart")
	}
	b.until("the old fleet lets go", func() bool { return !b.answers("edge", "public", trelloHost) })
	dns.fine(t)
	b.quiet()
}

// A record leads to another fleet only once its proxies have the service.
func TestHostileMoveWaitsForAcknowledgement(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	dns := b.resolve()
	b.proxies.acknowledge(false)
	b.land(3, with(b.tree(), trello, onTwo))
	b.until("published", func() bool { return b.answers("two", "public", trelloHost) })
	time.Sleep(150 * time.Millisecond)
	if got := b.records("acme.example")[trelloHost]; got == twoAddress {
		t.Error("the record was moved before any proxy has the service")
	}
	b.stop()
	b.start()
	time.Sleep(150 * time.Millisecond)
	if got := b.records("acme.example")[trelloHost]; got == twoAddress {
		t.Error("after a restart the record was moved before any proxy has the service")
	}
	b.proxies.acknowledge(true)
	b.until("moved", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.stop()
	calls := fmt.Sprint(b.world.Calls())
	time.Sleep(150 * time.Millisecond)
	if now := fmt.Sprint(b.world.Calls()); now != calls {
		t.Errorf("calls after the end: %s, then %s", calls, now)
	}
	dns.fine(t)
}

func TestHostileExposureChanges(t *testing.T) {
	b := newBench(t)
	b.short()
	dns := b.resolve()
	b.land(3, with(with(b.tree(), "services/jira/jira-api.cue", swap(`"api.jira.acme.example"`, `"web.jira.acme.internal"`)),
		"services/jira/jira-api.cue", swap(`exposure: "public"`, `exposure: "internal"`)))
	b.until("record gone", func() bool { return b.records("acme.example")["api.jira.acme.example"] == "" })
	b.until("new record", func() bool { return b.records("acme.internal")["web.jira.acme.internal"] != "" })
	dns.fine(t)
	b.quiet()
}

func TestHostileFleetIsRemovedAsItsServicesLeave(t *testing.T) {
	b := newBench(t)
	files := with(with(b.tree(), fleetsFile, twoFleets), trello, onTwo)
	b.converged()
	b.land(2, files)
	b.until("on two", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.converged()
	dns := b.resolve()
	one := b.repository.files(b.repository.line[0].Hash)
	b.land(3, with(with(files, fleetsFile, func(string) string { return string(find(one, fleetsFile)) }), trello, swap(`"two"`, `"edge"`)))
	b.until("back on edge", func() bool { return strings.HasPrefix(b.records("acme.example")[trelloHost], "192.0.2.10") })
	time.Sleep(100 * time.Millisecond)
	dns.fine(t)
}

func TestHostileListenerIsRemovedAsItsServiceLeaves(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	files := b.tree()
	for _, f := range b.tree() {
		if strings.HasPrefix(f.Path, "services/") && strings.Contains(string(f.Data), `acme.internal`) {
			files = with(files, f.Path, gone)
		}
	}
	b.land(3, with(files, fleetsFile, swap("internal: port: 8081", "")))
	b.until("records gone", func() bool { return len(b.records("acme.internal")) == 0 })
	time.Sleep(100 * time.Millisecond)
	dns.fine(t)
}

// A name goes and comes back within its TTL.
func TestHostileHostComesBack(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	all := b.tree()
	b.land(3, with(all, trello, gone))
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.repository.commit(with(all, pingFile, pong("back")))
	b.until("record back", func() bool { return b.records("acme.example")[trelloHost] != "" })
	time.Sleep(100 * time.Millisecond)
	dns.fine(t)
	b.quiet()
}

func TestHostileHostComesBackElsewhere(t *testing.T) {
	b := newBench(t)
	all := with(b.tree(), fleetsFile, twoFleets)
	b.repository.commit(all)
	b.converged()
	dns := b.resolve()
	b.land(3, with(all, trello, gone))
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.repository.commit(with(all, trello, onTwo))
	b.until("record back", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.converged()
	time.Sleep(100 * time.Millisecond)
	dns.fine(t)
}

func TestHostileDriftAfterAMove(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	dns := b.resolve()
	b.land(3, with(b.tree(), trello, onTwo))
	b.until("moved", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.converged()
	b.world.Put(b.zones["acme.example"], world.Simple("A", trelloHost+".", 5, "203.0.113.9"))
	b.until("healed", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.converged()
	time.Sleep(100 * time.Millisecond)
	dns.fine(t)
}

func TestHostileShorterTTLBeforeRemoval(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	b.repository.commit(with(b.tree(), fleetsFile, swap(`ttl: "5s"`, `ttl: "1s"`)))
	b.converged()
	b.land(3, with(b.tree(), trello, gone))
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.until("route gone", func() bool { _, ok := b.proxies.serves(trelloHost); return !ok })
	dns.fine(t)
}

func TestHostileMovesBackBeforeItHasSpread(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	dns := b.resolve()
	before := b.tree()
	pending := b.unsettled()
	b.land(3, with(before, trello, onTwo))
	b.until("moved", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.land(4, with(before, pingFile, pong("back")))
	b.until("back in the release", func() bool {
		id, _ := b.proxies.serves(trelloHost)
		return b.View().Commit == b.repository.tip() && id == "trello-web"
	})
	time.Sleep(200 * time.Millisecond)
	pending.Remove()
	b.until("back", func() bool { return strings.HasPrefix(b.records("acme.example")[trelloHost], "192.0.2.10") })
	dns.fine(t)
	b.converged()
}

func TestHostileRemovedBeforeItHasSpread(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	before := b.tree()
	pending := b.unsettled()
	b.repository.commit(with(before, nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.until("record", func() bool { return b.records("acme.example")["next.trello.acme.example"] != "" })
	b.land(3, with(before, pingFile, pong("gone")))
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	time.Sleep(200 * time.Millisecond)
	pending.Remove()
	time.Sleep(200 * time.Millisecond)
	dns.fine(t)
}

func TestHostileMovedThenRemovedBeforeAcknowledged(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	b.proxies.acknowledge(false)
	files := with(b.tree(), trello, swap(`"trello.acme.example"`, `"old.trello.acme.example"`))
	b.land(3, with(files, nextFile, declared("next", "edge", "public", trelloHost)))
	b.until("moved", func() bool { id, _ := b.proxies.serves(trelloHost); return id == "next" })
	b.land(4, files)
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	time.Sleep(200 * time.Millisecond)
	dns.fine(t)
}

func TestHostileAddressFamilyChanges(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, func(s string) string { return strings.Replace(twoFleets(s), twoAddress, "2001:db8::2", 1) }))
	b.converged()
	b.proxies.acknowledge(false)
	b.land(3, with(b.tree(), trello, onTwo))
	b.until("published", func() bool { return b.answers("two", "public", trelloHost) })
	time.Sleep(200 * time.Millisecond)
	if b.records("acme.example")[trelloHost] == "" {
		t.Error("the name is gone, and its new address is not there")
	}
}
