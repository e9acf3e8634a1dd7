package xds

import (
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/edgewright/edgewright/schema"
)

// fleet is what all streams of a cohort of a fleet share.
type fleet struct {
	id     schema.FleetID
	cohort Cohort
	now    func() time.Time
	poke   func()
	alike  *fleet // another cohort of the fleet, while this one is made
	renders

	mu        sync.Mutex // guards what follows; nothing is sent while it is held
	frame     *frame
	rest      *rest // all that is published; nil: nothing yet
	published map[schema.ServiceID]*version
	digest    [sha256.Size]byte // over services and versions published
	proven    map[schema.ServiceID]proof
	unproven  map[schema.ServiceID]struct{}    // published, and not acknowledged by any proxy yet
	gone      map[schema.ServiceID]struct{}    // not published, but a name of theirs is of one that is not proven
	refused   map[schema.ServiceID]verdict     // content that is never sent again
	others    map[string]verdict               // by type and name: listeners, scopes and secrets
	secrets   map[string]*discoveryv3.Resource // by name
	entrusted int                              // how often they were replaced
	seats     map[string]*seat                 // by node
	retired   retired
	byHost    map[schema.Hostname]map[schema.ServiceID]bool // of gRPC clients: what is published
}

// proof is what proxies of the fleet have acknowledged of a service.
type proof struct{ last, prior *version }

// verdict is what a proxy refused.
type verdict struct {
	version, node, why string
	with               unit // could not be told apart from these
	proven             bool // another proxy of the cohort has it
}

// seat is what a fleet knows of one stream.
type seat struct {
	node    node
	since   time.Time
	wake    chan struct{}
	over    chan struct{} // closed when the same node comes again
	dirty   map[schema.ServiceID]struct{}
	follows map[schema.ServiceID]bool      // of a client that asks by name: no other service is anything to it
	joining bool                           // it lacks all that is published, and is to have it as a whole
	rest    *rest                          // what it has acknowledged, nil: nothing,
	acked   map[schema.ServiceID]string    // but for these; empty: it has none
	lacking map[schema.ServiceID]time.Time // not acknowledged since
	whole   string                         // the last published digest of which nothing was lacking
	refused string
}

func newFleet(id schema.FleetID, cohort Cohort, now func() time.Time, poke func()) *fleet {
	return &fleet{
		id: id, cohort: cohort, now: now, poke: poke, renders: renders{made: map[string][]made{}},
		published: map[schema.ServiceID]*version{}, proven: map[schema.ServiceID]proof{},
		unproven: map[schema.ServiceID]struct{}{}, gone: map[schema.ServiceID]struct{}{},
		refused: map[schema.ServiceID]verdict{}, others: map[string]verdict{}, seats: map[string]*seat{},
		retired: retired{clusters: map[string]*discoveryv3.Resource{}}, byHost: map[schema.Hostname]map[schema.ServiceID]bool{},
	}
}

// publish installs a release: only what differs from the one before is encoded and handed to the streams.
func (f *fleet) publish(r Release) {
	next, repacked := f.frame, false // only publish writes these, and one at a time: no lock to read them
	if next == nil || !next.same(r.Fleet, r.packing()) {
		next, repacked = newFrame(r.Fleet, r.packing()).lackingOf(f.secrets), f.frame == nil || f.frame.packing != r.packing()
	}
	changed := f.changed(r, repacked)
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := f.frame != next
	if f.frame = next; fresh {
		maps.DeleteFunc(f.others, func(name string, _ verdict) bool { return secretName(name) == "" })
	}
	if repacked {
		f.repack(r.packing())
	}
	barred := f.anyBarred()
	for id, v := range changed {
		f.install(id, v)
	}
	f.retire(changed)
	if fresh || len(changed) > 0 {
		f.rest = f.rest.with(f, next, changed)
	}
	if barred || f.anyBarred() {
		f.lookAgain()
	}
	for _, s := range f.seats {
		f.settle(s)
		if fresh || len(changed) > 0 {
			nudge(s.wake)
		}
	}
}

// changed are the services that are not published as they are in a release; nil for one that is not in it.
func (f *fleet) changed(r Release, all bool) map[schema.ServiceID]*version {
	changed := map[schema.ServiceID]*version{}
	if r.Changed != nil && !all {
		f.compareSome(r, changed)
	} else {
		f.compareAll(r, all, changed)
	}
	for _, v := range changed {
		if v != nil && f.alike == nil {
			v.beside = len(changed)
		}
	}
	return changed
}

func (f *fleet) compareSome(r Release, into map[schema.ServiceID]*version) {
	for _, id := range r.Changed {
		s, there := r.Services[id]
		switch old := f.published[id]; {
		case there && (old == nil || old.Version != s.Version):
			into[id] = f.alike.version(s, r.packing(), f.now())
		case !there && old != nil:
			into[id] = nil
		}
	}
}

