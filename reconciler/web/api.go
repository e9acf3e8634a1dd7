package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Bounds of what a caller may send.
const (
	maxApply   = 64 << 10
	maxSettle  = 4 << 20 // names
	maxPlan    = 32 << 20
	maxHistory = 1000 // entries
)

// token lets only those in who know the token of the state folder.
func (s *server) token(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		shown, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !bearer || !s.knows(shown) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the token of the state folder is missing or wrong", http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

func (s *server) knows(token string) bool {
	return s.Token.Is(token)
}

func (s *server) apiStatus(w http.ResponseWriter, _ *http.Request) { answer(w, s.status()) }

func (s *server) apiPlan(w http.ResponseWriter, r *http.Request) {
	files, ok := readArchive(w, r, maxPlan)
	if !ok {
		return
	}
	p, err := s.Loop.Preview(r.Context(), reconciler.Preview{Files: files})
	if err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, p)
}

func (s *server) apiApply(w http.ResponseWriter, r *http.Request) {
	var q reconciler.Apply
	if !read(w, r, maxPlan, &q) {
		return
	}
	q.Identity = "local token"
	agreed, err := s.Loop.Apply(r.Context(), q)
	if err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, agreed)
}

func (s *server) apiProgress(w http.ResponseWriter, r *http.Request) {
	var q reconciler.ProgressQuery
	if !read(w, r, maxPlan, &q) {
		return
	}
	got, err := s.Loop.Progress(r.Context(), q)
	if err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, append([]reconciler.Progress{}, got...))
}

func (s *server) apiSettle(w http.ResponseWriter, r *http.Request) {
	var q reconciler.Settle
	if !read(w, r, maxSettle, &q) {
		return
	}
	q.Identity = "local token"
	got, err := s.Loop.Settle(r.Context(), q)
	if err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, got)
}

func (s *server) apiFreeze(w http.ResponseWriter, r *http.Request) {
	var q reconciler.Freeze
	if !read(w, r, maxApply, &q) {
		return
	}
	q.Identity = "local token"
	if err := s.Loop.Freeze(r.Context(), q); err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, struct{}{})
}

// resourcesOf reads what a query string asks for.
func resourcesOf(r *http.Request, limit int) reconciler.ResourcesQuery {
	v := r.URL.Query()
	q := reconciler.ResourcesQuery{Service: schema.ServiceID(v.Get("service")), Scope: resource.Scope(v.Get("scope")), Text: v.Get("text"), Limit: limit}
	return q
}

func (s *server) apiResources(w http.ResponseWriter, r *http.Request) {
	got, err := s.Loop.Resources(r.Context(), resourcesOf(r, 0))
	if err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, got)
}

// apiHistory answers with the audit's newest entries about a name.
func (s *server) apiHistory(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if name == "" || len(name) > 1000 || err != nil || limit < 1 || limit > maxHistory {
		http.Error(w, fmt.Sprintf("want name, and limit from 1 to %d", maxHistory), http.StatusBadRequest)
		return
	}
	entries, err := s.Loop.History(r.Context(), name, limit)
	if err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, append([]audit.Entry{}, entries...))
}

func (s *server) apiVerify(w http.ResponseWriter, r *http.Request) {
	if err := s.Loop.VerifyAudit(r.Context()); err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, struct{}{})
}

func waits(s reconciler.StepView) bool {
	return s.State == reconciler.Approval || s.State == reconciler.Vetoed
}

// refuse answers with what a rule or a guard said, or that something went wrong.
func (s *server) refuse(w http.ResponseWriter, err error) {
	var refused *reconciler.Refused
	if errors.As(err, &refused) {
		http.Error(w, refused.Why, http.StatusConflict)
		return
	}
	s.Log.Error("request failed", "error", err)
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

// read decodes a bounded body; what it does not know it refuses.
func read(w http.ResponseWriter, r *http.Request, limit int64, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		err = ended(decoder)
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &large):
		http.Error(w, fmt.Sprintf("the request is larger than %d bytes", limit), http.StatusRequestEntityTooLarge)
	default:
		http.Error(w, "the request is not understood: "+err.Error(), http.StatusBadRequest)
	}
	return false
}

// ended is an error when there is more than one value.
func ended(decoder *json.Decoder) error {
	_, err := decoder.Token()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errors.New("there is more than one value")
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the caller has gone
}
