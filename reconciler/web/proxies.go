package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/schema"
)

// Explained is what a fleet does with a request, and which of its proxies do so already.
type Explained struct {
	reconciler.Explained
	Proxies []ExplainedProxy `json:"proxies"` // by name
}

// ExplainedProxy is a proxy of a fleet, and whether it has what the fleet is served for a service.
type ExplainedProxy struct {
	Node string `json:"node"`
	Has  bool   `json:"has"`
}

// apiExplain answers GET /api/v1/explain?host=&path=&method=&exposure=&header=name=value.
func (s *server) apiExplain(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	ask := reconciler.ExplainQuery{Request: render.Request{Host: q.Get("host"), Path: q.Get("path"), Method: q.Get("method"), Header: map[string][]string{}, Exposure: schema.Exposure(q.Get("exposure"))}}
	for _, h := range q["header"] {
		name, value, is := strings.Cut(h, "=")
		if !is {
			http.Error(w, fmt.Sprintf("header %q: want name=value", h), http.StatusBadRequest)
			return
		}
		ask.Header[strings.ToLower(name)] = append(ask.Header[strings.ToLower(name)], value)
	}
	got, err := s.Loop.Explain(r.Context(), ask)
	if err != nil {
		s.refuse(w, err)
		return
	}
	out := make([]Explained, 0, len(got))
	for _, one := range got {
		out = append(out, s.withProxies(one))
	}
	answer(w, out)
}

func (s *server) withProxies(of reconciler.Explained) Explained {
	out := Explained{Explained: of, Proxies: []ExplainedProxy{}}
	versions := s.Proxies.Versions(of.Fleet, of.Service)
	for _, n := range s.Proxies.Nodes() {
		if n.Fleet == of.Fleet && of.Service != "" {
			out.Proxies = append(out.Proxies, ExplainedProxy{n.ID, versions[n.ID] == of.Version})
		}
	}
	return out
}

func (s *server) apiProxy(w http.ResponseWriter, r *http.Request) {
	got, err := s.inspect(r)
	switch {
	case errors.Is(err, xds.ErrNotConnected):
		http.Error(w, fmt.Sprintf("no proxy %q of fleet %q: %v", r.PathValue("node"), r.PathValue("fleet"), err), http.StatusNotFound)
	case err != nil:
		s.refuse(w, err)
	default:
		answer(w, got)
	}
}

func (s *server) inspect(r *http.Request) (xds.Inspected, error) {
	return s.Proxies.Inspect(r.Context(), schema.FleetID(r.PathValue("fleet")), r.PathValue("node"))
}

const mostDiffering = 200 // resources of a type that a page lists

// proxy shows what one proxy has beside what it would have.
func (s *server) proxy(w http.ResponseWriter, r *http.Request) {
	got, err := s.inspect(r)
	if err != nil {
		s.outcome(w, r, http.StatusNotFound, "not found", fmt.Sprintf("There is nothing to show of a proxy %q of fleet %q: %v.", r.PathValue("node"), r.PathValue("fleet"), err))
		return
	}
	p := s.page(r, got.Node.ID)
	p.Proxy = got
	s.write(w, http.StatusOK, "proxy", p)
}

// FirstDiffering are those resources of a type that the page lists.
func (p page) FirstDiffering(t xds.InspectedType) []xds.InspectedResource {
	return t.Differ[:min(mostDiffering, len(t.Differ))]
}

// MoreDiffering is how many FirstDiffering leaves out.
func (p page) MoreDiffering(t xds.InspectedType) int { return max(0, len(t.Differ)-mostDiffering) }
