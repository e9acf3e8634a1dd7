package xds

import (
	"slices"

	"github.com/edgewright/edgewright/schema"
)

// goal is what a stream is to serve for a service; its version is nil when there is nothing.
type goal struct {
	*version
	published bool
}

// take hands a stream what changed since it last asked. own is what the stream has acknowledged, served what it is shown.
func (f *fleet) take(s *seat, own map[schema.ServiceID]*version, served map[schema.ServiceID]goal) (*frame, map[schema.ServiceID]goal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(s.dirty) == 0 {
		return f.frame, nil
	}
	goals := make(map[schema.ServiceID]goal, len(s.dirty))
	for id := range s.dirty {
		has := served[id].version
		if bad, ok := f.refused[id]; has == nil || ok && bad.version == has.Version {
			has = own[id]
		}
		goals[id] = f.goal(id, has)
	}
	s.dirty = map[schema.ServiceID]struct{}{}
	return f.frame, goals
}

// goal is the published version. Where that was refused, or lets a name go to a service whose version was refused, it is what
// this stream has, or else what another has proven.
func (f *fleet) goal(id schema.ServiceID, has *version) goal {
	v, proven := f.published[id], f.proven[id].last
	switch {
	case v != nil && has != nil && has.Version == v.Version:
		return goal{v, true} // it is there already
	case !f.barred(id) && !f.holds(v, has) && !f.holds(v, proven):
		return goal{v, v != nil}
	case has != nil:
		return goal{has.in(f.frame.layout), false}
	case proven != nil:
		return goal{proven, false}
	default:
		return goal{}
	}
}

// barred tells whether a proxy refused what is published of a service.
func (f *fleet) barred(id schema.ServiceID) bool {
	v := f.published[id]
	bad, ok := f.refused[id]
	return ok && v != nil && bad.version == v.Version
}

// holds tells whether next lets a name of old go to a service that cannot take it: those move together or not at all.
func (f *fleet) holds(next, old *version) bool {
	if old == nil || len(f.refused) == 0 || next != nil && next.Version == old.Version {
		return false
	}
	for id := range f.refused {
		if id != old.ID && f.barred(id) && slices.ContainsFunc(old.places, func(p string) bool {
			return f.published[id].has(p) && !next.has(p)
		}) {
			return true
		}
	}
	return false
}

// prove notes that a proxy of the fleet has a version.
func (f *fleet) prove(id schema.ServiceID, v *version) {
	p := f.proven[id]
	if f.published[id] == nil || f.refused[id].version == v.Version || p.last != nil && p.last.Version == v.Version {
		return
	}
	f.proven[id] = proof{last: v, prior: p.last}
	if f.published[id].Version != v.Version {
		return
	}
	if delete(f.unproven, id); len(f.unproven) == 0 {
		f.forget()
	}
}

// retire keeps what was proven of a service that is no longer published for as long as its names may have to stay with it.
func (f *fleet) retire(id schema.ServiceID, taken map[string]bool) {
	p := f.proven[id].last
	if p != nil && slices.ContainsFunc(p.places, func(place string) bool { return taken[place] }) {
		f.gone[id] = struct{}{}
		return
	}
	delete(f.proven, id)
}

// forget drops what is known of services that are not published, once all that is published is proven.
func (f *fleet) forget() {
	for id := range f.gone {
		delete(f.proven, id)
	}
	f.gone = map[schema.ServiceID]struct{}{}
}

// refuse keeps content from being sent to any proxy of the fleet again.
func (f *fleet) refuse(s *seat, v *version, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.refused = why
	f.refused[v.ID] = verdict{v.Version, s.node.id, why}
	if p := f.proven[v.ID]; p.last != nil && p.last.Version == v.Version {
		f.proven[v.ID] = proof{last: p.prior}
	}
	for _, other := range f.seats {
		other.dirty[v.ID] = struct{}{}
	}
	f.lookAgain()
	f.poke()
}

// lookAgain has every stream ask again for what it does not have: another service's refusal came or went.
func (f *fleet) lookAgain() {
	for _, s := range f.seats {
		for id := range s.lacking {
			s.dirty[id] = struct{}{}
		}
		for id := range f.gone {
			s.dirty[id] = struct{}{}
		}
		nudge(s.wake)
	}
}

// provenAs tells whether a proxy has acknowledged that very version.
func (f *fleet) provenAs(v *version) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.proven[v.ID]
	return p.last != nil && p.last.Version == v.Version
}
