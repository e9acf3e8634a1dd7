package reconciler_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/schema/load"
)

const recordsFile = "platform/records.cue"

// declaring lays records of the platform over the tree.
func (b *bench) declaring(records string) []load.File {
	return with(b.tree(), recordsFile, func(string) string {
		if records == "" {
			return ""
		}
		return "package platform\n\nrecords: {\n" + records + "\n}\n"
	})
}

// at are the record sets of a name, as type, set and what it answers.
func (b *bench) at(name string) []string {
	var all []string
	for _, r := range b.world.Records(b.zones["acme.example"]) {
		if r.Name != name+"." {
			continue
		}
		answer := strings.Join(r.Values(), " ")
		if r.AliasTarget != nil {
			answer = "alias " + r.AliasTarget.DNSName
		}
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Type, r.SetIdentifier, answer)))
	}
	return all
}

// A name goes through every way of being answered. Between two of them it always has an answer, and what others have stays.
func TestPlatformRecords(t *testing.T) {
	b := newBench(t)
	theirs := world.Simple("MX", "api.acme.example.", 60, "10 theirs.test")
	b.world.Put(b.zones["acme.example"], theirs)
	b.converged()
	b.world.Remove(b.zones["acme.example"], theirs)
	b.world.Put(b.zones["acme.example"], world.Simple("SRV", "_x._tcp.acme.example.", 60, "1 1 1 theirs.test"))
	number := 10
	for _, c := range []struct {
		declared string
		want     []string
	}{
		{`"api.acme.example": A: values: ["192.0.2.41"]`, []string{"A  192.0.2.41"}},
		{`"api.acme.example": A: sets: {
			blue: {weight: 9, values: ["192.0.2.41"]}
			green: {weight: 1, values: ["192.0.2.42"]}
		}`, []string{"A blue 192.0.2.41", "A green 192.0.2.42"}},
		{`"api.acme.example": A: sets: {
			blue: {region: "eu-west-1", values: ["192.0.2.41"]}
			green: {region: "eu-west-2", values: ["192.0.2.42"]}
		}`, []string{"A blue 192.0.2.41", "A green 192.0.2.42"}},
		{`"api.acme.example": CNAME: values: ["trello.acme.example"]`, []string{"CNAME  trello.acme.example"}},
		{`"api.acme.example": {A: alias: target: "trello.acme.example", TXT: values: ["one"]}`, []string{"A  alias trello.acme.example.", `TXT  "one"`}},
		{`"api.acme.example": NS: values: ["ns1.labs.test"]`, []string{"NS  ns1.labs.test"}},
		{"", nil},
	} {
		number++
		b.land(number, b.declaring(c.declared))
		if c.declared == "" { // a delegation is protected
			b.until("it waits for its count", func() bool { return b.View().Deletes == 1 })
			if _, err := b.Apply(t.Context(), reconciler.Apply{Digest: b.View().Pending, ConfirmDeletes: 1, Identity: "ann"}); err != nil {
				t.Fatal(err)
			}
		}
		b.converged()
		if diff := cmp.Diff(c.want, b.at("api.acme.example")); diff != "" {
			t.Fatalf("declared %s (-want +got):\n%s", c.declared, diff)
		}
	}
	for _, w := range b.world.Writes() {
		if w.Refused != "" {
			t.Errorf("a call was refused: %s", w.Refused)
		}
	}
	if got := b.at("_x._tcp.acme.example"); len(got) != 1 {
		t.Errorf("what others have is %v", got)
	}
	b.quiet()
}

