package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	"github.com/edgewright/edgewright/reconciler"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed static
var static embed.FS

// page is what every template gets.
type page struct {
	Status
	Title    string
	Name     string
	Now      time.Time
	LoggedIn bool
	CSRF     string

	Service reconciler.ServiceView
	Touched []reconciler.StepView // steps of the service
	Pull    reconciler.PullView
	Comment template.HTML
	Outcome string
	Failed  bool
}

// pages adds everything that people look at.
func (s *server) pages(mux *http.ServeMux) {
	mux.Handle("GET /static/", http.FileServerFS(static))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s.show(w, r, http.StatusOK, "status.html", page{Title: "status"})
	})
	mux.HandleFunc("GET /services/{id}", s.service)
	mux.HandleFunc("GET /pulls/{number}", s.pull)
	forms := http.NewCrossOriginProtection()
	mux.Handle("POST /login", forms.Handler(http.HandlerFunc(s.login)))
	mux.Handle("POST /apply", forms.Handler(http.HandlerFunc(s.apply)))
}

// show renders whole pages only: a fault in a template is an error and no half page.
func (s *server) show(w http.ResponseWriter, r *http.Request, code int, name string, p page) {
	p.Status, p.Name, p.Now = s.status(), s.Name, s.Now()
	if one, ok := s.sessions.of(r); ok {
		p.LoggedIn, p.CSRF = true, one.csrf
	}
	t, err := template.New("page").Funcs(functions(p.Now)).ParseFS(templates, "templates/layout.html", "templates/"+name)
	var out bytes.Buffer
	if err == nil {
		err = t.ExecuteTemplate(&out, "layout.html", p)
	}
	if err != nil {
		s.Log.Error("render page", "page", name, "error", err)
		http.Error(w, "this page cannot be shown: see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = out.WriteTo(w) // the reader has gone
}

func functions(now time.Time) template.FuncMap {
	return template.FuncMap{
		"ago": func(t time.Time) template.HTML {
			if t.IsZero() {
				return "never"
			}
			return template.HTML(fmt.Sprintf(`<time datetime="%s">%s ago</time>`, t.UTC().Format(time.RFC3339), rough(now.Sub(t))))
		},
		"rough": rough,
		"short": func(hash string) string { return hash[:min(10, len(hash))] },
	}
}

// rough is a duration as people say it.
func rough(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(d, 0).Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}

func (s *server) service(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	p := page{Title: id}
	for _, one := range s.Loop.View().Services {
		if string(one.ID) == id {
			p.Service = one
		}
	}
	if p.Service.ID == "" {
		s.show(w, r, http.StatusNotFound, "outcome.html", page{Title: "not found", Outcome: fmt.Sprintf("There is no service %q.", id), Failed: true})
		return
	}
	for _, step := range s.Loop.View().Steps {
		if string(step.Service) == id {
			p.Touched = append(p.Touched, step)
		}
	}
	s.show(w, r, http.StatusOK, "service.html", p)
}

func (s *server) pull(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("number"))
	v := s.Loop.View()
	for _, one := range append(append([]reconciler.PullView{}, v.Pulls...), v.Merged...) {
		if err == nil && one.Number == number {
			s.show(w, r, http.StatusOK, "pull.html", page{Title: fmt.Sprintf("pull #%d", number), Pull: one, Comment: markdown(one.Comment)})
			return
		}
	}
	s.show(w, r, http.StatusNotFound, "outcome.html", page{Title: "not found", Outcome: "That pull is not open and was not merged lately.", Failed: true})
}

// markdown renders a comment as the forge does, and lets nothing through that could act.
func markdown(text string) template.HTML {
	var out bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe())).Convert([]byte(text), &out); err != nil {
		return template.HTML(template.HTMLEscapeString(text))
	}
	return template.HTML(bluemonday.UGCPolicy().AllowElements("details", "summary").SanitizeBytes(out.Bytes()))
}

// login takes the token of the state folder for a session.
func (s *server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxApply)
	if !s.knows(strings.TrimSpace(r.PostFormValue("token"))) {
		s.Log.Warn("login refused", "from", r.RemoteAddr)
		s.show(w, r, http.StatusUnauthorized, "outcome.html", page{Title: "login", Outcome: "That is not the token of the state folder.", Failed: true})
		return
	}
	s.sessions.begin(w)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// apply is the button.
func (s *server) apply(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxApply)
	one, ok := s.sessions.of(r)
	if !ok || !one.guards(r.PostFormValue("csrf")) {
		s.show(w, r, http.StatusForbidden, "outcome.html", page{Title: "apply", Outcome: "Log in first: the page was old, or the form came from elsewhere.", Failed: true})
		return
	}
	confirm, _ := strconv.Atoi(r.PostFormValue("confirm")) // 0 where it is no number: then the guard says what it wants
	steps := s.pending()
	err := s.Loop.Apply(r.Context(), reconciler.Apply{Digest: r.PostFormValue("digest"), ConfirmDeletes: confirm, Identity: "somebody logged in to the status page"})
	var refused *reconciler.Refused
	switch {
	case errors.As(err, &refused):
		s.show(w, r, http.StatusConflict, "outcome.html", page{Title: "apply", Outcome: "Refused: " + refused.Why, Failed: true})
	case err != nil:
		s.Log.Error("apply", "error", err)
		s.show(w, r, http.StatusInternalServerError, "outcome.html", page{Title: "apply", Outcome: "That went wrong: " + err.Error(), Failed: true})
	default:
		s.show(w, r, http.StatusOK, "outcome.html", page{Title: "apply", Outcome: fmt.Sprintf("Agreed: %d steps will be applied.", steps)})
	}
}
