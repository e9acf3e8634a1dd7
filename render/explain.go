package render

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// Request is a request as a proxy of the edge sees it.
type Request struct {
	Host     string // any form: a port, a final dot and capitals do not count
	Path     string // without query
	Method   string
	Header   map[string][]string // names in lower case
	Exposure schema.Exposure     // whose listener takes it
}

// Explanation says what the edge does with a request, and who declared it where.
type Explanation struct {
	Host    schema.Hostname  `json:"host"`
	Bucket  string           `json:"bucket"`            // route configuration that holds the host
	Service schema.ServiceID `json:"service,omitempty"` // empty: nobody has the host
	Name    schema.Hostname  `json:"name,omitempty"`    // as declared: the host itself or a wildcard
	Route   *schema.Route    `json:"route,omitempty"`   // nil: no route of the service matches, the answer is 404
	At      schema.Position  `json:"at,omitzero"`       // of the route, or of the service
	Passed  []Passed         `json:"passed,omitempty"`  // routes before it, in order
}

// Passed is a route that did not match, and why.
type Passed struct {
	Route string `json:"route"`
	Why   string `json:"why"`
}

// Explain follows a request through the declarations as Envoy follows it through what they render to: the host first, exact names
// before wildcards and longer wildcards before shorter ones; then the routes of its service, in order. A gRPC client asks for what it
// calls whatever its exposure.
func Explain(e schema.Edge, fleet schema.Fleet, layout envoy.Layout, r Request) Explanation {
	host := plainHost(r.Host)
	out := Explanation{Host: host, Bucket: layout.RouteName(r.Exposure, layout.BucketOf(host))}
	if fleet.Kind == schema.GRPC {
		out.Bucket = envoy.ClientRouteName(host)
	}
	service, name, ok := holder(e, fleet, r.Exposure, host)
	if !ok {
		return out
	}
	if strings.HasPrefix(string(name), "*.") {
		out.Bucket = layout.RouteName(r.Exposure, envoy.Wild)
	}
	out.Service, out.Name, out.At = service.ID, name, service.Source.Find("")
	for i, route := range service.Routes {
		if why := mismatch(route.Match, r); why != "" {
			out.Passed = append(out.Passed, Passed{route.Name, why})
			continue
		}
		out.Route, out.At = &route, service.Source.Find(fmt.Sprintf("routes[%d]", i))
		break
	}
	return out
}

func plainHost(host string) schema.Hostname {
	host = strings.ToLower(host)
	if i := strings.LastIndex(host, ":"); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return schema.Hostname(strings.TrimSuffix(host, "."))
}

// holder finds who has a host on a fleet's listener.
func holder(e schema.Edge, fleet schema.Fleet, exposure schema.Exposure, host schema.Hostname) (best schema.Service, name schema.Hostname, ok bool) {
	for _, s := range e.Services {
		if s.Fleet != fleet.ID || s.Exposure != exposure && fleet.Kind != schema.GRPC {
			continue
		}
		for _, h := range s.Hosts {
			if h == host {
				return s, h, true
			}
			if suffix, wild := strings.CutPrefix(string(h), "*"); wild && len(host) > len(suffix) && strings.HasSuffix(string(host), suffix) && len(h) > len(name) {
				best, name, ok = s, h, true
			}
		}
	}
	return best, name, ok
}

// mismatch says why a request does not match; empty: it does.
func mismatch(m schema.Match, r Request) string {
	switch p := m.Path.(type) {
	case schema.Exact:
		if r.Path != string(p) {
			return fmt.Sprintf("the path is not %s", p)
		}
	case schema.Prefix:
		prefix := strings.TrimRight(string(p), "/")
		if r.Path != prefix && !strings.HasPrefix(r.Path, prefix+"/") {
			return fmt.Sprintf("the path is not below %s", p)
		}
	case schema.Regex:
		if re, err := regexp.Compile(`^(?:` + string(p) + `)$`); err != nil || !re.MatchString(r.Path) {
			return fmt.Sprintf("the path does not match %s", p)
		}
	}
	if len(m.Methods) > 0 && !slices.Contains(m.Methods, r.Method) {
		return fmt.Sprintf("the method is not %s", strings.Join(m.Methods, " or "))
	}
	for _, h := range m.Headers {
		values := r.Header[h.Name]
		switch {
		case len(values) == 0:
			return fmt.Sprintf("header %s is missing", h.Name)
		case h.Exact != nil && strings.Join(values, ",") != *h.Exact:
			return fmt.Sprintf("header %s is not %s", h.Name, *h.Exact)
		}
	}
	return ""
}
