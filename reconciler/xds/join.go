package xds

import (
	"cmp"
	"slices"
	"strconv"
	"weak"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// Most proxies come with nothing, or with all that is published. Nothing need be kept of each service for them: they are given the
// clusters in parts that are the same for all, then the buckets, and are at rest. Whoever comes with something else, or refuses
// something on the way, is looked at service by service.

// parts are the clusters of all services, as answers that are encoded once for all streams that are given them.
type parts struct{ all []*response }

// divided are the parts of a rest. They are kept as long as a stream has not had them all.
func (r *rest) divided() *parts {
	r.joining.Lock()
	defer r.joining.Unlock()
	if p := r.parts.Value(); p != nil {
		return p
	}
	p := &parts{}
	part := &response{owners: map[string]*version{}}
	r.each(func(v *version) {
		part.added = append(part.added, v.clusters...)
		part.of = append(part.of, v)
		for _, c := range v.clusters {
			part.owners[c.Name] = v
		}
		if len(part.added) >= maxClusters {
			p.all, part = append(p.all, part), &response{owners: map[string]*version{}}
		}
	})
	if len(part.added) > 0 || len(p.all) == 0 {
		p.all = append(p.all, part)
	}
	for n, part := range p.all {
		slices.SortFunc(part.added, func(a, b *discoveryv3.Resource) int { return cmp.Compare(a.Name, b.Name) })
		part.nonce = "all-" + strconv.Itoa(n)
		part.encoded = marshal(&discoveryv3.DeltaDiscoveryResponse{TypeUrl: clusterType, Nonce: part.nonce, Resources: part.added})
	}
	r.parts = weak.Make(p)
	return p
}

// left are the parts that a stream has not acknowledged.
func (t *stream) left() []*response {
	if t.parts == nil {
		return nil
	}
	return t.parts.all[t.had:]
}

// begin decides how the proxy is given what is published, once it has said what it has.
func (t *stream) begin() {
	all := t.fleet.begin(t.seat)
	same := t.hasAll(all)
	if all == nil || t.whole || t.vague || len(t.clusters.has) > 0 && !same {
		t.fleet.disjoin(t.seat)
		t.begun, t.based = true, true
		for _, b := range t.buckets {
			b.open(nil)
		}
		return
	}
	t.reframe(all.frame)
	t.begun, t.rest, t.lazy, t.serving = true, all, true, true
	if t.parts = all.divided(); same && len(t.clusters.has) > 0 {
		t.parts, t.strays, t.based, t.clusters.answered = nil, nil, true, true
		t.clusters.has = map[string]string{}
	}
}

// hasAll tells whether the proxy came with the clusters that are published, and no others.
func (t *stream) hasAll(r *rest) bool {
	if r == nil {
		return false
	}
	n, same := 0, true
	r.each(func(v *version) {
		for _, c := range v.clusters {
			n++
			same = same && t.clusters.has[c.Name] == c.Version
		}
	})
	return same && n == len(t.clusters.has)
}

// given tells whether an answer is a part of all clusters.
func (r *response) given() bool { return r.encoded != nil }

// offerAll sends the next part of all clusters.
func (t *stream) offerAll() error {
	out := t.left()[0]
	t.clusters.out, t.clusters.answered = out, true
	return t.convey(t.clusters, out)
}

// partThere notes that the proxy has a part of all clusters.
func (t *stream) partThere() {
	if t.had++; len(t.left()) == 0 {
		t.parts, t.based = nil, true
	}
}

// arrive ends the coming of a proxy, once every bucket of it is known. One that does not ask for some of them is looked at service by
// service.
func (t *stream) arrive() {
	if t.arrived || !t.based || !t.warm || len(t.trials) > 0 || len(t.frame.routes) > 0 && !t.routes.asked {
		return
	}
	if !t.allKnown() {
		if t.routes.answered && t.routes.out == nil {
			t.spread(nil)
		}
		return
	}
	t.arrived = true
	if t.lazy {
		t.lazy = false
		t.fleet.arrived(t.seat, t.rest, t.loose)
	}
}

// spread has what is published be given service by service from now on: a part of all clusters was refused, or something else was.
func (t *stream) spread(refused *response) {
	if !t.lazy {
		return
	}
	left := map[*version]bool{} // whose clusters are not there → they are under way
	for _, part := range t.left() {
		for _, v := range part.of {
			left[v] = part == refused || part == t.clusters.out
		}
	}
	t.rest.each(func(v *version) { t.spreadOne(v, left) })
	for name, b := range t.buckets {
		b.open(t.atRest(name))
	}
	for name := range t.frame.routes {
		t.open(name)
	}
	t.lazy, t.parts, t.based = false, nil, true
	t.fleet.disjoin(t.seat)
}

func (t *stream) spreadOne(v *version, left map[*version]bool) {
	if t.loose[v.ID] == nil && !t.based {
		flying, lacks := left[v]
		it := t.loosen(v.ID)
		t.pending[v.ID] = struct{}{}
		for _, c := range v.clusters {
			if lacks && !flying {
				continue
			}
			it.there[c.Name] = !lacks
			t.clusters.has[c.Name] = c.Version
		}
	}
	t.loosen(v.ID)
	t.stale[v.ID], t.unsettled[v.ID] = struct{}{}, struct{}{}
}
