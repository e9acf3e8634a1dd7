package xds

import (
	"maps"
	"slices"

	"github.com/edgewright/edgewright/schema"
)

// goal is what a stream is to serve for a service; its version is nil when there is nothing.
type goal struct {
	*version
	published bool
}

// current is the frame that is published.
func (f *fleet) current() *frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.frame
}

// ofClients tells whether a fleet are gRPC clients.
func (f *fleet) ofClients() bool { return f.current().fleet.Kind == schema.GRPC }

// take hands a stream what is published, and what of it changed since it last asked.
func (f *fleet) take(s *seat, see func(schema.ServiceID) item, held, pending map[schema.ServiceID]struct{}) (*rest, map[schema.ServiceID]goal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.follows != nil {
		maps.DeleteFunc(s.dirty, func(id schema.ServiceID, _ struct{}) bool { return !s.follows[id] })
	}
	for id := range held {
		s.dirty[id] = struct{}{}
	}
	if len(s.dirty) == 0 {
		return f.rest, nil
	}
	if f.anyBarred() { // one that is stuck may hold others
		f.doubt(s)
		for id := range pending {
			s.dirty[id] = struct{}{}
		}
	}
	has := make(map[schema.ServiceID]*version, len(s.dirty))
	for id := range s.dirty {
		it := see(id)
		v := it.served.version
		if bad, ok := f.refused[id]; v == nil || ok && bad.version == v.Version {
			v = it.own
		}
		has[id] = v
	}
	stuck := f.stuck(s, has)
	goals := make(map[schema.ServiceID]goal, len(s.dirty))
	for id := range s.dirty {
		v, proven := f.published[id], f.proven[id].last
		switch {
		case !stuck[id]:
			goals[id] = goal{v, v != nil}
		case has[id] != nil:
			goals[id] = goal{has[id].in(f.frame.packing), false}
		default:
			goals[id] = goal{proven, false}
		}
	}
	s.dirty = map[schema.ServiceID]struct{}{}
	return f.rest, goals
}

// stuck are the services that keep what a stream has of them, or else what another has proven: those whose published version was
// refused, and those that let a name go to one of these, for they move together or not at all.
func (f *fleet) stuck(s *seat, has map[schema.ServiceID]*version) map[schema.ServiceID]bool {
	stuck := map[schema.ServiceID]bool{}
	for id := range f.refused {
		if f.barred(id) && f.has(s, id) != f.published[id].Version && !same(has[id], f.published[id]) {
			stuck[id] = true
		}
	}
	for grown := len(stuck) > 0; grown; {
		grown = false
		for id, v := range has {
			next := f.published[id]
			if !stuck[id] && !same(v, next) && (f.gives(next, v, stuck) || f.gives(next, f.proven[id].last, stuck)) {
				stuck[id], grown = true, true
			}
		}
	}
	return stuck
}

func same(a, b *version) bool { return a != nil && b != nil && a.Version == b.Version }

// gives tells whether next lets a name of old go to one of these services.
func (f *fleet) gives(next, old *version, to map[schema.ServiceID]bool) bool {
	if old == nil {
		return false
	}
	for id := range to {
		taker := f.published[id]
		if taker != nil && id != old.ID && slices.ContainsFunc(old.places, func(p string) bool { return taker.has(p) && !next.has(p) }) {
			return true
		}
	}
	return false
}

// barred tells whether a proxy refused what is published of a service.
func (f *fleet) barred(id schema.ServiceID) bool {
	v := f.published[id]
	bad, ok := f.refused[id]
	return ok && v != nil && bad.version == v.Version
}

func (f *fleet) anyBarred() bool {
	for id := range f.refused {
		if f.barred(id) {
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

// retire keeps what was proven of services that are no longer published for as long as their names may have to stay with them.
func (f *fleet) retire(changed map[schema.ServiceID]*version) {
	taken := map[string]bool{}
	for _, v := range changed {
		if v == nil {
			continue
		}
		for _, p := range v.places {
			taken[p] = true
		}
	}
	for id, v := range changed {
		if v != nil {
			continue
		}
		p := f.proven[id].last
		if p != nil && slices.ContainsFunc(p.places, func(place string) bool { return taken[place] }) {
			f.gone[id] = struct{}{}
		} else {
			delete(f.proven, id)
		}
	}
}

// forget drops what is known of services that are not published, once all that is published is proven.
func (f *fleet) forget() {
	for id := range f.gone {
		delete(f.proven, id)
	}
	f.gone = map[schema.ServiceID]struct{}{}
}

// refuse keeps content from being sent to any proxy of the fleet again. Where it could only be tried together with other
// services, until one of these changes.
func (f *fleet) refuse(s *seat, v *version, with unit, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.refused = why
	p := f.proven[v.ID]
	proven := p.last != nil && p.last.Version == v.Version
	f.refused[v.ID] = verdict{v.Version, s.node.id, why, with, proven}
	if proven {
		f.proven[v.ID] = proof{last: p.prior}
	}
	for _, other := range f.seats {
		other.dirty[v.ID] = struct{}{}
	}
	f.lookAgain()
	f.poke()
}

// publishes tells whether these are still the versions published.
func (f *fleet) publishes(u unit, shown blame) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !slices.ContainsFunc(u, func(id schema.ServiceID) bool {
		return shown[id] != nil && !same(shown[id], f.published[id])
	})
}

// lookAgain has every stream ask again for what it does not have: another service's refusal came or went.
func (f *fleet) lookAgain() {
	for _, s := range f.seats {
		f.doubt(s)
		nudge(s.wake)
	}
}

func (f *fleet) doubt(s *seat) {
	for id := range s.lacking {
		s.dirty[id] = struct{}{}
	}
	for id := range f.gone {
		s.dirty[id] = struct{}{}
	}
}

// ask has a stream take the goal of a service anew.
func (f *fleet) ask(s *seat, id schema.ServiceID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.dirty[id] = struct{}{}
}

// provenAs tells whether a proxy has acknowledged that very version.
func (f *fleet) provenAs(v *version) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.proven[v.ID]
	return p.last != nil && p.last.Version == v.Version
}
