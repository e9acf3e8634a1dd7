package release_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/release"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func set(verb plan.Verb, id schema.ServiceID, content string, hosts ...schema.Hostname) plan.Step {
	s := plan.Step{Key: release.Release{Fleet: "edge"}.Key(id), Verb: verb}
	if verb != plan.Delete {
		s.After = resource.ValueOf(envoy.Spec{Hosts: hosts, Content: content})
	}
	return s
}

func after(steps ...[]plan.Step) release.Release {
	r := release.Release{Fleet: "edge"}
	for _, s := range steps {
		r = r.Apply(s, "commit", noon)
	}
	return r
}

// Invariant 5: a name that is let go is answered until nobody can be led there any more.
func TestInvariant5ANameLingersUntilItExpires(t *testing.T) {
	r := after([]plan.Step{set(plan.Create, "a", "1", "a.test", "b.test")}, []plan.Step{set(plan.Update, "a", "2", "a.test")})
	if e := r.Services["a"]; !e.Serves("b.test") || slices.Contains(e.Hosts(), "b.test") {
		t.Fatalf("b.test does not linger: %+v", e)
	}
	if same, changed := r.Expire(func(schema.ServiceID, schema.Place) bool { return true }); changed || !same.Services["a"].Serves("b.test") {
		t.Fatal("a name that is kept expired")
	}
	next, changed := r.Expire(func(schema.ServiceID, schema.Place) bool { return false })
	if !changed || next.Services["a"].Serves("b.test") || !next.Services["a"].Serves("a.test") {
		t.Fatalf("after expiry: %t %+v", changed, next.Services["a"])
	}
	if !r.Services["a"].Serves("b.test") {
		t.Fatal("the release before was changed")
	}
}

func TestARemovedServiceLingersAndThenIsGone(t *testing.T) {
	r := after([]plan.Step{set(plan.Create, "a", "1", "a.test")}, []plan.Step{set(plan.Delete, "a", "")})
	if e := r.Services["a"]; !e.Removed || !e.Serves("a.test") {
		t.Fatalf("removed service: %+v", e)
	}
	if len(r.Snapshot(noon).Resources) != 0 {
		t.Fatal("a removed service is still observed")
	}
	r, _ = r.Expire(func(schema.ServiceID, schema.Place) bool { return false })
	if _, still := r.Services["a"]; still {
		t.Fatal("it is still there after it expired")
	}
}

func TestANameMovesAtOnce(t *testing.T) {
	r := after([]plan.Step{set(plan.Create, "a", "1", "a.test", "x.test"), set(plan.Create, "b", "1", "b.test")},
		[]plan.Step{set(plan.Update, "a", "2", "a.test"), set(plan.Update, "b", "2", "b.test", "x.test")})
	if r.Services["a"].Serves("x.test") || !r.Services["b"].Serves("x.test") {
		t.Fatalf("x.test is not served once: %+v", r.Services)
	}
	if holder, is := r.Holders().Other("x.test", "a"); !is || holder != "b" {
		t.Fatalf("holder is %q", holder)
	}
}

func TestAServiceThatComesBackServesItsNamesAgain(t *testing.T) {
	r := after([]plan.Step{set(plan.Create, "a", "1", "a.test")}, []plan.Step{set(plan.Delete, "a", "")}, []plan.Step{set(plan.Create, "a", "1", "a.test")})
	if e := r.Services["a"]; e.Removed || len(e.Linger) != 0 || !e.Serves("a.test") {
		t.Fatalf("came back as %+v", e)
	}
}

// Invariant 10: versions depend on what is served alone, so that a restart or a roll-back sends only what differs.
func TestInvariant10VersionsAreOfContent(t *testing.T) {
	one := []plan.Step{set(plan.Create, "a", "1", "a.test"), set(plan.Create, "b", "1", "b.test")}
	r := after(one)
	later := release.Release{Fleet: "edge"}.Apply(one, "another commit", noon.Add(time.Hour))
	if r.Version() != later.Version() || r.Services["a"].Version() != later.Services["a"].Version() {
		t.Fatal("the same content has another version")
	}
	changed := r.Apply([]plan.Step{set(plan.Update, "a", "2", "a.test")}, "c", noon)
	if changed.Version() == r.Version() || changed.Services["a"].Version() == r.Services["a"].Version() {
		t.Fatal("other content has the same version")
	}
	if changed.Services["b"].Version() != r.Services["b"].Version() {
		t.Fatal("a neighbour's version moved")
	}
	back := changed.Apply([]plan.Step{set(plan.Update, "a", "1", "a.test")}, "d", noon)
	if back.Version() != r.Version() {
		t.Fatal("rolled back, but another version")
	}
}

