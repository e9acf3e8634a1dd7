package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// Bounds of one service where the platform sets no other.
const (
	maxHosts   = 200
	maxRoutes  = 200
	maxRegexes = 20
)

const (
	most    = 5000     // items of a service that are looked at, whatever the platform allows and waives
	maxPath = 2 << 10  // characters
	maxBody = 64 << 10 // bytes; Envoy's bound is higher only by configuration
)

func (j *judgement) checkRoutes() {
	s := j.service
	if len(s.Routes) == 0 {
		j.problem("route/none", "routes", fmt.Sprintf("service %s has no route", s.ID), "a service has at least one route")
	}
	named := map[string]int{}
	for i, r := range s.Routes[:j.routeBudget()] {
		at := fmt.Sprintf("routes[%d]", i)
		if first, twice := named[r.Name]; twice {
			j.problem("route/name", at+".name", fmt.Sprintf("route %s is declared twice", r.Name), "a route's name is unique in its service", s.Source.Find(fmt.Sprintf("routes[%d]", first)))
		} else {
			named[r.Name] = i
		}
		j.checkReach(at, r, s.Routes[:i])
		j.checkMatch(at+".match", r.Match)
		j.checkAction(at, r)
		j.checkEdit(at+".headers.request", r.Headers.Request)
		j.checkEdit(at+".headers.response", r.Headers.Response)
	}
}

// routeBudget bounds what a service makes every proxy of its fleet hold and try. It returns how many of the routes are looked at.
func (j *judgement) routeBudget() int {
	regexes := 0
	for _, r := range j.service.Routes {
		if _, is := r.Match.Path.(schema.Regex); is {
			regexes++
		}
	}
	j.budget("budget/regexes", "routes", "regular expressions", regexes, j.platform.Limits.Regexes, maxRegexes, "match prefixes: they are found at once, regexes are tried one after the other")
	return j.budget("budget/routes", "routes", "routes", len(j.service.Routes), j.platform.Limits.Routes, maxRoutes, "join routes that do the same, or split the service")
}

// budget tells of more items than the limit, and returns how many of them are looked at: those beyond a limit that holds are not.
func (j *judgement) budget(code schema.Code, path, items string, n int, limit *int, otherwise int, hint string) int {
	allowed := orElse(limit, otherwise)
	if n > allowed && j.problem(code, path, fmt.Sprintf("this service has %d %s, more than the limit of %d", n, items, allowed), hint) {
		return allowed
	}
	return min(n, most)
}

func orElse(n *int, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return *n
}

func (j *judgement) checkMatch(at string, m schema.Match) {
	if regex, is := m.Path.(schema.Regex); is {
		if fault, hint := regexFault(string(regex)); fault != "" {
			j.problem("route/regex", at+".path.regex", fault, hint)
		}
	}
	if regex, is := m.Path.(schema.Regex); is && slashStar.MatchString(string(regex)) {
		j.problem("route/star", at+".path.regex", "in a regular expression /* is any number of slashes, not whatever comes after one",
			fmt.Sprintf("write regex: %q, or a prefix, which matches everything below it; who means slashes writes /{0,}", slashStar.ReplaceAllString(string(regex), "/.*$1")))
	}
	if path, kind := pathOf(m.Path); strings.Contains(path, "*") {
		j.problem("route/star", at+".path."+kind, fmt.Sprintf("%s has a *, which stands for itself: it matches only paths with a * in them", path), starless(path))
	}
	if length, kind := pathLength(m.Path); length > maxPath {
		j.problem("route/path", at+".path."+kind, fmt.Sprintf("a path has at most %d characters, this one has %d", maxPath, length), "proxies refuse requests with longer ones: match a shorter prefix")
	}
	for i, h := range m.Headers {
		if reserved(h.Name) {
			j.problem("header/reserved", fmt.Sprintf("%s.headers[%d].name", at, i), fmt.Sprintf("header %s cannot be matched", h.Name), "host names are declared in hosts; x-edgewright-* belongs to the edge")
		}
	}
}

// slashStar is a star as elsewhere, in a regular expression: /api/* or /api/*/x.
var slashStar = regexp.MustCompile(`/\*([^]?+]|$)`)

// starless says how to match what a pattern with a star means elsewhere.
func starless(path string) string {
	if prefix, is := strings.CutSuffix(path, "*"); is && !strings.Contains(prefix, "*") && strings.HasSuffix(prefix, "/") {
		if prefix == "/" {
			return "leave out match.path: then every path matches"
		}
		return fmt.Sprintf("write prefix: %q: it matches everything below", strings.TrimRight(prefix, "/"))
	}
	return `a pattern is written as a regular expression: regex: "/users/[^/]+/settings"`
}

