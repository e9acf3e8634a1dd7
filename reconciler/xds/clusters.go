package xds

import (
	"cmp"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/edgewright/edgewright/schema"
)

// wanted are the clusters that the stream needs for a service: for what it is to serve, for what it serves or would go back
// to, and for what its buckets may still hold.
func (t *stream) wanted(id schema.ServiceID, it *item) (out clusters) {
	add := func(v *version) {
		if v == nil {
			return
		}
		for _, c := range v.clusters {
			out.add(c)
		}
	}
	for name := range it.touch {
		if b := t.buckets[name]; b != nil {
			for _, c := range b.may {
				add(c.of(id))
			}
		} else if t.arrived && t.frame.holds(name) {
			add(t.rest.bucket(name).of(id))
		}
	}
	add(it.served.version)
	add(it.own)
	next := it.goal.version
	if next == nil {
		return out
	}
	for _, c := range next.clusters {
		if _, there := it.there[c.Name]; there || t.allowed(id) {
			out.add(c)
		}
	}
	return out
}

// clusters are the few of a service, each once.
type clusters []*discoveryv3.Resource

func (c clusters) has(name string) bool {
	return slices.ContainsFunc(c, func(one *discoveryv3.Resource) bool { return one.Name == name })
}

func (c *clusters) add(one *discoveryv3.Resource) {
	if !c.has(one.Name) {
		*c = append(*c, one)
	}
}

// maxClusters is how many clusters one answer adds, about: a proxy takes an answer as a whole, and reads nothing meanwhile. The health
// checks that thousands of clusters begin with would all be out of time before it looks at what came back.
const maxClusters = 250

// clustersAnswer adds what services need and prunes what they no longer do. What is too much for one answer stays for the next.
func (t *stream) clustersAnswer() *response {
	out := &response{owners: map[string]*version{}}
	for _, hurries := range []bool{true, false} {
		for id := range t.stale {
			if len(out.added) >= t.part() {
				break
			}
			if t.hurries(id) != hurries {
				continue
			}
			for _, other := range t.beside(id) {
				t.clustersOf(other, out)
				delete(t.stale, other)
			}
		}
	}
	if len(t.stale) == 0 {
		t.stale = map[schema.ServiceID]struct{}{} // one that was large stays so
	}
	t.keepRetired(out)
	if len(t.strays) > 0 && t.calm && len(t.stale) == 0 {
		for name := range t.strays {
			out.removed = append(out.removed, name)
		}
		t.strays = nil
	}
	slices.SortFunc(out.added, func(a, b *discoveryv3.Resource) int { return cmp.Compare(a.Name, b.Name) })
	slices.Sort(out.removed)
	return out
}

// hurries tells whether a service was published with few others: it overtakes those that change by the thousand.
func (t *stream) hurries(id schema.ServiceID) bool {
	v := t.see(id).goal.version
	return v == nil || v.beside <= maxClusters
}

// part is how many clusters an answer may add. Of the state of the world an answer holds what the proxy has besides: so that all parts
// together are not the square of it, each is as large as those before. What a proxy has that nobody knows must be in the first.
func (t *stream) part() int {
	switch {
	case t.vague:
		return maxNames
	case t.whole:
		return max(maxClusters, len(t.clusters.has))
	}
	return maxClusters
}

// beside are a service and those in its buckets whose clusters are to be looked at too: a bucket whose services switch together is sent once.
func (t *stream) beside(id schema.ServiceID) []schema.ServiceID {
	out := []schema.ServiceID{id}
	for name := range t.loosen(id).touch {
		b := t.buckets[name]
		if b == nil {
			continue
		}
		for other := range b.members {
			if _, stale := t.stale[other]; stale && other != id {
				out = append(out, other)
			}
		}
	}
	return out
}

func (t *stream) clustersOf(id schema.ServiceID, out *response) {
	it := t.loosen(id)
	wanted := t.wanted(id, it)
	for _, c := range wanted {
		name := c.Name
		if _, sent := it.there[name]; sent {
			continue
		}
		had := t.strays[name] && t.clusters.has[name] == c.Version
		delete(t.strays, name)
		if it.there[name] = had; had {
			continue
		}
		out.added = append(out.added, c)
		out.owners[name] = cmp.Or(it.goal.version, it.served.version, &version{Service: Service{ID: id}})
	}
	for name := range it.there {
		if !wanted.has(name) && t.calm {
			out.removed = append(out.removed, name)
			delete(it.there, name)
		}
	}
}

// clustersThere notes which clusters of an answer the proxy has taken.
func (t *stream) clustersThere(out *response, but map[string]bool) {
	for _, c := range out.added {
		owner := out.owners[c.Name]
		if owner == nil && but[c.Name] { // retired
			delete(t.strays, c.Name)
			delete(t.clusters.has, c.Name)
		}
		if owner == nil {
			continue
		}
		id := owner.ID
		it := t.loose[id]
		if it == nil {
			continue
		}
		if but[c.Name] {
			delete(it.there, c.Name)
			delete(t.clusters.has, c.Name)
			t.stale[id] = struct{}{}
			continue
		}
		if _, still := it.there[c.Name]; still {
			it.there[c.Name] = true
		}
	}
}

// ready tells whether the proxy has every cluster of a version.
func (t *stream) ready(v *version) bool {
	if v == nil {
		return true
	}
	it := t.loose[v.ID]
	if it == nil {
		return t.based && t.rest.service(v.ID) == v
	}
	for _, c := range v.clusters {
		if !it.there[c.Name] {
			return false
		}
	}
	return true
}
