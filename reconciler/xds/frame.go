package xds

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// frame is what the proxies of a fleet have in common: where they listen, and the scopes that lead to the buckets.
// It is never changed.
type frame struct {
	fleet   schema.Fleet
	packing packing
	lacking []string // secrets that the listeners need and nobody has, sorted
	scopes  map[string]*discoveryv3.Resource
	scoped  map[string]string                // their versions
	routes  map[string]place                 // by route configuration
	filters map[string]*discoveryv3.Resource // that put requests into scopes
	runtime map[string]*discoveryv3.Resource
}

// packing is how services lie in buckets: in those that the scope filters lead to, and in those that they led to before. Requests that a
// proxy began with its old filter are still answered from there.
type packing struct {
	now, old envoy.Layout // old: of no buckets when there are none
}

func (p packing) layouts() []envoy.Layout {
	if p.old.Buckets == 0 {
		return []envoy.Layout{p.now}
	}
	return []envoy.Layout{p.now, p.old}
}

type place struct {
	layout   envoy.Layout
	exposure schema.Exposure
	bucket   string
}

func newFrame(fleet schema.Fleet, p packing) *frame {
	f := &frame{fleet: fleet, packing: p, scopes: map[string]*discoveryv3.Resource{}, scoped: map[string]string{}, routes: map[string]place{}, filters: map[string]*discoveryv3.Resource{}}
	f.runtime = map[string]*discoveryv3.Resource{envoy.RuntimeLayer: resource(runtimeType, envoy.RuntimeLayer, marshal(envoy.Runtime(fleet)))}
	for _, l := range fleet.Listeners {
		filter := envoy.ScopeFilter(l.Exposure, p.now)
		f.filters[filter.Name] = resource(extensionType, filter.Name, marshal(filter))
	}
	for _, layout := range p.layouts() {
		for _, l := range fleet.Listeners {
			for _, s := range envoy.Scopes(l.Exposure, layout) {
				f.scopes[s.Name] = resource(scopeType, s.Name, marshal(s))
				f.scoped[s.Name] = f.scopes[s.Name].Version
			}
			for _, b := range layout.BucketNames() {
				f.routes[layout.RouteName(l.Exposure, b)] = place{layout, l.Exposure, b}
			}
		}
	}
	return f
}

func (f *frame) same(fleet schema.Fleet, p packing) bool {
	return f.packing == p && f.fleet.Kind == fleet.Kind && maps.Equal(f.fleet.Runtime, fleet.Runtime) && reflect.DeepEqual(f.fleet.Listeners, fleet.Listeners) && reflect.DeepEqual(f.fleet.Certificates, fleet.Certificates)
}

func (f *frame) sameRoutes(o *frame) bool { return maps.Equal(f.routes, o.routes) }

// listeners are those of one proxy: it may say where it binds each exposure, and then has no others.
func (f *frame) listeners(bind map[schema.Exposure]netip.AddrPort) map[string]*discoveryv3.Resource {
	out := map[string]*discoveryv3.Resource{}
	for _, l := range f.fleet.Listeners {
		at := netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(l.Port))
		if bind != nil {
			own, ok := bind[l.Exposure]
			if !ok {
				continue
			}
			at = own
		}
		name := envoy.ListenerName(l)
		out[name] = resource(listenerType, name, marshal(envoy.Listener(f.fleet, l, at, f.lacking...)))
	}
	return out
}

// marshal encodes what is ours. It panics on what cannot be encoded, which is a fault of the program.
func marshal(m proto.Message) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", m, err))
	}
	return data
}
