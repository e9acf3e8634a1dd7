package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Route says what happens to the requests that match. Its name is unique in its service.
type Route struct {
	Name    string
	Match   Match
	Action  Action
	Headers HeaderEdits
}

// Match is true when all its parts are; the zero Match is true for every request.
type Match struct {
	Path    PathMatch     `json:"-"` // nil matches every path
	Methods []string      `json:"methods,omitempty"`
	Headers []HeaderMatch `json:"headers,omitempty"`
}

// PathMatch is Prefix, Exact or Regex, applied to the path without its query.
type PathMatch interface{ pathMatch() }

type (
	// Prefix matches whole path segments: /api matches /api and /api/x, not /apix.
	Prefix string
	// Exact matches the whole path.
	Exact string
	// Regex is RE2 and matches the whole path.
	Regex string
)

func (Prefix) pathMatch() {}
func (Exact) pathMatch()  {}
func (Regex) pathMatch()  {}

// HeaderMatch is true when the header is there and, with Exact set, has exactly this value. Name is lower case.
type HeaderMatch struct {
	Name  string  `json:"name"`
	Exact *string `json:"exact,omitempty"`
}

// Action is Forward, Redirect or Respond.
type Action interface{ action() }

// Forward sends the request to backends by weight. Weights sum to 100.
type Forward struct {
	To      []Destination `json:"to"`
	Timeout Duration      `json:"timeout,omitzero"` // zero: 15s
	Retries *Retries      `json:"retries,omitempty"`
}

// Destination is one share of a Forward.
type Destination struct {
	Backend BackendID `json:"backend"`
	Weight  int       `json:"weight"`
}

// Retries are attempts after the first one. On holds Envoy's retry_on terms.
type Retries struct {
	Attempts      int      `json:"attempts"`
	On            []string `json:"on"`
	PerTryTimeout Duration `json:"perTryTimeout,omitzero"`
}

// Redirect answers with a Location header. Empty parts keep those of the request; Path and Prefix exclude each other.
type Redirect struct {
	Scheme string   `json:"scheme,omitempty"`
	Host   Hostname `json:"host,omitempty"`
	Path   string   `json:"path,omitempty"`   // replaces the whole path
	Prefix string   `json:"prefix,omitempty"` // replaces the matched prefix
	Code   int      `json:"code"`             // 301, 302, 303, 307 or 308
}

// Respond answers from the proxy itself.
type Respond struct {
	Status      int    `json:"status"`
	Body        string `json:"body,omitempty"`
	ContentType string `json:"contentType,omitempty"` // empty: text/plain
}

func (Forward) action()  {}
func (Redirect) action() {}
func (Respond) action()  {}

// HeaderEdits change headers on the way in (Request) and on the way out (Response).
type HeaderEdits struct {
	Request  HeaderEdit `json:"request,omitzero"`
	Response HeaderEdit `json:"response,omitzero"`
}

// HeaderEdit removes, then sets (overwrites), then adds (appends). Names are lower case.
type HeaderEdit struct {
	Set    map[string]string `json:"set,omitempty"`
	Add    map[string]string `json:"add,omitempty"`
	Remove []string          `json:"remove,omitempty"`
}

// edits tells whether a header is changed.
func (h HeaderEdit) edits(name string) bool {
	_, set := h.Set[name]
	_, added := h.Add[name]
	return set || added || slices.Contains(h.Remove, name)
}

// IsZero tells whether nothing is edited.
func (h HeaderEdit) IsZero() bool { return len(h.Set)+len(h.Add)+len(h.Remove) == 0 }

// IsZero tells whether nothing is edited in either direction.
func (h HeaderEdits) IsZero() bool { return h.Request.IsZero() && h.Response.IsZero() }

type routeJSON struct {
	Name     string      `json:"name"`
	Match    matchJSON   `json:"match,omitzero"`
	Forward  *Forward    `json:"forward,omitempty"`
	Redirect *Redirect   `json:"redirect,omitempty"`
	Respond  *Respond    `json:"respond,omitempty"`
	Headers  HeaderEdits `json:"headers,omitzero"`
}

type matchJSON struct {
	Path    *pathJSON     `json:"path,omitempty"`
	Methods []string      `json:"methods,omitempty"`
	Headers []HeaderMatch `json:"headers,omitempty"`
}

type pathJSON struct {
	Prefix *Prefix `json:"prefix,omitempty"`
	Exact  *Exact  `json:"exact,omitempty"`
	Regex  *Regex  `json:"regex,omitempty"`
}

// IsZero lets encoding/json leave out a match that says nothing.
func (m matchJSON) IsZero() bool {
	return m.Path == nil && len(m.Methods) == 0 && len(m.Headers) == 0
}

// MarshalJSON writes a route as it is declared.
func (r Route) MarshalJSON() ([]byte, error) {
	out := routeJSON{Name: r.Name, Headers: r.Headers}
	out.Match = matchJSON{Methods: r.Match.Methods, Headers: r.Match.Headers}
	switch p := r.Match.Path.(type) {
	case Prefix:
		out.Match.Path = &pathJSON{Prefix: &p}
	case Exact:
		out.Match.Path = &pathJSON{Exact: &p}
	case Regex:
		out.Match.Path = &pathJSON{Regex: &p}
	}
	switch a := r.Action.(type) {
	case Forward:
		out.Forward = &a
	case Redirect:
		out.Redirect = &a
	case Respond:
		out.Respond = &a
	default:
		return nil, fmt.Errorf("route %q has no action", r.Name)
	}
	return json.Marshal(out)
}

// UnmarshalJSON refuses a route that has not exactly one action, and a path with more than one kind of match.
func (r *Route) UnmarshalJSON(data []byte) error {
	var in routeJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*r = Route{Name: in.Name, Headers: in.Headers, Match: Match{Methods: in.Match.Methods, Headers: in.Match.Headers}}
	if err := r.setPath(in.Match.Path); err != nil {
		return fmt.Errorf("route %q: %w", in.Name, err)
	}
	actions := 0
	if in.Forward != nil {
		r.Action, actions = *in.Forward, actions+1
	}
	if in.Redirect != nil {
		r.Action, actions = *in.Redirect, actions+1
	}
	if in.Respond != nil {
		r.Action, actions = *in.Respond, actions+1
	}
	if actions != 1 {
		return fmt.Errorf("route %q has %d actions, want exactly one of forward, redirect and respond", in.Name, actions)
	}
	return nil
}

func (r *Route) setPath(p *pathJSON) error {
	if p == nil {
		return nil
	}
	set := 0
	if p.Prefix != nil {
		r.Match.Path, set = *p.Prefix, set+1
	}
	if p.Exact != nil {
		r.Match.Path, set = *p.Exact, set+1
	}
	if p.Regex != nil {
		r.Match.Path, set = *p.Regex, set+1
	}
	if set != 1 {
		return errors.New("path wants exactly one of prefix, exact and regex")
	}
	return nil
}
