package validate

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// outside is a unit whose backends are all elsewhere: by address, by name, and by a name server of their own, within a packed message.
func outside(t *testing.T) part {
	t.Helper()
	s := schema.Service{ID: "s", Exposure: "public", Hosts: []schema.Hostname{"s.edge.test"},
		Backends: []schema.Backend{
			{ID: "four", Location: schema.Addresses([]netip.AddrPort{netip.MustParseAddrPort("203.0.113.9:80"), netip.MustParseAddrPort("[::ffff:203.0.113.9]:80")})},
			{ID: "six", Location: schema.Addresses([]netip.AddrPort{netip.MustParseAddrPort("[2001:db8::9]:80")})},
			{ID: "named", Location: schema.DNSName{Name: "up.stream.example", Port: 443}},
		},
		Routes: []schema.Route{{Name: "all", Action: schema.Forward{To: []schema.Destination{{Backend: "four", Weight: 50}, {Backend: "six", Weight: 25}, {Backend: "named", Weight: 25}}}}}}
	u, _, err := envoy.Render(schema.Fleet{ID: "edge", Listeners: []schema.Listener{{Exposure: "public", Port: 80}}}, s)
	if err != nil {
		t.Fatal(err)
	}
	p, err := partOf(u)
	if err != nil {
		t.Fatal(err)
	}
	server := &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{Address: "198.51.100.53", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 53}}}}
	packed, err := anypb.New(&caresv3.CaresDnsResolverConfig{Resolvers: []*corev3.Address{server}})
	if err != nil {
		t.Fatal(err)
	}
	p.clusters[2].TypedDnsResolverConfig = &corev3.TypedExtensionConfig{Name: "envoy.network.dns_resolver.cares", TypedConfig: packed}
	return p
}

// No address in what is validated leaves loopback, and nobody can ask the Envoy that validates anything.
func TestNothingLeavesLoopback(t *testing.T) {
	p := outside(t)
	data, err := bootstrap([]part{p, p})
	if err != nil {
		t.Fatal(err)
	}
	whole := &bootstrapv3.Bootstrap{}
	if err := proto.Unmarshal(data, whole); err != nil {
		t.Fatal(err)
	}
	if whole.Admin != nil || whole.DynamicResources != nil {
		t.Error("it has an admin port, or asks for more")
	}
	if len(whole.StaticResources.Listeners) != 2 || len(whole.StaticResources.Clusters) != 3 {
		t.Errorf("%d listeners and %d clusters, want 2 and 3", len(whole.StaticResources.Listeners), len(whole.StaticResources.Clusters))
	}
	var found []string
	addresses(t, whole.ProtoReflect(), &found)
	for _, at := range found {
		if ip, err := netip.ParseAddr(at); err != nil || !ip.IsLoopback() {
			t.Errorf("it holds the address %s", at)
		}
	}
	if len(found) != 2+2+1+1+1 { // listeners, each backend, the name server
		t.Errorf("%d addresses, want 7: %v", len(found), found)
	}
	for _, elsewhere := range []string{"203.0.113", "2001:db8", "up.stream.example", "198.51.100"} {
		if bytes.Contains(data, []byte(elsewhere)) {
			t.Errorf("it holds %s", elsewhere)
		}
	}
	var before []string
	for _, c := range p.clusters {
		addresses(t, c.ProtoReflect(), &before)
	}
	if !slices.Contains(before, "up.stream.example") || !slices.Contains(before, "198.51.100.53") {
		t.Errorf("the unit itself was changed: %v", before)
	}
}

// addresses finds every address in a message, also in packed ones.
func addresses(t *testing.T, m protoreflect.Message, found *[]string) {
	t.Helper()
	switch m := m.Interface().(type) {
	case *corev3.SocketAddress:
		*found = append(*found, m.Address)
		return
	case *anypb.Any:
		held, err := m.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		addresses(t, held.ProtoReflect(), found)
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		_ = each(f, v, func(m protoreflect.Message) error { addresses(t, m, found); return nil })
		return true
	})
}

// A server that is named in other words than an address is not asked: nobody looks at such a unit.
func TestServersInWordsAreNotReached(t *testing.T) {
	for _, m := range []proto.Message{
		&corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_GoogleGrpc_{GoogleGrpc: &corev3.GrpcService_GoogleGrpc{TargetUri: "up.stream.example"}}},
		&corev3.DataSource{}, &corev3.HttpUri{Uri: "https://up.stream.example"},
	} {
		err := keepInside(m.ProtoReflect())
		if _, harmless := m.(*corev3.DataSource); harmless != (err == nil) {
			t.Errorf("%T: %v", m, err)
		}
		if err != nil && !strings.Contains(err.Error(), "cannot be replaced") {
			t.Error(err)
		}
	}
}
