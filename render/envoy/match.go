package envoy

import (
	"regexp"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/edgewright/edgewright/schema"
)

func match(m schema.Match) *routev3.RouteMatch {
	out := &routev3.RouteMatch{}
	switch p := m.Path.(type) {
	case schema.Exact:
		out.PathSpecifier = &routev3.RouteMatch_Path{Path: string(p)}
	case schema.Regex:
		out.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: string(p)}}
	default:
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/"}
		if prefix := prefixOf(m.Path); prefix != "" {
			out.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: prefix}
		}
	}
	if len(m.Methods) > 0 {
		out.Headers = append(out.Headers, methodMatcher(m.Methods))
	}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, headerMatcher(h))
	}
	return out
}

// prefixOf is a prefix match without final slashes; empty, it matches every path.
func prefixOf(p schema.PathMatch) string {
	prefix, _ := p.(schema.Prefix)
	return strings.TrimRight(string(prefix), "/")
}

func methodMatcher(methods []string) *routev3.HeaderMatcher {
	if len(methods) == 1 {
		return stringHeader(":method", exact(methods[0]))
	}
	quoted := make([]string, len(methods))
	for i, m := range methods {
		quoted[i] = regexp.QuoteMeta(m)
	}
	slices.Sort(quoted)
	return stringHeader(":method", &matcherv3.StringMatcher{
		MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: strings.Join(quoted, "|")}},
	})
}

func headerMatcher(h schema.HeaderMatch) *routev3.HeaderMatcher {
	if h.Exact == nil {
		return &routev3.HeaderMatcher{Name: h.Name, HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}}
	}
	return stringHeader(h.Name, exact(*h.Exact))
}

func stringHeader(name string, m *matcherv3.StringMatcher) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{Name: name, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: m}}
}

func exact(value string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: value}}
}
