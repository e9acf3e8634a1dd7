package state_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/release"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/state/sqlite"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

var (
	record = resource.Key{Kind: resource.DNSRecord, Scope: "zone/edge.test", Name: "A jira.edge.test"}
	unit   = resource.Key{Kind: resource.EnvoyService, Scope: "fleet/edge", Name: "jira"}
	noon   = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
)

func open(t *testing.T) state.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Invariant 8: the intent is there before the call and stays open until its outcome is known; outcome and inventory come together.
func TestInvariant8JournalHoldsAnIntentUntilItsOutcome(t *testing.T) {
	s := open(t)
	journal, inventory := state.Journal{Store: s}, state.Inventory{Store: s}
	intent := state.Intent{ID: "abc-1", Scope: record.Scope, Digest: "abc", At: noon, Steps: []plan.Step{
		{Key: record, Verb: plan.Create, After: resource.Value(`{"ttl":5}`), Service: "jira", Needs: []resource.Key{unit}}}}
	must(t, journal.Begin(t.Context(), intent))
	if err := journal.Begin(t.Context(), intent); !errors.Is(err, state.ErrConflict) {
		t.Fatalf("same intent again: %v, want ErrConflict", err)
	}
	must(t, journal.SetToken(t.Context(), intent.ID, "/change/C1"))
	open, err := journal.Open(t.Context())
	must(t, err)
	want := intent
	want.Token = "/change/C1"
	if diff := cmp.Diff([]state.Intent{want}, open); diff != "" {
		t.Fatalf("open intents (-want +got):\n%s", diff)
	}

	entry := state.Entry{Key: record, Service: "jira", Spec: resource.Value(`{"ttl":5}`), Needs: []resource.Key{unit}, Applied: noon}
	must(t, journal.Finish(t.Context(), intent.ID, plan.Outcome{}, noon.Add(time.Second), []state.Entry{entry}))
	if open, err := journal.Open(t.Context()); err != nil || len(open) != 0 {
		t.Fatalf("open after the outcome: %v, %v", open, err)
	}
	if done, err := journal.Finished(t.Context()); err != nil || len(done) != 1 || done[0].Outcome == nil {
		t.Fatalf("finished: %+v, %v", done, err)
	}
	entries, err := inventory.All(t.Context())
	must(t, err)
	if diff := cmp.Diff(map[resource.Key]state.Entry{record: entry}, entries); diff != "" {
		t.Fatalf("inventory (-want +got):\n%s", diff)
	}
	if err := journal.Finish(t.Context(), intent.ID, plan.Outcome{}, noon, nil); !errors.Is(err, state.ErrNotFound) {
		t.Fatalf("outcome twice: %v, want ErrNotFound", err)
	}
}

func TestInventoryForgetsWhatIsEmpty(t *testing.T) {
	inventory := state.Inventory{Store: open(t)}
	gone := state.Entry{Key: record, Gone: []state.Gone{{At: noon, TTL: 5 * time.Second, Needs: []resource.Key{unit}}}}
	must(t, inventory.Put(t.Context(), gone))
	if entries, err := inventory.All(t.Context()); err != nil || !cmp.Equal(entries[record], gone) {
		t.Fatalf("entries %v, %v", entries, err)
	}
	must(t, inventory.Put(t.Context(), state.Entry{Key: record}))
	if entries, err := inventory.All(t.Context()); err != nil || len(entries) != 0 {
		t.Fatalf("entries %v, %v", entries, err)
	}
}

func TestPlansKeepWhatWasPosted(t *testing.T) {
	plans := state.Plans{Store: open(t)}
	shown := state.Plan{Digest: "d1", Pull: 7, Head: "h1", Tree: "t1", At: noon, Posted: true}
	must(t, plans.Put(t.Context(), shown))
	must(t, plans.Put(t.Context(), state.Plan{Digest: "d2", Pull: 7, Head: "h2", Tree: "t2", At: noon}))
	if got, ok, err := plans.ByPull(t.Context(), 7); err != nil || !ok || !cmp.Equal(got, shown) {
		t.Errorf("%+v %t %v", got, ok, err)
	}
}