func (f *fleet) compareAll(r Release, all bool, into map[schema.ServiceID]*version) {
	now, known := f.now(), 0
	for id, s := range r.Services {
		old := f.published[id]
		if old != nil {
			known++
		}
		if all || old == nil || old.Version != s.Version {
			into[id] = f.alike.version(s, r.packing(), now)
		}
	}
	if known == len(f.published) {
		return // nothing has gone
	}
	for id := range f.published {
		if _, ok := r.Services[id]; !ok {
			into[id] = nil
		}
	}
}

// version is a service encoded; this cohort may have done so already.
func (f *fleet) version(s Service, p packing, now time.Time) *version {
	if f != nil {
		if v := f.published[s.ID]; v != nil && v.Version == s.Version && v.packing == p {
			return v
		}
	}
	return newVersion(s, p, now)
}

// repack puts what was proven into other buckets.
func (f *fleet) repack(into packing) {
	for id, p := range f.proven {
		f.proven[id] = proof{p.last.in(into), p.prior.in(into)}
	}
}

// in is the version in other buckets.
func (v *version) in(p packing) *version {
	if v == nil || v.packing == p {
		return v
	}
	return newVersion(v.Service, p, v.at)
}

func (f *fleet) install(id schema.ServiceID, v *version) {
	old := f.published[id]
	if old != nil {
		f.fold(old)
		for _, h := range old.hosts {
			delete(f.byHost[h], id)
		}
	}
	if f.barred(id) {
		f.retired.replace(nil, v) // what was refused is not sent again
	} else {
		f.retired.replace(old, v)
	}
	for other, bad := range f.refused {
		if other != id && slices.Contains(bad.with, id) {
			delete(f.refused, other)
		}
	}
	delete(f.gone, id)
	delete(f.unproven, id)
	if v == nil {
		delete(f.published, id)
		delete(f.refused, id)
	} else {
		f.published[id] = v
		f.fold(v)
		for _, h := range v.hosts {
			if f.byHost[h] == nil {
				f.byHost[h] = map[schema.ServiceID]bool{}
			}
			f.byHost[h][id] = true
		}
		if p := f.proven[id]; p.last == nil || p.last.Version != v.Version {
			f.unproven[id] = struct{}{}
		}
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
	if s.joining {
		return
	}
	v, want := f.published[id], ""
	if v != nil {
		want = v.Version
	}
	if f.has(s, id) == want {
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

// has is the version of a service that a proxy has acknowledged; empty: none.
func (f *fleet) has(s *seat, id schema.ServiceID) string {
	if s.follows != nil && !s.follows[id] {
		if v := f.published[id]; v != nil {
			return v.Version
		}
		return ""
	}
	if version, differs := s.acked[id]; differs {
		return version
	}
	if v := s.rest.service(id); v != nil {
		return v.Version
	}
	return ""
}

// join seats a stream, in the place of an older one of the same node.
func (f *fleet) join(s *seat) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.seats[s.node.id]; old != nil {
		close(old.over)
	}
	f.seats[s.node.id] = s
	s.joining = true
	f.poke()
}

// begin is what a stream is to have as a whole; nil: something was refused, or may have to stay with whom it was, so that it has to be
// looked at service by service.
func (f *fleet) begin(s *seat) *rest {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.gone) > 0 || f.anyBarred() {
		return nil
	}
	s.dirty = map[schema.ServiceID]struct{}{}
	return f.rest
}

// disjoin has a stream be given what is published service by service.
func (f *fleet) disjoin(s *seat) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.joining = false
	for id := range f.published {
		s.dirty[id] = struct{}{}
		f.mark(s, id)
	}
	for id := range f.gone {
		s.dirty[id] = struct{}{}
	}
	f.settle(s)
}

// sound tells whether nothing that is published was refused.
func (f *fleet) sound() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.anyBarred()
}

// arrived notes that a stream has acknowledged all of what was published at one time, but for some services.
func (f *fleet) arrived(s *seat, all *rest, but map[schema.ServiceID]*item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.joining, s.rest, s.acked = false, all, map[schema.ServiceID]string{}
	for id := range but {
		s.acked[id] = ""
	}
	for _, id := range slices.Collect(maps.Keys(f.unproven)) {
		if _, differs := but[id]; differs {
			continue
		}
		if v := all.service(id); v != nil {
			f.prove(id, v)
		}
	}
	for id := range but {
		f.mark(s, id)
	}
	for id := range s.dirty {
		f.mark(s, id)
	}
	f.settle(s)
	f.poke()
}

// rested notes that a stream has acknowledged all of what was published at one time.
func (f *fleet) rested(s *seat, all *rest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.rest, s.acked = all, map[schema.ServiceID]string{}
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

// report notes what a stream has acknowledged; nil stands for a service that it has dropped.
func (f *fleet) report(s *seat, settled map[schema.ServiceID]*version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, v := range settled {
		if v == nil {
			s.acked[id] = ""
		} else {
			s.acked[id] = v.Version
			f.prove(id, v)
		}
		f.mark(s, id)
	}
	f.settle(s)
	f.poke()
}

// refuseOther notes a refusal of what is no service's own.
func (f *fleet) refuseOther(s *seat, url, name, version, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.refused = why
	if name != "" {
		f.others[url+"/"+name] = verdict{version: version, node: s.node.id, why: why}
	}
	f.poke()
}
