// Package release holds what a fleet is served: for each service the content, the host names that linger after they were let go,
// and why a service is held. A release is stored before it is published; any replica builds the same bytes from it.
//
// It does not speak to proxies: reconciler/xds serves what a release says.
package release

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Release is what one fleet is served. It is a value: the methods return new ones.
type Release struct {
	Fleet    schema.FleetID             `json:"fleet"`
	Spec     resource.Value             `json:"spec,omitempty"` // of the envoy/fleet; nil until the fleet was first applied
	Layout   envoy.Layout               `json:"layout"`
	Old      envoy.Layout               `json:"old,omitzero"`   // the one before, served beside it
	Until    time.Time                  `json:"until,omitzero"` // then Old goes
	Services map[schema.ServiceID]Entry `json:"services,omitempty"`
}

// Entry is what is served for one service.
type Entry struct {
	Content  string            `json:"content"`           // hash of the unit
	Spec     resource.Value    `json:"spec"`              // what the unit was rendered from
	Names    []schema.Hostname `json:"names,omitempty"`   // that Spec declares
	Exposure schema.Exposure   `json:"exposure"`          // that Spec declares
	Good     string            `json:"good,omitempty"`    // the content that the whole fleet acknowledged last
	Refused  []Refusal         `json:"refused,omitempty"` // by cohorts in their order, and of each in the order in which they came; what a cohort has refused is not served to it again
	Linger   []schema.Place    `json:"linger,omitempty"`  // let go, and may still be asked for; sorted
	Removed  bool              `json:"removed,omitempty"` // no longer declared: only Linger is served
	Commit   string            `json:"commit,omitempty"`
	Since    time.Time         `json:"since"`
	Origin   schema.Position   `json:"origin,omitzero"`
}

// Refusal is content that the proxies of a cohort have refused.
type Refusal struct {
	Cohort  string `json:"cohort"` // the version of Envoy
	Content string `json:"content"`
	Why     string `json:"why"` // what the proxy said
}

// Same tells whether two entries are alike in everything.
func (e Entry) Same(o Entry) bool {
	return e.Content == o.Content && bytes.Equal(e.Spec, o.Spec) && slices.Equal(e.Names, o.Names) && e.Exposure == o.Exposure && e.Good == o.Good &&
		slices.Equal(e.Refused, o.Refused) && slices.Equal(e.Linger, o.Linger) && e.Removed == o.Removed && e.Commit == o.Commit && e.Since.Equal(o.Since) &&
		e.Origin == o.Origin
}

// Hosts are the names that the entry's specification declares; none once it is removed.
func (e Entry) Hosts() []schema.Hostname {
	if e.Removed {
		return nil
	}
	return e.Names
}

// places are where the entry's specification asks for answers; none once it is removed.
func (e Entry) places() []schema.Place {
	var out []schema.Place
	for _, h := range e.Hosts() {
		out = append(out, schema.Place{Exposure: e.Exposure, Host: h})
	}
	return out
}

// Exposed tells whether the entry is answered, or lingers, at the listeners of an exposure.
func (e Entry) Exposed(x schema.Exposure) bool {
	return !e.Removed && e.Exposure == x || slices.ContainsFunc(e.Linger, func(p schema.Place) bool { return p.Exposure == x })
}

// Version changes whenever what is served for the service does.
func (e Entry) Version() string { return e.version(e.Content) }

// Held is the content that a cohort is to have that has refused the present one, and its version: the last good one, or none where there
// is no such.
func (e Entry) Held() (content, version string) {
	if e.Good == e.Content {
		return "", e.version("")
	}
	return e.Good, e.version(e.Good)
}

// RefusedNow are the refusals of the present content.
func (e Entry) RefusedNow() []Refusal { return e.RefusalsOf(e.Content) }

// RefusalsOf are the refusals of a content, now or before.
func (e Entry) RefusalsOf(content string) []Refusal {
	return slices.DeleteFunc(slices.Clone(e.Refused), func(r Refusal) bool { return r.Content != content })
}

// Why is what proxies said of the present content that they refused; empty when none did.
func (e Entry) Why() string {
	var why []string
	for _, r := range e.RefusedNow() {
		if r.Cohort != "" {
			r.Why = "Envoy " + r.Cohort + ": " + r.Why
		}
		why = append(why, r.Why)
	}
	return strings.Join(why, "; ")
}

func (e Entry) version(content string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %v %t", content, e.Linger, e.Removed))
	return hex.EncodeToString(sum[:10])
}

