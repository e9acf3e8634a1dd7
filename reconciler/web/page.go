package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

//go:embed templates/*.html
var files embed.FS

// page is what every template gets.
type page struct {
	Status
	Title    string
	Name     string
	Now      time.Time
	LoggedIn bool
	CSRF     string

	Service    reconciler.ServiceView
	Touching   []reconciler.StepView // steps of the service
	RefusedBy  []xds.Refusal         // content of the service
	Proxy      xds.Inspected
	Pull       reconciler.PullView
	PullMerged bool
	Comment    template.HTML
	Notices    []Notice // newest first
	Query      reconciler.ResourcesQuery
	Resources  reconciler.Resources
	Outcome    string
	Failed     bool
}

// templates are the pages by name, each with the layout around it.
type templates map[string]*template.Template

func parseTemplates() templates {
	out := templates{}
	for _, name := range []string{"status", "service", "pull", "resources", "proxy", "outcome"} {
		t := template.New(name).Funcs(template.FuncMap{"rough": rough, "short": short, "kind": kind, "first": first, "beyond": beyond})
		out[name] = template.Must(t.ParseFS(files, "templates/layout.html", "templates/steps.html", "templates/"+name+".html")) // they are part of the program
	}
	return out
}

// page is one of how everything is now, for whoever asks.
func (s *server) page(r *http.Request, title string) page {
	p := page{Status: s.status(), Title: title, Name: s.Name, Now: s.Now()}
	if s.Notices != nil {
		p.Notices = s.Notices.All()
	}
	if one, ok := s.sessions.of(r); ok {
		p.LoggedIn, p.CSRF = true, one.csrf
	}
	return p
}

// write sends whole pages only: a fault in a template is an error and no half page.
func (s *server) write(w http.ResponseWriter, code int, name string, p page) {
	var out bytes.Buffer
	if err := s.templates[name].ExecuteTemplate(&out, "layout.html", p); err != nil {
		s.Log.Error("render page", "page", name, "error", err)
		http.Error(w, "this page cannot be shown: see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = out.WriteTo(w) // the reader has gone
}

// outcome is a page that says one thing.
func (s *server) outcome(w http.ResponseWriter, r *http.Request, code int, title, text string) {
	p := s.page(r, title)
	p.Outcome, p.Failed = text, code >= 400
	s.write(w, code, "outcome", p)
}

// Ago is how long a time has passed, with the time itself for programs and for the pointer.
func (p page) Ago(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	at := t.UTC().Format(time.RFC3339)
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s ago</time>`, at, at, rough(p.Now.Sub(t))))
}

// Moment is a time in words, for programs too.
func (p page) Moment(t time.Time) template.HTML {
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.UTC().Format(time.RFC3339), t.UTC().Format("2006-01-02 15:04 MST")))
}

// Zone is the name of the zone that a record is in.
func (p page) Zone(key resource.Key) schema.Hostname {
	zone, _ := key.Scope.Zone()
	return zone
}

const mostForeign = 100 // that a page lists

// FirstForeign are the declared records of others that the page lists; MoreForeign is how many there are beyond.
func (p page) FirstForeign() []reconciler.ForeignView {
	return p.Foreign[:min(mostForeign, len(p.Foreign))]
}

// MoreForeign is how many FirstForeign leaves out.
func (p page) MoreForeign() int { return max(0, len(p.Foreign)-mostForeign) }

// MoreResources is how many of those that were asked for the page leaves out.
func (p page) MoreResources() int { return p.Resources.Total - len(p.Resources.Items) }

// Differs tells how a resource is not as it shall be.
func (p page) Differs(r reconciler.ResourceView) []plan.FieldChange {
	if string(r.Desired) == string(r.Actual) {
		return nil
	}
	return plan.Fields(r.Actual, r.Desired)
}

// Says is a specification field by field.
func (p page) Says(v resource.Value) []plan.FieldChange { return plan.Fields(nil, v) }

// Waiting are the steps that a person has to agree to.
func (p page) Waiting() []reconciler.StepView {
	return slices.DeleteFunc(slices.Clone(p.Steps), func(s reconciler.StepView) bool { return !waits(s) })
}

// Moving are the other steps.
func (p page) Moving() []reconciler.StepView { return slices.DeleteFunc(slices.Clone(p.Steps), waits) }

// Ordered are the services, those first with which something is.
func (p page) Ordered() []reconciler.ServiceView {
	out := slices.Clone(p.Services)
	rank := func(s reconciler.ServiceView) int {
		if s.State == "converged" && s.Refused == "" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b reconciler.ServiceView) int { return rank(a) - rank(b) })
	return out
}

// Command is what to type to agree to what waits.
func (p page) Command() string {
	if p.Deletes > 0 {
		return fmt.Sprintf("edgewright apply %s --confirm-deletes %d", p.Pending, p.Deletes)
	}
	return "edgewright apply " + p.Pending
}

// rough is a duration as people say it.
func rough(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

func short(hash string) string { return hash[:min(10, len(hash))] }

// first bounds how much of a long plan a page holds; beyond is how much is left out.
func first(n int, steps []reconciler.StepView) []reconciler.StepView {
	return steps[:min(n, len(steps))]
}

func beyond(n int, steps []reconciler.StepView) int { return max(0, len(steps)-n) }

// kind is the name of a type of resource, without the package that it is from.
func kind(url string) string { return url[strings.LastIndexByte(url, '.')+1:] }
