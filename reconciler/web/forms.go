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

// apply is the button.
func (s *server) apply(w http.ResponseWriter, r *http.Request) {
	if !s.form(w, r) {
		return
	}
	one, ok := s.sessions.of(r)
	if !ok || !one.guards(r.PostForm.Get("csrf")) {
		s.outcome(w, r, http.StatusForbidden, "not applied", "The page was too old, or nobody is logged in. Go back to the status page and log in.")
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
	steps := s.pending()
	err := s.Loop.Apply(r.Context(), q)
	var refused *reconciler.Refused
	switch {
	case errors.As(err, &refused):
		s.outcome(w, r, http.StatusConflict, "not applied", "Refused: "+refused.Why)
	case err != nil:
		s.Log.Error("apply", "digest", q.Digest, "error", err)
		s.outcome(w, r, http.StatusInternalServerError, "not applied", "That went wrong: "+err.Error())
	default:
		s.outcome(w, r, http.StatusOK, "agreed", fmt.Sprintf("Steps that will be applied: %d, by digest %s.", steps, q.Digest))
	}
}
