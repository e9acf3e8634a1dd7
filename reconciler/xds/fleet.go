package xds

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// fleet is what all streams of a fleet share.
type fleet struct {
	id   schema.FleetID
	now  func() time.Time
	poke func()
	renders

	mu        sync.Mutex // guards what follows; nothing is sent while it is held
	frame     *frame
	published map[schema.ServiceID]*version
	digest    [sha256.Size]byte // over services and versions published
	proven    map[schema.ServiceID]proof
	refused   map[schema.ServiceID]verdict // content that is never sent again
	others    map[string]verdict           // by type and name: listeners and scopes
	seats     map[string]*seat             // by node
}

// proof is what proxies of the fleet have acknowledged of a service.
type proof struct{ last, prior *version }

// verdict is what a proxy refused.
type verdict struct{ version, node, why string }

// seat is what a fleet knows of one stream.
type seat struct {
	node    node
	since   time.Time
	wake    chan struct{}
	over    chan struct{} // closed when the same node comes again
	dirty   map[schema.ServiceID]struct{}
	acked   map[schema.ServiceID]string
	lacking map[schema.ServiceID]time.Time // not acknowledged since
	whole   string                         // the last published digest of which nothing was lacking
	refused string
}

func newFleet(id schema.FleetID, now func() time.Time, poke func()) *fleet {
	return &fleet{
		id: id, now: now, poke: poke, renders: renders{made: map[string][]made{}},
		published: map[schema.ServiceID]*version{}, proven: map[schema.ServiceID]proof{},
		refused: map[schema.ServiceID]verdict{}, others: map[string]verdict{}, seats: map[string]*seat{},
	}
}

// publish installs a release: only what differs from the one before is encoded and handed to the streams.
func (f *fleet) publish(r Release) {
	now := f.now()
	next, same := f.frame, true
	if next == nil || !next.same(r.Fleet, r.Layout) {
		next, same = newFrame(r.Fleet, r.Layout), f.frame != nil && f.frame.layout == r.Layout
	}
	changed := map[schema.ServiceID]*version{}
	for id, s := range r.Services { // only Publish writes published, and one at a time: no lock to read it
		if old := f.published[id]; old == nil || old.Version != s.Version || !same {
			changed[id] = newVersion(s, r.Layout, now)
		}
	}
	for id := range f.published {
		if _, ok := r.Services[id]; !ok {
			changed[id] = nil
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := f.frame != next
	if f.frame = next; fresh {
		f.others = map[string]verdict{}
	}
	if !same {
		f.repack(r.Layout)
	}
	for id, v := range changed {
		f.install(id, v)
	}
	for _, s := range f.seats {
		f.settle(s)
		if fresh || len(changed) > 0 {
			nudge(s.wake)
		}
	}
}

// repack puts what was proven into the buckets of another layout.
func (f *fleet) repack(layout envoy.Layout) {
	for id, p := range f.proven {
		f.proven[id] = proof{p.last.in(layout), p.prior.in(layout)}
	}
}

// in is the version in the buckets of a layout.
func (v *version) in(layout envoy.Layout) *version {
	if v == nil || v.layout == layout {
		return v
	}
	return newVersion(v.Service, layout, v.at)
}

func (f *fleet) install(id schema.ServiceID, v *version) {
	if old := f.published[id]; old != nil {
		f.fold(old)
	}
	if v == nil {
		delete(f.published, id)
		delete(f.refused, id)
		delete(f.proven, id)
	} else {
		f.published[id] = v
		f.fold(v)
	}
	for _, s := range f.seats {
		s.dirty[id] = struct{}{}
		f.mark(s, id)
	}
}

// fold adds a version to the digest, or takes it away when it is in.
func (f *fleet) fold(v *version) {
	sum := sha256.Sum256([]byte(string(v.ID) + "\x00" + v.Version))
	for i := range f.digest {
		f.digest[i] ^= sum[i]
	}
}

// mark notes whether a stream lacks a service.
func (f *fleet) mark(s *seat, id schema.ServiceID) {
	v, want := f.published[id], ""
	if v != nil {
		want = v.Version
	}
	if s.acked[id] == want {
		delete(s.lacking, id)
		return
	}
	if _, ok := s.lacking[id]; ok {
		return
	}
	at := f.now()
	if v != nil && v.at.After(s.since) {
		at = v.at
	}
	s.lacking[id] = at
}

// join seats a stream, in the place of an older one of the same node.
func (f *fleet) join(s *seat) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.seats[s.node.id]; old != nil {
		close(old.over)
	}
	f.seats[s.node.id] = s
	for id := range f.published {
		s.dirty[id] = struct{}{}
		f.mark(s, id)
	}
	f.settle(s)
	f.poke()
}

func (f *fleet) part(s *seat) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seats[s.node.id] == s {
		delete(f.seats, s.node.id)
		maps.DeleteFunc(f.others, func(_ string, v verdict) bool { return v.node == s.node.id })
	}
	f.poke()
}

