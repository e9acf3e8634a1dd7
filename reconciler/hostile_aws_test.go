package reconciler_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
)

func TestHostileRefusedContentAfterARestart(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.proxies.acknowledge(false)
	b.repository.commit(with(b.tree(), pingFile, pong("refused")))
	published := func() xds.Service {
		b.proxies.mu.Lock()
		defer b.proxies.mu.Unlock()
		return b.proxies.releases["edge"].Services["statuspage"]
	}
	b.until("published", func() bool { return strings.Contains(string(published().Unit.VirtualHost), "refused") })
	refused := published().Version
	b.proxies.mu.Lock()
	b.proxies.refusals = []xds.Refusal{{Fleet: "edge", Service: "statuspage", Cohort: "1.39.0", Version: refused, Node: "one", Why: "no"}}
	b.proxies.poke()
	b.proxies.mu.Unlock()
	b.until("refusal shown", func() bool {
		return slices.ContainsFunc(b.View().Services, func(s reconciler.ServiceView) bool { return s.Refused == "Envoy 1.39.0: no" })
	})
	b.stop()
	b.proxies.mu.Lock()
	b.proxies.releases, b.proxies.refusals = map[schema.FleetID]xds.Release{}, nil
	b.proxies.mu.Unlock()
	b.start()
	b.until("published again", func() bool { return published().Version == refused }) // to those who have not refused it
	b.proxies.mu.Lock()
	defer b.proxies.mu.Unlock()
	held := b.proxies.releases["edge"].Held
	if one := held["1.39.0"]["statuspage"]; len(held) != 1 || len(held["1.39.0"]) != 1 || one.Version == refused || !strings.Contains(string(one.Unit.VirtualHost), "pong") {
		t.Errorf("what Envoy refused is published again to it: %+v", held)
	}
}

// A pull that says again what a proxy has refused is told so; it holds nobody, as other proxies may take it.
func TestRefusedContentIsToldOnTheNextPull(t *testing.T) {
	b := newBench(t)
	b.converged()
	before := b.tree()
	odd := with(before, pingFile, pong("refused"))
	b.repository.commit(odd)
	version := ""
	b.until("published", func() bool {
		b.proxies.mu.Lock()
		defer b.proxies.mu.Unlock()
		s := b.proxies.releases["edge"].Services["statuspage"]
		version = s.Version
		return strings.Contains(string(s.Unit.VirtualHost), "refused")
	})
	b.proxies.mu.Lock()
	b.proxies.refusals = []xds.Refusal{{Fleet: "edge", Service: "statuspage", Cohort: "1.39.0", Version: version, Node: "one", Why: "no"}}
	b.proxies.mu.Unlock()
	b.proxies.poke()
	b.until("refusal shown", func() bool {
		return slices.ContainsFunc(b.View().Services, func(s reconciler.ServiceView) bool { return s.Refused == "Envoy 1.39.0: no" })
	})
	b.repository.commit(before)
	b.until("it is as before", func() bool {
		return slices.ContainsFunc(b.View().Services, func(s reconciler.ServiceView) bool { return s.ID == "statuspage" && s.Refused == "" })
	})
	b.propose(3, odd)
	b.until("verdict on pull 3", func() bool { _, ok := b.forge.review(3); return ok })
	r, _ := b.forge.review(3)
	if r.Verdict() != forge.Planned || len(r.Warnings) != 1 || r.Warnings[0].Code != "envoy/again" || r.Warnings[0].Position.File != pingFile ||
		!strings.Contains(r.Warnings[0].Message, "Envoy 1.39.0 refused this very content of service statuspage: no") {
		t.Errorf("verdict %s, warnings %v", r.Verdict(), r.Warnings)
	}
}

// A new service that Envoy refuses: there is nothing to go back to, and that cohort gets nothing of it, also after a restart.
func TestHostileNewServiceIsRefused(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.proxies.acknowledge(false)
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.until("published", func() bool { id, _ := b.proxies.serves("next.trello.acme.example"); return id == "next" })
	b.proxies.mu.Lock()
	b.proxies.refusals = []xds.Refusal{{Fleet: "edge", Service: "next", Cohort: "1.39.0", Version: b.proxies.releases["edge"].Services["next"].Version, Node: "one", Why: "no"}}
	b.proxies.poke()
	b.proxies.mu.Unlock()
	nothing := func() bool {
		b.proxies.mu.Lock()
		defer b.proxies.mu.Unlock()
		held, is := b.proxies.releases["edge"].Held["1.39.0"]["next"]
		return is && len(held.Unit.Domains)+len(held.Unit.Clusters)+len(held.Unit.VirtualHost) == 0 && held.Version != ""
	}
	b.until("it gets nothing", nothing)
	b.proxies.mu.Lock()
	b.proxies.releases, b.proxies.refusals = map[schema.FleetID]xds.Release{}, nil
	b.proxies.mu.Unlock()
	b.start()
	b.until("it gets nothing after a restart", nothing)
	if r := b.records("acme.example"); r["next.trello.acme.example"] != "" {
		t.Error("its name is published")
	}
}

