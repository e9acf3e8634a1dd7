package reconciler_test

import (
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema/load"
)

const trello = "services/trello/trello-web.cue"

func (b *bench) tree() []load.File { return b.repository.files(b.repository.tip()) }

func TestInvariant1ConvergedWorldIsLeftAlone(t *testing.T) {
	b := newBench(t)
	b.converged()
	if got := b.records("acme.example")["jira.acme.example"]; got != "192.0.2.10 192.0.2.11" {
		t.Fatalf("record of jira is %q", got)
	}
	writes := len(b.world.Writes())
	time.Sleep(500 * time.Millisecond) // several listings of both zones
	b.stop()
	b.start()
	b.converged()
	time.Sleep(300 * time.Millisecond)
	if now := len(b.world.Writes()); now != writes {
		t.Errorf("%d writes to a converged world", now-writes)
	}
}

func TestPullIsPlannedMergedAndFollowed(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.propose(7, with(b.tree(), trello, func(s string) string {
		return strings.Replace(s, `["trello.acme.example"]`, `["trello.acme.example", "www.trello.acme.example"]`, 1)
	}))
	b.until("plan on pull 7", func() bool { r, ok := b.forge.review(7); return ok && len(r.Steps) == 2 })
	if r, _ := b.forge.review(7); r.Verdict() != forge.Planned || r.Digest == "" {
		t.Fatalf("review %+v", r)
	}
	b.merge(7)
	b.until("result on pull 7", func() bool {
		r, _ := b.forge.review(7)
		return r.Commit != "" && r.Verdict() == forge.Applied && r.CommitToServed > 0
	})
	if b.records("acme.example")["www.trello.acme.example"] == "" {
		t.Error("the record is not there")
	}
}

func TestInvariant5NoNameBeforeItIsServed(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.proxies.acknowledge(false)
	b.repository.commit(with(b.tree(), "services/trello/more.cue", func(string) string {
		return `package services

services: more: {
	owner: {team: "trello", oncall: "x"}
	hosts: ["more.trello.acme.example"]
	exposure: "public"
	fleet: "edge"
	routes: [{name: "all", respond: status: 200}]
}
`
	}))
	b.until("published", func() bool { _, ok := b.proxies.serves("more.trello.acme.example"); return ok })
	time.Sleep(300 * time.Millisecond)
	if _, there := b.records("acme.example")["more.trello.acme.example"]; there {
		t.Fatal("the record was made before every proxy acknowledged the service")
	}
	b.proxies.acknowledge(true)
	b.until("record", func() bool { return b.records("acme.example")["more.trello.acme.example"] != "" })
	b.converged()

	// Gone from the branch by a pull that showed it: the record goes first, the route a TTL later.
	b.propose(8, with(b.tree(), "services/trello/more.cue", gone))
	b.until("plan on pull 8", func() bool { r, ok := b.forge.review(8); return ok && len(r.Steps) == 2 })
	b.merge(8)
	b.until("record gone", func() bool { return b.records("acme.example")["more.trello.acme.example"] == "" })
	at := time.Now()
	if _, served := b.proxies.serves("more.trello.acme.example"); !served {
		t.Fatal("the route went with the record")
	}
	b.until("route gone", func() bool { _, ok := b.proxies.serves("more.trello.acme.example"); return !ok })
	if lingered := time.Since(at); lingered < 5*time.Second {
		t.Errorf("the name lingered for %v, want its TTL of 5s", lingered)
	}
}

func TestDirectDeletionWaitsForApply(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), trello, gone))
	b.until("pending", func() bool { return b.View().Pending != "" })
	time.Sleep(200 * time.Millisecond)
	if b.records("acme.example")["trello.acme.example"] == "" {
		t.Fatal("a deletion that nobody was shown was applied")
	}
	v := b.View()
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: "0000", Identity: "ann"}); err == nil || !strings.Contains(err.Error(), v.Pending) {
		t.Errorf("a wrong digest: %v, want a refusal that names %s", err, v.Pending)
	}
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: v.Pending, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.until("record gone", func() bool { return b.records("acme.example")["trello.acme.example"] == "" })
}

