package xds

import (
	"cmp"
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/edgewright/edgewright/schema"
)

// bucket is one route configuration as a stream has it.
type bucket struct {
	subscribed bool
	flying     bool                      // an answer with it is under way
	known      bool                      // the proxy has acknowledged one of ours
	doubt      bool                      // it was in an answer that was refused: the proxy may have taken it or not
	members    map[schema.ServiceID]goal // nil: those at rest
	may        []composition             // all that the proxy may hold
}

// open has the members of a bucket known by themselves.
func (b *bucket) open(now composition) {
	if b.members != nil {
		return
	}
	b.members = make(map[schema.ServiceID]goal, len(now))
	for _, m := range now {
		b.members[m.ID] = goal{m.version, m.published}
	}
}

// holders are the services that the bucket holds, is to hold, or may still hold.
func (t *stream) holders(name string, b *bucket) map[schema.ServiceID]struct{} {
	out := map[schema.ServiceID]struct{}{}
	for id := range b.members {
		out[id] = struct{}{}
	}
	if b.members == nil {
		for _, m := range t.atRest(name) {
			out[m.ID] = struct{}{}
		}
	}
	for _, c := range b.may {
		for _, m := range c {
			out[m.ID] = struct{}{}
		}
	}
	return out
}

// atRest is what a bucket holds of which nothing else is known.
func (t *stream) atRest(name string) composition {
	if !t.based {
		return nil
	}
	return t.rest.bucket(name)
}

func (f *frame) holds(name string) bool {
	_, ok := f.routes[name]
	return ok
}

// bucket is what is known of a bucket by itself, from now on.
func (t *stream) bucket(name string) *bucket {
	b := t.buckets[name]
	if b != nil {
		return b
	}
	b = &bucket{}
	switch {
	case t.arrived && t.frame.holds(name):
		c := t.rest.bucket(name)
		b.subscribed, b.known, b.may = true, true, []composition{c}
		t.routes.has[name] = t.render(name, c).Version
	case t.begun && !t.lazy:
		b.open(nil)
	}
	t.buckets[name] = b
	return b
}

// open is a bucket whose members are to change.
func (t *stream) open(name string) *bucket {
	b := t.bucket(name)
	b.open(t.atRest(name))
	return b
}

// forget drops a bucket that neither the fleet nor the proxy has any more.
func (t *stream) forget(name string) {
	for id := range t.holders(name, t.buckets[name]) {
		if it := t.loose[id]; it != nil {
			delete(it.touch, name)
		}
	}
	delete(t.buckets, name)
	delete(t.dirty, name)
	delete(t.hurried, name)
}

// serveGoal switches a service to its goal, in all its buckets.
func (t *stream) serveGoal(id schema.ServiceID) {
	it := t.loosen(id)
	old, next := it.served, it.goal
	t.put(id, next)
	hurries := t.hurries(id)
	for _, v := range []*version{old.version, next.version} {
		if v == nil {
			continue
		}
		for name := range v.buckets {
			t.dirty[name] = struct{}{}
			if hurries {
				t.hurried[name] = struct{}{}
			}
		}
	}
}

// put sets what a service is served as, without a word to the proxy yet.
func (t *stream) put(id schema.ServiceID, next goal) {
	it := t.loosen(id)
	if old := it.served; old.version != nil {
		for name := range old.buckets {
			if t.buckets[name] != nil || t.arrived && t.frame.holds(name) {
				delete(t.open(name).members, id)
			}
		}
	}
	it.served = goal{}
	if next.version != nil {
		t.serving = true
		it.served = next
		for name := range next.buckets {
			t.open(name).members[id] = next
			it.touch[name] = struct{}{}
		}
	}
	t.unsettled[id], t.stale[id] = struct{}{}, struct{}{}
	t.note(id, it)
}

// compose is what a bucket is to hold.
func (t *stream) compose(name string, b *bucket) composition {
	if b.members == nil {
		return t.atRest(name)
	}
	out := make(composition, 0, len(b.members))
	for id, g := range b.members {
		it := t.loose[id]
		out = append(out, member{g.version, g.published && (it == nil || it.reached())})
	}
	slices.SortFunc(out, func(a, b member) int { return cmp.Compare(a.ID, b.ID) })
	if rest := t.atRest(name); out.same(rest) {
		return rest
	}
	return out
}

// maxBuckets is how many buckets that the proxy has one answer replaces: it makes their tables while it reads nothing else.
const maxBuckets = 32

// inOrder are the dirty buckets, those first in which something changes that was published with few others.
func (t *stream) inOrder() []string {
	return slices.SortedFunc(maps.Keys(t.dirty), func(a, b string) int {
		_, first := t.hurried[a]
		_, second := t.hurried[b]
		switch {
		case first && !second:
			return -1
		case second && !first:
			return 1
		}
		return cmp.Compare(a, b)
	})
}

