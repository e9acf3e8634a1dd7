package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

const (
	maxRegex = 1 << 10
	maxBody  = 64 << 10 // Envoy's bound is higher only by configuration
)

func (c *checker) checkRoutes(s schema.Service) {
	if len(s.Routes) == 0 {
		c.problem("route/none", about{&s, "routes"}, fmt.Sprintf("service %s has no route", s.ID), "a service has at least one route")
	}
	named := map[string]int{}
	catchAll := ""
	for i, r := range s.Routes {
		at := fmt.Sprintf("routes[%d]", i)
		if first, twice := named[r.Name]; twice {
			c.problem("route/name", about{&s, at + ".name"}, fmt.Sprintf("route %s is declared twice", r.Name), "a route's name is unique in its service", s.Source.Find(fmt.Sprintf("routes[%d]", first)))
		}
		named[r.Name] = i
		if catchAll != "" {
			c.problem("route/unreachable", about{&s, at}, fmt.Sprintf("route %s is never reached: %s before it matches every request", r.Name, catchAll), "the first route that matches wins: put the narrow ones first")
		}
		if everything(r.Match) {
			catchAll = r.Name
		}
		c.checkMatch(s, at+".match", r.Match)
		c.checkAction(s, at, r)
		c.checkEdit(s, at+".headers.request", r.Headers.Request)
		c.checkEdit(s, at+".headers.response", r.Headers.Response)
	}
}

func everything(m schema.Match) bool {
	return len(m.Methods)+len(m.Headers) == 0 && (m.Path == nil || m.Path == schema.Prefix("/"))
}

func (c *checker) checkMatch(s schema.Service, at string, m schema.Match) {
	if regex, is := m.Path.(schema.Regex); is {
		if len(regex) > maxRegex {
			c.problem("route/regex", about{&s, at + ".path.regex"}, fmt.Sprintf("a regex has at most %d characters, this one has %d", maxRegex, len(regex)), "match a prefix, or split the route")
		} else if _, err := regexp.Compile(string(regex)); err != nil {
			c.problem("route/regex", about{&s, at + ".path.regex"}, "this is not a regex: "+strings.TrimPrefix(err.Error(), "error parsing regexp: "), "the syntax is RE2's: no look-around, no back-references")
		}
	}
	for i, h := range m.Headers {
		if reserved(h.Name) {
			c.problem("header/reserved", about{&s, fmt.Sprintf("%s.headers[%d].name", at, i)}, fmt.Sprintf("header %s cannot be matched", h.Name), "host names are declared in hosts; x-edgewright-* belongs to the edge")
		}
	}
}

func (c *checker) checkAction(s schema.Service, at string, r schema.Route) {
	switch a := r.Action.(type) {
	case schema.Forward:
		c.checkForward(s, at+".forward", a)
	case schema.Redirect:
		if a.Prefix != "" {
			if _, is := r.Match.Path.(schema.Prefix); !is {
				c.problem("route/redirect", about{&s, at + ".redirect.prefix"}, "redirect.prefix replaces a matched prefix, but this route matches none", "add match: path: prefix, or write redirect: path")
			}
		}
		if a.Scheme == "" && a.Host == "" && a.Path == "" && a.Prefix == "" {
			c.problem("route/redirect", about{&s, at + ".redirect"}, "this redirect changes nothing: it would go round in circles", "write a scheme, host, path or prefix")
		}
	case schema.Respond:
		if len(a.Body) > maxBody {
			c.problem("route/respond", about{&s, at + ".respond.body"}, fmt.Sprintf("a body has at most %d bytes, this one has %d", maxBody, len(a.Body)), "serve it from a backend")
		}
	}
}

func (c *checker) checkForward(s schema.Service, at string, f schema.Forward) {
	if len(f.To) == 0 {
		c.problem("route/forward", about{&s, at + ".to"}, "this route forwards to no backend", "write to: [{backend: \"…\"}]")
		return
	}
	sum := 0
	var seen []schema.BackendID
	for i, d := range f.To {
		where := about{&s, fmt.Sprintf("%s.to[%d].backend", at, i)}
		if _, is := s.Backend(d.Backend); !is {
			c.problem("route/backend", where, fmt.Sprintf("there is no backend %s", d.Backend), "backends of this service: "+known(s.Backends, func(b schema.Backend) string { return string(b.ID) }))
		}
		if slices.Contains(seen, d.Backend) {
			c.problem("route/backend", where, fmt.Sprintf("backend %s is listed twice", d.Backend), "give it the sum of both weights")
		}
		seen, sum = append(seen, d.Backend), sum+d.Weight
	}
	if sum != 100 {
		c.problem("route/weight", about{&s, at + ".to"}, fmt.Sprintf("weights sum to %d, not to 100", sum), "weights are percentages of the requests")
	}
	if r := f.Retries; r != nil && len(r.On) == 0 {
		c.problem("route/retries", about{&s, at + ".retries.on"}, "retries.on is empty: nothing would be retried", "write on: [\"connect-failure\", \"reset\"], or leave out retries")
	}
}

// checkEdit keeps the names that the edge lives by out of header edits.
func (c *checker) checkEdit(s schema.Service, at string, e schema.HeaderEdit) {
	for _, name := range slices.Sorted(maps.Keys(e.Set)) {
		c.checkEditName(s, at+".set."+name, name)
		if _, both := e.Add[name]; both {
			c.problem("header/both", about{&s, at + ".add." + name}, fmt.Sprintf("header %s is both set and added", name), "keep one of the two")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Add)) {
		c.checkEditName(s, at+".add."+name, name)
	}
	for i, name := range e.Remove {
		c.checkEditName(s, fmt.Sprintf("%s.remove[%d]", at, i), name)
	}
}

func (c *checker) checkEditName(s schema.Service, at, name string) {
	if reserved(name) {
		c.problem("header/reserved", about{&s, at}, fmt.Sprintf("header %s cannot be edited", name), "host and the names beginning with : or x-edgewright- belong to the edge")
	}
}

// reserved tells whether a header belongs to the edge: Envoy refuses to edit host and the pseudo-headers, and the scope header
// chooses the routes.
func reserved(name string) bool {
	return name == "host" || strings.HasPrefix(name, ":") || strings.HasPrefix(name, "x-edgewright-")
}
