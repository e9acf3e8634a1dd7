package route53

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// What one ChangeResourceRecordSets call holds (AWS, "Quotas on API requests"): resource record elements and characters of values,
// each counted twice for UPSERT.
const (
	maxElements   = 1000
	maxCharacters = 32000
)

// weight is what something takes of a call's limits.
type weight struct{ changes, elements, characters int }

func (w weight) plus(o weight) weight {
	return weight{w.changes + o.changes, w.elements + o.elements, w.characters + o.characters}
}

func (w weight) fits() bool {
	return w.changes <= maxElements && w.elements <= maxElements && w.characters <= maxCharacters
}

// Pack divides steps into calls, a health check each, and zone by zone: a zone's marker first, then by name, the steps of one name together (a CNAME that
// makes way for addresses). Equal steps in any order give equal batches.
func Pack(steps []plan.Step, upsert bool) []plan.Batch {
	ordered := slices.Clone(steps)
	slices.SortStableFunc(ordered, compareSteps)
	var batches []plan.Batch
	var used weight
	for len(ordered) > 0 {
		n := 1
		for n < len(ordered) && sameName(ordered[0], ordered[n]) {
			n++
		}
		group := ordered[:n]
		ordered = ordered[n:]
		var w weight
		for _, s := range group {
			w = w.plus(weigh(s, upsert))
		}
		last := len(batches) - 1
		if last < 0 || batches[last].Scope != group[0].Key.Scope || group[0].Key.Kind == resource.DNSHealthCheck || !used.plus(w).fits() {
			batches = append(batches, plan.Batch{Scope: group[0].Key.Scope})
			last, used = last+1, weight{}
		}
		batches[last].Steps = append(batches[last].Steps, group...)
		used = used.plus(w)
	}
	return batches
}

func compareSteps(a, b plan.Step) int {
	_, aName, _ := splitKey(a.Key)
	_, bName, _ := splitKey(b.Key)
	return cmp.Or(
		cmp.Compare(a.Key.Scope, b.Key.Scope),
		-compareBool(isMarker(a.Key), isMarker(b.Key)),
		cmp.Compare(aName, bName),
		-compareBool(a.Verb == plan.Delete, b.Verb == plan.Delete),
		a.Key.Compare(b.Key),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func sameName(a, b plan.Step) bool {
	_, aName, _ := splitKey(a.Key)
	_, bName, _ := splitKey(b.Key)
	return a.Key.Kind == resource.DNSRecord && a.Key.Scope == b.Key.Scope && aName == bName
}

// splitKey is a record key's type, name and set.
func splitKey(k resource.Key) (kind string, name schema.Hostname, set string) {
	kind, rest, _ := strings.Cut(k.Name, " ")
	host, set, _ := strings.Cut(rest, " ")
	return kind, schema.Hostname(host), set
}

// markerName is a zone's marker in the name of a key.
func markerName(zone schema.Hostname) string {
	return dns.Record{Type: "TXT", Name: dns.MarkerPrefix + zone}.KeyName()
}

func isMarker(k resource.Key) bool {
	zone, is := k.Scope.Zone()
	return is && k.Name == markerName(zone)
}

// weigh is what a step takes of a call: both sides of a swap, and an UPSERT twice.
func weigh(s plan.Step, upsert bool) weight {
	before, after := weighValue(s.Before), weighValue(s.After)
	switch {
	case s.Verb == plan.Delete:
		return before
	case s.Verb == plan.Create:
		return after
	case upsert:
		return weight{1, 2 * after.elements, 2 * after.characters}
	}
	return before.plus(after)
}

func weighValue(v resource.Value) weight {
	var r dns.Record
	if json.Unmarshal(v, &r) != nil {
		return weight{changes: 1}
	}
	w := weight{changes: 1, elements: len(r.Values)}
	for _, value := range r.Values {
		w.characters += len(value)
	}
	return w
}