// routesAnswer makes the dirty buckets that the proxy has asked for. What is too much for one answer stays for the next.
func (t *stream) routesAnswer() *response {
	out := &response{}
	replaced := 0
	for _, name := range t.inOrder() {
		b := t.bucket(name)
		if replaced >= maxBuckets && b.known && len(t.trials) == 0 {
			continue
		}
		if !t.frame.holds(name) {
			t.absent(name, b, out)
			continue
		}
		if !b.subscribed || t.early(name, b) {
			continue
		}
		delete(t.dirty, name)
		delete(t.hurried, name)
		c := t.compose(name, b)
		r := t.render(name, c)
		if !b.doubt && t.routes.has[name] == r.Version {
			t.hold(b, c)
			continue
		}
		if b.known {
			replaced++
		}
		b.may, b.flying = append(b.may, c), true
		out.added = append(out.added, r)
	}
	return out
}

// early tells whether a bucket that the proxy has from before this stream would lose a service whose clusters are not there yet.
func (t *stream) early(name string, b *bucket) bool {
	if t.calm || b.known || t.routes.has[name] == "" || len(t.trials) > 0 {
		return false
	}
	for id := range t.pending {
		if next := t.loose[id].goal.version; next != nil && len(next.buckets[name]) > 0 && !t.ready(next) {
			return true
		}
	}
	return false
}

func (t *stream) render(name string, c composition) *discoveryv3.Resource {
	if rest := t.rest.bucket(name); len(c) > 0 && len(rest) > 0 && &c[0] == &rest[0] {
		return t.rest.resource(name)
	}
	return t.fleet.route(name, t.frame.routes[name], c)
}

// absent answers for a bucket that the fleet does not have. One that the proxy already has stays until its scope goes.
func (t *stream) absent(name string, b *bucket, out *response) {
	delete(t.dirty, name)
	if t.routes.has[name] == "" && b.subscribed {
		out.removed = append(out.removed, name)
	}
}

// hold notes what the proxy now holds for sure.
func (t *stream) hold(b *bucket, c composition) {
	for _, before := range b.may {
		before.differs(c, func(id schema.ServiceID) {
			t.loosen(id)
			t.stale[id] = struct{}{}
		})
	}
	b.known, b.doubt, b.flying, b.may = true, false, false, []composition{c}
}

func (t *stream) routesThere(out *response) {
	for _, r := range out.added {
		if b := t.buckets[r.Name]; b != nil && b.flying && len(b.may) > 0 {
			t.hold(b, b.may[len(b.may)-1])
		} else if b != nil {
			b.flying = false
		}
	}
}

// still tells whether the proxy has a bucket, and nothing is to change or under way in it.
func (t *stream) still(name string) bool {
	b := t.buckets[name]
	if b == nil {
		return t.arrived && t.frame.holds(name)
	}
	if !b.subscribed || b.doubt || b.flying {
		return false
	}
	_, dirty := t.dirty[name]
	return !dirty
}

// settled tells whether the proxy has acknowledged what a service is served as: every bucket that it may have holds just that.
func (t *stream) settled(id schema.ServiceID, it *item) bool {
	if len(t.frame.routes) == 0 {
		return true
	}
	for name := range it.touch {
		b := t.buckets[name]
		if b == nil || !t.frame.holds(name) {
			continue
		}
		if !b.subscribed || !b.known || !t.holds(name, b, it.served.version, id) {
			return false
		}
	}
	return true
}

// holds tells whether a bucket holds a service in just that version, or not at all if it has no host there.
func (t *stream) holds(name string, b *bucket, v *version, id schema.ServiceID) bool {
	if !t.member(name, b, id) {
		v = nil
	}
	for _, c := range b.may {
		has := c.of(id)
		if (has == nil) != (v == nil) || has != nil && has.Version != v.Version {
			return false
		}
	}
	return true
}

// member tells whether a bucket is to hold a service.
func (t *stream) member(name string, b *bucket, id schema.ServiceID) bool {
	if b.members == nil {
		return t.atRest(name).of(id) != nil
	}
	_, is := b.members[id]
	return is
}

// report tells the fleet what was acknowledged since.
func (t *stream) report() {
	if t.arrive(); t.lazy || len(t.frame.routes) > 0 && (!t.routes.asked || !t.warm) {
		return // it has no bucket yet
	}
	done := map[schema.ServiceID]*version{}
	for id := range t.unsettled {
		it := t.loosen(id)
		if !t.settled(id, it) {
			continue
		}
		v := it.served.version
		done[id], it.own, it.ties = v, v, nil
		delete(t.unsettled, id)
		t.tidy(id, it)
	}
	if len(done) == 0 {
		return
	}
	if len(t.unsettled) == 0 {
		t.unsettled = map[schema.ServiceID]struct{}{} // as in advance
	}
	t.fleet.report(t.seat, done)
}

// tidy forgets what is no longer true of a service that was acknowledged.
func (t *stream) tidy(id schema.ServiceID, it *item) {
	for name := range it.touch {
		b, held := t.buckets[name], t.frame.holds(name)
		switch {
		case b == nil && t.arrived && held:
			held = t.rest.bucket(name).of(id) == nil
		case b == nil:
			held = true
		default:
			held = held && !t.member(name, b, id)
		}
		if held {
			delete(it.touch, name)
		}
	}
	t.stale[id] = struct{}{}
}
