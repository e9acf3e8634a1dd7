package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/xds"
)

// pages adds everything that people look at.
func (s *server) pages(mux *http.ServeMux) {
	mux.HandleFunc("GET /static/style.css", asset(style, "text/css"))
	mux.HandleFunc("GET /static/live.js", asset(script, "text/javascript"))
	mux.HandleFunc("GET /static/icon.svg", asset(icon, "image/svg+xml"))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		p := s.page(r, "status")
		p.Title = p.Verdict()
		s.write(w, http.StatusOK, "status", p)
	})
	mux.HandleFunc("GET /services/{id}", s.service)
	mux.HandleFunc("GET /pulls/{number}", s.pull)
	mux.HandleFunc("GET /resources", s.resources)
	mux.HandleFunc("GET /proxies/{fleet}/{node}", s.proxy)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		s.outcome(w, r, http.StatusNotFound, "not found", "There is no such page.")
	})
	forms := http.NewCrossOriginProtection()
	forms.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.outcome(w, r, http.StatusForbidden, "refused", "That form came from another site. Nothing was done.")
	}))
	mux.Handle("POST /login", forms.Handler(http.HandlerFunc(s.login)))
	mux.Handle("POST /settle", forms.Handler(http.HandlerFunc(s.settle)))
	mux.Handle("POST /apply", forms.Handler(http.HandlerFunc(s.apply)))
}

func (s *server) service(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	p := s.page(r, id)
	at := slices.IndexFunc(p.Services, func(one reconciler.ServiceView) bool { return string(one.ID) == id })
	if at < 0 {
		s.outcome(w, r, http.StatusNotFound, "not found", fmt.Sprintf("There is no service %q.", id))
		return
	}
	p.Service = p.Services[at]
	p.Touching = slices.DeleteFunc(slices.Clone(p.Steps), func(one reconciler.StepView) bool { return string(one.Service) != id })
	p.RefusedBy = slices.DeleteFunc(slices.Clone(p.Refusals), func(one xds.Refusal) bool { return string(one.Service) != id })
	s.write(w, http.StatusOK, "service", p)
}

const mostResources = 500 // that a page lists

func (s *server) resources(w http.ResponseWriter, r *http.Request) {
	p := s.page(r, "resources")
	if !p.Leader.Leads {
		s.outcome(w, r, http.StatusServiceUnavailable, "resources", "They are listed where it is known what is: "+whoLeads(p.Leader)+".")
		return
	}
	var err error
	p.Query = resourcesOf(r, mostResources)
	if p.Resources, err = s.Loop.Resources(r.Context(), p.Query); err != nil {
		s.Log.Error("list resources", "error", err)
		s.outcome(w, r, http.StatusServiceUnavailable, "resources", "They cannot be listed now: "+err.Error())
		return
	}
	s.write(w, http.StatusOK, "resources", p)
}

func (s *server) pull(w http.ResponseWriter, r *http.Request) {
	p := s.page(r, "")
	number, err := strconv.Atoi(r.PathValue("number"))
	is := func(one reconciler.PullView) bool { return err == nil && one.Number == number }
	if at := slices.IndexFunc(p.Pulls, is); at >= 0 {
		p.Pull = p.Pulls[at]
	} else if at := slices.IndexFunc(p.Merged, is); at >= 0 {
		p.Pull, p.PullMerged = p.Merged[at], true
	} else {
		s.outcome(w, r, http.StatusNotFound, "not found", "That pull is not open and was not merged lately.")
		return
	}
	p.Title, p.Comment = fmt.Sprintf("pull #%d", number), markdown(p.Pull.Comment)
	s.write(w, http.StatusOK, "pull", p)
}
