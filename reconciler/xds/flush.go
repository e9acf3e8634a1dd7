package xds

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
		default:
			return nil
		}
	}
}

// round makes one answer of each type, in the order in which a proxy must have them: clusters, the routes that lead to them,
// and listeners last.
func (t *stream) round() error {
	if t.clusters.idle() {
		if err := t.offer(t.clusters, t.clustersAnswer()); err != nil {
			return err
		}
	}
	if !t.warm && t.clusters.idle() && len(t.trials) == 0 {
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
	if t.scopes.idle() {
		if err := t.offer(t.scopes, t.scopes.diff(t.frame.scopes, t.switched())); err != nil {
			return err
		}
	}
	if t.warm && t.listeners.idle() {
		return t.offerListeners()
	}
	return nil
}

// offer answers a wildcard subscription: the first time even when there is nothing, for the proxy waits.
func (t *stream) offer(l *ledger, out *response) error {
	if out.empty() && l.answered {
		return nil
	}
	return t.answer(l, out)
}

// offerListeners sends listeners. Where the proxy has some that lead to other buckets, all new buckets must be there first.
func (t *stream) offerListeners() error {
	out := t.listeners.diff(t.frame.listeners(t.node.bind), true)
	moves := len(t.listeners.has) > 0 && (t.packed == nil || t.packed.layout != t.frame.layout)
	if moves && !out.empty() && !t.allStill() {
		return nil
	}
	t.packed = t.frame
	return t.offer(t.listeners, out)
}

// switched tells whether the proxy's listeners lead to the present buckets: others are of no use any more.
func (t *stream) switched() bool {
	return t.packed != nil && t.packed.layout == t.frame.layout && t.listeners.out == nil
}

func (t *stream) allStill() bool {
	for name := range t.frame.routes {
		if !t.still(name) {
			return false
		}
	}
	return true
}

// catchUp takes what was published, or refused by others, since the last time.
func (t *stream) catchUp() {
	next, goals := t.fleet.take(t.seat, t.own, t.served)
	if next != t.frame {
		t.reframe(next)
	}
	for id, g := range goals {
		t.stale[id] = struct{}{}
		if delete(t.goals, id); g.version != nil {
			t.goals[id] = g
		}
		if t.reached(id) {
			delete(t.pending, id)
		} else {
			t.pending[id] = struct{}{}
		}
	}
}

func (t *stream) reframe(next *frame) {
	t.frame = next
	for name, b := range t.buckets {
		if next.holds(name) {
			t.dirty[name] = struct{}{}
		} else if !b.subscribed {
			t.forget(name)
		}
	}
	for id := range t.served {
		t.unsettled[id] = struct{}{}
	}
}

// calmDown ends the care for what the proxy had before this stream, once every bucket it has is known.
func (t *stream) calmDown() {
	if t.calm || !t.warm || len(t.trials) > 0 || !t.allKnown() {
		return
	}
	t.calm = true
	for id := range t.warmed {
		t.stale[id] = struct{}{}
	}
}

func (t *stream) allKnown() bool {
	for name := range t.frame.routes {
		if b := t.buckets[name]; b == nil || !b.subscribed || !b.known {
			return false
		}
	}
	return true
}