// Serves tells whether the entry answers for a name.
func (e Entry) Serves(host schema.Hostname) bool {
	return slices.Contains(e.Hosts(), host) || slices.ContainsFunc(e.Linger, func(p schema.Place) bool { return p.Host == host })
}

// Snapshot is the release as an observation: what was let go and only lingers is no longer there.
func (r Release) Snapshot(now time.Time) plan.Snapshot {
	s := plan.Snapshot{Scope: r.Scope(), Taken: now, Marked: true, Resources: map[resource.Key]resource.Value{}}
	if r.Spec != nil {
		s.Resources[r.FleetKey()] = r.Spec
	}
	for id, e := range r.Services {
		if !e.Removed {
			s.Resources[r.Key(id)] = e.Spec
		}
	}
	return s
}

// Scope is fleet/<id>.
func (r Release) Scope() resource.Scope { return resource.Scope("fleet/" + string(r.Fleet)) }

// Key is the envoy/service of this fleet.
func (r Release) Key(id schema.ServiceID) resource.Key {
	return resource.Key{Kind: resource.EnvoyService, Scope: r.Scope(), Name: string(id)}
}

// FleetKey is the envoy/fleet.
func (r Release) FleetKey() resource.Key {
	return resource.Key{Kind: resource.EnvoyFleet, Scope: r.Scope(), Name: string(r.Fleet)}
}

// Holders are the services that declare a name, in order.
type Holders map[schema.Hostname][]schema.ServiceID

// Holders are those of all names of the release.
func (r Release) Holders() Holders {
	all := Holders{}
	for _, id := range slices.Sorted(maps.Keys(r.Services)) {
		for _, host := range r.Services[id].Hosts() {
			all[host] = append(all[host], id)
		}
	}
	return all
}

// Move notes that a service declares other names than it did.
func (h Holders) Move(id schema.ServiceID, from, to []schema.Hostname) {
	if slices.Equal(from, to) {
		return
	}
	for _, host := range from {
		if h[host] = slices.DeleteFunc(h[host], func(other schema.ServiceID) bool { return other == id }); len(h[host]) == 0 {
			delete(h, host)
		}
	}
	for _, host := range to {
		at, _ := slices.BinarySearch(h[host], id)
		h[host] = slices.Insert(h[host], at, id)
	}
}

// Other is the service that declares a name, apart from the one given.
func (h Holders) Other(host schema.Hostname, but schema.ServiceID) (schema.ServiceID, bool) {
	for _, id := range h[host] {
		if id != but {
			return id, true
		}
	}
	return "", false
}

// Apply returns the release after steps on this fleet. A name that a service lets go lingers there until Expire, unless another
// service takes it in the same release: then it moves at once.
func (r Release) Apply(steps []plan.Step, commit string, now time.Time) Release {
	next := r
	next.Services = maps.Clone(r.Services)
	if next.Services == nil {
		next.Services = map[schema.ServiceID]Entry{}
	}
	for _, s := range steps {
		if s.Key.Kind == resource.EnvoyFleet {
			next.Spec = s.After
			continue
		}
		id := schema.ServiceID(s.Key.Name)
		next.Services[id] = next.Services[id].apply(s, commit, now)
	}
	return next.dropTaken()
}

func (e Entry) apply(s plan.Step, commit string, now time.Time) Entry {
	let := slices.Concat(e.places(), e.Linger)
	e.Commit, e.Since = commit, now
	if s.Verb == plan.Delete {
		e.Removed = true
	} else {
		spec := specOf(s.After)
		e.Content, e.Spec, e.Names, e.Exposure, e.Origin, e.Removed = spec.Content, s.After, spec.Hosts, spec.Exposure, s.Origin, false
		let = slices.DeleteFunc(let, func(p schema.Place) bool { return slices.Contains(e.places(), p) })
	}
	slices.SortFunc(let, schema.Place.Compare)
	e.Linger = slices.Compact(let)
	return e
}

// dropTaken ends the lingering of names that another service declares by now, and entries that serve nothing.
func (r Release) dropTaken() Release {
	waits := false // for a name to be taken or let go
	for _, e := range r.Services {
		waits = waits || e.Removed || len(e.Linger) > 0
	}
	if !waits {
		return r
	}
	declared := map[schema.Place]bool{}
	for _, e := range r.Services {
		for _, p := range e.places() {
			declared[p] = true
		}
	}
	r.linger(func(_ schema.ServiceID, p schema.Place) bool { return !declared[p] })
	return r
}

