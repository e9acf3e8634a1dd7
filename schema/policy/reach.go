package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// checkReach finds a route that no request comes to, because one before it matches whatever it matches.
func (j *judgement) checkReach(at string, r schema.Route, before []schema.Route) {
	for i, b := range before {
		if !includes(b.Match, r.Match) {
			continue
		}
		what := "every request that it matches"
		if everything(b.Match) {
			if i < len(before)-1 {
				return // that is told once, of the route after it
			}
			what = "every request"
		}
		j.problem("route/unreachable", at, fmt.Sprintf("route %s is never reached: %s before it matches %s", r.Name, b.Name, what),
			"the first route that matches wins: put the narrow ones first", j.service.Source.Find(fmt.Sprintf("routes[%d]", i)))
		return
	}
}

func everything(m schema.Match) bool {
	return len(m.Methods)+len(m.Headers) == 0 && (m.Path == nil || m.Path == schema.Prefix("/"))
}

// includes tells whether the wide match is true for every request for which the narrow one is, as far as that can be seen: of a
// regular expression only that it equals another.
func includes(wide, narrow schema.Match) bool {
	return includesPath(wide.Path, narrow.Path) && includesMethods(wide.Methods, narrow.Methods) && includesHeaders(wide.Headers, narrow.Headers)
}

func includesPath(wide, narrow schema.PathMatch) bool {
	switch w := wide.(type) {
	case nil:
		return true
	case schema.Prefix:
		switch n := narrow.(type) {
		case schema.Prefix:
			return segments(string(w), string(n))
		case schema.Exact:
			return segments(string(w), string(n))
		}
		return w == "/"
	}
	return wide == narrow
}

// segments tells whether a path is a prefix or lies below it, by whole segments. /api/ is the same prefix as /api.
func segments(prefix, path string) bool {
	rest, is := strings.CutPrefix(path, strings.TrimRight(prefix, "/"))
	return is && (rest == "" || rest[0] == '/')
}

func includesMethods(wide, narrow []string) bool {
	if len(wide) == 0 {
		return true
	}
	return len(narrow) > 0 && !slices.ContainsFunc(narrow, func(m string) bool { return !slices.Contains(wide, m) })
}

// includesHeaders asks that whatever the wide match wants is wanted by the narrow one too.
func includesHeaders(wide, narrow []schema.HeaderMatch) bool {
	for _, w := range wide {
		if !slices.ContainsFunc(narrow, func(n schema.HeaderMatch) bool {
			return n.Name == w.Name && (w.Exact == nil || n.Exact != nil && *n.Exact == *w.Exact)
		}) {
			return false
		}
	}
	return true
}
