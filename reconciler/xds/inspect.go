package xds

import (
	"context"
	"errors"
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/edgewright/edgewright/schema"
)

// Inspected is what a connected proxy has, as far as it was sent it or said so, beside what it would have with all that is published.
type Inspected struct {
	Node  Node            `json:"node"`
	Types []InspectedType `json:"types"` // in the order in which a proxy must have them
}

// InspectedType is one type of resource of a proxy.
type InspectedType struct {
	URL       string              `json:"url"`
	Version   string              `json:"version"`   // hash over what it has acknowledged; empty while an answer is under way
	Published string              `json:"published"` // such a hash over what it would have
	Has       int                 `json:"has"`
	Wants     int                 `json:"wants"`
	Differ    []InspectedResource `json:"differ"` // in order of their names

	all []InspectedResource
}

// InspectedResource is one resource of a proxy. Versions are hashes of its content, empty where there is none or, after a
// refusal, nobody knows.
type InspectedResource struct {
	Name  string           `json:"name"`
	Has   string           `json:"has,omitempty"`
	Wants string           `json:"wants,omitempty"`
	State InspectedState   `json:"state"`
	Why   string           `json:"why,omitempty"` // it was refused
	Of    schema.ServiceID `json:"of,omitempty"`  // whose it is, if it is one service's
	bytes *discoveryv3.Resource
}

// InspectedState says how a resource of a proxy stands to what is published.
type InspectedState string

const (
	Synced  InspectedState = "synced"   // it has what is published
	Sent    InspectedState = "sent"     // it was sent it, and has neither acknowledged nor refused it
	Stale   InspectedState = "stale"    // it has another version, or one that is to go
	NotSent InspectedState = "not sent" // it has none yet
	Refused InspectedState = "refused"  // what is published was refused, by this proxy or, if it is a service's, by another of its fleet
)

// ErrNotConnected says that no proxy of that name is connected.
var ErrNotConnected = errors.New("it is not connected")

// Inspect looks at one connected proxy. It may be asked at any time, and waits for no proxy.
func (s *Server) Inspect(ctx context.Context, fleet schema.FleetID, id string) (Inspected, error) {
	s.mu.Lock()
	k := s.sessions[node{id: id, fleet: fleet}.key()]
	s.mu.Unlock()
	if k == nil {
		return Inspected{}, ErrNotConnected
	}
	answer := make(chan Inspected, 1)
	select {
	case k.questions <- answer:
		return <-answer, nil
	case <-k.gone:
		return Inspected{}, ErrNotConnected
	case <-ctx.Done():
		return Inspected{}, ctx.Err()
	}
}

// inspect compares what the proxy has with what is published.
func (t *stream) inspect() Inspected {
	if t.fleet == nil || t.frame == nil {
		return Inspected{Node: Node{ID: t.node.id, Fleet: t.node.fleet, Envoy: t.node.envoy, Connected: t.seat.since}}
	}
	out := Inspected{Node: t.fleet.nodeOf(t.seat)}
	clusters, routes, owners := t.fleet.wants(t.frame)
	secrets := t.fleet.secretsOf(t.secrets.wanted)
	barred := t.fleet.verdicts()
	for _, one := range []struct {
		l      *ledger
		wanted map[string]*discoveryv3.Resource
	}{{t.runtime.ledger, t.runtime.of(t.frame.runtime)}, {t.clusters, clusters}, {t.secrets.ledger, secrets}, {t.routes, routes}, {t.scopes, t.frame.scopes}, {t.filters.ledger, t.filters.of(t.frame.filters)}, {t.listeners, t.frame.listeners(t.node.bind)}} {
		out.Types = append(out.Types, t.inspectType(one.l, t.hasOf(one.l), one.wanted, owners, barred))
	}
	return out
}

// hasOf is what the proxy has of a type, or was sent, with what is at rest.
func (t *stream) hasOf(l *ledger) map[string]string {
	out := maps.Clone(l.has)
	switch {
	case l == t.clusters && t.begun:
		left := map[*version]bool{}
		for _, part := range t.left() {
			for _, v := range part.of {
				left[v] = part != l.out
			}
		}
		t.rest.each(func(v *version) {
			if t.loose[v.ID] == nil && !left[v] {
				for _, c := range v.clusters {
					out[c.Name] = c.Version
				}
			}
		})
	case l == t.routes && t.arrived:
		for name := range t.frame.routes {
			if t.buckets[name] == nil {
				out[name] = t.render(name, t.rest.bucket(name)).Version
			}
		}
	}
	return out
}

