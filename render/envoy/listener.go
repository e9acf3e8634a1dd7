package envoy

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/edgewright/edgewright/schema"
)

// Listener takes the requests of one exposure. Its name holds the declared port; bind is where this proxy listens for it. With TLS it
// has a filter chain for each policy; certificates whose secrets are lacking are left out where a chain has others. It does not depend on
// the layout: which buckets requests are put into is said by the filter that ScopeFilter makes, which a proxy asks for by itself.
func Listener(fleet schema.Fleet, l schema.Listener, bind netip.AddrPort, lacking ...string) *listenerv3.Listener {
	out := &listenerv3.Listener{
		Name:                          ListenerName(l),
		Address:                       address(bind.Addr().String(), bind.Port()),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
	}
	if l.TLS == nil {
		out.FilterChains = []*listenerv3.FilterChain{{Filters: httpConnections(l, scoping(l.Exposure))}}
		return out
	}
	out.ListenerFilters = []*listenerv3.ListenerFilter{inspector()}
	out.ListenerFiltersTimeout = seconds(handshake)
	for _, p := range l.TLS.Policies {
		out.FilterChains = append(out.FilterChains, &listenerv3.FilterChain{
			Name:                          "tls/" + string(p.ID),
			FilterChainMatch:              serverNames(p),
			Filters:                       httpConnections(l, guarding(*l.TLS, p), scoping(l.Exposure)),
			TransportSocket:               transport(shown(fleet, l, p, lacking), l, p),
			TransportSocketConnectTimeout: seconds(handshake),
		})
	}
	return out
}

func httpConnections(l schema.Listener, filters ...*hcmv3.HttpFilter) []*listenerv3.Filter {
	return []*listenerv3.Filter{{
		Name:       "envoy.filters.network.http_connection_manager",
		ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(connectionManager(ListenerName(l), filters))},
	}}
}

// ListenerName is edge-<declared port>.
func ListenerName(l schema.Listener) string { return fmt.Sprintf("edge-%d", l.Port) }

// connectionManager follows Envoy's advice for a proxy that faces untrusted clients.
func connectionManager(name string, filters []*hcmv3.HttpFilter) *hcmv3.HttpConnectionManager {
	return &hcmv3.HttpConnectionManager{
		StatPrefix:                   name,
		RouteSpecifier:               scopedRoutes(name),
		HttpFilters:                  append(slices.DeleteFunc(filters, func(f *hcmv3.HttpFilter) bool { return f == nil }), httpFilter("envoy.filters.http.router", &routerv3.Router{SuppressEnvoyHeaders: true})),
		ServerName:                   "edgewright",
		UseRemoteAddress:             yes(),
		InternalAddressConfig:        &hcmv3.HttpConnectionManager_InternalAddressConfig{}, // no client is trusted for its address
		NormalizePath:                yes(),
		MergeSlashes:                 true,
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_REJECT_REQUEST,
		StripPortMode:                &hcmv3.HttpConnectionManager_StripAnyHostPort{StripAnyHostPort: true},
		StripTrailingHostDot:         true,
		RequestHeadersTimeout:        seconds(10 * time.Second),
		StreamIdleTimeout:            seconds(5 * time.Minute), // also ends slow bodies; the whole request is not timed: uploads take long
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			IdleTimeout:                  seconds(5 * time.Minute),
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_REJECT_REQUEST,
		},
		HttpProtocolOptions: &corev3.Http1ProtocolOptions{AcceptHttp_10: true},
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			MaxConcurrentStreams:                    count(100),
			InitialStreamWindowSize:                 count(64 << 10),
			InitialConnectionWindowSize:             count(1 << 20),
			OverrideStreamErrorOnInvalidHttpMessage: yes(),
		},
	}
}

// scopedRoutes chooses the bucket by the scope header alone.
func scopedRoutes(name string) *hcmv3.HttpConnectionManager_ScopedRoutes {
	type (
		builder   = hcmv3.ScopedRoutes_ScopeKeyBuilder
		fragment  = hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder
		extractor = hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor
	)
	return &hcmv3.HttpConnectionManager_ScopedRoutes{ScopedRoutes: &hcmv3.ScopedRoutes{
		Name: name,
		ScopeKeyBuilder: &builder{Fragments: []*fragment{{Type: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_{
			HeaderValueExtractor: &extractor{
				Name:        ScopeHeader,
				ExtractType: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Index{Index: 0},
			},
		}}}},
		RdsConfigSource: aggregated(),
		ConfigSpecifier: &hcmv3.ScopedRoutes_ScopedRds{ScopedRds: &hcmv3.ScopedRds{ScopedRdsConfigSource: aggregated()}},
	}}
}

// aggregated is the one stream that brings everything, in order.
func aggregated() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		InitialFetchTimeout:   seconds(2 * time.Second),
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

// ScopeFilterName names the extension configuration of the filter that puts the requests of an exposure into buckets: scope/<exposure>.
func ScopeFilterName(e schema.Exposure) string { return "scope/" + string(e) }

// ScopeFilter is that extension configuration. A listener refers to it by its name, so that other buckets close no connection.
func ScopeFilter(e schema.Exposure, layout Layout) *corev3.TypedExtensionConfig {
	return &corev3.TypedExtensionConfig{Name: ScopeFilterName(e), TypedConfig: packed(script(layout.lua(e)))}
}

// scoping refers to the scope filter. The listener takes no connections before it has it, however long that takes.
func scoping(e schema.Exposure) *hcmv3.HttpFilter {
	source := aggregated()
	source.InitialFetchTimeout = seconds(0)
	return &hcmv3.HttpFilter{Name: ScopeFilterName(e), ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{ConfigDiscovery: &corev3.ExtensionConfigSource{
		ConfigSource: source,
		TypeUrls:     []string{packed(&luav3.Lua{}).TypeUrl},
	}}}
}

// guarding is the filter that keeps to the policy of a filter chain; nil: there is no other.
func guarding(t schema.TLS, p schema.TLSPolicy) *hcmv3.HttpFilter {
	if len(t.Policies) == 1 {
		return nil
	}
	return httpFilter("envoy.filters.http.lua", script(policyLua(t, p)))
}

func script(lua string) *luav3.Lua {
	return &luav3.Lua{DefaultSourceCode: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: lua}}}
}

func httpFilter(name string, config proto.Message) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(config)}}
}
