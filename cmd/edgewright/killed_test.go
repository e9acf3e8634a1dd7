package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
)

// checkRound demands that every zone is as declared, and that the calls of the round made each of its changes once.
func (k *killed) checkRound() {
	k.Helper()
	ttl := int64(killTTL(k.round + 1))
	for zone, id := range k.zones {
		made := 0
		for _, r := range k.world.Records(id) {
			if r.Type != "A" {
				continue
			}
			if made++; r.TTL == nil || *r.TTL != ttl || len(r.Values()) != killAddresses {
				k.Errorf("round %d: %s %s has ttl %v and %d values, want %d and %d", k.round, r.Type, r.Name, *r.TTL, len(r.Values()), ttl, killAddresses)
			}
		}
		if made != killNames || len(k.world.Records(id)) != killNames+3 { // SOA, NS and our mark
			k.Errorf("round %d: zone %s has %d addresses and %d records in all", k.round, zone, made, len(k.world.Records(id)))
		}
	}
	writes := k.world.Writes()
	if calls := len(writes) - k.begun; k.round > 0 && calls < 20 {
		k.Errorf("round %d took %d calls, want 20 or more", k.round, calls)
	}
	for change, n := range k.changes() {
		if n != 1 {
			k.Errorf("round %d: %s was made %d times", k.round, change, n)
		}
	}
}

// changes are what the world took, and how often. A change that came again would have been refused by it, which is a fault too.
func (k *killed) changes() map[string]int {
	k.Helper()
	made := map[string]int{}
	for _, w := range k.world.Writes() {
		if w.Refused != "" {
			k.Errorf("a call was refused: %s", w.Refused)
		}
		for _, c := range w.Changes {
			if c.Action != "DELETE" {
				made[fmt.Sprintf("%s %s ttl %d", c.ResourceRecordSet.Type, strings.TrimSuffix(c.ResourceRecordSet.Name, "."), *c.ResourceRecordSet.TTL)]++
			}
		}
	}
	return made
}

// checkBooks demands that journal and audit say of each change that it was made, once.
func (k *killed) checkBooks() {
	k.Helper()
	want := k.changes()
	if rounds := (k.round + 1) * killZones * killNames; len(want) != rounds+killZones {
		k.Errorf("%d changes were made, want %d", len(want), rounds+killZones)
	}
	if err := k.Daemon.Stop(); err != nil {
		k.Error(err)
	}
	k.books(func(b reconciler.Books) error {
		k.compare("journal", want, k.journalled(b))
		k.compare("audit", want, k.audited(b))
		return b.Audit.Verify(k.Context())
	})
}

func (k *killed) journalled(b reconciler.Books) map[string]int {
	finished, err := b.Journal.Finished(k.Context())
	if err != nil {
		k.Fatal(err)
	}
	made := map[string]int{}
	for _, i := range finished {
		if i.Outcome == nil || i.Outcome.Refused != "" || i.Outcome.Told != "" {
			continue
		}
		for _, s := range i.Steps {
			made[k.changeOf(s.After)]++
		}
	}
	return made
}

func (k *killed) audited(b reconciler.Books) map[string]int {
	made := map[string]int{}
	for after := int64(0); ; {
		entries, err := b.Audit.Entries(k.Context(), after, 500)
		if err != nil {
			k.Fatal(err)
		}
		for _, e := range entries {
			after = e.Seq
			if strings.Contains(e.What, "dns/record ") && e.Result == "applied" {
				made[k.changeOf(e.After)]++
			}
		}
		if len(entries) < 500 {
			return made
		}
	}
}

func (k *killed) compare(book string, want, have map[string]int) {
	k.Helper()
	wrong := 0
	for _, change := range slices.Sorted(maps.Keys(want)) {
		if have[change] == want[change] {
			continue
		}
		if wrong++; wrong <= 10 {
			k.Errorf("the %s says %d times that %s was made, the world %d times", book, have[change], change, want[change])
		}
	}
	for _, change := range slices.Sorted(maps.Keys(have)) {
		if want[change] > 0 {
			continue
		}
		if wrong++; wrong <= 10 {
			k.Errorf("the %s says that %s was made, and the world not", book, change)
		}
	}
}

func (k *killed) changeOf(v resource.Value) string {
	k.Helper()
	var r dns.Record
	if err := json.Unmarshal(v, &r); err != nil {
		k.Fatal(err)
	}
	return fmt.Sprintf("%s %s ttl %d", r.Type, r.Name, r.TTL)
}
