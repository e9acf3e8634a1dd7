package validate

import (
	"fmt"
	"net/netip"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// bootstrap is a configuration that Envoy starts with: for each unit a listener as a fleet has it, with the unit's routes in the place of
// the scopes, and its clusters. It has no admin port, and nothing in it is outside of this machine.
func bootstrap(units []part) ([]byte, error) {
	static := &bootstrapv3.Bootstrap_StaticResources{}
	known := map[string]bool{}
	for i, u := range units {
		l, err := listener(u, i)
		if err != nil {
			return nil, err
		}
		static.Listeners = append(static.Listeners, l)
		for _, c := range u.clusters {
			data, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
			if err != nil {
				return nil, fmt.Errorf("encode cluster: %w", err)
			}
			if !known[string(data)] { // two versions of one service have most of their clusters in common
				known[string(data)] = true
				static.Clusters = append(static.Clusters, proto.CloneOf(c))
			}
		}
	}
	whole := &bootstrapv3.Bootstrap{Node: &corev3.Node{Id: "validate", Cluster: "validate"}, StaticResources: static}
	if err := keepInside(whole.ProtoReflect()); err != nil {
		return nil, err
	}
	return proto.Marshal(whole)
}

// layout is that of a fleet with few services; which one does not matter to Envoy.
var layout = envoy.Layout{Generation: 1, Buckets: 32}

// listener has the routes of one unit. n tells it from others.
func listener(p part, n int) (*listenerv3.Listener, error) {
	declared := schema.Listener{Exposure: p.exposure, Port: 1}
	l := envoy.Listener(schema.Fleet{ID: "validate"}, declared, netip.AddrPortFrom(loopback, uint16(n+1)))
	l.Name = fmt.Sprintf("validate-%d", n)
	filter := l.FilterChains[0].Filters[0]
	manager := &hcmv3.HttpConnectionManager{}
	if err := filter.GetTypedConfig().UnmarshalTo(manager); err != nil {
		return nil, fmt.Errorf("decode listener: %w", err)
	}
	host, err := proto.Marshal(p.host)
	if err != nil {
		return nil, fmt.Errorf("encode virtual host: %w", err)
	}
	routes := &routev3.RouteConfiguration{}
	data := envoy.RouteConfiguration(layout, p.exposure, "0", []envoy.VirtualHost{{Domains: p.domains, Proto: host}})
	if err := proto.Unmarshal(data, routes); err != nil {
		return nil, fmt.Errorf("decode routes: %w", err)
	}
	for _, f := range manager.HttpFilters {
		if f.GetConfigDiscovery() != nil {
			f.ConfigType = &hcmv3.HttpFilter_TypedConfig{TypedConfig: envoy.ScopeFilter(p.exposure, layout).TypedConfig}
		}
	}
	manager.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: routes}
	packed, err := anypb.New(manager)
	if err != nil {
		return nil, fmt.Errorf("encode listener: %w", err)
	}
	filter.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: packed}
	return l, nil
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// keepInside replaces every address in a message that is not of this machine, also within packed messages: Envoy is to judge them, and to
// reach nobody.
func keepInside(m protoreflect.Message) error {
	switch m := m.Interface().(type) {
	case *corev3.SocketAddress:
		if at, err := netip.ParseAddr(m.Address); err == nil && at.Is6() && !at.Is4In6() {
			m.Address = netip.IPv6Loopback().String()
		} else {
			m.Address = loopback.String()
		}
		return nil
	case *corev3.GrpcService_GoogleGrpc, *corev3.HttpUri: // nothing that is rendered has one
		return fmt.Errorf("%s names a server in words that cannot be replaced", m.ProtoReflect().Descriptor().FullName())
	case *anypb.Any:
		return repack(m)
	}
	var failed error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		failed = each(f, v, keepInside)
		return failed == nil
	})
	return failed
}

// repack keeps what a packed message holds inside. One of a kind that is not known here may hold anything.
func repack(packed *anypb.Any) error {
	held, err := packed.UnmarshalNew()
	if err != nil {
		return fmt.Errorf("look into %s: %w", packed.TypeUrl, err)
	}
	if err := keepInside(held.ProtoReflect()); err != nil {
		return err
	}
	return anypb.MarshalFrom(packed, held, proto.MarshalOptions{Deterministic: true})
}

// each does something with every message that a field holds.
func each(f protoreflect.FieldDescriptor, v protoreflect.Value, do func(protoreflect.Message) error) error {
	switch {
	case f.IsMap() && f.MapValue().Message() != nil:
		var failed error
		v.Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
			failed = do(value.Message())
			return failed == nil
		})
		return failed
	case f.IsMap() || f.Message() == nil:
		return nil
	case f.IsList():
		for i := range v.List().Len() {
			if err := do(v.List().Get(i).Message()); err != nil {
				return err
			}
		}
		return nil
	}
	return do(v.Message())
}
