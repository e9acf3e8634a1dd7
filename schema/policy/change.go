package policy

import (
	"fmt"
	"slices"

	"github.com/edgewright/edgewright/schema"
)

// CheckChange is every breach of a rule about what becomes of one edge in another: what was internal is opened to the public by the
// word of an approver only, and no name goes while another service points at it. unread is as in Check.
func CheckChange(before, after schema.Edge, today schema.Date, unread func(schema.Hostname) bool) []schema.Problem {
	var problems []schema.Problem
	for was, s := range before.Beside(after) {
		if was != nil && s != nil && was.Exposure == schema.Internal && s.Exposure == schema.Public && !opens(after.Platform, *s, today) {
			problems = append(problems, schema.Problem{Code: Opened, Holds: schema.Holding(s.ID), Position: s.Source.Find("exposure"), Path: "services." + string(s.ID) + ".exposure",
				Message: fmt.Sprintf("service %s was internal and would be open to the public: that needs the word of an approver", s.ID),
				Hint:    fmt.Sprintf("add to waivers {rule: %q, reason: \"…\", expires: \"…\", approver: \"…\"}; approvers are %s", Opened, join(after.Platform.Approvers))})
		}
	}
	return append(problems, removed(before, after, unread)...)
}

func opens(p schema.Platform, s schema.Service, today schema.Date) bool {
	return slices.ContainsFunc(s.Waivers, func(w schema.Waiver) bool { return w.Rule == Opened && Approved(p, w, today) })
}

// removed finds the names that nobody declares any more, but to which a service of somebody else redirects.
func removed(before, after schema.Edge, unread func(schema.Hostname) bool) []schema.Problem {
	var problems []schema.Problem
	var held map[schema.Hostname]bool
	var pointing map[schema.Hostname][]pointer
	for was, now := range before.Beside(after) {
		if was == nil || now != nil && slices.Equal(was.Hosts, now.Hosts) {
			continue
		}
		if now == nil {
			now = &schema.Service{}
		}
		if held == nil {
			held, pointing = hostsIn(after), pointers(after)
		}
		for _, h := range hostsOf(was) {
			from := slices.IndexFunc(pointing[h], func(p pointer) bool { return p.service.ID != was.ID })
			if from >= 0 && !held[h] && !unread(h) {
				problems = append(problems, letsGo(*was, *now, h, pointing[h][from]))
			}
		}
	}
	return problems
}

func hostsIn(e schema.Edge) map[schema.Hostname]bool {
	held := map[schema.Hostname]bool{}
	for i := range e.Services {
		for _, h := range hostsOf(&e.Services[i]) {
			held[h] = true
		}
	}
	return held
}

// pointer is a redirect to a host name.
type pointer struct {
	service *schema.Service
	route   int
}

// pointers are the redirects to each host name, in the order of their services and routes.
func pointers(e schema.Edge) map[schema.Hostname][]pointer {
	all := map[schema.Hostname][]pointer{}
	for i := range e.Services {
		s := &e.Services[i]
		for n, r := range s.Routes {
			if redirect, is := r.Action.(schema.Redirect); is && redirect.Host != "" {
				all[redirect.Host] = append(all[redirect.Host], pointer{s, n})
			}
		}
	}
	return all
}

// letsGo is told to who lets a name go that another service redirects to.
func letsGo(was, now schema.Service, h schema.Hostname, from pointer) schema.Problem {
	at := now.Source.Find("hosts")
	if at.File == "" {
		at = schema.Position{File: fmt.Sprintf("services/%s/%s.cue", was.Owner.Team, was.ID), Line: 1, Column: 1}
	}
	return schema.Problem{Code: "host/removed", Holds: schema.Holding(was.ID), Position: at, Path: "services." + string(was.ID) + ".hosts",
		Message: fmt.Sprintf("%s is removed, but route %s of service %s redirects to it", h, from.service.Routes[from.route].Name, from.service.ID), Hint: "change that redirect first, or in the same pull",
		Also: []schema.Position{from.service.Source.Find(fmt.Sprintf("routes[%d].redirect.host", from.route))}}
}
