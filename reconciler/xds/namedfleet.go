package xds

import (
	"maps"
	"slices"
	"strings"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// joinNamed seats a client that asks by name: it lacks nothing of services that it does not follow.
func (f *fleet) joinNamed(s *seat) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.joining, s.follows, s.dirty = false, map[schema.ServiceID]bool{}, map[schema.ServiceID]struct{}{}
	f.settle(s)
}

// follow notes that a client asks for something of a service.
func (f *fleet) follow(s *seat, id schema.ServiceID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.follows[id], s.dirty[id] = true, struct{}{}
	f.mark(s, id)
}

func (f *fleet) unfollow(s *seat, id schema.ServiceID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(s.follows, id)
	delete(s.acked, id)
	delete(s.lacking, id)
	f.settle(s)
}

// owner is the service that a client asks for by a name; empty: there is none. Of two that answer for a host it is the one that declares it.
func (f *fleet) owner(url, name string) schema.ServiceID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ownerOf(url, name)
}

func (f *fleet) ownerOf(url, name string) schema.ServiceID {
	if url == listenerType || url == routeType {
		host := envoy.HostOf(name)
		if url == routeType {
			host = envoy.ClientRouteHost(name)
		}
		all := slices.Sorted(maps.Keys(f.byHost[host]))
		for _, id := range all {
			if v := f.published[id]; v != nil && slices.Contains(v.Unit.Domains, host) {
				return id
			}
		}
		if len(all) == 0 {
			return ""
		}
		return all[0]
	}
	return ownerIn(url, name)
}

// ownerIn is the service in whose name a resource of a client is: c/<service>/<hash> and e/<service>/<backend>.
func ownerIn(url, name string) schema.ServiceID {
	prefix := "c/"
	if url == endpointType {
		prefix = "e/"
	}
	rest, is := strings.CutPrefix(name, prefix)
	id, _, divided := strings.Cut(rest, "/")
	if !is || !divided {
		return ""
	}
	return schema.ServiceID(id)
}

// publishedNamed is what is published by a name.
func (f *fleet) publishedNamed(url, name string) *discoveryv3.Resource {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.published[f.ownerOf(url, name)].named(url, name)
}

// named is what a client gets of a version by a name; nil: nothing.
func (v *version) named(url, name string) *discoveryv3.Resource {
	if v == nil || !v.Unit.Client {
		return nil
	}
	all := clusters(nil)
	switch url {
	case listenerType:
		host := envoy.HostOf(name)
		if !slices.Contains(v.hosts, host) {
			return nil
		}
		return resource(listenerType, name, marshal(envoy.ClientListener(name)))
	case routeType:
		all = v.routes
	case clusterType:
		all = v.clusters
	case endpointType:
		all = v.endpoints
	}
	if at := slices.IndexFunc(all, func(r *discoveryv3.Resource) bool { return r.Name == name }); at >= 0 {
		return all[at]
	}
	return nil
}

// asClient adds to a version what gRPC clients get of it.
func (v *version) asClient() {
	for _, h := range v.hosts {
		v.routes = append(v.routes, v.clientRoutes(h))
	}
	for _, e := range v.Unit.Endpoints {
		v.endpoints = append(v.endpoints, resource(endpointType, e.Name, e.Proto))
	}
}

func (v *version) clientRoutes(host schema.Hostname, warm ...string) *discoveryv3.Resource {
	routes, err := envoy.ClientRoutes(v.Unit, host, warm...)
	if err != nil {
		panic(err) // it was encoded here
	}
	return resource(routeType, routes.Name, marshal(routes))
}

// warming are the routes of a version from which a client learns of the clusters of the next.
func (v *version) warming(name string, next *version) *discoveryv3.Resource {
	var warm []string
	for _, c := range next.clusters {
		if !clusters(v.clusters).has(c.Name) {
			warm = append(warm, c.Name)
		}
	}
	return v.clientRoutes(envoy.ClientRouteHost(name), warm...)
}
