package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

const (
	maxRegex   = 1 << 10  // characters
	maxBody    = 64 << 10 // bytes; Envoy's bound is higher only by configuration
	maxRoutes  = 200
	maxRegexes = 20
)

func (j *judgement) checkRoutes() {
	s := j.service
	if len(s.Routes) == 0 {
		j.problem("route/none", "routes", fmt.Sprintf("service %s has no route", s.ID), "a service has at least one route")
	}
	j.checkBudget()
	named := map[string]int{}
	for i, r := range s.Routes {
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

// checkBudget bounds what a service makes every proxy of its fleet hold and try.
func (j *judgement) checkBudget() {
	routes, regexes := orElse(j.platform.Limits.Routes, maxRoutes), orElse(j.platform.Limits.Regexes, maxRegexes)
	if n := len(j.service.Routes); n > routes {
		j.problem("budget/routes", "routes", fmt.Sprintf("this service has %d routes, more than the limit of %d", n, routes), "join routes that do the same, or split the service")
	}
	n := 0
	for _, r := range j.service.Routes {
		if _, is := r.Match.Path.(schema.Regex); is {
			n++
		}
	}
	if n > regexes {
		j.problem("budget/regexes", "routes", fmt.Sprintf("this service has %d regular expressions, more than the limit of %d", n, regexes), "match prefixes: they are found at once, regexes are tried one after the other")
	}
}

func orElse(n *int, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return *n
}

func (j *judgement) checkMatch(at string, m schema.Match) {
	if regex, is := m.Path.(schema.Regex); is {
		if len(regex) > maxRegex {
			j.problem("route/regex", at+".path.regex", fmt.Sprintf("a regex has at most %d characters, this one has %d", maxRegex, len(regex)), "match a prefix, or split the route")
		} else if _, err := regexp.Compile(string(regex)); err != nil {
			j.problem("route/regex", at+".path.regex", "this is not a regex: "+strings.TrimPrefix(err.Error(), "error parsing regexp: "), "the syntax is RE2's: no look-around, no back-references")
		}
	}
	for i, h := range m.Headers {
		if reserved(h.Name) {
			j.problem("header/reserved", fmt.Sprintf("%s.headers[%d].name", at, i), fmt.Sprintf("header %s cannot be matched", h.Name), "host names are declared in hosts; x-edgewright-* belongs to the edge")
		}
	}
}

func (j *judgement) checkAction(at string, r schema.Route) {
	switch a := r.Action.(type) {
	case schema.Forward:
		j.checkForward(at+".forward", a)
	case schema.Redirect:
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
		if _, is := j.service.Backend(d.Backend); !is {
			j.problem("route/backend", where, fmt.Sprintf("there is no backend %s", d.Backend), meant(d.Backend, backends, "backends of this service: "+join(backends)))
		}
		if slices.Contains(seen, d.Backend) {
			j.problem("route/backend", where, fmt.Sprintf("backend %s is listed twice", d.Backend), "give it the sum of both weights")
		}
		seen, sum = append(seen, d.Backend), sum+d.Weight
	}
	if sum != 100 {
		j.problem("route/weight", at+".to", fmt.Sprintf("weights sum to %d, not to 100", sum), "weights are percentages of the requests")
	}
	if r := f.Retries; r != nil && len(r.On) == 0 {
		j.problem("route/retries", at+".retries.on", "retries.on is empty: nothing would be retried", "write on: [\"connect-failure\", \"reset\"], or leave out retries")
	}
}