// Differing are the services in which two releases are not alike, in order.
func (r Release) Differing(other Release) []schema.ServiceID {
	out := []schema.ServiceID{}
	for id, e := range r.Services {
		if old, is := other.Services[id]; !is || !old.Same(e) {
			out = append(out, id)
		}
	}
	for id := range other.Services {
		if _, still := r.Services[id]; !still {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// Expire ends the lingering of names for which keep is false, and tells whether anything changed.
func (r Release) Expire(keep func(schema.ServiceID, schema.Place) bool) (Release, bool) {
	next := r
	next.Services = maps.Clone(r.Services)
	changed := next.linger(keep)
	return next, changed
}

func (r Release) linger(keep func(schema.ServiceID, schema.Place) bool) bool {
	changed := false
	for id, e := range r.Services {
		left := slices.DeleteFunc(slices.Clone(e.Linger), func(p schema.Place) bool { return !keep(id, p) })
		if len(left) != len(e.Linger) {
			changed = true
			e.Linger = left
			r.Services[id] = e
		}
		if e.Removed && len(left) == 0 {
			changed = true
			delete(r.Services, id)
		}
	}
	return changed
}

// Acknowledge notes that the whole fleet has the present content of services.
func (r Release) Acknowledge(ids ...schema.ServiceID) Release {
	if len(ids) == 0 {
		return r
	}
	r.Services = maps.Clone(r.Services)
	for _, id := range ids {
		if e, ok := r.Services[id]; ok {
			e.Good = e.Content
			r.Services[id] = e
		}
	}
	return r
}

// Drained is how long a layout is served on after proxies have another: requests that come on connections of their listener before are
// answered by it, until Envoy has closed these. It does so within its --drain-time-s, which is 10 minutes where nothing is said.
const Drained = 11 * time.Minute

// Grow gives the release a layout with more buckets once what it serves has outgrown the one it has. It is another generation, which proxies
// get whole before the old one goes; until then it does not grow again. A layout never shrinks: that would be as much work for nothing.
func (r Release) Grow(now time.Time) Release {
	services, domains := 0, 0
	for _, e := range r.Services {
		services, domains = services+1, domains+len(e.Hosts())+len(e.Linger)
	}
	n := envoy.Buckets(services, domains)
	if n <= r.Layout.Buckets || r.Old.Buckets > 0 {
		return r
	}
	if r.Layout.Buckets > 0 {
		r.Old, r.Until = r.Layout, now.Add(Drained)
	}
	r.Layout = envoy.Layout{Generation: r.Layout.Generation + 1, Buckets: n}
	return r
}

// Retire ends the layout before, once nobody can ask by it any more, and tells whether anything changed.
func (r Release) Retire(now time.Time) (Release, bool) {
	if r.Old.Buckets == 0 || now.Before(r.Until) {
		return r, false
	}
	r.Old, r.Until = envoy.Layout{}, time.Time{}
	return r, true
}

// mostRefusals is how many contents of a service are remembered that a cohort has refused: the last ones.
const mostRefusals = 10

func refusalsBy(e Entry, cohort string) []Refusal {
	return slices.DeleteFunc(slices.Clone(e.Refused), func(r Refusal) bool { return r.Cohort != cohort })
}

// Refuse notes that the proxies of a cohort refused the service's present content.
func (r Release) Refuse(id schema.ServiceID, cohort, why string) (Release, bool) {
	e, ok := r.Services[id]
	if !ok || slices.ContainsFunc(e.RefusedNow(), func(old Refusal) bool { return old.Cohort == cohort }) {
		return r, false
	}
	e.Refused = append(slices.Clone(e.Refused), Refusal{cohort, e.Content, why})
	slices.SortStableFunc(e.Refused, func(a, b Refusal) int { return cmp.Compare(a.Cohort, b.Cohort) })
	if all := refusalsBy(e, cohort); len(all) > mostRefusals {
		e.Refused = slices.DeleteFunc(e.Refused, func(r Refusal) bool { return r == all[0] })
	}
	return r.with(id, e), true
}

func (r Release) with(id schema.ServiceID, e Entry) Release {
	r.Services = maps.Clone(r.Services)
	r.Services[id] = e
	return r
}

// Version is a hash over the versions of everything that the fleet is served.
func (r Release) Version() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %+v %+v\n", r.Spec, r.Layout, r.Old)
	for _, id := range slices.Sorted(maps.Keys(r.Services)) {
		fmt.Fprintln(h, id, r.Services[id].Version())
	}
	return hex.EncodeToString(h.Sum(nil)[:10])
}

func specOf(v resource.Value) (spec envoy.Spec) {
	_ = json.Unmarshal(v, &spec) // what we rendered and stored ourselves
	return spec
}
