package envoy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previousv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/edgewright/edgewright/schema"
)

// NoRoute ends the name of the route that answers 404 for every path of a known host that no declared route matches: without
// it such a request would fall through to the wildcard of another service.
const NoRoute = "-"

// maxBody is the longest direct response that a proxy takes, in bytes.
const maxBody = 64 << 10

// virtualHost encodes the virtual host of a service, without domains.
func virtualHost(s schema.Service, clusters map[schema.BackendID]string) ([]byte, error) {
	host := &routev3.VirtualHost{Name: "svc/" + string(s.ID), Domains: []string{"-"}} // a domain, for validation only
	for _, r := range s.Routes {
		route, err := renderRoute(s.ID, r, clusters)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
		}
		host.Routes = append(host.Routes, route)
	}
	host.Routes = append(host.Routes, notFound(string(s.ID)+"/"+NoRoute, "404: no route of this service matches the request\n"))
	if err := host.ValidateAll(); err != nil {
		return nil, fmt.Errorf("validate virtual host: %w", err)
	}
	host.Domains = nil
	return marshal(host), nil
}

func renderRoute(service schema.ServiceID, r schema.Route, clusters map[schema.BackendID]string) (*routev3.Route, error) {
	out := &routev3.Route{
		Name:                    fmt.Sprintf("%s/%s", service, r.Name),
		Match:                   match(r.Match),
		RequestHeadersToAdd:     additions(r.Headers.Request),
		RequestHeadersToRemove:  removals(r.Headers.Request),
		ResponseHeadersToAdd:    additions(r.Headers.Response),
		ResponseHeadersToRemove: removals(r.Headers.Response),
	}
	switch a := r.Action.(type) {
	case schema.Forward:
		action, err := forward(a, clusters)
		if err != nil {
			return nil, err
		}
		out.Action = &routev3.Route_Route{Route: action}
	case schema.Redirect:
		action, err := redirect(a, r.Match.Path)
		if err != nil {
			return nil, err
		}
		out.Action = &routev3.Route_Redirect{Redirect: action}
	case schema.Respond:
		if len(a.Body) > maxBody {
			return nil, fmt.Errorf("body has %d bytes, at most %d are possible", len(a.Body), maxBody)
		}
		out.Action = &routev3.Route_DirectResponse{DirectResponse: respond(a.Status, a.Body)}
		if a.ContentType != "" {
			out.ResponseHeadersToAdd = append(contentType(a.ContentType), out.ResponseHeadersToAdd...)
		}
	default:
		return nil, errors.New("no action")
	}
	return out, nil
}

func forward(f schema.Forward, clusters map[schema.BackendID]string) (*routev3.RouteAction, error) {
	out := &routev3.RouteAction{Timeout: seconds(f.Timeout.Or(time.Duration(schema.BuiltIn.Forward.Timeout))), RetryPolicy: retryPolicy(f.Retries)}
	weighted := &routev3.WeightedCluster{}
	for _, d := range f.To {
		name, ok := clusters[d.Backend]
		if !ok {
			return nil, fmt.Errorf("backend %s is not declared", d.Backend)
		}
		weighted.Clusters = append(weighted.Clusters, &routev3.WeightedCluster_ClusterWeight{Name: name, Weight: count(d.Weight)})
	}
	switch len(weighted.Clusters) {
	case 0:
		return nil, errors.New("forwards to no backend")
	case 1:
		out.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: weighted.Clusters[0].Name}
	default:
		out.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
	}
	return out, nil
}

// retryPolicy tries another host than those that failed, where there is one.
func retryPolicy(r *schema.Retries) *routev3.RetryPolicy {
	if r == nil {
		return nil
	}
	out := &routev3.RetryPolicy{
		RetryOn:    strings.Join(r.On, ","),
		NumRetries: count(r.Attempts),
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name:       "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: packed(&previousv3.PreviousHostsPredicate{})},
		}},
		HostSelectionRetryMaxAttempts: 3,
	}
	if r.PerTryTimeout != 0 {
		out.PerTryTimeout = seconds(time.Duration(r.PerTryTimeout))
	}
	return out
}

func respond(status int, body string) *routev3.DirectResponseAction {
	out := &routev3.DirectResponseAction{Status: uint32(status)}
	if body != "" {
		out.Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: body}}
	}
	return out
}

func notFound(name, body string) *routev3.Route {
	return &routev3.Route{
		Name:   name,
		Match:  match(schema.Match{}),
		Action: &routev3.Route_DirectResponse{DirectResponse: respond(404, body)},
	}
}

func contentType(value string) []*corev3.HeaderValueOption {
	return []*corev3.HeaderValueOption{header("content-type", value, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)}
}

func maxBodySize() *wrapperspb.UInt32Value { return count(maxBody) }