// Content that was refused, and is then mended.
func TestHostileRefusedContentIsMended(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), pingFile, pong("refused")))
	b.converged()
	b.proxies.mu.Lock()
	version := b.proxies.releases["edge"].Services["statuspage"].Version
	b.proxies.refusals = []xds.Refusal{{Fleet: "edge", Service: "statuspage", Version: version, Node: "one", Why: "no"}}
	b.proxies.poke()
	b.proxies.mu.Unlock()
	b.repository.commit(with(b.tree(), pingFile, swap("refused", "mended")))
	b.until("mended", func() bool {
		b.proxies.mu.Lock()
		defer b.proxies.mu.Unlock()
		return strings.Contains(string(b.proxies.releases["edge"].Services["statuspage"].Unit.VirtualHost), "mended")
	})
	b.converged()
}

func TestHostileChangeThatAWSForgot(t *testing.T) {
	b := newBench(t)
	b.converged()
	unknown := b.unsettled()
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.until("record", func() bool { return b.records("acme.example")["next.trello.acme.example"] != "" })
	began := time.Now()
	b.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("stopping took %s", took)
	}
	b.start()
	b.repository.commit(with(b.tree(), "services/trello/more.cue", declared("more", "edge", "public", "more.trello.acme.example")))
	if !soon(2*time.Second, func() bool { return b.records("acme.example")["more.trello.acme.example"] != "" }) {
		t.Error("the zone is not written to any more")
	}
	unknown.Remove()
	b.until("all is well", func() bool { return len(b.View().Steps) == 0 })
}

func TestHostileLostAnswerAndDrift(t *testing.T) {
	b := newBench(t)
	b.converged()
	lost := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 1000, Drop: world.AfterCommit})
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "a.trello.acme.example", "b.trello.acme.example")))
	b.until("the call was made", func() bool { return lost.Fired() > 0 })
	b.stop()
	lost.Remove()
	b.world.Put(b.zones["acme.example"], world.Simple("A", "a.trello.acme.example.", 5, "203.0.113.9"))
	b.start()
	if !soon(2*time.Second, func() bool {
		return strings.HasPrefix(b.records("acme.example")["a.trello.acme.example"], "192.0.2.10")
	}) {
		t.Errorf("the records are not ours: %v", b.View().Steps)
	}
	b.land(3, with(b.tree(), nextFile, gone))
	if !soon(2*time.Second, func() bool { return b.records("acme.example")["b.trello.acme.example"] == "" }) {
		t.Error("what we made is never removed")
	}
}

// AWS refuses a batch once: the others and it go through.
func TestHostileRefusedOnce(t *testing.T) {
	b := newBench(t)
	b.converged()
	once := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Status: 400, Code: "InvalidChangeBatch", Message: "[no]"})
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "x.trello.acme.example", "y.trello.acme.example", "z.trello.acme.example")))
	b.until("refused", func() bool { return once.Fired() == 1 })
	b.quiet()
}

// One record is taken by somebody between the listing and the call; its neighbours are made.
func TestHostileOneOfSeveralIsTaken(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.world.Freeze(true)
	b.world.Put(b.zones["acme.example"], world.Simple("A", "y.trello.acme.example.", 60, "203.0.113.9"))
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "x.trello.acme.example", "y.trello.acme.example", "z.trello.acme.example")))
	b.until("neighbours", func() bool {
		r := b.records("acme.example")
		return r["x.trello.acme.example"] != "" && r["z.trello.acme.example"] != ""
	})
	b.world.Freeze(false)
	b.until("clash", func() bool {
		return slices.ContainsFunc(b.View().Services, func(s reconciler.ServiceView) bool { return s.ID == "next" && s.State == "held" })
	})
	if b.records("acme.example")["y.trello.acme.example"] != "203.0.113.9" {
		t.Error("what is not ours was changed")
	}
}

// A service is deleted while its zone cannot be reached, with a restart in between.
func TestHostileDeletedWhileUnreachable(t *testing.T) {
	b := newBench(t)
	b.short()
	dns := b.resolve()
	b.show(3, with(b.tree(), trello, gone))
	down := b.world.Inject(world.Fault{Times: 1_000_000, Status: 503, Code: "ServiceUnavailable", Message: "down"})
	b.merge(3)
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	time.Sleep(100 * time.Millisecond)
	b.stop()
	b.start()
	b.until("taken again", func() bool { return b.View().Commit == b.repository.tip() })
	time.Sleep(100 * time.Millisecond)
	down.Remove()
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.until("route gone", func() bool { _, ok := b.proxies.serves(trelloHost); return !ok })
	dns.fine(t)
	b.quiet()
}

// A record drifts as a commit changes it.
func TestHostileDriftAndChangeAtOnce(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	online := b.offline()
	b.show(3, with(b.tree(), trello, onTwo))
	b.world.Put(b.zones["acme.example"], world.Simple("A", trelloHost+".", 5, "203.0.113.9"))
	b.merge(3)
	online()
	b.until("moved", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.quiet()
}

func TestHostileMendedRecordDoesNotWait(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	refused := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 2, Status: 400, Code: "InvalidChangeBatch", Message: "[no]"})
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.until("refused twice", func() bool { return refused.Fired() == 2 })
	b.repository.commit(with(b.tree(), nextFile, declared("next", "two", "public", "next.trello.acme.example")))
	if !soon(time.Second, func() bool { return b.records("acme.example")["next.trello.acme.example"] == twoAddress }) {
		t.Error("another record of that name was not tried")
	}
}
