package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/edgewright/edgewright/schema"
)

// The types served. Each proxy asks for clusters, listeners and scopes by wildcard, and for all others by name.
const (
	clusterType   = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	listenerType  = "type.googleapis.com/envoy.config.listener.v3.Listener"
	scopeType     = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"
	routeType     = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	endpointType  = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	runtimeType   = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
	extensionType = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
	secretType    = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)

// wildcard tells whether a type is served whole: the proxy asks for all there is.
func wildcard(url string) bool { return url == clusterType || url == listenerType || url == scopeType }

// byName tells whether a type is served by the names that the proxy asks for.
func byName(url string) bool {
	return url == routeType || url == secretType || url == endpointType || url == runtimeType || url == extensionType
}

// version is a service as published at one time, encoded once for all streams. It is never changed.
type version struct {
	Service
	packing   packing
	places    []string                     // exposure and host, sorted: what must not be served twice
	buckets   map[string][]schema.Hostname // by route configuration
	clusters  []*discoveryv3.Resource
	hosts     []schema.Hostname       // that it answers for, of gRPC clients: and what these get of it,
	routes    []*discoveryv3.Resource // by host
	endpoints []*discoveryv3.Resource

	at     time.Time
	beside int // so many services were published anew with it
}

func newVersion(s Service, p packing, at time.Time) *version {
	v := &version{Service: s, packing: p, buckets: map[string][]schema.Hostname{}, at: at}
	answered := slices.Clone(s.Extra)
	for _, h := range s.Unit.Domains {
		answered = append(answered, schema.Place{Exposure: s.Unit.Exposure, Host: h})
	}
	slices.SortFunc(answered, schema.Place.Compare)
	for _, a := range slices.Compact(answered) {
		if s.Unit.Client {
			v.hosts = append(v.hosts, a.Host)
		}
		for _, layout := range p.layouts() {
			name := layout.RouteName(a.Exposure, layout.BucketOf(a.Host))
			if !s.Unit.Client {
				v.buckets[name] = append(v.buckets[name], a.Host)
			}
		}
		v.places = append(v.places, string(a.Exposure)+" "+string(a.Host))
	}
	if len(answered) == 0 {
		return v // serves nothing: needs no clusters
	}
	for _, c := range s.Unit.Clusters {
		v.clusters = append(v.clusters, resource(clusterType, c.Name, c.Proto))
	}
	if s.Unit.Client {
		v.asClient()
	}
	return v
}

func (v *version) has(place string) bool {
	if v == nil {
		return false
	}
	_, found := slices.BinarySearch(v.places, place)
	return found
}

// resource wraps encoded bytes; its version is their hash.
func resource(typeURL, name string, data []byte) *discoveryv3.Resource {
	sum := sha256.Sum256(data)
	return &discoveryv3.Resource{
		Name: name, Version: hex.EncodeToString(sum[:8]), Resource: &anypb.Any{TypeUrl: typeURL, Value: data},
	}
}