func (t *stream) inspectType(l *ledger, had map[string]string, wanted map[string]*discoveryv3.Resource, owners map[string]schema.ServiceID, barred map[schema.ServiceID]string) InspectedType {
	out := InspectedType{URL: l.url, Has: len(had), Wants: len(wanted), Differ: []InspectedResource{}}
	names := maps.Clone(had)
	for name := range wanted {
		names[name] = ""
	}
	flying := map[string]bool{}
	if l.out != nil {
		for _, r := range l.out.added {
			flying[r.Name] = true
		}
	}
	has := make([]*discoveryv3.Resource, 0, len(had))
	want := make([]*discoveryv3.Resource, 0, len(wanted))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		r := InspectedResource{Name: name, Has: had[name], Of: owners[name]}
		if w := wanted[name]; w != nil {
			r.Wants = w.Version
			want = append(want, w)
		}
		if why := t.refusedOf(l, name, r.Wants); why != "" {
			r.Has, r.Why = "", why
		}
		if r.Has != "" {
			has = append(has, &discoveryv3.Resource{Name: name, Version: r.Has})
			r.bytes = t.known(l, name, r.Has, wanted[name])
		}
		if why, is := barred[r.Of]; is && r.Of != "" && r.Has != r.Wants {
			r.Why = why
		}
		r.State = r.state(flying[name])
		if r.State != Synced {
			out.Differ = append(out.Differ, r)
		}
		out.all = append(out.all, r)
	}
	out.Published = contentVersion(want)
	if l.out == nil {
		out.Version = contentVersion(has)
	}
	return out
}

func (r InspectedResource) state(flying bool) InspectedState {
	switch {
	case flying:
		return Sent
	case r.Has == r.Wants:
		return Synced
	case r.Why != "":
		return Refused
	case r.Has == "":
		return NotSent
	}
	return Stale
}

// wants are the clusters and route configurations that a proxy would have with all that is published, and whose the clusters are.
func (f *fleet) wants(at *frame) (clusters, routes map[string]*discoveryv3.Resource, owners map[string]schema.ServiceID) {
	clusters, routes, owners = map[string]*discoveryv3.Resource{}, map[string]*discoveryv3.Resource{}, map[string]schema.ServiceID{}
	buckets := map[string]composition{}
	f.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(f.published)) {
		v := f.published[id]
		for _, c := range v.clusters {
			clusters[c.Name], owners[c.Name] = c, id
		}
		for name := range v.buckets {
			buckets[name] = append(buckets[name], member{v, true})
		}
	}
	f.mu.Unlock()
	for name, where := range at.routes {
		routes[name] = f.route(name, where, buckets[name])
	}
	return clusters, routes, owners
}

// secretsOf are those of the fleet that a proxy asks for.
func (f *fleet) secretsOf(names map[string]bool) map[string]*discoveryv3.Resource {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]*discoveryv3.Resource{}
	for name := range names {
		if r := f.secrets[name]; r != nil {
			out[name] = r
		}
	}
	return out
}

// refusedOf is why this proxy has refused a resource that is no service's, in just this version; empty if it has not.
func (t *stream) refusedOf(l *ledger, name, version string) string {
	t.fleet.mu.Lock()
	defer t.fleet.mu.Unlock()
	if v := t.fleet.others[l.url+"/"+name]; v.node == t.node.id && v.version == version {
		return v.why
	}
	return ""
}

// verdicts say of each service whose published content was refused why.
func (f *fleet) verdicts() map[schema.ServiceID]string {
	out := map[schema.ServiceID]string{}
	for _, r := range f.refusals() {
		if r.Service != "" {
			out[r.Service] = r.Why
		}
	}
	return out
}

// known is the content of a resource that the proxy has, nil where it is not kept any more.
func (t *stream) known(l *ledger, name, version string, wanted *discoveryv3.Resource) *discoveryv3.Resource {
	if l.url == secretType {
		return nil // it is nobody else's business
	}
	if wanted != nil && wanted.Version == version {
		return wanted
	}
	if l == t.routes {
		now := t.rest.bucket(name)
		if b := t.buckets[name]; b != nil {
			now = t.compose(name, b)
		}
		if !t.frame.holds(name) {
			return nil
		}
		if r := t.render(name, now); r.Version == version {
			return r
		}
	}
	return nil
}
