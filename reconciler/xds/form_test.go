package xds

import (
	"maps"
	"slices"
	"sync"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// form is how a proxy speaks to us.
type form string

const (
	delta form = "delta"
	sotw  form = "state of the world"
)

// speaking runs a test once for each form of the protocol.
func speaking(t *testing.T, test func(*testing.T, form)) {
	for _, f := range []form{delta, sotw} {
		t.Run(string(f), func(t *testing.T) { test(t, f) })
	}
}

// testConn is a connection to a server, on which proxies speak one form of the protocol.
type testConn struct {
	*grpc.ClientConn
	form     form
	recorder *recorder // of the server; nil: not recorded
}

// talk is one stream as a client uses it, in terms of differences.
type talk interface {
	Send(*discoveryv3.DeltaDiscoveryRequest) error
	Recv() (*discoveryv3.DeltaDiscoveryResponse, error)
}

// whole is what a proxy of state-of-the-world streams keeps of a type; all but the nonces outlives a stream.
type whole struct {
	version, nonce string
	names          map[string]bool
	has            map[string]string // name → version
	pending        map[string]string // nonce → version
}

// wholes is a proxy's memory, by type.
type wholes struct {
	mu    sync.Mutex
	types map[string]*whole
}

func (w *wholes) of(url string) *whole {
	k := w.types[url]
	if k == nil {
		k = &whole{names: map[string]bool{}, has: map[string]string{}, pending: map[string]string{}}
		w.types[url] = k
	}
	return k
}

// sotwTalk is a state-of-the-world stream in terms of differences.
type sotwTalk struct {
	grpc.BidiStreamingClient[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]
	*wholes
}

// newSotwTalk starts a stream of a proxy that has what its memory says. What it asks for by name it says anew.
func newSotwTalk(stream grpc.BidiStreamingClient[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse], memory *wholes) *sotwTalk {
	memory.mu.Lock()
	defer memory.mu.Unlock()
	for _, k := range memory.types {
		k.nonce, k.names, k.pending = "", map[string]bool{}, map[string]string{}
	}
	return &sotwTalk{stream, memory}
}

func (s *sotwTalk) Send(r *discoveryv3.DeltaDiscoveryRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.of(r.TypeUrl)
	for _, name := range r.ResourceNamesSubscribe {
		k.names[name] = true
	}
	for _, name := range r.ResourceNamesUnsubscribe {
		delete(k.names, name)
	}
	if r.ResponseNonce != "" && r.ErrorDetail == nil {
		k.version = k.pending[r.ResponseNonce]
	}
	out := &discoveryv3.DiscoveryRequest{
		Node: r.Node, TypeUrl: r.TypeUrl, ErrorDetail: r.ErrorDetail, VersionInfo: k.version, ResponseNonce: r.ResponseNonce,
		ResourceNames: slices.Sorted(maps.Keys(k.names)),
	}
	if out.ResponseNonce == "" {
		out.ResponseNonce = k.nonce
	} else {
		k.nonce = out.ResponseNonce
	}
	return s.BidiStreamingClient.Send(out)
}

func (s *sotwTalk) Recv() (*discoveryv3.DeltaDiscoveryResponse, error) {
	r, err := s.BidiStreamingClient.Recv()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.of(r.TypeUrl)
	k.pending[r.Nonce] = r.VersionInfo
	out := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: r.TypeUrl, Nonce: r.Nonce}
	now := map[string]string{}
	for _, a := range r.Resources {
		one := resource(r.TypeUrl, nameOf(a), a.Value)
		if now[one.Name] = one.Version; k.has[one.Name] != one.Version || !wildcard(r.TypeUrl) {
			out.Resources = append(out.Resources, one)
		}
	}
	if !wildcard(r.TypeUrl) {
		return out, nil
	}
	for name := range k.has {
		if now[name] == "" {
			out.RemovedResources = append(out.RemovedResources, name)
		}
	}
	k.has = now
	return out, nil
}

// nameOf is the name that a resource has in itself.
func nameOf(a *anypb.Any) string {
	var of interface {
		proto.Message
		GetName() string
	}
	switch a.TypeUrl {
	case endpointType:
		e := &endpointv3.ClusterLoadAssignment{}
		if err := proto.Unmarshal(a.Value, e); err != nil {
			return err.Error()
		}
		return e.ClusterName
	case runtimeType:
		of = &runtimev3.Runtime{}
	case clusterType:
		of = &clusterv3.Cluster{}
	case listenerType:
		of = &listenerv3.Listener{}
	case scopeType:
		of = &routev3.ScopedRouteConfiguration{}
	case secretType:
		of = &tlsv3.Secret{}
	case extensionType:
		of = &corev3.TypedExtensionConfig{}
	default:
		of = &routev3.RouteConfiguration{}
	}
	if err := proto.Unmarshal(a.Value, of); err != nil {
		return err.Error()
	}
	return of.GetName()
}
