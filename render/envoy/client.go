package envoy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/edgewright/edgewright/schema"
)

// What gRPC clients that speak xDS themselves are served: no listener and no bucket of an edge, but for each host name a listener without
// address, for each service a route configuration, and clusters whose endpoints come by themselves (gRFC A27). They know no redirect, no
// answer of a proxy's own, no change of headers and no active health check: schema/policy refuses these.

// renderClient makes the unit of a service of a fleet of gRPC clients.
func renderClient(s schema.Service) (Unit, Spec, error) {
	names := map[schema.BackendID]string{}
	unit := Unit{Service: s.ID, Exposure: s.Exposure, Domains: sortedHosts(s.Hosts), Clusters: []Cluster{}, Client: true}
	for _, b := range s.Backends {
		if !used(s, b.ID) {
			continue
		}
		c, e, err := clientCluster(s, b)
		if err != nil {
			return Unit{}, Spec{}, err
		}
		names[b.ID] = c.Name
		unit.Clusters = append(unit.Clusters, c)
		if e != nil {
			unit.Endpoints = append(unit.Endpoints, *e)
		}
	}
	slices.SortFunc(unit.Clusters, func(a, b Cluster) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(unit.Endpoints, func(a, b Endpoints) int { return cmp.Compare(a.Name, b.Name) })
	host := &routev3.VirtualHost{Name: "svc/" + string(s.ID), Domains: []string{"-"}}
	for _, r := range s.Routes {
		route, err := clientRoute(s.ID, r, names)
		if err != nil {
			return Unit{}, Spec{}, fmt.Errorf("route %s: %w", r.Name, err)
		}
		host.Routes = append(host.Routes, route)
	}
	if err := host.ValidateAll(); err != nil {
		return Unit{}, Spec{}, fmt.Errorf("validate virtual host: %w", err)
	}
	host.Domains = nil
	unit.VirtualHost = marshal(host)
	return unit, Spec{Hosts: unit.Domains, Exposure: s.Exposure, Backends: s.Backends, Routes: s.Routes, Content: unit.Hash()}, nil
}

// clientCluster is the cluster of a backend, named by its content, and its endpoints, unless a resolver finds them. Their name stays when
// they change: so a client keeps its connections to those that stay.
func clientCluster(s schema.Service, b schema.Backend) (Cluster, *Endpoints, error) {
	c := &clusterv3.Cluster{
		AltStatName: fmt.Sprintf("%s/%s", s.ID, b.ID), ConnectTimeout: seconds(time.Second),
		LbPolicy:        clusterv3.Cluster_ROUND_ROBIN,
		CircuitBreakers: circuitBreakers(),
	}
	var e *Endpoints
	switch at := b.Location.(type) {
	case schema.Addresses:
		name := fmt.Sprintf("e/%s/%s", s.ID, b.ID)
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
		c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: aggregated(), ServiceName: name}
		data, err := encode(assignment(name, at))
		if err != nil {
			return Cluster{}, nil, fmt.Errorf("backend %s: %w", b.ID, err)
		}
		e = &Endpoints{Name: name, Proto: data}
	case schema.DNSName:
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS}
		c.LoadAssignment = &endpointv3.ClusterLoadAssignment{Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{endpoint(string(at.Name), at.Port)},
		}}}
	default:
		return Cluster{}, nil, fmt.Errorf("backend %s has no location", b.ID)
	}
	name := func(n string) {
		if c.Name = n; c.LoadAssignment != nil {
			c.LoadAssignment.ClusterName = n
		}
	}
	name(c.AltStatName) // stands in while the content is hashed
	content, err := encode(c)
	if err != nil {
		return Cluster{}, nil, fmt.Errorf("backend %s: %w", b.ID, err)
	}
	name(fmt.Sprintf("c/%s/%s", s.ID, hashOf(content)[:12]))
	data, err := encode(c)
	if err != nil {
		return Cluster{}, nil, fmt.Errorf("backend %s: %w", b.ID, err)
	}
	return Cluster{Name: c.Name, Proto: data}, e, nil
}

