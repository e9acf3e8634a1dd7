package xds

import (
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// retiredKept is how many clusters are kept that were published and are not any more.
const retiredKept = 4096

// retired are clusters that a fleet was published and is not any more, the oldest first. A proxy that has a state of the world that
// nobody knows may serve by them.
type retired struct {
	clusters map[string]*discoveryv3.Resource
	order    []string
}

func (r retired) clone() retired { return retired{maps.Clone(r.clusters), slices.Clone(r.order)} }

// replace notes that one version of a service gives way to another.
func (r *retired) replace(old, next *version) {
	if old != nil {
		for _, c := range old.clusters {
			if r.clusters[c.Name] == nil {
				r.order = append(r.order, c.Name)
			}
			r.clusters[c.Name] = c
		}
	}
	if next != nil {
		for _, c := range next.clusters {
			delete(r.clusters, c.Name)
		}
	}
	for len(r.order) > retiredKept {
		delete(r.clusters, r.order[0])
		r.order = r.order[1:]
	}
}

// mayHave are the clusters that a proxy of the fleet may have beside those published.
func (f *fleet) mayHave() []*discoveryv3.Resource {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]*discoveryv3.Resource, 0, len(f.retired.clusters))
	for _, c := range f.retired.clusters {
		out = append(out, c)
	}
	return out
}

// keepRetired adds to an answer what the proxy may serve by: else the answer would take it away. It goes as strays do.
func (t *stream) keepRetired(out *response) {
	if !t.vague {
		return
	}
	t.vague = false
	added := map[string]bool{}
	for _, c := range out.added {
		added[c.Name] = true
	}
	for _, c := range t.fleet.mayHave() {
		if !added[c.Name] && t.clusters.has[c.Name] == "" {
			out.added = append(out.added, c)
			t.strays[c.Name] = true
		}
	}
}