// TestPlansCountWhatSurelyStandsThere holds that, while a newer plan may have taken the place of the posted one, only what both have
// counts as shown.
func TestPlansCountWhatSurelyStandsThere(t *testing.T) {
	plans := state.Plans{Store: open(t)}
	step := func(name string) plan.Step {
		return plan.Step{Key: resource.Key{Kind: resource.DNSRecord, Scope: "zone/acme.example", Name: name}, Verb: plan.Delete}
	}
	first := state.Plan{Digest: "d1", Pull: 7, Posted: true, Steps: []plan.Step{step("a"), step("b")}}
	next := state.Plan{Digest: "d2", Pull: 7, Steps: []plan.Step{step("b"), step("c")}}
	shown := func() (names []string) {
		p, _, err := plans.ByPull(t.Context(), 7)
		must(t, err)
		for _, s := range p.Shown() {
			names = append(names, s.Key.Name)
		}
		return names
	}
	must(t, plans.Announce(t.Context(), next))
	if got := shown(); got != nil {
		t.Errorf("nothing was posted, and %v counts", got)
	}
	must(t, plans.Put(t.Context(), first))
	must(t, plans.Announce(t.Context(), next))
	if got := shown(); !cmp.Equal(got, []string{"b"}) {
		t.Errorf("%v counts while either may stand there", got)
	}
	must(t, plans.Announce(t.Context(), first))
	if got := shown(); !cmp.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v counts once it is the same again", got)
	}
}

func TestReleaseIsPublishedByCompareAndSet(t *testing.T) {
	releases := state.Releases{Store: open(t)}
	version, err := releases.Put(t.Context(), release.Release{Fleet: "edge"}, release.Release{}, 0)
	must(t, err)
	if _, err := releases.Put(t.Context(), release.Release{Fleet: "edge"}, release.Release{}, 0); !errors.Is(err, state.ErrConflict) {
		t.Fatalf("stale write: %v, want ErrConflict", err)
	}
	version, err = releases.Put(t.Context(), release.Release{Fleet: "edge", Spec: resource.Value(`{}`)}, release.Release{}, version)
	must(t, err)
	stored, err := releases.All(t.Context())
	must(t, err)
	if len(stored) != 1 || stored[0].Version != version || string(stored[0].Release.Spec) != `{}` {
		t.Fatalf("stored %+v, want version %d", stored, version)
	}
}

// A release is written by service: what does not differ is left alone, and what has gone goes. One that an older program wrote as a whole
// is read as it is, and written by service from then on.
func TestReleaseIsWrittenByService(t *testing.T) {
	store := open(t)
	releases := state.Releases{Store: store}
	entry := func(content string) release.Entry { return release.Entry{Content: content, Spec: resource.Value(`{}`)} }
	old, err := json.Marshal(release.Release{Fleet: "edge", Services: map[schema.ServiceID]release.Entry{"a": entry("1"), "b": entry("1")}})
	must(t, err)
	must(t, store.Write(t.Context(), state.Op{Table: "release", Key: "edge", Value: old, Version: state.Absent}))
	read := func() state.Stored {
		t.Helper()
		all, err := releases.All(t.Context())
		must(t, err)
		if len(all) != 1 {
			t.Fatalf("there are %d releases", len(all))
		}
		return all[0]
	}
	was := read()
	if len(was.Release.Services) != 2 || len(was.Rows.Services) != 0 {
		t.Fatalf("read %+v", was)
	}
	next := was.Release
	next.Services = map[schema.ServiceID]release.Entry{"a": entry("1"), "c": entry("2")}
	_, err = releases.Put(t.Context(), next, was.Rows, was.Version)
	must(t, err)
	now := read()
	if diff := cmp.Diff(next.Services, now.Release.Services); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again := now.Release
	again.Services = map[schema.ServiceID]release.Entry{"a": entry("1"), "d": entry("3")}
	_, err = releases.Put(t.Context(), again, now.Rows, now.Version)
	must(t, err)
	if diff := cmp.Diff(again.Services, read().Release.Services); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for key, want := range map[string]int64{"edge/a": 1, "edge/d": 1} {
		item, err := store.Get(t.Context(), "release-service", key)
		if err != nil || item.Version != want {
			t.Errorf("%s is at version %d (%v), want %d", key, item.Version, err, want)
		}
	}
}
