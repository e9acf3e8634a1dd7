package xds

import (
	"maps"
	"slices"

	"github.com/edgewright/edgewright/schema"
)

// waits says for each service that lets host names go which services take them: it must not go before they do.
type waits map[schema.ServiceID][]schema.ServiceID

// advance switches services to their goals, each once all its clusters are there. One that lets a host name go waits for the one
// that takes it; the taker need not wait, for a name that two hold is given to the one that declares it now.
func (t *stream) advance() {
	if len(t.pending) == 0 {
		return
	}
	w := t.waits()
	for _, id := range slices.Sorted(maps.Keys(t.pending)) {
		if _, still := t.pending[id]; !still {
			continue
		}
		together := w.from(id)
		if slices.ContainsFunc(together, func(id schema.ServiceID) bool { return !t.allowed(id) || !t.ready(t.see(id).goal.version) }) {
			continue
		}
		for _, id := range together {
			it := t.loosen(id)
			if it.ties = nil; len(together) > 1 {
				it.ties = w.circle(id)
			}
			t.serveGoal(id)
		}
	}
	if len(t.pending) == 0 {
		t.pending = map[schema.ServiceID]struct{}{} // one that held all services is slow to walk, also when it is empty
	}
}

func (t *stream) waits() waits {
	if !t.serving {
		return nil // nothing to let go
	}
	takers := map[string]schema.ServiceID{}
	for id := range t.pending {
		if next := t.loose[id].goal.version; next != nil {
			for _, p := range next.places {
				takers[p] = id
			}
		}
	}
	w := waits{}
	for id := range t.pending {
		it := t.loose[id]
		old := it.served.version
		if old == nil {
			continue
		}
		for _, p := range old.places {
			if to, ok := takers[p]; ok && to != id && !it.goal.version.has(p) {
				w[id] = append(w[id], to)
			}
		}
	}
	return w
}

// from is a service with all that it waits for.
func (w waits) from(id schema.ServiceID) []schema.ServiceID {
	if len(w[id]) == 0 {
		return []schema.ServiceID{id}
	}
	out, seen := []schema.ServiceID{id}, map[schema.ServiceID]bool{id: true}
	for n := 0; n < len(out); n++ {
		for _, other := range w[out[n]] {
			if !seen[other] {
				seen[other] = true
				out = append(out, other)
			}
		}
	}
	slices.Sort(out)
	return out
}

// circle is a service with those that it waits for and that wait for it: they can only go together.
func (w waits) circle(id schema.ServiceID) []schema.ServiceID {
	return slices.DeleteFunc(w.from(id), func(other schema.ServiceID) bool { return !slices.Contains(w.from(other), id) })
}
