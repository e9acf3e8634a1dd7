// Package policy judges declarations by the rules that hold between them and within them: names that clash, references to what is
// not declared, host names that a team may not use.
//
// It reads no files and knows nothing of what exists in the world: guards, which judge plans, are in reconciler/plan.
package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// Check is every breach of a rule, in no order.
func Check(e schema.Edge) []schema.Problem {
	c := &checker{platform: e.Platform, holders: map[schema.Hostname][]schema.Service{}}
	c.checkPlatform()
	for _, s := range e.Services {
		for _, h := range s.Hosts {
			if !slices.ContainsFunc(c.holders[h], func(o schema.Service) bool { return o.ID == s.ID }) {
				c.holders[h] = append(c.holders[h], s)
			}
		}
	}
	for _, s := range e.Services {
		c.checkService(s)
	}
	return c.problems
}

type checker struct {
	platform schema.Platform
	holders  map[schema.Hostname][]schema.Service
	problems []schema.Problem
}

// about is where a problem is: a path in a service, or in the platform when service is nil.
type about struct {
	service *schema.Service
	path    string
}

func (c *checker) problem(code schema.Code, at about, message, hint string, also ...schema.Position) {
	p := schema.Problem{Code: code, Path: at.path, Message: message, Hint: hint, Also: also}
	if at.service == nil {
		p.Position = c.platform.Source.Find(at.path)
	} else {
		p.Position, p.Service = at.service.Source.Find(at.path), at.service.ID
		p.Path = strings.TrimSuffix("services."+string(at.service.ID)+"."+at.path, ".")
	}
	c.problems = append(c.problems, p)
}

func (c *checker) checkPlatform() {
	p := c.platform
	if p.Name == "" {
		c.problem("platform/name", about{}, "the platform has no name", `write name: "…" in one file of platform/: it marks what belongs to this edge in AWS`)
	}
	for _, f := range p.Fleets {
		at := "fleets." + string(f.ID)
		if len(f.Listeners) == 0 {
			c.problem("fleet/listeners", about{path: at}, at+" listens nowhere", "write listeners: public: port: 443, or internal")
		}
		if len(f.Addresses) == 0 {
			c.problem("fleet/addresses", about{path: at}, at+" has no addresses", "write the addresses that host names shall resolve to")
		}
		for i, l := range f.Listeners {
			if slices.ContainsFunc(f.Listeners[:i], func(o schema.Listener) bool { return o.Port == l.Port }) {
				c.problem("fleet/port", about{path: at + ".listeners." + string(l.Exposure)}, fmt.Sprintf("%s listens twice on port %d", at, l.Port), "each exposure has a port of its own")
			}
		}
	}
	for _, t := range p.Teams {
		for i, d := range t.Domains {
			if strings.HasPrefix(string(d), "*.") {
				c.problem("team/domain", about{path: fmt.Sprintf("teams.%s.domains[%d]", t.ID, i)}, fmt.Sprintf("domain %s of team %s is a wildcard", d, t.ID), "a domain covers every name below it already: leave out *.")
			}
		}
	}
	for _, z := range p.Zones {
		if strings.HasPrefix(string(z.Name), "*.") {
			c.problem("zone/name", about{path: "zones." + string(z.Name)}, fmt.Sprintf("zone %s is a wildcard", z.Name), "name the hosted zone")
		}
	}
}

func (c *checker) checkService(s schema.Service) {
	c.checkOwner(s)
	c.checkFleet(s)
	c.checkHosts(s)
	c.checkBackends(s)
	c.checkRoutes(s)
}

func (c *checker) checkOwner(s schema.Service) {
	if _, is := c.platform.Team(s.Owner.Team); !is {
		c.problem("owner/team", about{&s, "owner.team"}, fmt.Sprintf("there is no team %s", s.Owner.Team), "teams are declared in platform/: "+known(c.platform.Teams, func(t schema.Team) string { return string(t.ID) }))
	}
}

func (c *checker) checkFleet(s schema.Service) {
	fleet, is := c.platform.Fleet(s.Fleet)
	if !is {
		c.problem("fleet/unknown", about{&s, "fleet"}, fmt.Sprintf("there is no fleet %s", s.Fleet), "fleets are declared in platform/: "+known(c.platform.Fleets, func(f schema.Fleet) string { return string(f.ID) }))
		return
	}
	if _, listens := fleet.Listener(s.Exposure); !listens && len(fleet.Listeners) > 0 { // a fleet without any is told once
		c.problem("fleet/exposure", about{&s, "exposure"}, fmt.Sprintf("fleet %s takes no %s requests", s.Fleet, s.Exposure), "choose another fleet or exposure, or ask the platform team for a listener")
	}
}

func (c *checker) checkHosts(s schema.Service) {
	if len(s.Hosts) == 0 {
		c.problem("host/none", about{&s, "hosts"}, fmt.Sprintf("service %s has no host name", s.ID), "a service is reached by at least one host name")
	}
	team, exists := c.platform.Team(s.Owner.Team)
	for i, h := range s.Hosts {
		at := about{&s, fmt.Sprintf("hosts[%d]", i)}
		if len(h) > 253 {
			c.problem("host/length", at, fmt.Sprintf("a host name has at most 253 characters, this one has %d", len(h)), "shorten it")
		}
		if slices.Index(s.Hosts, h) < i {
			c.problem("host/twice", at, fmt.Sprintf("%s is listed twice", h), "remove one of the two")
		}
		if exists && !slices.ContainsFunc(team.Domains, func(d schema.Hostname) bool { return plain(h).Within(plain(d)) }) {
			c.problem("host/domain", at, fmt.Sprintf("team %s may not use %s", team.ID, h), fmt.Sprintf("its domains are %s; the platform team can add one", join(team.Domains)))
		}
		if _, hosted := c.platform.ZoneFor(plain(h), s.Exposure); !hosted {
			c.problem("host/zone", at, fmt.Sprintf("no %s zone holds %s", s.Exposure, h), "zones are declared in platform/: "+c.zones(s.Exposure))
		}
		for _, other := range c.holders[h] {
			if other.ID != s.ID {
				c.problem("host/duplicate", at, fmt.Sprintf("%s is also claimed by service %s of team %s", h, other.ID, other.Owner.Team),
					"a host name belongs to one service: agree who keeps it, or move both in one pull", other.Source.Find("hosts"))
			}
		}
	}
}

// plain is a host name without the wildcard label.
func plain(h schema.Hostname) schema.Hostname {
	return schema.Hostname(strings.TrimPrefix(string(h), "*."))
}

func (c *checker) zones(e schema.Exposure) string {
	var names []schema.Hostname
	for _, z := range c.platform.Zones {
		if z.Exposure == e {
			names = append(names, z.Name)
		}
	}
	return join(names)
}

func (c *checker) checkBackends(s schema.Service) {
	for _, b := range s.Backends {
		addresses, is := b.Location.(schema.Addresses)
		for i, a := range addresses {
			if is && slices.Index(addresses, a) < i {
				c.problem("backend/twice", about{&s, fmt.Sprintf("backends.%s.addresses[%d]", b.ID, i)}, fmt.Sprintf("address %s is listed twice", a), "remove one of the two; shares are set with weights")
			}
		}
	}
}

func known[T any](items []T, name func(T) string) string {
	var names []string
	for _, item := range items {
		names = append(names, name(item))
	}
	if len(names) == 0 {
		return "none so far"
	}
	return strings.Join(names, ", ")
}

func join(names []schema.Hostname) string {
	return known(names, func(h schema.Hostname) string { return string(h) })
}