// assignment is endpoints in one locality: gRPC takes none without a weight, and without a locality (gRFC A27).
func assignment(name string, at schema.Addresses) *endpointv3.ClusterLoadAssignment {
	one := &endpointv3.LocalityLbEndpoints{Locality: &corev3.Locality{}, LoadBalancingWeight: wrapperspb.UInt32(1)}
	for _, a := range at {
		one.LbEndpoints = append(one.LbEndpoints, endpoint(a.Addr().String(), a.Port()))
	}
	return &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{one}}
}

// clientRoute is a route as gRPC knows them: a prefix is one of the service's full name, with its slash.
func clientRoute(service schema.ServiceID, r schema.Route, clusters map[schema.BackendID]string) (*routev3.Route, error) {
	f, is := r.Action.(schema.Forward)
	if !is {
		return nil, fmt.Errorf("a gRPC client can only forward")
	}
	action, err := forward(f, clusters)
	if err != nil {
		return nil, err
	}
	action.MaxStreamDuration = &routev3.RouteAction_MaxStreamDuration{MaxStreamDuration: action.Timeout}
	action.Timeout, action.RetryPolicy = nil, nil
	m := match(r.Match)
	if p, is := m.PathSpecifier.(*routev3.RouteMatch_PathSeparatedPrefix); is {
		m.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: p.PathSeparatedPrefix + "/"}
	}
	return &routev3.Route{Name: fmt.Sprintf("%s/%s", service, r.Name), Match: m, Action: &routev3.Route_Route{Route: action}}, nil
}

// ClientRouteName names the route configuration of a host name of gRPC clients. It stays when another service takes the name.
func ClientRouteName(host schema.Hostname) string { return clientRoutes + string(host) }

const clientRoutes = "rc/"

// ClientRouteHost is the host name in whose name a route configuration is; empty: it is none of ours.
func ClientRouteHost(name string) schema.Hostname {
	host, is := strings.CutPrefix(name, clientRoutes)
	if !is {
		return ""
	}
	return schema.Hostname(host)
}

// Warming ends the names of routes that no call takes.
const Warming = "/-warm"

// ClientRoutes is the route configuration of a host name of gRPC clients, which ask for it with any port or with none. Those in warm are
// clusters that it is to lead to next: a client asks only for clusters that some route leads to, and fails calls when it is switched to
// one that it has not made ready (grpc-go 1.84: "unknown cluster selected for RPC").
func ClientRoutes(u Unit, h schema.Hostname, warm ...string) (*routev3.RouteConfiguration, error) {
	host := &routev3.VirtualHost{}
	if err := proto.Unmarshal(u.VirtualHost, host); err != nil {
		return nil, fmt.Errorf("decode virtual host of %s: %w", u.Service, err)
	}
	host.Domains = []string{string(h), string(h) + ":*"}
	for _, name := range warm {
		host.Routes = append(host.Routes, &routev3.Route{Name: name + Warming,
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: "-"}}, // the path of a call begins with a slash
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: name}}},
		})
	}
	return &routev3.RouteConfiguration{Name: ClientRouteName(h), VirtualHosts: []*routev3.VirtualHost{host}}, nil
}

// ClientListener is what a gRPC client asks for first, by the name that it was told to call.
func ClientListener(name string) *listenerv3.Listener {
	return &listenerv3.Listener{Name: name, ApiListener: &listenerv3.ApiListener{ApiListener: packed(&hcmv3.HttpConnectionManager{
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: aggregated(), RouteConfigName: ClientRouteName(HostOf(name))}},
		HttpFilters:    []*hcmv3.HttpFilter{httpFilter("envoy.filters.http.router", &routerv3.Router{})},
	})}}
}

// HostOf is the host name that a gRPC client calls by the name of its target, with a port or without.
func HostOf(target string) schema.Hostname {
	if at, err := netip.ParseAddrPort(target); err == nil {
		return schema.Hostname(at.Addr().String())
	}
	return schema.Hostname(target[:nameEnd(target)])
}
