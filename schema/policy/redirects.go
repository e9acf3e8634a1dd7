package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/edgewright/edgewright/schema"
)

// maxHops is how many redirects a client is sent through before it is taken for endless. Browsers give up at 20.
const maxHops = 10

// maxStarts bounds the host names of a service that are tried: one that has more names has the same routes for all of them.
const maxStarts = 5

// request is what a client asks for, as far as routes look at it.
type request struct {
	scheme, host, path, method string
	headers                    map[string]string
}

func (r request) url() string { return r.scheme + "://" + r.host + r.path }

// checkRedirects follows every redirect through the edge, over the services of others too.
func (j *judgement) checkRedirects() {
	for i, r := range j.service.Routes {
		redirect, is := r.Action.(schema.Redirect)
		if !is {
			continue
		}
		at := fmt.Sprintf("routes[%d].redirect", i)
		if redirect.Host != "" && j.answers(redirect.Host) == nil && j.ours(redirect.Host) {
			told := j.Verdict
			j.Verdict = Verdict{}
			j.problem("redirect/dangling", at+".host", fmt.Sprintf("nothing on this edge answers for %s", redirect.Host), "name a host that a service declares, or declare it in the same pull")
			j.dangling, j.Verdict = append(j.dangling, dangling{redirect.Host, j.Verdict}), told
		}
		if unmatched(redirect, r.Match) || redirect.Scheme == "" && redirect.Host == "" && redirect.Path == "" && redirect.Prefix == "" { // told already
			continue
		}
		for _, start := range starts(j.service.Hosts, r.Match) {
			if way, also, round := j.follow(start, i); round {
				j.problem("redirect/loop", at, "this redirect goes round in circles: "+strings.Join(way, " → "), "change one of them, or match only what shall be redirected", also...)
				break
			}
		}
	}
}

// ours tells whether a name is in a domain of one of the teams.
func (j *judgement) ours(h schema.Hostname) bool {
	return slices.ContainsFunc(j.platform.Teams, func(t schema.Team) bool { return covers(t, h) })
}

// starts are requests that a route matches. There are none for a regular expression.
func starts(hosts []schema.Hostname, m schema.Match) []request {
	var paths []string
	switch p := m.Path.(type) {
	case nil:
		paths = []string{"/", "/x"}
	case schema.Prefix:
		trimmed := strings.TrimRight(string(p), "/")
		paths = []string{trimmed + "/", trimmed + "/x"}
	case schema.Exact:
		paths = []string{string(p)}
	}
	first := request{scheme: "https", method: "GET", headers: map[string]string{}}
	if len(m.Methods) > 0 {
		first.method = m.Methods[0]
	}
	for _, h := range m.Headers {
		first.headers[h.Name] = "x"
		if h.Exact != nil {
			first.headers[h.Name] = *h.Exact
		}
	}
	if scheme := first.headers["x-forwarded-proto"]; scheme != "" {
		first.scheme = scheme
	}
	var all []request
	for _, h := range hosts[:min(len(hosts), maxStarts)] {
		for _, path := range paths {
			r := first
			r.host, r.path = strings.Replace(string(h), "*", "any", 1), path
			all = append(all, r)
		}
	}
	return all
}

// follow goes the way of a request from one redirect to the next. It goes round when it comes back to the URL where it began, or when
// it comes to the same route again and again and never ends.
func (j *judgement) follow(r request, first int) (way []string, also []schema.Position, round bool) {
	service, route, start, again := j.service, first, r.url(), 0
	way = []string{start}
	for range maxHops {
		r = r.redirected(service.Routes[route].Action.(schema.Redirect), service.Routes[route].Match.Path)
		switch at := slices.Index(way, r.url()); {
		case at == 0:
			return append(way, start), also, true
		case at > 0: // it only leads to where others go round
			return nil, nil, false
		}
		way = append(way, r.url())
		if service = j.answers(schema.Hostname(r.host)); service == nil {
			return nil, nil, false
		}
		if route = redirects(service.Routes, r); route < 0 {
			return nil, nil, false
		}
		if service.ID == j.service.ID && route == first {
			again++
		} else if service.ID != j.service.ID {
			also = append(also, service.Source.Find(fmt.Sprintf("routes[%d].redirect", route)))
		}
	}
	return append(way[:3:3], "…"), also, again > 1
}

// redirects is the route that a request takes, if that is a redirect.
func redirects(routes []schema.Route, r request) int {
	i := slices.IndexFunc(routes, func(o schema.Route) bool { return r.matches(o.Match) })
	if i < 0 {
		return -1
	}
	if _, is := routes[i].Action.(schema.Redirect); !is {
		return -1
	}
	return i
}

func (r request) redirected(to schema.Redirect, matched schema.PathMatch) request {
	if to.Scheme != "" {
		r.scheme = to.Scheme
	}
	if to.Host != "" {
		r.host = string(to.Host)
	}
	prefix, _ := matched.(schema.Prefix)
	switch {
	case to.Path != "":
		r.path = to.Path[:(strings.IndexAny(to.Path+"?", "?#"))]
	case to.Prefix != "":
		r.path = strings.TrimRight(to.Prefix, "/") + "/" + strings.TrimLeft(strings.TrimPrefix(r.path, strings.TrimRight(string(prefix), "/")), "/")
	}
	return r
}

func (r request) matches(m schema.Match) bool {
	switch p := m.Path.(type) {
	case schema.Prefix:
		if !segments(string(p), r.path) {
			return false
		}
	case schema.Exact:
		if string(p) != r.path {
			return false
		}
	case schema.Regex:
		if whole := expressions.compile("^(?:" + string(p) + ")$"); whole == nil || !whole.MatchString(r.path) {
			return false
		}
	}
	if len(m.Methods) > 0 && !slices.Contains(m.Methods, r.method) {
		return false
	}
	for _, h := range m.Headers {
		value, sent := r.headers[h.Name]
		if h.Name == "x-forwarded-proto" {
			value, sent = r.scheme, true
		}
		if !sent || h.Exact != nil && *h.Exact != value {
			return false
		}
	}
	return true
}

// expressions are compiled once: what compiles slowly is asked for again and again, by each redirect that may lead there.
var expressions = compiledOnce{known: map[string]*regexp.Regexp{}}

type compiledOnce struct {
	mu    sync.Mutex
	known map[string]*regexp.Regexp // nil: it does not compile
}

const mostExpressions = 10_000

func (c *compiledOnce) compile(expression string) *regexp.Regexp {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, is := c.known[expression]; is {
		return known
	}
	if len(c.known) >= mostExpressions {
		clear(c.known)
	}
	compiled, err := regexp.Compile(expression)
	if err != nil {
		compiled = nil
	}
	c.known[expression] = compiled
	return compiled
}