// What one cohort refused is held for it alone, at what was good before; of what nobody had before it gets nothing.
func TestRefusals(t *testing.T) {
	r := release.Release{Fleet: "edge", Services: map[schema.ServiceID]release.Entry{"a": {Content: "2", Good: "1"}, "new": {Content: "1"}}}
	next, changed := r.Refuse("a", "1.39.0", "no")
	if !changed {
		t.Fatal("nothing changed")
	}
	if _, again := next.Refuse("a", "1.39.0", "no"); again {
		t.Error("it is noted twice")
	}
	next, _ = next.Refuse("a", "1.38.0", "never")
	next, _ = next.Refuse("new", "1.39.0", "no")
	again := next.Apply([]plan.Step{set(plan.Update, "a", "3")}, "c", noon)
	again, _ = again.Refuse("a", "1.39.0", "no more")
	back := again.Apply([]plan.Step{set(plan.Update, "a", "2")}, "c", noon)
	if e := back.Services["a"]; e.Why() != "Envoy 1.38.0: never; Envoy 1.39.0: no" || len(e.RefusalsOf("3")) != 1 {
		t.Errorf("content that was refused before another one is %q, %+v", e.Why(), e.Refused)
	}
	for n := range 20 {
		back = back.Apply([]plan.Step{set(plan.Update, "a", fmt.Sprint("more ", n))}, "c", noon)
		back, _ = back.Refuse("a", "1.39.0", "no")
	}
	if e := back.Services["a"]; len(e.Refused) != 11 || len(e.RefusedNow()) != 1 || len(e.RefusalsOf("more 9")) != 0 || len(e.RefusalsOf("more 10")) != 1 {
		t.Errorf("%d refusals are remembered: %+v", len(e.Refused), e.Refused)
	}
	e := next.Services["a"]
	if e.Why() != "Envoy 1.38.0: never; Envoy 1.39.0: no" || len(e.RefusedNow()) != 2 {
		t.Errorf("%q, %+v", e.Why(), e.Refused)
	}
	if content, version := e.Held(); content != "1" || version != (release.Entry{Content: "1"}).Version() {
		t.Errorf("held at %s %s", content, version)
	}
	if content, version := next.Services["new"].Held(); content != "" || version == next.Services["new"].Version() {
		t.Errorf("held at %q %s", content, version)
	}
	e.Content = "3"
	if e.Why() != "" || len(e.RefusedNow()) != 0 {
		t.Error("a refusal of other content counts")
	}
	if len(r.Services["a"].Refused) != 0 {
		t.Error("the release before was changed")
	}
}

// A layout grows with what it has to hold, each time as another generation, and does not shrink. The one before stays for a while.
func TestGrow(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	fill := func(n int) map[schema.ServiceID]release.Entry {
		all := map[schema.ServiceID]release.Entry{}
		for i := range n {
			all[schema.ServiceID(fmt.Sprint("s", i))] = release.Entry{}
		}
		return all
	}
	r := release.Release{Fleet: "edge", Services: fill(1)}.Grow(now)
	first, second := envoy.Layout{Generation: 1, Buckets: 32}, envoy.Layout{Generation: 2, Buckets: 64}
	if again := r.Grow(now); r.Layout != first || r.Old.Buckets != 0 || again.Layout != first {
		t.Errorf("%+v", r.Layout)
	}
	r.Services = fill(350)
	if r = r.Grow(now); r.Layout != second || r.Old != first {
		t.Errorf("%+v beside %+v", r.Layout, r.Old)
	}
	r.Services = fill(1500)
	if again := r.Grow(now); again.Layout != second {
		t.Errorf("it grows while the one before is served: %+v", again.Layout)
	}
	if _, gone := r.Retire(now.Add(release.Drained - time.Second)); gone {
		t.Error("the one before goes too early")
	}
	r, gone := r.Retire(now.Add(release.Drained))
	if !gone || r.Old.Buckets != 0 {
		t.Errorf("the one before stays: %+v", r.Old)
	}
	if r = r.Grow(now); r.Layout.Generation != 3 || r.Layout.Buckets != 256 {
		t.Errorf("%+v", r.Layout)
	}
	r.Services = fill(1)
	if r.Grow(now).Layout.Generation != 3 {
		t.Errorf("it shrinks: %+v", r.Grow(now).Layout)
	}
}
