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
	flying     bool // an answer with it is under way
	known      bool // the proxy has acknowledged one of ours
	doubt      bool // it was in an answer that was refused: the proxy may have taken it or not
	members    map[schema.ServiceID]struct{}
	may        []composition // all that the proxy may hold
}

// holders are the services that the bucket holds, is to hold, or may still hold.
func (b *bucket) holders() map[schema.ServiceID]struct{} {
	out := maps.Clone(b.members)
	for _, c := range b.may {
		for _, m := range c {
			out[m.ID] = struct{}{}
		}
	}
	return out
}

func (f *frame) holds(name string) bool {
	_, ok := f.routes[name]
	return ok
}

func (t *stream) bucket(name string) *bucket {
	b := t.buckets[name]
	if b == nil {
		b = &bucket{members: map[schema.ServiceID]struct{}{}}
		t.buckets[name] = b
	}
	return b
}

// forget drops a bucket that neither the fleet nor the proxy has any more.
func (t *stream) forget(name string) {
	for id := range t.buckets[name].holders() {
		delete(t.touch[id], name)
	}
	delete(t.buckets, name)
	delete(t.dirty, name)
	delete(t.hurried, name)
}

// serveGoal switches a service to its goal, in all its buckets.
func (t *stream) serveGoal(id schema.ServiceID) {
	old, next := t.served[id], t.goals[id]
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
	if old := t.served[id]; old.version != nil {
		for name := range old.buckets {
			if b := t.buckets[name]; b != nil {
				delete(b.members, id)
			}
		}
	}
	delete(t.served, id)
	if next.version != nil {
		t.served[id] = next
		if t.touch[id] == nil {
			t.touch[id] = map[string]struct{}{}
		}
		for name := range next.buckets {
			t.bucket(name).members[id] = struct{}{}
			t.touch[id][name] = struct{}{}
		}
	}
	t.unsettled[id], t.stale[id] = struct{}{}, struct{}{}
	if t.reached(id) {
		delete(t.pending, id)
	} else {
		t.pending[id] = struct{}{}
	}
}

func (t *stream) reached(id schema.ServiceID) bool { return t.served[id] == t.goals[id] }

func (t *stream) compose(b *bucket) composition {
	out := make(composition, 0, len(b.members))
	for id := range b.members {
		g := t.served[id]
		out = append(out, member{g.version, g.published && t.reached(id)})
	}
	slices.SortFunc(out, func(a, b member) int { return cmp.Compare(a.ID, b.ID) })
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
		c := t.compose(b)
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
		if next := t.goals[id].version; next != nil && len(next.buckets[name]) > 0 && !t.ready(next) {
			return true
		}
	}
	return false
}

func (t *stream) render(name string, c composition) *discoveryv3.Resource {
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
	for id := range b.holders() {
		t.stale[id] = struct{}{}
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
	if b == nil || !b.subscribed || b.doubt || b.flying {
		return false
	}
	_, dirty := t.dirty[name]
	return !dirty
}

// settled tells whether the proxy has acknowledged what a service is served as: every bucket that it may have holds just that.
func (t *stream) settled(id schema.ServiceID) bool {
	if len(t.frame.routes) == 0 {
		return true
	}
	for name := range t.touch[id] {
		b := t.buckets[name]
		if b == nil || !t.frame.holds(name) {
			continue
		}
		if !b.subscribed || !b.known || !b.holds(t.served[id].version, id) {
			return false
		}
	}
	return true
}

// holds tells whether a bucket holds a service in just that version, or not at all if it has no host there.
func (b *bucket) holds(v *version, id schema.ServiceID) bool {
	if _, member := b.members[id]; !member {
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

// report tells the fleet what was acknowledged since.
func (t *stream) report() {
	if len(t.frame.routes) > 0 && (!t.routes.asked || !t.warm) {
		return // it has no bucket yet
	}
	done := map[schema.ServiceID]*version{}
	for id := range t.unsettled {
		if !t.settled(id) {
			continue
		}
		v := t.served[id].version
		done[id], t.own[id] = v, v
		delete(t.unsettled, id)
		delete(t.ties, id)
		t.tidy(id, v)
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
func (t *stream) tidy(id schema.ServiceID, v *version) {
	for name := range t.touch[id] {
		b := t.buckets[name]
		if b == nil {
			delete(t.touch[id], name)
			continue
		}
		if _, member := b.members[id]; !member && t.frame.holds(name) {
			delete(t.touch[id], name)
		}
	}
	t.stale[id] = struct{}{}
	if v == nil {
		delete(t.own, id)
		if len(t.touch[id]) == 0 {
			delete(t.touch, id)
		}
	}
}
