package plan

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Limits bound how much one plan may remove without a person typing the count. The zero value is the default.
type Limits struct {
	Percent int // of the resources of one kind; zero: 30
	Floor   int // the percentage counts once this many exist; zero: 10
}

// Veto is a guard's refusal of some steps. Nothing is dropped: they stay planned and are shown with it.
type Veto struct {
	Guard   string   `json:"guard"`
	Message string   `json:"message"`
	Unblock string   `json:"unblock"`
	Steps   []string `json:"steps"`   // IDs
	Deletes int      `json:"deletes"` // the count that a person has to type
}

// Guard vetoes deletions that look like an accident: all services gone, or more than a share of what exists of one kind.
// existing counts the resources of each kind that are ours now; services is how many are declared.
func Guard(steps []Step, existing map[resource.Kind]int, services int, l Limits) []Veto {
	percent, floor := orDefault(l.Percent, 30), orDefault(l.Floor, 10)
	deletes := deletions(steps)
	if len(deletes) == 0 {
		return nil
	}
	if services == 0 {
		return []Veto{veto("empty-desired", fmt.Sprintf("the repository declares no service at all; this would delete %s", counts(deletes)), deletes)}
	}
	byKind := map[resource.Kind]int{}
	for _, s := range deletes {
		byKind[s.Key.Kind]++
	}
	for _, kind := range []resource.Kind{resource.EnvoyService, resource.DNSRecord} {
		n, total := byKind[kind], existing[kind]
		if total >= floor && n*100 > total*percent {
			return []Veto{veto("mass-delete", fmt.Sprintf("this would delete %s: %d of %d %s, more than %d %%",
				counts(deletes), n, total, plural(kind), percent), deletes)}
		}
	}
	return nil
}

func veto(guard, message string, steps []Step) Veto {
	v := Veto{Guard: guard, Message: message, Deletes: len(steps)}
	for _, s := range steps {
		v.Steps = append(v.Steps, s.ID())
	}
	v.Unblock = fmt.Sprintf("if it is meant, apply the digest with --confirm-deletes %d", v.Deletes)
	return v
}

// deletions are the steps that remove a resource for good.
func deletions(steps []Step) []Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return s.Verb != Delete })
}

// counts is "12 services and 14 records".
func counts(steps []Step) string {
	n := map[resource.Kind]int{}
	for _, s := range steps {
		n[s.Key.Kind]++
	}
	return fmt.Sprintf("%d services and %d records", n[resource.EnvoyService], n[resource.DNSRecord])
}

func plural(k resource.Kind) string {
	if k == resource.DNSRecord {
		return "records"
	}
	return "services"
}

func orDefault(n, fallback int) int {
	if n == 0 {
		return fallback
	}
	return n
}

// TakesTraffic tells whether a step that nobody was shown has to wait for a person: it deletes, or a service loses a host name
// or changes its exposure, or a fleet loses a listener (design, invariant 4).
func TakesTraffic(s Step) bool {
	switch {
	case s.Verb == Delete:
		return true
	case s.Verb != Update:
		return false
	case s.Key.Kind == resource.EnvoyService:
		before, after := serviceSpec(s.Before), serviceSpec(s.After)
		return before.Exposure != after.Exposure || loses(before.Hosts, after.Hosts)
	case s.Key.Kind == resource.EnvoyFleet:
		before, after := fleetSpec(s.Before), fleetSpec(s.After)
		return loses(before.Listeners, after.Listeners)
	}
	return false
}

func serviceSpec(v resource.Value) (spec envoy.Spec) {
	_ = json.Unmarshal(v, &spec) // what we rendered ourselves
	return spec
}

func fleetSpec(v resource.Value) (spec envoy.FleetSpec) {
	_ = json.Unmarshal(v, &spec)
	return spec
}

func loses[T comparable](before, after []T) bool {
	return slices.ContainsFunc(before, func(t T) bool { return !slices.Contains(after, t) })
}

// Hosts are the host names that a step touches, sorted.
func (s Step) Hosts() []schema.Hostname {
	var hosts []schema.Hostname
	switch s.Key.Kind {
	case resource.EnvoyService:
		hosts = slices.Concat(serviceSpec(s.Before).Hosts, serviceSpec(s.After).Hosts)
	case resource.DNSRecord:
		for _, v := range []resource.Value{s.Before, s.After} {
			var record struct{ Name schema.Hostname }
			if json.Unmarshal(v, &record) == nil && record.Name != "" {
				hosts = append(hosts, record.Name)
			}
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