// pathOf is the path that a match writes out, and the name of its field.
func pathOf(m schema.PathMatch) (path, kind string) {
	switch p := m.(type) {
	case schema.Prefix:
		return string(p), "prefix"
	case schema.Exact:
		return string(p), "exact"
	}
	return "", ""
}

// pathLength is how long the longest path of a match is, and the name of its field. A regular expression has a bound of its own.
func pathLength(m schema.PathMatch) (int, string) {
	path, kind := pathOf(m)
	return len(path), kind
}

func (j *judgement) checkAction(at string, r schema.Route) {
	switch a := r.Action.(type) {
	case schema.Forward:
		j.checkForward(at+".forward", a)
	case schema.Redirect:
		if n := max(len(a.Path), len(a.Prefix)); n > maxPath {
			j.problem("route/redirect", at+".redirect", fmt.Sprintf("a path has at most %d characters, this one has %d", maxPath, n), "clients refuse longer ones")
		}
		if strings.Contains(a.Path+a.Prefix, "*") {
			j.problem("route/star", at+".redirect", fmt.Sprintf("the redirect leads to %s, and a * stands for itself", a.Path+a.Prefix), "redirect.prefix keeps what comes behind the matched prefix: leave out the *")
		}
		if unmatched(a, r.Match) {
			j.problem("route/redirect", at+".redirect.prefix", "redirect.prefix replaces a matched prefix, but this route matches none", "add match: path: prefix, or write redirect: path")
		}
		if a.Scheme == "" && a.Host == "" && a.Path == "" && a.Prefix == "" {
			j.problem("route/redirect", at+".redirect", "this redirect changes nothing: it would go round in circles", "write a scheme, host, path or prefix")
		}
	case schema.Respond:
		if len(a.Body) > maxBody {
			j.problem("route/respond", at+".respond.body", fmt.Sprintf("a body has at most %d bytes, this one has %d", maxBody, len(a.Body)), "serve it from a backend")
		}
	}
}

// unmatched tells whether a redirect replaces a prefix that its route does not match.
func unmatched(to schema.Redirect, m schema.Match) bool {
	_, is := m.Path.(schema.Prefix)
	return to.Prefix != "" && !is
}

// weighed says what to do about weights that do not sum to 100.
func weighed(destinations, sum int) string {
	switch {
	case destinations == 1:
		return "a single destination needs no weight: leave it out"
	case sum > 100:
		return fmt.Sprintf("weights are percentages of the requests: take %d away from one of them", sum-100)
	}
	return fmt.Sprintf("weights are percentages of the requests: add %d to one of them", 100-sum)
}

func (j *judgement) checkForward(at string, f schema.Forward) {
	if len(f.To) == 0 {
		j.problem("route/forward", at+".to", "this route forwards to no backend", "write to: [{backend: \"…\"}]")
		return
	}
	sum := 0
	var seen []schema.BackendID
	backends := names(j.service.Backends, func(b schema.Backend) schema.BackendID { return b.ID })
	for i, d := range f.To {
		where := fmt.Sprintf("%s.to[%d].backend", at, i)
		if _, is := j.service.Backend(d.Backend); !is && d.Backend != "" {
			j.problem("route/backend", where, fmt.Sprintf("there is no backend %s", d.Backend), meant(d.Backend, backends, "backends of this service: "+join(backends)))
		}
		if slices.Contains(seen, d.Backend) {
			j.problem("route/backend", where, fmt.Sprintf("backend %s is listed twice", d.Backend), "give it the sum of both weights")
		}
		seen, sum = append(seen, d.Backend), sum+d.Weight
	}
	if sum != 100 {
		j.problem("route/weight", at+".to", fmt.Sprintf("weights sum to %d, not to 100", sum), weighed(len(f.To), sum))
	}
	if r := f.Retries; r != nil && r.PerTryTimeout > 0 && f.Timeout > 0 && r.PerTryTimeout >= f.Timeout {
		j.warning("route/timeout", at+".retries.perTryTimeout", fmt.Sprintf("a single try may take %s, and the whole request only %s: there is never a second try", r.PerTryTimeout, f.Timeout), "write a perTryTimeout that leaves room for the tries, or a longer timeout")
	}
	if r := f.Retries; r != nil && len(r.On) == 0 {
		j.problem("route/retries", at+".retries.on", "retries.on is empty: nothing would be retried", "write on: [\"connect-failure\", \"reset\"], or leave out retries")
	}
}
