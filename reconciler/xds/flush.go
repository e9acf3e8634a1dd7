package xds

import "github.com/edgewright/edgewright/schema"

// flush sends whatever may be sent now. A type has one answer under way at most: what comes meanwhile goes out together.
func (t *stream) flush() error {
	if t.frame != nil {
		t.report() // before anything else is under way
	}
	t.catchUp()
	for {
		if err := t.round(); err != nil {
			return err
		}
		t.report()
		t.calmDown()
		switch {
		case t.clusters.idle() && (len(t.stale) > 0 || t.calm && len(t.strays) > 0):
		case len(t.trials) > 0 && t.clusters.out == nil && t.routes.out == nil:
			t.nextTrial()
			t.catchUp() // it may have found the culprit
		default:
			t.fold()
			return nil
		}
	}
}

// round makes one answer of each type, in the order in which a proxy must have them: runtime, secrets, clusters, the routes that lead to them,
// and listeners last.
func (t *stream) round() error {
	if err := t.offerRuntime(); err != nil {
		return err
	}
	if err := t.offerSecrets(); err != nil {
		return err
	}
	if t.clusters.idle() {
		if err := t.offerClusters(); err != nil {
			return err
		}
	}
	if !t.warm && t.based && t.clusters.idle() && len(t.trials) == 0 {
		t.warm = true
	}
	if t.warm && t.routes.out == nil {
		t.advance()
	}
	if t.warm && t.routes.idle() {
		out := t.routesAnswer()
		if !out.empty() {
			if err := t.answer(t.routes, out); err != nil {
				return err
			}
		}
	}
	if t.scopes.idle() && (t.scoped != t.frame || t.pruned != t.frame && t.filters.current(t.frame.filters)) {
		if err := t.offerScopes(); err != nil {
			return err
		}
	}
	if err := t.offerFilters(); err != nil {
		return err
	}
	if t.warm && t.listeners.idle() && t.packed != t.frame && t.balked != t.frame && t.lacks != t.frame {
		return t.offerListeners()
	}
	return nil
}

func (t *stream) offerClusters() error {
	if t.lazy && !t.based {
		return t.offerAll()
	}
	return t.offer(t.clusters, t.clustersAnswer())
}

// offerScopes sends scopes. Those of other buckets go once no filter leads there any more.
func (t *stream) offerScopes() error {
	switched := t.filters.current(t.frame.filters)
	if t.scoped = t.frame; switched {
		t.pruned = t.frame
	}
	return t.offer(t.scopes, t.scopes.diff(t.frame.scopes, switched))
}

// offer answers a wildcard subscription: the first time even when there is nothing, for the proxy waits.
func (t *stream) offer(l *ledger, out *response) error {
	if out.empty() && l.answered {
		return nil
	}
	return t.answer(l, out)
}

func (t *stream) offerListeners() error {
	out := t.listeners.diff(t.frame.listeners(t.node.bind), true)
	held := t.holdBack(out)
	if t.lacks = t.frame; !held {
		t.lacks, t.packed = nil, t.frame
	}
	return t.offer(t.listeners, out)
}

func (t *stream) allStill() bool {
	for name := range t.frame.routes {
		if !t.still(name) {
			return false
		}
	}
	return true
}

// catchUp takes what was published, or refused by others, since the last time. A proxy that is given all clusters has them first.
func (t *stream) catchUp() {
	if !t.begun {
		if !t.clusters.asked {
			t.reframe(t.fleet.current())
			return
		}
		t.begin()
	}
	if t.lazy && !t.fleet.sound() {
		t.spread(nil)
	}
	if t.lazy && !t.based {
		return
	}
	next, goals := t.fleet.take(t.seat, t.see, t.held, t.pending)
	for id := range goals {
		t.loosen(id)
		t.openOf(id, next)
	}
	t.reframe(next.frame)
	t.rest = next
	for id, g := range goals {
		it := t.loosen(id)
		t.stale[id] = struct{}{}
		delete(t.held, id)
		it.goal = g
		if g.version == nil {
			it.goal = goal{}
		} else if !g.published {
			t.held[id] = struct{}{}
		}
		t.note(id, it)
	}
}

// note has a service switched that does not serve its goal.
func (t *stream) note(id schema.ServiceID, it *item) {
	if it.reached() {
		delete(t.pending, id)
	} else {
		t.pending[id] = struct{}{}
	}
}

// openOf has the buckets known by themselves in which a service will not be as it was.
func (t *stream) openOf(id schema.ServiceID, next *rest) {
	if t.frame == nil {
		return // there is none yet
	}
	for _, v := range []*version{t.rest.service(id), next.service(id)} {
		if v == nil {
			continue
		}
		for name := range v.buckets {
			if t.frame.holds(name) {
				t.open(name)
			}
		}
	}
}

func (t *stream) reframe(next *frame) {
	if t.frame == next {
		return
	}
	if t.frame != nil && t.frame.sameRoutes(next) {
		t.frame = next
		return
	}
	if t.frame != nil && t.begun {
		t.spread(nil)
		t.loosenAll()
	}
	t.frame = next
	for name, b := range t.buckets {
		if next.holds(name) {
			t.dirty[name] = struct{}{}
		} else if !b.subscribed {
			t.forget(name)
		}
	}
	for id, it := range t.loose {
		if it.served.version != nil {
			t.unsettled[id] = struct{}{}
		}
	}
}

// calmDown ends the care for what the proxy had before this stream, once every bucket it has is known.
func (t *stream) calmDown() {
	if t.calm || !t.warm || len(t.trials) > 0 || !t.allKnown() {
		return
	}
	t.calm = true
	for id := range t.loose {
		t.stale[id] = struct{}{}
	}
}

func (t *stream) allKnown() bool {
	for name := range t.frame.routes {
		if b := t.buckets[name]; b == nil && !t.arrived || b != nil && !(b.subscribed && b.known) {
			return false
		}
	}
	return true
}
