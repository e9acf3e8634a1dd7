package envoy

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	inspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/edgewright/edgewright/schema"
)

//go:embed policy.lua
var policyLuaSource string

// Misdirected is the body of the 421 for a host that is bound to another policy than the connection's.
const Misdirected = "421: ask for this host on a connection of its own\n"

// handshake is how long a client may take until its connection is encrypted.
const handshake = 10 * time.Second

// CertificateSecret names the secret of a certificate: certificate/<id>.
func CertificateSecret(id schema.CertificateID) string { return "certificate/" + string(id) }

// ClientsSecret names the secret with the authorities of a policy's clients: clients/<exposure>/<policy>.
func ClientsSecret(e schema.Exposure, id schema.PolicyID) string {
	return "clients/" + string(e) + "/" + string(id)
}

// Secrets are the names of all secrets that the listeners of a fleet need, sorted.
func Secrets(fleet schema.Fleet) []string {
	var out []string
	for _, l := range fleet.Listeners {
		out = append(out, SecretsOf(fleet, l)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// SecretsOf are the names of all secrets that one listener needs.
func SecretsOf(fleet schema.Fleet, l schema.Listener) []string {
	if l.TLS == nil {
		return nil
	}
	var out []string
	for _, p := range l.TLS.Policies {
		out = append(out, shown(fleet, l, p, nil)...)
		if p.Clients != "" {
			out = append(out, ClientsSecret(l.Exposure, p.ID))
		}
	}
	return out
}

// shown are the secrets of the certificates of a chain. Where all are lacking all are named: the chain then closes its connections,
// and no other chain answers them.
func shown(fleet schema.Fleet, l schema.Listener, p schema.TLSPolicy, lacking []string) []string {
	var all []string
	for _, c := range l.TLS.Shown(p, fleet.Certified(l.Exposure)) {
		all = append(all, CertificateSecret(c.ID))
	}
	there := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(lacking, name) })
	if len(there) == 0 {
		return all
	}
	return there
}

// serverNames are the names for which a chain is chosen; nil: all that no other chain is for.
func serverNames(p schema.TLSPolicy) *listenerv3.FilterChainMatch {
	if len(p.Hosts) == 0 {
		return nil
	}
	out := &listenerv3.FilterChainMatch{}
	for _, h := range sortedHosts(p.Hosts) {
		out.ServerNames = append(out.ServerNames, string(h))
	}
	return out
}

// policyLua is the source of the filter that turns away requests for hosts that are bound to another policy.
func policyLua(t schema.TLS, p schema.TLSPolicy) string {
	var exact, below []string
	for _, other := range t.Policies {
		for _, h := range sortedHosts(other.Hosts) {
			if above, wild := strings.CutPrefix(string(h), "*"); wild {
				below = append(below, fmt.Sprintf("[%q]=%q", above, other.ID))
			} else {
				exact = append(exact, fmt.Sprintf("[%q]=%q", h, other.ID))
			}
		}
	}
	return fmt.Sprintf("local POLICY, DEFAULT, MISDIRECTED = %q, %q, %q\nlocal EXACT, BELOW = {%s}, {%s}\n%s\n%s",
		p.ID, t.Default, Misdirected, strings.Join(exact, ","), strings.Join(below, ","), nameLua, policyLuaSource)
}

// inspector reads from the first bytes of a connection which name the client asks for.
func inspector() *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{
		Name:       "envoy.filters.listener.tls_inspector",
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: packed(&inspectorv3.TlsInspector{})},
	}
}

func transport(certificates []string, l schema.Listener, p schema.TLSPolicy) *corev3.TransportSocket {
	common := &tlsv3.CommonTlsContext{
		TlsParams: &tlsv3.TlsParameters{
			TlsMinimumProtocolVersion: version(p.Minimum),
			TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
			CipherSuites:              p.Ciphers,
		},
		AlpnProtocols: []string{"h2", "http/1.1"},
	}
	for _, name := range certificates {
		common.TlsCertificateSdsSecretConfigs = append(common.TlsCertificateSdsSecretConfigs, secret(name))
	}
	context := &tlsv3.DownstreamTlsContext{CommonTlsContext: common}
	if p.Clients != "" {
		context.RequireClientCertificate = yes()
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
			ValidationContextSdsSecretConfig: secret(ClientsSecret(l.Exposure, p.ID)),
		}
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(context)},
	}
}

func secret(name string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: aggregated()}
}

func version(minimum string) tlsv3.TlsParameters_TlsProtocol {
	if minimum == "1.3" {
		return tlsv3.TlsParameters_TLSv1_3
	}
	return tlsv3.TlsParameters_TLSv1_2
}
