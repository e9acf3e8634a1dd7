package envoy

import (
	"cmp"
	"fmt"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/edgewright/edgewright/schema"
)

// VirtualHost is a unit's virtual host with those of its domains that lie in one bucket.
type VirtualHost struct {
	Domains []schema.Hostname
	Proto   []byte // as Unit.VirtualHost
}

// Field numbers of envoy.config.route.v3.
const (
	fieldVirtualHosts protowire.Number = 2 // of RouteConfiguration
	fieldDomains      protowire.Number = 2 // of VirtualHost
)

// Unplaced is the body of the 404 for a host that nobody has.
const Unplaced = "404: no service has this name at this edge\n"

// RouteConfiguration encodes the routes of one bucket. Virtual hosts are joined as bytes: a bucket costs its size, not a
// decoding. Their order, and that of domains, does not matter.
func RouteConfiguration(l Layout, exposure schema.Exposure, bucket string, hosts []VirtualHost) []byte {
	out := marshal(&routev3.RouteConfiguration{
		Name:                           l.RouteName(exposure, bucket),
		RequestHeadersToRemove:         []string{ScopeHeader},
		MaxDirectResponseBodySizeBytes: maxBodySize(),
	})
	encoded := make([]string, 0, len(hosts)+1)
	for _, h := range hosts {
		if len(h.Domains) > 0 {
			encoded = append(encoded, h.encode())
		}
	}
	slices.SortFunc(encoded, cmp.Compare)
	for _, h := range slices.Compact(encoded) {
		out = protowire.AppendTag(out, fieldVirtualHosts, protowire.BytesType)
		out = protowire.AppendString(out, h)
	}
	if bucket != Wild {
		return out
	}
	out = protowire.AppendTag(out, fieldVirtualHosts, protowire.BytesType)
	return protowire.AppendBytes(out, marshal(unplaced()))
}

func (v VirtualHost) encode() string {
	domains := sortedHosts(v.Domains)
	out := make([]byte, 0, len(v.Proto)+64*len(domains))
	out = append(out, v.Proto...)
	for _, d := range domains {
		out = protowire.AppendTag(out, fieldDomains, protowire.BytesType)
		out = protowire.AppendString(out, string(d))
	}
	return string(out)
}

// unplaced answers for every host that no service has.
func unplaced() *routev3.VirtualHost {
	return &routev3.VirtualHost{Name: "edge", Domains: []string{"*"}, Routes: []*routev3.Route{notFound("edge/"+NoRoute, Unplaced)}}
}

// Scopes are all scopes of an exposure, each with its route configuration.
func Scopes(exposure schema.Exposure, l Layout) []*routev3.ScopedRouteConfiguration {
	var out []*routev3.ScopedRouteConfiguration
	for _, bucket := range l.BucketNames() {
		out = append(out, &routev3.ScopedRouteConfiguration{
			Name:                   l.ScopeName(exposure, bucket),
			RouteConfigurationName: l.RouteName(exposure, bucket),
			Key: &routev3.ScopedRouteConfiguration_Key{Fragments: []*routev3.ScopedRouteConfiguration_Key_Fragment{{
				Type: &routev3.ScopedRouteConfiguration_Key_Fragment_StringKey{StringKey: l.scopePrefix(exposure) + bucket},
			}}},
		})
	}
	return out
}

// marshal encodes what was validated, or is ours. It panics on what cannot be encoded, which is a fault of the program.
func marshal(m proto.Message) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", m, err))
	}
	return data
}