// Drift of a set is healed, and sets that others put beside ours are neither drift nor touched.
func TestPlatformRecordsDrift(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(b.declaring(`"api.acme.example": A: sets: blue: {weight: 9, values: ["192.0.2.41"]}`))
	b.converged()
	set := func(name, value string, weight int64) world.RecordSet {
		r := world.Simple("A", "api.acme.example.", 300, value)
		r.SetIdentifier, r.Weight = name, &weight
		return r
	}
	b.world.Put(b.zones["acme.example"], set("blue", "192.0.2.41", 200), set("theirs", "198.51.100.1", 1))
	b.until("drift is healed", func() bool {
		return slices.ContainsFunc(b.world.Records(b.zones["acme.example"]), func(r world.RecordSet) bool { return r.SetIdentifier == "blue" && *r.Weight == 9 })
	})
	b.quiet()
	if diff := cmp.Diff([]string{"A blue 192.0.2.41", "A theirs 198.51.100.1"}, b.at("api.acme.example")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The platform takes a name that a live service has: the service goes on, and when it lets the name go, the platform has it.
func TestPlatformRecordOnALiveName(t *testing.T) {
	b := newBench(t)
	b.converged()
	before := b.records("acme.example")["trello.acme.example"]
	b.repository.commit(b.declaring(`"trello.acme.example": A: values: ["192.0.2.77"]`))
	b.until("told", func() bool { return len(b.View().Problems) > 0 })
	b.repository.commit(with(b.tree(), pingFile, pong("another")))
	b.until("read", func() bool { return b.View().Commit == b.repository.tip() && len(b.View().Steps) == 0 })
	if now := b.records("acme.example")["trello.acme.example"]; now != before {
		t.Fatalf("the users of trello are led to %s", now)
	}
	b.land(21, with(b.tree(), "services/trello/trello-web.cue", func(string) string { return "" }))
	b.until("the platform has it", func() bool { return b.records("acme.example")["trello.acme.example"] == "192.0.2.77" })
	b.converged()
}

// Sets that are there already are taken over, the one as it is and the other by a change, and nothing else of the name is.
func TestPlatformRecordsAdopt(t *testing.T) {
	b := newBench(t)
	set := func(name, value string) world.RecordSet {
		r := world.Simple("A", "api.acme.example.", 300, value)
		r.SetIdentifier, r.Weight = name, new(int64(1))
		return r
	}
	b.world.Put(b.zones["acme.example"], set("blue", "192.0.2.41"), set("green", "198.51.100.2"), set("red", "198.51.100.3"))
	b.converged()
	b.land(31, b.declaring(`"api.acme.example": A: {adopt: true, sets: {
		blue: {weight: 1, values: ["192.0.2.41"]}
		green: {weight: 1, values: ["192.0.2.42"]}
	}}`))
	b.converged()
	want := []string{"A blue 192.0.2.41", "A green 192.0.2.42", "A red 198.51.100.3"}
	if diff := cmp.Diff(want, b.at("api.acme.example")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.land(32, b.declaring(""))
	b.converged()
	if diff := cmp.Diff(want[2:], b.at("api.acme.example")); diff != "" {
		t.Errorf("once it is given up (-want +got):\n%s", diff)
	}
}

// A name that is to become a CNAME keeps its address while nobody has agreed to its going: AWS is not even asked.
func TestPlatformRecordsSwapWaitsWhole(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.land(41, b.declaring(`"api.acme.example": A: values: ["192.0.2.41"]`))
	b.converged()
	writes := len(b.world.Writes())
	b.repository.commit(b.declaring(`"api.acme.example": CNAME: values: ["trello.acme.example"]`))
	b.until("planned", func() bool { return len(b.View().Steps) == 2 })
	for _, s := range b.View().Steps {
		if s.State == reconciler.Ready || s.State == reconciler.Applying {
			t.Errorf("%s %s goes alone", s.Verb, s.Key)
		}
	}
	b.repository.commit(with(b.tree(), pingFile, pong("later"))) // another pass
	b.until("read", func() bool { return b.View().Commit == b.repository.tip() })
	if now := b.world.Writes(); len(now) != writes {
		t.Errorf("AWS was asked for %+v", now[writes:])
	}
}
