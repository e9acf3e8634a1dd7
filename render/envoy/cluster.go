package envoy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/edgewright/edgewright/schema"
)

// bufferLimit bounds what the proxy holds for one connection, in bytes.
const bufferLimit = 32 << 10

// renderCluster is the cluster of a backend, named by its content.
func renderCluster(s schema.Service, b schema.Backend) (Cluster, error) {
	label := fmt.Sprintf("%s/%s", s.ID, b.ID)
	c := &clusterv3.Cluster{
		Name:                          label, // stands in while the content is hashed
		AltStatName:                   label,
		ConnectTimeout:                seconds(time.Second),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
		LbPolicy:                      clusterv3.Cluster_LEAST_REQUEST,
		CircuitBreakers:               circuitBreakers(),
		CommonLbConfig: &clusterv3.Cluster_CommonLbConfig{
			HealthyPanicThreshold: &typev3.Percent{Value: 0}, // a host out of health gets nothing, even when all are
		},
		WaitForWarmOnInit:             yes(),
		TypedExtensionProtocolOptions: map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": upstreamHTTP1()},
	}
	if err := locate(c, b); err != nil {
		return Cluster{}, err
	}
	if b.Health != nil {
		c.HealthChecks = []*corev3.HealthCheck{healthCheck(*b.Health, checkHost(s, b))}
	}
	content, err := encode(c)
	if err != nil {
		return Cluster{}, fmt.Errorf("backend %s: %w", b.ID, err)
	}
	c.Name = fmt.Sprintf("c/%s/%s", s.ID, hashOf(content)[:12])
	data, err := encode(c)
	if err != nil {
		return Cluster{}, fmt.Errorf("backend %s: %w", b.ID, err)
	}
	return Cluster{Name: c.Name, Proto: data}, nil
}

// locate sets where the hosts of a cluster are found.
func locate(c *clusterv3.Cluster, b schema.Backend) error {
	var endpoints []*endpointv3.LbEndpoint
	switch at := b.Location.(type) {
	case schema.Addresses:
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		for _, a := range at {
			endpoints = append(endpoints, endpoint(a.Addr().String(), a.Port()))
		}
	case schema.DNSName:
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
		c.DnsLookupFamily = clusterv3.Cluster_V4_PREFERRED
		c.RespectDnsTtl = true
		c.DnsRefreshRate = seconds(5 * time.Second)
		c.DnsFailureRefreshRate = &clusterv3.Cluster_RefreshRate{BaseInterval: seconds(time.Second), MaxInterval: seconds(10 * time.Second)}
		endpoints = append(endpoints, endpoint(string(at.Name), at.Port))
	default:
		return fmt.Errorf("backend %s has no location", b.ID)
	}
	c.LoadAssignment = &endpointv3.ClusterLoadAssignment{
		ClusterName: c.Name,
		Endpoints:   []*endpointv3.LocalityLbEndpoints{{LbEndpoints: endpoints}},
	}
	return nil
}

func endpoint(host string, port uint16) *endpointv3.LbEndpoint {
	return &endpointv3.LbEndpoint{
		HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(host, port)}},
	}
}

func address(host string, port uint16) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

// checkHost is the Host that a health check sends: the backend's own name, or the service's first in the alphabet, so that the order
// in which they are declared changes no cluster.
func checkHost(s schema.Service, b schema.Backend) string {
	if at, ok := b.Location.(schema.DNSName); ok {
		return string(at.Name)
	}
	if len(s.Hosts) == 0 {
		return netip.IPv4Unspecified().String()
	}
	return strings.TrimPrefix(string(slices.Min(s.Hosts)), "*.")
}

func healthCheck(h schema.HealthCheck, host string) *corev3.HealthCheck {
	builtIn := schema.BuiltIn.Health
	interval := h.Interval.Or(time.Duration(builtIn.Interval))
	return &corev3.HealthCheck{
		Timeout:            seconds(h.Timeout.Or(time.Duration(builtIn.Timeout))),
		Interval:           seconds(interval),
		NoTrafficInterval:  seconds(interval),
		HealthyThreshold:   count(orDefault(h.Healthy, builtIn.Healthy)),
		UnhealthyThreshold: count(orDefault(h.Unhealthy, builtIn.Unhealthy)),
		HealthChecker: &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &corev3.HealthCheck_HttpHealthCheck{
			Host: host, Path: h.Path,
		}},
	}
}

func orDefault(n, fallback int) int {
	if n == 0 {
		return fallback
	}
	return n
}

func circuitBreakers() *clusterv3.CircuitBreakers {
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections:     count(4096),
		MaxPendingRequests: count(1024),
		MaxRequests:        count(4096),
		MaxRetries:         count(64),
	}}}
}

// upstreamHTTP1 speaks HTTP/1.1 to the backend whatever the client spoke.
func upstreamHTTP1() *anypb.Any {
	return packed(&httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}},
		}},
	})
}
