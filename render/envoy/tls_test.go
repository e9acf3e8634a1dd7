package envoy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/schema"
)

var secured = schema.Fleet{
	ID: "edge",
	Listeners: []schema.Listener{
		{Exposure: "internal", Port: 80},
		{Exposure: "public", Port: 443, TLS: &schema.TLS{Default: "modern", Policies: []schema.TLSPolicy{
			{ID: "modern", Minimum: "1.2", Ciphers: []string{"ECDHE-RSA-AES128-GCM-SHA256"}},
			{ID: "partners", Minimum: "1.2", Hosts: []schema.Hostname{"*.partners.test"}, Clients: "/partners.pem"},
			{ID: "strict", Minimum: "1.3", Hosts: []schema.Hostname{"pay.test", "a.wild.test"}},
		}}},
	},
	Certificates: []schema.Certificate{
		{ID: "first", Hosts: []schema.Hostname{"a.test"}},
		{ID: "partner", Hosts: []schema.Hostname{"one.partners.test"}},
		{ID: "pay", Hosts: []schema.Hostname{"pay.test"}},
		{ID: "wild", Hosts: []schema.Hostname{"*.wild.test"}},
	},
}

// TestChains tells each chain in a line: for which names it is chosen, what it speaks, and which secrets it shows and demands.
func TestChains(t *testing.T) {
	for _, one := range []struct {
		name    string
		lacking []string
		want    string
	}{
		{"all there", nil, `
tls/modern [] TLSv1_2 [ECDHE-RSA-AES128-GCM-SHA256] shows [certificate/first certificate/wild] demands ""
tls/partners [*.partners.test] TLSv1_2 [] shows [certificate/partner] demands "clients/public/partners"
tls/strict [a.wild.test pay.test] TLSv1_3 [] shows [certificate/pay certificate/wild] demands ""
`},
		{"two lacking", []string{"certificate/partner", "certificate/wild"}, `
tls/modern [] TLSv1_2 [ECDHE-RSA-AES128-GCM-SHA256] shows [certificate/first] demands ""
tls/partners [*.partners.test] TLSv1_2 [] shows [certificate/partner] demands "clients/public/partners"
tls/strict [a.wild.test pay.test] TLSv1_3 [] shows [certificate/pay] demands ""
`},
		{"authorities lacking", []string{"clients/public/partners"}, `
tls/modern [] TLSv1_2 [ECDHE-RSA-AES128-GCM-SHA256] shows [certificate/first certificate/wild] demands ""
tls/partners [*.partners.test] TLSv1_2 [] shows [certificate/partner] demands "clients/public/partners"
tls/strict [a.wild.test pay.test] TLSv1_3 [] shows [certificate/pay certificate/wild] demands ""
`},
	} {
		l := Listener(secured, secured.Listeners[1], netip.MustParseAddrPort("127.0.0.1:1"), one.lacking...)
		if err := l.ValidateAll(); err != nil {
			t.Fatal(err)
		}
		got := "\n"
		for _, c := range l.FilterChains {
			got += chain(t, c)
		}
		if diff := cmp.Diff(one.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", one.name, diff)
		}
	}
	want := []string{"certificate/first", "certificate/partner", "certificate/pay", "certificate/wild", "clients/public/partners"}
	if diff := cmp.Diff(want, Secrets(secured)); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

func chain(t *testing.T, c *listenerv3.FilterChain) string {
	t.Helper()
	context := &tlsv3.DownstreamTlsContext{}
	if err := c.TransportSocket.GetTypedConfig().UnmarshalTo(context); err != nil {
		t.Fatal(err)
	}
	common := context.CommonTlsContext
	if strings.Join(common.AlpnProtocols, " ") != "h2 http/1.1" || context.RequireClientCertificate.GetValue() != (common.GetValidationContextSdsSecretConfig() != nil) {
		t.Errorf("context is %v", context)
	}
	var shows []string
	for _, s := range common.TlsCertificateSdsSecretConfigs {
		shows = append(shows, s.Name)
	}
	return fmt.Sprintf("%s %v %v %v shows %v demands %q\n", c.Name, c.FilterChainMatch.GetServerNames(), common.TlsParams.TlsMinimumProtocolVersion,
		common.TlsParams.CipherSuites, shows, common.GetValidationContextSdsSecretConfig().GetName())
}

// TestPlainListener holds that a listener without TLS has nothing of it, whatever others of its fleet have.
func TestPlainListener(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:1")
	alone := schema.Fleet{ID: "edge", Listeners: secured.Listeners[:1]}
	beside, plain := Listener(secured, secured.Listeners[0], at), Listener(alone, alone.Listeners[0], at)
	if string(marshal(beside)) != string(marshal(plain)) {
		t.Error("it is another beside one with TLS")
	}
	c := plain.FilterChains[0]
	if len(plain.FilterChains) != 1 || plain.ListenerFilters != nil || plain.ListenerFiltersTimeout != nil || c.Name != "" || c.FilterChainMatch != nil || c.TransportSocket != nil || c.TransportSocketConnectTimeout != nil {
		t.Errorf("listener is %v", plain)
	}
}
