package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

const (
	maxHops   = 10        // redirects that a client follows before we take them for endless; browsers give up at 20
	maxStarts = 5         // host names of a service that are tried: it has the same routes for all of them
	maxEffort = 2_000_000 // routes and characters of regexes that are looked at for one service
)

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

// hop is a redirect on the way of a client: where it came to, and the route that sends it on.
type hop struct {
	url     string
	service *schema.Service
	route   int
}

// follow goes the way of a request from one redirect to the next. The first route goes round when it is part of a circle, or when the
// client comes to it again and again and never ends; a route that only leads to a circle of others does not.
func (j *judgement) follow(r request, first int) (way []string, also []schema.Position, round bool) {
	var hops []hop
	own := func(h hop) bool { return h.service.ID == j.service.ID && h.route == first }
	service, route := j.service, first
	for range maxHops {
		at := slices.IndexFunc(hops, func(h hop) bool { return h.url == r.url() })
		if at >= 0 {
			circle := hops[at:]
			return urls(append(circle, circle[0])), j.others(circle), slices.ContainsFunc(circle, own)
		}
		hops = append(hops, hop{r.url(), service, route})
		r = r.redirected(service.Routes[route].Action.(schema.Redirect), service.Routes[route].Match.Path)
		if service = j.answers(schema.Hostname(r.host)); service == nil || len(r.path) > maxPath || j.effort > maxEffort {
			return nil, nil, false
		}
		if route = j.redirects(service, r); route < 0 {
			return nil, nil, false
		}
	}
	again := slices.DeleteFunc(slices.Clone(hops), func(h hop) bool { return !own(h) })
	return append(urls(hops[:3]), "…"), j.others(hops), len(again) > 2
}

func urls(hops []hop) []string {
	all := make([]string, len(hops))
	for i, h := range hops {
		all[i] = h.url
	}
	return all
}

// others are the places of the redirects of other services.
func (j *judgement) others(hops []hop) []schema.Position {
	var places []schema.Position
	for _, h := range hops {
		if h.service.ID != j.service.ID {
			places = append(places, h.service.Source.Find(fmt.Sprintf("routes[%d].redirect", h.route)))
		}
	}
	return places
}

// redirects is the route of a service that a request takes, if that is a redirect.
func (j *judgement) redirects(s *schema.Service, r request) int {
	i := slices.IndexFunc(s.Routes, func(o schema.Route) bool { return j.matches(r, o.Match) })
	if i < 0 {
		return -1
	}
	if _, is := s.Routes[i].Action.(schema.Redirect); !is {
		return -1
	}
	return i
}
