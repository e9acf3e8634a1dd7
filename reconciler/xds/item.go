package xds

import (
	"maps"

	"github.com/edgewright/edgewright/schema"
)

// item is how far a stream is with one service. Only those are kept that differ from what is published, and from what the proxy has
// acknowledged then: see rest.
type item struct {
	goal   goal
	served goal                // what its buckets are made from
	own    *version            // what it has acknowledged
	there  map[string]bool     // cluster sent → acknowledged
	touch  map[string]struct{} // buckets that hold the service, or may
	ties   []schema.ServiceID  // services that could only switch together
}

func (it *item) reached() bool { return it.served == it.goal }

// see is how far the stream is with a service, to be read. Of one at rest neither clusters nor buckets are told.
func (t *stream) see(id schema.ServiceID) item {
	if it := t.loose[id]; it != nil {
		return *it
	}
	v := t.rest.service(id)
	if v == nil {
		return item{}
	}
	out := item{goal: goal{v, true}}
	if t.based {
		out.served = out.goal
	}
	if t.arrived {
		out.own = v
	}
	return out
}

// loosen is how far the stream is with a service, to be changed.
func (t *stream) loosen(id schema.ServiceID) *item {
	it := t.loose[id]
	if it != nil {
		return it
	}
	now := t.see(id)
	it = &now
	t.loose[id] = it
	it.there, it.touch = map[string]bool{}, map[string]struct{}{}
	if v := it.served.version; v != nil {
		for _, c := range v.clusters {
			it.there[c.Name] = true
			t.clusters.has[c.Name] = c.Version
		}
		for name := range v.buckets {
			it.touch[name] = struct{}{}
		}
	}
	return it
}

// fold lets go what is known of services and buckets that are at rest again.
func (t *stream) fold() {
	t.shareScopes()
	if !t.based || len(t.loose)+len(t.buckets) == 0 || len(t.trials) > 0 || !t.lazy && !t.arrived {
		return
	}
	t.grown = t.grown || len(t.loose)+len(t.buckets) > 64
	if many := len(t.loose) > 64; many && (t.clusters.out != nil || t.routes.out != nil || len(t.stale)+len(t.unsettled) > 0 && t.arrived) {
		return // it is not worth the while yet
	}
	for id, it := range t.loose {
		if t.resting(id, it) {
			t.putDown(id, it)
		}
	}
	if !t.arrived {
		return
	}
	for name, b := range t.buckets {
		if t.restingBucket(name, b) {
			delete(t.buckets, name)
			if !t.whole {
				delete(t.routes.has, name)
			}
		}
	}
	if len(t.loose) == 0 && t.reported != t.rest {
		t.reported = t.rest
		t.fleet.rested(t.seat, t.rest)
		t.shrink()
	}
}

// shrink lets go maps that held everything once: they stay as large as they were, also when they are empty.
func (t *stream) shrink() {
	if len(t.buckets) > 0 || !t.grown {
		return
	}
	t.grown = false
	t.buckets, t.loose = map[string]*bucket{}, map[schema.ServiceID]*item{}
	t.dirty, t.hurried = map[string]struct{}{}, map[string]struct{}{}
	if !t.whole {
		t.clusters.has, t.routes.has = maps.Collect(maps.All(t.clusters.has)), maps.Collect(maps.All(t.routes.has))
	}
}

// resting tells whether a proxy has of a service just what is published, and nothing of it is under way.
func (t *stream) resting(id schema.ServiceID, it *item) bool {
	v := t.rest.service(id)
	if it.goal.version != v || !it.reached() || v != nil && !it.goal.published || t.arrived && it.own != v {
		return false
	}
	_, pending := t.pending[id]
	_, stale := t.stale[id]
	_, unsettled := t.unsettled[id]
	_, held := t.held[id]
	if pending || stale || held || unsettled && t.arrived || len(it.ties) > 0 {
		return false
	}
	if v == nil {
		return len(it.there) == 0 && len(it.touch) == 0
	}
	if len(it.there) != len(v.clusters) || len(it.touch) != len(v.buckets) {
		return false
	}
	for _, c := range v.clusters {
		if !it.there[c.Name] {
			return false
		}
	}
	for name := range it.touch {
		if _, in := v.buckets[name]; !in {
			return false
		}
	}
	return true
}

func (t *stream) putDown(id schema.ServiceID, it *item) {
	delete(t.loose, id)
	delete(t.unsettled, id)
	if v := it.goal.version; v != nil && !t.whole {
		for _, c := range v.clusters {
			delete(t.clusters.has, c.Name)
		}
	}
}

// restingBucket tells whether the proxy has just what is published of a bucket.
func (t *stream) restingBucket(name string, b *bucket) bool {
	return t.frame.holds(name) && t.still(name) && b.known && len(b.may) == 1 &&
		(b.members == nil || len(b.members) == len(t.rest.bucket(name))) && b.may[0].same(t.rest.bucket(name)) && t.compose(name, b).same(t.rest.bucket(name))
}

// shareScopes has the stream share with all others what it has of scopes.
func (t *stream) shareScopes() {
	if l := t.scopes; !l.shared && l.out == nil && t.scoped == t.frame && maps.Equal(l.has, t.frame.scoped) {
		l.has, l.shared = t.frame.scoped, true
	}
}

// loosenAll has everything known by itself: the buckets are to be others.
func (t *stream) loosenAll() {
	for name := range t.frame.routes {
		t.open(name)
	}
	t.rest.each(func(v *version) {
		if it := t.loosen(v.ID); it.served.version == v {
			for name := range v.buckets {
				t.open(name).members[v.ID] = it.served
			}
		}
	})
	t.arrived = false
}
