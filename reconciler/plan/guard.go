package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Limits bound how much one plan may remove without a person typing the count. The zero value is the default.
type Limits struct {
	Percent int // of a share; zero: 30
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

// Share is of what deletions are a share: of all resources of a kind, or of those in one scope (a zone, a fleet) or of one service.
type Share struct {
	Kind    resource.Kind
	Scope   resource.Scope   // empty: any
	Service schema.ServiceID // empty: any
}

func (s Share) String() string {
	switch {
	case s.Scope != "":
		return fmt.Sprintf("%s in %s", plural(s.Kind), s.Scope)
	case s.Service != "":
		return fmt.Sprintf("%s of service %s", plural(s.Kind), s.Service)
	}
	return plural(s.Kind)
}

// Existing counts resources by the shares that they belong to.
type Existing map[Share]int

// Add counts one resource.
func (e Existing) Add(key resource.Key, service schema.ServiceID) {
	for _, share := range shares(key, service) {
		e[share]++
	}
}

func shares(key resource.Key, service schema.ServiceID) []Share {
	if key.Kind == resource.EnvoyFleet {
		return nil
	}
	all := []Share{{Kind: key.Kind}, {Kind: key.Kind, Scope: key.Scope}}
	if service != "" {
		all = append(all, Share{Kind: key.Kind, Service: service})
	}
	return all
}

// Guard vetoes deletions that look like an accident: all services gone, or more than a share of what exists of one kind: in all, in one
// zone or fleet, or of one service. existing counts what is ours now, and is asked only if something is deleted; services is how many
// are declared.
func Guard(steps []Step, existing func() Existing, services int, l Limits) []Veto {
	deletes := deletions(steps)
	if len(deletes) == 0 {
		return nil
	}
	if services == 0 {
		return []Veto{veto("empty-desired", fmt.Sprintf("the repository declares no service at all; this would delete %s", counts(deletes)), deletes)}
	}
	gone, all := Existing{}, existing()
	for _, s := range deletes {
		gone.Add(s.Key, s.Service)
	}
	percent, floor := orDefault(l.Percent, 30), orDefault(l.Floor, 10)
	var over []Share
	for share, n := range gone {
		if total := all[share]; total >= floor && n*100 > total*percent {
			over = append(over, share)
		}
	}
	if len(over) == 0 {
		return nil
	}
	slices.SortFunc(over, Share.compare)
	whole := over[0].Scope == "" && over[0].Service == ""
	if whole { // then everything waits: a part of it says nothing more
		over = over[:1]
	}
	var why []string
	for _, share := range over {
		why = append(why, fmt.Sprintf("%d of %d %s", gone[share], all[share], share))
	}
	stopped := slices.DeleteFunc(deletes, func(s Step) bool {
		return !whole && !slices.ContainsFunc(shares(s.Key, s.Service), func(share Share) bool { return slices.Contains(over, share) })
	})
	return []Veto{veto("mass-delete", fmt.Sprintf("this would delete %s: %s, more than %d %%", counts(stopped), strings.Join(why, ", "), percent), stopped)}
}

// compare puts services before records and the whole before its parts.
func (s Share) compare(o Share) int {
	return cmp.Or(cmp.Compare(min(1, len(s.Scope)+len(s.Service)), min(1, len(o.Scope)+len(o.Service))), -cmp.Compare(s.Kind, o.Kind),
		cmp.Compare(s.Service, o.Service), cmp.Compare(s.Scope, o.Scope))
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
	text := fmt.Sprintf("%d services and %d records", n[resource.EnvoyService], n[resource.DNSRecord])
	if checks := n[resource.DNSHealthCheck]; checks > 0 {
		text += fmt.Sprintf(", and %d health checks", checks)
	}
	return text
}

func plural(k resource.Kind) string {
	switch k {
	case resource.DNSRecord:
		return "records"
	case resource.DNSHealthCheck:
		return "health checks"
	}
	return "services"
}

func orDefault(n, fallback int) int {
	if n == 0 {
		return fallback
	}
	return n
}

// TakesTraffic tells whether a step that nobody was shown has to wait for a person: it deletes, takes over what others made, or a
// service loses a host name
// or changes its exposure, or a fleet loses a listener (design, invariant 4).
func TakesTraffic(s Step) bool {
	switch {
	case s.Verb == Delete || s.Verb == Adopt:
		return true
	case s.Verb != Update:
		return false
	case s.Key.Kind == resource.EnvoyService:
		before, after := serviceSpec(s.Before), serviceSpec(s.After)
		return before.Exposure != after.Exposure || loses(before.Hosts, after.Hosts)
	case s.Key.Kind == resource.EnvoyFleet:
		before, after := fleetSpec(s.Before), fleetSpec(s.After)
		return losesListener(before.Listeners, after.Listeners) || loses(certified(before), certified(after))
	}
	return false
}

// answers is what of a service's specification says who gets an answer. A plan asks it often, and the whole is long.
type answers struct {
	Hosts    []schema.Hostname `json:"hosts"`
	Exposure schema.Exposure   `json:"exposure"`
}

func serviceSpec(v resource.Value) (spec answers) {
	if v == nil {
		return spec
	}
	_ = json.Unmarshal(v, &spec) // what we rendered ourselves
	return spec
}

func fleetSpec(v resource.Value) (spec envoy.FleetSpec) {
	_ = json.Unmarshal(v, &spec)
	return spec
}

// losesListener tells whether a client that is answered before may not be after: a listener is gone or elsewhere, or has another form
// of TLS.
func losesListener(before, after []schema.Listener) bool {
	return slices.ContainsFunc(before, func(l schema.Listener) bool {
		return !slices.ContainsFunc(after, func(o schema.Listener) bool { return reflect.DeepEqual(l, o) })
	})
}

// certified are the names that a fleet has certificates for. In which files these are does not matter.
func certified(spec envoy.FleetSpec) (hosts []schema.Hostname) {
	for _, c := range spec.Certificates {
		hosts = append(hosts, c.Hosts...)
	}
	return hosts
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
