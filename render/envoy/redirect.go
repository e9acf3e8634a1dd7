package envoy

import (
	"fmt"
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/edgewright/edgewright/schema"
)

var redirectCodes = map[int]routev3.RedirectAction_RedirectResponseCode{
	301: routev3.RedirectAction_MOVED_PERMANENTLY,
	302: routev3.RedirectAction_FOUND,
	303: routev3.RedirectAction_SEE_OTHER,
	307: routev3.RedirectAction_TEMPORARY_REDIRECT,
	308: routev3.RedirectAction_PERMANENT_REDIRECT,
}

// redirect keeps the query, and every part of the request's address that the declaration leaves empty.
func redirect(r schema.Redirect, path schema.PathMatch) (*routev3.RedirectAction, error) {
	code, ok := redirectCodes[r.Code]
	if !ok {
		return nil, fmt.Errorf("%d is no redirect", r.Code)
	}
	out := &routev3.RedirectAction{HostRedirect: string(r.Host), ResponseCode: code}
	if r.Scheme != "" {
		out.SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: r.Scheme}
	}
	switch {
	case r.Path != "" && r.Prefix != "":
		return nil, fmt.Errorf("path %q and prefix %q exclude each other", r.Path, r.Prefix)
	case r.Path != "":
		out.PathRewriteSpecifier = &routev3.RedirectAction_PathRedirect{PathRedirect: r.Path}
	case r.Prefix != "":
		replacePrefix(out, path, strings.TrimRight(r.Prefix, "/"))
	}
	return out, nil
}

// replacePrefix replaces whole segments: /api to / makes /api/x into /x, and / to /new makes /x into /new/x. An exact or regex
// match is replaced as a whole.
func replacePrefix(out *routev3.RedirectAction, path schema.PathMatch, with string) {
	switch path.(type) {
	case schema.Exact, schema.Regex:
		out.PathRewriteSpecifier = &routev3.RedirectAction_PathRedirect{PathRedirect: orRoot(with)}
		return
	}
	matched := prefixOf(path)
	switch {
	case matched == "" && with == "":
	case matched == "":
		out.PathRewriteSpecifier = &routev3.RedirectAction_PrefixRewrite{PrefixRewrite: with + "/"}
	case with == "":
		out.PathRewriteSpecifier = &routev3.RedirectAction_RegexRewrite{RegexRewrite: &matcherv3.RegexMatchAndSubstitute{
			Pattern:      &matcherv3.RegexMatcher{Regex: "^" + regexp.QuoteMeta(matched) + "/?"},
			Substitution: "/",
		}}
	default:
		out.PathRewriteSpecifier = &routev3.RedirectAction_PrefixRewrite{PrefixRewrite: with}
	}
}

func orRoot(path string) string {
	if path == "" {
		return "/"
	}
	return path
}
