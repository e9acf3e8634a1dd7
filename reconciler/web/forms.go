package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/reconciler"
)

// form reads a bounded form. On false the answer is written.
func (s *server) form(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxApply)
	err := r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &large):
		s.outcome(w, r, http.StatusRequestEntityTooLarge, "refused", "That form is too large.")
	default:
		s.outcome(w, r, http.StatusBadRequest, "refused", "That form cannot be read.")
	}
	return false
}

// login takes the token of the state folder for a session. It stands in the body only: query strings end up in logs.
func (s *server) login(w http.ResponseWriter, r *http.Request) {
	if !s.form(w, r) {
		return
	}
	if !s.knows(strings.TrimSpace(r.PostForm.Get("token"))) {
		s.Log.Warn("login refused", "from", r.RemoteAddr)
		s.outcome(w, r, http.StatusUnauthorized, "not logged in", "That is not the token of the state folder.")
		return
	}
	s.sessions.begin(w, r.TLS != nil)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// guarded tells whether the form came from a page that we gave to somebody who is logged in, and this process leads. On false the answer
// is written.
func (s *server) guarded(w http.ResponseWriter, r *http.Request) bool {
	if now := s.Leader(); !now.Leads {
		s.outcome(w, r, http.StatusServiceUnavailable, "not applied", "Refused: "+whoLeads(now)+".")
		return false
	}
	one, ok := s.sessions.of(r)
	if ok && one.guards(r.PostForm.Get("csrf")) {
		return true
	}
	s.outcome(w, r, http.StatusForbidden, "not applied", "The page was too old, or nobody is logged in. Go back to the status page and log in.")
	return false
}

// settle is the buttons beside a record that others made or changed.
func (s *server) settle(w http.ResponseWriter, r *http.Request) {
	if !s.form(w, r) || !s.guarded(w, r) {
		return
	}
	q := reconciler.Settle{Choice: reconciler.Choice(r.PostForm.Get("choice")), Names: []string{r.PostForm.Get("name")}, Zone: r.PostForm.Get("zone"), Identity: "page"}
	got, err := s.Loop.Settle(r.Context(), q)
	var refused *reconciler.Refused
	switch {
	case errors.As(err, &refused):
		s.outcome(w, r, http.StatusConflict, "not done", "Refused: "+refused.Why)
	case err != nil:
		s.Log.Error("settle", "choice", q.Choice, "error", err)
		s.outcome(w, r, http.StatusInternalServerError, "not done", "That went wrong: "+err.Error())
	case q.Choice == reconciler.ChooseAdopt:
		s.outcome(w, r, http.StatusOK, "planned", fmt.Sprintf("%s is to be adopted. Nothing was done yet: read the plan on the status page and agree to it there.", q.Names[0]))
	default:
		s.outcome(w, r, http.StatusOK, "decided", fmt.Sprintf("Records that this is for: %d.", len(got.Keys)))
	}
}

// apply is the button.
func (s *server) apply(w http.ResponseWriter, r *http.Request) {
	if !s.form(w, r) {
		return
	}
	if !s.guarded(w, r) {
		return
	}
	q := reconciler.Apply{Digest: r.PostForm.Get("digest"), Identity: "page"}
	if typed := strings.TrimSpace(r.PostForm.Get("confirm")); typed != "" {
		count, err := strconv.Atoi(typed)
		if err != nil {
			s.outcome(w, r, http.StatusBadRequest, "not applied", fmt.Sprintf("%q is no count of deletions. Nothing was done.", typed))
			return
		}
		q.ConfirmDeletes = count
	}
	agreed, err := s.Loop.Apply(r.Context(), q)
	var refused *reconciler.Refused
	switch {
	case errors.As(err, &refused):
		s.outcome(w, r, http.StatusConflict, "not applied", "Refused: "+refused.Why)
	case err != nil:
		s.Log.Error("apply", "digest", q.Digest, "error", err)
		s.outcome(w, r, http.StatusInternalServerError, "not applied", "That went wrong: "+err.Error())
	default:
		s.outcome(w, r, http.StatusOK, "agreed", fmt.Sprintf("Steps that will be applied: %d, by digest %s.", len(agreed.Steps), q.Digest))
	}
}