// goal is what a stream is to serve for a service; its version is nil when there is nothing.
type goal struct {
	*version
	published bool
}

// take hands a stream what changed since it last asked. own is what the stream has acknowledged.
func (f *fleet) take(s *seat, own map[schema.ServiceID]*version) (*frame, map[schema.ServiceID]goal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(s.dirty) == 0 {
		return f.frame, nil
	}
	goals := make(map[schema.ServiceID]goal, len(s.dirty))
	for id := range s.dirty {
		goals[id] = f.goal(id, own[id])
	}
	s.dirty = map[schema.ServiceID]struct{}{}
	return f.frame, goals
}

// goal is the published version unless a proxy of the fleet refused it: then what this stream has, or else what was proven.
func (f *fleet) goal(id schema.ServiceID, own *version) goal {
	v := f.published[id]
	if v == nil {
		return goal{}
	}
	bad, ok := f.refused[id]
	if !ok || bad.version != v.Version || own != nil && own.Version == v.Version {
		return goal{v, true}
	}
	if own != nil {
		return goal{own.in(f.frame.layout), false}
	}
	if p := f.proven[id]; p.last != nil {
		return goal{p.last, false}
	}
	return goal{}
}

// report notes what a stream has acknowledged; nil stands for a service that it has dropped.
func (f *fleet) report(s *seat, settled map[schema.ServiceID]*version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, v := range settled {
		if v == nil {
			delete(s.acked, id)
		} else {
			s.acked[id] = v.Version
			f.prove(id, v)
		}
		f.mark(s, id)
	}
	f.settle(s)
	f.poke()
}

func (f *fleet) prove(id schema.ServiceID, v *version) {
	p := f.proven[id]
	if f.published[id] == nil || f.refused[id].version == v.Version || p.last != nil && p.last.Version == v.Version {
		return
	}
	f.proven[id] = proof{last: v, prior: p.last}
}

// refuse keeps content from being sent to any proxy of the fleet again.
func (f *fleet) refuse(s *seat, v *version, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.refused = why
	id := v.ID
	f.refused[id] = verdict{v.Version, s.node.id, why}
	if p := f.proven[id]; p.last != nil && p.last.Version == v.Version {
		f.proven[id] = proof{last: p.prior}
	}
	for _, other := range f.seats {
		other.dirty[id] = struct{}{}
		nudge(other.wake)
	}
	f.poke()
}

// refuseOther notes a refusal of what is no service's own.
func (f *fleet) refuseOther(s *seat, url, name, version, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.refused = why
	if name != "" {
		f.others[url+"/"+name] = verdict{version, s.node.id, why}
	}
	f.poke()
}

// provenAs tells whether another proxy has acknowledged that very version.
func (f *fleet) provenAs(v *version) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.proven[v.ID]
	return p.last != nil && p.last.Version == v.Version
}