func TestInvariant9ShrunkenDesiredState(t *testing.T) {
	b := newBench(t)
	b.converged()
	var left []load.File
	for _, f := range b.tree() {
		if strings.HasPrefix(f.Path, "platform/") {
			left = append(left, f)
		}
	}
	b.propose(9, left)
	b.until("veto on pull 9", func() bool { r, ok := b.forge.review(9); return ok && r.Verdict() == forge.Vetoed })
	b.merge(9)
	b.until("veto on the branch", func() bool { return b.View().Deletes > 0 })
	time.Sleep(300 * time.Millisecond)
	if n := len(b.records("acme.example")); n < 10 {
		t.Fatalf("%d records are left", n)
	}
	v := b.View()
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: v.Pending, ConfirmDeletes: v.Deletes - 1}); err == nil {
		t.Error("a wrong count was taken")
	}
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: v.Pending, ConfirmDeletes: v.Deletes, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.until("records gone", func() bool { return len(b.records("acme.example")) == 0 })
}

func TestDriftIsShownAndPutBack(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.world.Put(b.zones["acme.example"], world.Simple("A", "jira.acme.example.", 5, "203.0.113.9"))
	b.until("drift", func() bool { return len(b.View().Drifts) == 1 })
	b.until("healed", func() bool {
		d := b.View().Drifts
		return b.records("acme.example")["jira.acme.example"] == "192.0.2.10 192.0.2.11" && !d[0].Healed.IsZero()
	})
}

// TestInvariant7 is about invalid declarations, and about one that Envoy refuses.
func TestInvariant7FaultStaysWithItsService(t *testing.T) {
	b := newBench(t)
	b.converged()
	files := with(b.tree(), trello, func(s string) string { return s + "oops" })
	files = with(files, "services/statuspage/statuspage.cue", func(s string) string { return strings.Replace(s, "pong", "still pong", 1) })
	b.repository.commit(files)
	b.until("neighbour served", func() bool {
		v := b.View()
		return v.Commit == b.repository.tip() && len(v.Problems) > 0 && len(v.Steps) == 0
	})
	if _, served := b.proxies.serves("trello.acme.example"); !served {
		t.Error("the last good version of the broken service is not served")
	}
	b.stop()
	b.start()
	b.until("held after a restart", func() bool {
		for _, s := range b.View().Services {
			if s.ID == "trello-web" {
				return s.State == "held"
			}
		}
		return false
	})
	if _, served := b.proxies.serves("trello.acme.example"); !served {
		t.Error("after a restart the last good version is not served")
	}

	b.proxies.mu.Lock()
	jira := b.proxies.releases["edge"].Services["jira-web"]
	b.proxies.refusals = []xds.Refusal{{Fleet: "edge", Service: "jira-web", Version: jira.Version, Node: "one", Why: "no such regex"}}
	b.proxies.poke()
	published := len(b.proxies.history)
	b.proxies.mu.Unlock()
	b.until("refusal shown", func() bool {
		for _, s := range b.View().Services {
			if s.ID == "jira-web" {
				return s.Refused == "no such regex"
			}
		}
		return false
	})
	time.Sleep(200 * time.Millisecond)
	b.proxies.mu.Lock()
	defer b.proxies.mu.Unlock()
	if again := len(b.proxies.history) - published; again > 1 {
		t.Errorf("published %d times after a refusal", again)
	}
}

// TestInvariant8CrashBetweenAnyTwoCalls kills the connection before and after AWS commits, and restarts in between.
func TestInvariant8CrashBetweenAnyTwoCalls(t *testing.T) {
	for name, drop := range map[string]world.Drop{"before the commit": world.BeforeCommit, "after the commit": world.AfterCommit} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.converged()
			writes := len(b.world.Writes())
			fault := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 1000, Drop: drop})
			b.repository.commit(with(b.tree(), trello, func(s string) string {
				return strings.Replace(s, `["trello.acme.example"]`, `["trello.acme.example", "www.trello.acme.example"]`, 1)
			}))
			b.until("the call was made", func() bool { return fault.Fired() > 0 })
			b.stop()
			fault.Remove()
			b.start()
			b.converged()
			committed := 0
			for _, w := range b.world.Writes()[writes:] {
				if w.Refused == "" {
					committed++
				}
			}
			if committed != 1 {
				t.Errorf("%d writes were committed, want 1", committed)
			}
		})
	}
}

func TestInvariant4OnlyWhatWasShown(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.propose(4, with(b.tree(), trello, gone))
	b.until("plan on pull 4", func() bool { r, ok := b.forge.review(4); return ok && len(r.Steps) == 2 })
	// Before the merge the record is changed by hand: what was shown was the deletion of another value.
	b.stop()
	b.world.Put(b.zones["acme.example"], world.Simple("A", "trello.acme.example.", 5, "203.0.113.9"))
	b.merge(4)
	b.start()
	b.until("the record waits", func() bool {
		for _, s := range b.View().Steps {
			if s.Verb == plan.Delete && s.State == reconciler.Approval {
				return true
			}
		}
		return false
	})
	if b.records("acme.example")["trello.acme.example"] != "203.0.113.9" {
		t.Error("something that nobody was shown was deleted")
	}
}

