package reconciler_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/schema"
)

func TestHostileApprovalOutlivesARevert(t *testing.T) {
	b := newBench(t)
	b.converged()
	before := b.tree()
	b.show(3, with(before, trello, gone))
	online := b.offline()
	b.merge(3)
	b.repository.commit(before)
	online()
	b.converged()
	time.Sleep(200 * time.Millisecond)
	b.repository.commit(with(with(before, trello, gone), pingFile, pong("unseen")))
	if !b.waitsForPerson("acme.example", trelloHost) {
		t.Error("a deletion that nobody was shown was applied")
	}
}

func TestHostileApprovalOutlivesARevertBesideAnUnknownZone(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), zonesFile, func(s string) string { return s + "\nzones: \"later.example\": exposure: \"public\"\n" }))
	b.until("zone is missed", func() bool { z := b.View().Zones; return len(z) == 4 && z[2].Error != "" })
	before := b.tree()
	down := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 1000, Status: 400, Code: "InvalidChangeBatch", Message: "[no]"})
	b.land(3, with(before, trello, gone))
	b.until("refused", func() bool { return down.Fired() > 0 })
	b.repository.commit(before)
	b.until("reverted", func() bool { return b.View().Commit == b.repository.tip() && len(b.View().Steps) == 0 })
	down.Remove()
	b.repository.commit(with(with(before, trello, gone), pingFile, pong("unseen")))
	if !b.waitsForPerson("acme.example", trelloHost) {
		t.Error("a deletion that nobody was shown was applied")
	}
}

// A deletion that was shown, and is reverted before AWS takes it, leaves all as it was and needs to be shown again.
func TestHostileRevertBeforeApplied(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	before := b.tree()
	down := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 1000, Status: 400, Code: "InvalidChangeBatch", Message: "[no]"})
	b.land(3, with(before, trello, gone))
	b.until("refused", func() bool { return down.Fired() > 0 })
	b.repository.commit(before)
	b.converged()
	down.Remove()
	b.repository.commit(with(with(before, trello, gone), pingFile, pong("unseen")))
	if !b.waitsForPerson("acme.example", trelloHost) {
		t.Error("a deletion that nobody was shown was applied")
	}
	dns.fine(t)
}

func TestHostileMergesWhileDown(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.show(3, with(b.tree(), trello, gone))
	b.stop()
	b.merge(3)
	b.repository.commit(with(b.tree(), pingFile, pong("unrelated")))
	b.start()
	if !soon(2*time.Second, func() bool { return b.records("acme.example")[trelloHost] == "" }) {
		t.Error("a deletion that a merged pull had shown waits for a person")
	}
}

// A pull merged under another commit and tree, beside an unrelated one.
func TestHostileSquashAfterUnrelatedMerge(t *testing.T) {
	b := newBench(t)
	b.short()
	b.show(3, with(b.tree(), trello, gone))
	online := b.offline()
	b.repository.commit(with(b.tree(), pingFile, pong("unrelated")))
	b.forge.mu.Lock()
	p := b.forge.open[0]
	b.forge.open = nil
	p.Merged = b.repository.commit(with(b.tree(), trello, gone))
	b.forge.merged[p.Merged] = p
	b.forge.mu.Unlock()
	online()
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.quiet()
}

func TestHostileForgeFailsOnce(t *testing.T) {
	b := newBench(t)
	b.converged()
	var once sync.Once
	b.startWith(moody{board: b.forge, pullOf: func() (err error) {
		if b.repository.tip() > fmt.Sprintf("%040d", 1) {
			once.Do(func() { err = errUnreachable })
		}
		return err
	}})
	b.converged()
	b.show(3, with(b.tree(), trello, gone))
	online := b.offline()
	b.merge(3)
	b.repository.commit(with(b.tree(), pingFile, pong("unrelated")))
	online()
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	if !soon(2*time.Second, func() bool { return b.records("acme.example")[trelloHost] == "" }) {
		t.Error("a deletion that a merged pull had shown waits for a person")
	}
}

