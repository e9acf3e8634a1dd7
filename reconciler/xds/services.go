package xds

import (
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	extensionservice "github.com/envoyproxy/go-control-plane/envoy/service/extension/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
)

// The gRPC streams that a proxy may open, in both forms of the protocol.
type (
	deltaStream = grpc.BidiStreamingServer[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]
	sotwStream  = grpc.BidiStreamingServer[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]
)

// Register adds the discovery services: the aggregated one, and those of a single type.
func (s *Server) Register(g *grpc.Server) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, aggregated{server: s})
	clusterservice.RegisterClusterDiscoveryServiceServer(g, clusterStreams{server: s})
	listenerservice.RegisterListenerDiscoveryServiceServer(g, listeners{server: s})
	routeservice.RegisterRouteDiscoveryServiceServer(g, routes{server: s})
	routeservice.RegisterScopedRoutesDiscoveryServiceServer(g, scopes{server: s})
	endpointservice.RegisterEndpointDiscoveryServiceServer(g, endpoints{server: s})
	runtimeservice.RegisterRuntimeDiscoveryServiceServer(g, runtimes{server: s})
	secretservice.RegisterSecretDiscoveryServiceServer(g, secrets{server: s})
	extensionservice.RegisterExtensionConfigDiscoveryServiceServer(g, extensions{server: s})
}

func (s *Server) delta(g deltaStream, only string) error {
	return s.welcome(newLink(g.Context(), only, deltaWire{g, only}))
}

func (s *Server) sotw(g sotwStream, only string) error {
	return s.welcome(newLink(g.Context(), only, &sotwWire{BidiStreamingServer: g, only: only, memory: s.memory, types: map[string]*world{}}))
}

type aggregated struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	server *Server
}

func (a aggregated) StreamAggregatedResources(g sotwStream) error { return a.server.sotw(g, "") }
func (a aggregated) DeltaAggregatedResources(g deltaStream) error { return a.server.delta(g, "") }

type clusterStreams struct {
	clusterservice.UnimplementedClusterDiscoveryServiceServer
	server *Server
}

func (c clusterStreams) StreamClusters(g sotwStream) error { return c.server.sotw(g, clusterType) }
func (c clusterStreams) DeltaClusters(g deltaStream) error { return c.server.delta(g, clusterType) }

type listeners struct {
	listenerservice.UnimplementedListenerDiscoveryServiceServer
	server *Server
}

func (l listeners) StreamListeners(g sotwStream) error { return l.server.sotw(g, listenerType) }
func (l listeners) DeltaListeners(g deltaStream) error { return l.server.delta(g, listenerType) }

type routes struct {
	routeservice.UnimplementedRouteDiscoveryServiceServer
	server *Server
}

func (r routes) StreamRoutes(g sotwStream) error { return r.server.sotw(g, routeType) }
func (r routes) DeltaRoutes(g deltaStream) error { return r.server.delta(g, routeType) }

type scopes struct {
	routeservice.UnimplementedScopedRoutesDiscoveryServiceServer
	server *Server
}

func (c scopes) StreamScopedRoutes(g sotwStream) error { return c.server.sotw(g, scopeType) }
func (c scopes) DeltaScopedRoutes(g deltaStream) error { return c.server.delta(g, scopeType) }

type secrets struct {
	secretservice.UnimplementedSecretDiscoveryServiceServer
	server *Server
}

func (c secrets) StreamSecrets(g sotwStream) error { return c.server.sotw(g, secretType) }
func (c secrets) DeltaSecrets(g deltaStream) error { return c.server.delta(g, secretType) }

type endpoints struct {
	endpointservice.UnimplementedEndpointDiscoveryServiceServer
	server *Server
}

func (e endpoints) StreamEndpoints(g sotwStream) error { return e.server.sotw(g, endpointType) }
func (e endpoints) DeltaEndpoints(g deltaStream) error { return e.server.delta(g, endpointType) }

type runtimes struct {
	runtimeservice.UnimplementedRuntimeDiscoveryServiceServer
	server *Server
}

func (r runtimes) StreamRuntime(g sotwStream) error { return r.server.sotw(g, runtimeType) }
func (r runtimes) DeltaRuntime(g deltaStream) error { return r.server.delta(g, runtimeType) }

type extensions struct {
	extensionservice.UnimplementedExtensionConfigDiscoveryServiceServer
	server *Server
}

func (e extensions) StreamExtensionConfigs(g sotwStream) error {
	return e.server.sotw(g, extensionType)
}

func (e extensions) DeltaExtensionConfigs(g deltaStream) error {
	return e.server.delta(g, extensionType)
}