func TestUnreachable(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.mu.Lock()
	b.repository.err = errUnreachable
	b.repository.mu.Unlock()
	b.until("the repository is said to be unreachable", func() bool { return strings.Contains(b.View().Source, "unreachable") })
	down := b.world.Inject(world.Fault{Times: 10000, Status: 503, Code: "ServiceUnavailable", Message: "down"})
	b.until("the zones are said to be unreachable", func() bool { return b.View().Zones[0].Error != "" })
	if _, served := b.proxies.serves("jira.acme.example"); !served {
		t.Error("the last good state is no longer served")
	}
	down.Remove()
	b.repository.mu.Lock()
	b.repository.err = nil
	b.repository.mu.Unlock()
	b.until("all well again", func() bool { v := b.View(); return v.Source == "" && v.Zones[0].Error == "" })
}

type unreachable struct{}

func (unreachable) Error() string { return "the repository is unreachable" }

var errUnreachable = unreachable{}

// TestHostMoves holds that a name goes from one service to another in one release.
func TestHostMoves(t *testing.T) {
	b := newBench(t)
	b.converged()
	files := with(b.tree(), trello, func(s string) string {
		return strings.Replace(s, `"trello.acme.example"`, `"old.trello.acme.example"`, 1)
	})
	files = with(files, "services/trello/next.cue", func(string) string {
		return `package services

services: next: {
	owner: {team: "trello", oncall: "x"}
	hosts: ["trello.acme.example"]
	exposure: "public"
	fleet: "edge"
	routes: [{name: "all", respond: status: 200}]
}
`
	})
	b.propose(5, files)
	b.until("plan on pull 5", func() bool { r, ok := b.forge.review(5); return ok && len(r.Steps) > 0 })
	b.merge(5)
	b.converged()
	if id, _ := b.proxies.serves("trello.acme.example"); id != "next" {
		t.Errorf("served by %q", id)
	}
	b.proxies.mu.Lock()
	defer b.proxies.mu.Unlock()
	for i, r := range b.proxies.history {
		n := len(holders(r, "trello.acme.example"))
		if n != 1 && i > 0 {
			t.Errorf("release %d has the name %d times", i, n)
		}
	}
}

func TestMergedPullTellsWhatIsHeld(t *testing.T) {
	const jiraAPI, jiraWeb = "services/jira/jira-api.cue", "services/jira/jira-web.cue"
	swapped := func(old, now string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, now, 1) }
	}
	b := newBench(t)
	b.converged()
	b.propose(3, with(with(b.tree(), jiraWeb, swapped(`fleet:    "edge"`, `fleet:    "moon"`)), jiraAPI, swapped(`"5s"`, `"6s"`)))
	b.until("refused on pull 3", func() bool { r, ok := b.forge.review(3); return ok && r.Verdict() == forge.Refused })
	b.merge(3)
	b.until("told after the merge", func() bool {
		r, _ := b.forge.review(3)
		return r.Commit != "" && r.Verdict() == forge.Refused && len(r.Problems) == 1 && len(r.Held) == 1 && r.Held[0].Service == "jira-web" &&
			strings.Contains(r.Comment(), "The rest is applied")
	})
	// A pull that leaves it as broken, in a file that it changes, is told so; one that changes other files is not.
	b.propose(4, with(b.tree(), jiraWeb, swapped(`weight: 75`, `weight: 74`)))
	b.propose(5, with(b.tree(), trello, swapped(`"127.0.0.1:9010"`, `"127.0.0.1:9110"`)))
	b.until("refused on pull 4", func() bool { r, ok := b.forge.review(4); return ok && r.Verdict() == forge.Refused })
	b.until("planned on pull 5", func() bool {
		r, ok := b.forge.review(5)
		return ok && r.Verdict() == forge.Planned && len(r.Steps) == 1
	})
	b.propose(6, with(b.tree(), jiraWeb, swapped(`"moon"`, `"edge"`)))
	b.until("planned on pull 6", func() bool { r, ok := b.forge.review(6); return ok && r.Verdict() == forge.Planned })
	b.merge(6)
	b.until("applied on pull 3", func() bool { r, _ := b.forge.review(3); return r.Verdict() == forge.Applied })
}