func TestHostilePlanChangesWhileItIsPosted(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.stop()
	list := b.world.Inject(world.Fault{Operation: "ListResourceRecordSets", Times: 1_000_000, Status: 400, Code: "AccessDenied", Message: "no"})
	sent, answer := make(chan forge.Review, 1), make(chan struct{})
	var mu sync.Mutex
	first := true
	b.startWith(moody{board: b.forge, post: func(ctx context.Context, to forge.Target, r forge.Review) error {
		mu.Lock()
		mine := first && to.Pull == 3
		if mine {
			first = false
		}
		mu.Unlock()
		if to.Pull != 3 {
			return nil
		}
		if !mine {
			return errUnreachable
		}
		sent <- r
		select {
		case <-answer:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	b.propose(3, with(b.tree(), trello, gone))
	shown := len((<-sent).Steps)
	list.Remove()
	b.until("planned anew", func() bool {
		v := b.View()
		return len(v.Pulls) == 1 && v.Pulls[0].Verdict == "planned"
	})
	close(answer)
	var stored state.Plan
	b.until("stored", func() bool {
		p, ok, err := state.Plans{Store: b.store}.ByPull(context.Background(), 3)
		stored = p
		return ok && err == nil
	})
	if len(stored.Steps) != shown {
		t.Errorf("%d steps count as shown, the review that was posted has %d", len(stored.Steps), shown)
	}
}

func TestHostileForcePushBackwards(t *testing.T) {
	b := newBench(t)
	b.converged()
	before := b.tree()
	b.land(3, with(before, trello, gone))
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.repository.commit(with(b.tree(), pingFile, pong("unrelated")))
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	back := len(b.repository.line)
	b.repository.commit(before)
	b.converged()
	b.repository.mu.Lock()
	b.repository.line = b.repository.line[:back]
	b.repository.mu.Unlock()
	if !b.waitsForPerson("acme.example", trelloHost) {
		t.Error("a deletion that nobody was shown was applied")
	}
}

// A force push backwards to what has no deletion converges by itself.
func TestHostileForcePushBackwardsConverges(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), pingFile, pong("forward")))
	b.converged()
	b.repository.mu.Lock()
	b.repository.line = b.repository.line[:1]
	b.repository.mu.Unlock()
	b.quiet()
}

// A platform that cannot be used at a start holds everything as it was; a pull that mends it is planned and taken.
func TestHostileBrokenPlatformAtARestart(t *testing.T) {
	b := newBench(t)
	b.converged()
	good := b.tree()
	b.repository.commit(with(good, fleetsFile, func(s string) string { return s + "oops" }))
	b.until("frozen", func() bool { return b.View().Frozen })
	b.stop()
	b.start()
	b.until("frozen again", func() bool { return b.View().Frozen && len(b.View().Services) > 0 })
	b.world.Put(b.zones["acme.example"], world.Simple("A", "jira.acme.example.", 5, "203.0.113.9"))
	b.until("drift is healed", func() bool { return b.records("acme.example")["jira.acme.example"] == "192.0.2.10 192.0.2.11" })
	b.land(3, with(good, nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.until("mended", func() bool { return b.records("acme.example")["next.trello.acme.example"] != "" })
	b.quiet()
}

// Two pulls drop a name each of the same service, and both are merged before either is seen.
func TestHostileTwoPullsOnOneService(t *testing.T) {
	b := newBench(t)
	b.short()
	hosts := func(names ...string) func(string) string { return declared("next", "edge", "public", names...) }
	x, y, z := "x.trello.acme.example", "y.trello.acme.example", "z.trello.acme.example"
	b.repository.commit(with(b.tree(), nextFile, hosts(x, y, z)))
	b.converged()
	dns := b.resolve()
	b.show(3, with(b.tree(), nextFile, hosts(y, z)))
	b.show(4, with(b.tree(), nextFile, hosts(x, z)))
	online := b.offline()
	b.merge(3)
	b.forge.mu.Lock()
	p := b.forge.open[0]
	b.forge.open = nil
	p.Merged = b.repository.commit(with(b.tree(), nextFile, hosts(z)))
	b.forge.merged[p.Merged] = p
	b.forge.mu.Unlock()
	online()
	b.until("records gone", func() bool { r := b.records("acme.example"); return r[x]+r[y] == "" })
	b.until("the rest waits", func() bool { return b.View().Pending != "" })
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: b.View().Pending, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.until("routes gone", func() bool { _, is := b.proxies.serves(schema.Hostname(x)); return !is })
	dns.fine(t)
	b.quiet()
}

// What a person agreed to holds for that digest and count only.
func TestHostileStaleDigestAndCount(t *testing.T) {
	b := newBench(t)
	b.short()
	files := b.tree()
	for _, f := range b.tree() {
		if strings.HasPrefix(f.Path, "services/") && !strings.HasPrefix(f.Path, "services/trello") {
			files = with(files, f.Path, gone)
		}
	}
	b.repository.commit(files)
	b.until("vetoed", func() bool { return b.View().Deletes > 0 })
	old := b.View()
	b.repository.commit(with(files, pingFile, func(string) string { return string(find(b.repository.files(b.repository.line[0].Hash), pingFile)) }))
	b.until("fewer", func() bool {
		v := b.View()
		return v.Commit == b.repository.tip() && v.Deletes > 0 && v.Deletes < old.Deletes
	})
	now := b.View()
	for _, q := range []reconciler.Apply{{Digest: old.Pending, ConfirmDeletes: old.Deletes}, {Digest: old.Pending, ConfirmDeletes: now.Deletes},
		{Digest: now.Pending, ConfirmDeletes: old.Deletes}, {Digest: now.Pending}} {
		q.Identity = "ann"
		if _, err := b.Apply(t.Context(), q); err == nil {
			t.Errorf("taken: %+v", q)
		}
	}
	if n := len(b.records("acme.example")); n < 8 {
		t.Errorf("%d records are left", n)
	}
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: now.Pending, ConfirmDeletes: now.Deletes, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.until("records gone", func() bool { return len(b.records("acme.example")) == 2 })
	b.quiet()
}

// Somebody else's deletion that comes with the next commit is not covered by an apply.
func TestHostileApplyCoversNothingElse(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), trello, gone))
	b.until("pending", func() bool { return b.View().Pending != "" })
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: b.View().Pending, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.repository.commit(with(b.tree(), "services/bitbucket/bitbucket-web.cue", gone))
	if !b.waitsForPerson("acme.example", "bitbucket.acme.example") {
		t.Error("a deletion that nobody was shown was applied")
	}
	b.until("the first is gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	if s := b.View().Steps; !slices.ContainsFunc(s, func(s reconciler.StepView) bool { return s.Verb == plan.Delete && s.State == reconciler.Approval }) {
		t.Errorf("steps %v", s)
	}
}
