package resource

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/schema"
)

var (
	record = Key{Kind: DNSRecord, Scope: "zone/acme.example", Name: "A jira.acme.example"}
	unit   = Key{Kind: EnvoyService, Scope: "fleet/edge", Name: "jira"}
)

func TestKeyStandsAsTextAnywhere(t *testing.T) {
	data, err := json.Marshal(map[Key]int{record: 1, unit: 2})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"dns/record zone/acme.example A jira.acme.example":1,"envoy/service fleet/edge jira":2}`
	if string(data) != want {
		t.Errorf("got %s, want %s", data, want)
	}
	var back map[Key]int
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[Key]int{record: 1, unit: 2}, back); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "dns/record", "dns/record zone/acme.example"} {
		if err := new(Key).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a key", bad)
		}
	}
}

func TestKeysAreOrderedByKindScopeName(t *testing.T) {
	other := record
	other.Scope = "zone/acme.internal"
	earlier := record
	earlier.Name = "A api.acme.example"
	got := []Key{unit, other, record, earlier}
	slices.SortFunc(got, Key.Compare)
	if diff := cmp.Diff([]Key{earlier, record, other, unit}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestSetRefusesAKeyTwice(t *testing.T) {
	set := Set{}
	first := Resource{Key: unit, Origin: schema.Position{File: "a.cue", Line: 1}}
	second := Resource{Key: unit, Origin: schema.Position{File: "b.cue", Line: 2}}
	if err := set.Add(first, Resource{Key: record}); err != nil {
		t.Fatal(err)
	}
	const want = "envoy/service fleet/edge jira is declared at a.cue:1 and at b.cue:2"
	if err := set.Add(second); err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
	if diff := cmp.Diff([]Key{record, unit}, set.Keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if set[unit].Origin.File != "a.cue" {
		t.Error("the first one was replaced")
	}
}
