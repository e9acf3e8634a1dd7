package policy

import (
	"path"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// request is what a client asks for, as far as routes look at it.
type request struct {
	scheme, host, path, method string
	headers                    map[string]string
}

func (r request) url() string { return r.scheme + "://" + r.host + r.path }

// starts are requests that a route matches.
func starts(hosts []schema.Hostname, m schema.Match) []request {
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
		for _, path := range startPaths(m.Path) {
			r := first
			r.host, r.path = strings.Replace(string(h), "*", "any", 1), path
			all = append(all, r)
		}
	}
	return all
}

func startPaths(m schema.PathMatch) []string {
	switch p := m.(type) {
	case schema.Prefix:
		trimmed := strings.TrimRight(string(p), "/")
		return []string{trimmed + "/", trimmed + "/x"}
	case schema.Exact:
		return []string{string(p)}
	case schema.Regex:
		if parsed, err := syntax.Parse(string(p), syntax.Perl); err == nil && programSize(parsed) <= maxProgram {
			return []string{sample(parsed)}
		}
		return nil
	}
	return []string{"/", "/x"}
}

// redirected is the request that a client makes next.
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
	r.path = normal(r.path)
	return r
}

// normal is a path as proxies see it: without double slashes and dots.
func normal(p string) string {
	if p == "" {
		return p
	}
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// matches tells whether a proxy would take the request for what a route wants.
func (j *judgement) matches(r request, m schema.Match) bool {
	j.effort++
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
		j.effort += len(r.path)
		if whole := j.index.expression(p); whole == nil || !whole.MatchString(r.path) {
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
