package reconciler_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/schema/load"
)

const defaultsFile = "platform/defaults.cue"

func mode(m string) func(string) string {
	return func(text string) string {
		return strings.Replace(text, "	all: {\n", "	all: {\n		drift: \""+m+"\"\n", 1)
	}
}

// takenOver is an edge of thirty services with ten names each, in a zone where all of these names exist already: most just so, some
// leading elsewhere, some with another time to live, among records that nobody declares.
func takenOver() (files []load.File, there []world.RecordSet) {
	for _, f := range fixtures.Declarations(fixtures.EdgeConfig()) {
		if strings.HasPrefix(f.Path, "platform/") {
			files = append(files, f)
		}
	}
	files = with(files, defaultsFile, mode("report"))
	for s := range 30 {
		var hosts []string
		for h := range 10 {
			host, values, ttl := fmt.Sprintf("h%d.s%02d.trello.acme.example", h, s), []string{"192.0.2.11", "192.0.2.10"}, int64(5)
			switch n := 10*s + h; {
			case n%10 == 3:
				values = []string{"203.0.113.7"}
			case n%10 == 7:
				ttl = 300
			}
			hosts, there = append(hosts, host), append(there, world.Simple("A", host+".", ttl, values...))
		}
		id := fmt.Sprintf("s%02d", s)
		files = with(files, "services/trello/"+id+".cue", declared(id, "edge", "public", hosts...))
	}
	for i := range 40 {
		there = append(there, world.Simple("A", fmt.Sprintf("old%d.acme.example.", i), 60, "198.51.100.1"))
	}
	return files, append(there, world.Simple("MX", "acme.example.", 60, "10 mail.acme.example."), world.Simple("TXT", "h0.s00.trello.acme.example.", 60, `"theirs"`))
}

// TestTakeover takes over a zone of 300 records: first it is only looked at, then the plan is shown, then agreed to; and not one write is
// made that was not in it.
func TestTakeover(t *testing.T) {
	files, there := takenOver()
	b := newBenchOf(t, files, func(b *bench) { b.world.Put(b.zones["acme.example"], there...) })
	before := b.world.Records(b.zones["acme.example"])
	b.until("the records are looked at", func() bool { return len(b.View().Foreign) == 300 })
	b.until("the marks wait", func() bool { return len(b.View().Steps) == 2 && b.View().Steps[0].State == reconciler.Approval })
	time.Sleep(300 * time.Millisecond) // several listings
	if writes := b.world.Writes(); len(writes) > 0 {
		t.Fatalf("%d writes, the first %+v, while only reports were asked for", len(writes), writes[0])
	}
	asIs := 0
	for _, f := range b.View().Foreign {
		if len(f.Fields) == 0 {
			asIs++
		}
	}
	if asIs != 240 {
		t.Errorf("%d records are shown as they are declared, want 240", asIs)
	}

	got, err := b.Settle(t.Context(), reconciler.Settle{Choice: reconciler.ChooseAdopt, Zone: "acme.example", Identity: "ann"})
	if err != nil || len(got.Keys) != 300 || len(got.Steps) != 300 {
		t.Fatalf("%d records and %d steps to adopt, want 300 each (%v)", len(got.Keys), len(got.Steps), err)
	}
	var shown []plan.Step
	b.until("all waits for ann", func() bool {
		shown = nil
		for _, s := range b.View().Steps {
			if s.State == reconciler.Approval {
				shown = append(shown, s.Step)
			}
		}
		return len(shown) == 302 && b.View().Pending != ""
	})
	b.stop() // what was asked for is remembered
	b.start()
	b.until("all waits still", func() bool { return len(b.View().Steps) == 302 && b.View().Pending != "" })
	if len(b.world.Writes()) > 0 {
		t.Fatal("something was written before anybody agreed")
	}
	if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: b.View().Pending, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.converged()
	if diff := cmp.Diff(changesOf(shown), b.written()); diff != "" {
		t.Errorf("what was written differs from what was shown (-shown +written):\n%s", diff)
	}
	after := b.world.Records(b.zones["acme.example"])
	for _, r := range before {
		if strings.HasPrefix(r.Name, "old") || r.Type != "A" {
			if !slices.ContainsFunc(after, func(o world.RecordSet) bool { return cmp.Equal(r, o) }) {
				t.Errorf("%s %s is not ours and was changed", r.Type, r.Name)
			}
		}
	}
	b.quiet()
	if left := b.View().Foreign; len(left) > 0 {
		t.Errorf("%d records are not ours still", len(left))
	}
}

// changesOf are steps by what they write: "name: before → after"; nothing for what stays.
func changesOf(steps []plan.Step) map[string]string {
	out := map[string]string{}
	for _, s := range steps {
		if string(s.Before) != string(s.After) {
			out[s.Key.Name] = fmt.Sprint(valuesOf(s.Before), " → ", valuesOf(s.After))
		}
	}
	return out
}

// written is what the world was told, in the same form.
func (b *bench) written() map[string]string {
	type change struct{ from, to string }
	changes := map[string]change{}
	for _, w := range b.world.Writes() {
		for _, c := range w.Changes {
			r := c.ResourceRecordSet
			name := r.Type + " " + strings.TrimSuffix(r.Name, ".")
			values := r.Values()
			slices.Sort(values)
			one, text := changes[name], fmt.Sprint(values, " ", *r.TTL)
			if c.Action == "DELETE" {
				one.from = text
			} else {
				one.to = text
			}
			changes[name] = one
		}
	}
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		out[name] = changes[name].from + " → " + changes[name].to
	}
	return out
}
