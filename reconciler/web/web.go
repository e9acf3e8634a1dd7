// Package web is what people and programs see of a running daemon over HTTP: the status page, the API of the command line, health,
// metrics, and the place where webhooks arrive.
//
// It decides nothing and keeps nothing but who is logged in: everything that it shows comes from the loop's view.
package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/reconciler/aws/budget"
	"github.com/edgewright/edgewright/reconciler/election"
	"github.com/edgewright/edgewright/reconciler/secret"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
)

// Loop is the reconciler, as far as it is shown and asked.
type Loop interface {
	View() *reconciler.View
	Apply(context.Context, reconciler.Apply) (reconciler.Agreed, error)
	Progress(context.Context, reconciler.ProgressQuery) ([]reconciler.Progress, error)
	Settle(context.Context, reconciler.Settle) (reconciler.Settled, error)
	Freeze(context.Context, reconciler.Freeze) error
	Resources(context.Context, reconciler.ResourcesQuery) (reconciler.Resources, error)
	Explain(context.Context, reconciler.ExplainQuery) ([]reconciler.Explained, error)
	Preview(context.Context, reconciler.Preview) (reconciler.Previewed, error)
	History(ctx context.Context, name string, limit int) ([]audit.Entry, error)
	VerifyAudit(context.Context) error
}

// Proxies are the connected Envoys.
type Proxies interface {
	Nodes() []xds.Node
	Refusals() []xds.Refusal
	Versions(schema.FleetID, schema.ServiceID) map[string]string
	Inspect(ctx context.Context, fleet schema.FleetID, node string) (xds.Inspected, error)
	TurnedAway() []xds.TurnedAway
}

// Config is what the pages need.
type Config struct {
	Loop       Loop
	Leader     func() election.Standing // who leads: only the leader's loop runs
	Proxies    Proxies
	Webhook    http.Handler // nil: there is none
	Token      secret.Value // of the state folder: whoever knows it may apply
	Gatherer   prometheus.Gatherer
	Log        *slog.Logger
	Now        func() time.Time
	Version    string
	Name       string                  // of the repository, for the title
	Evaluating func() (done, all int)  // declarations that are being evaluated; nil: not known
	Notices    *Notices                // what the log warned of; nil: not kept
	Budgets    func() []budget.Account // of the calls to AWS; nil: not known
	Hosts      []string                // names beside localhost under which a server on loopback is asked, as behind a proxy on the same machine

	Unvalidated string // why Envoy is not asked before services are published; empty: it is
}

// server is the handler behind New.
type server struct {
	Config
	sessions  *sessions
	templates templates
}

// New makes the handler of all paths.
func New(c Config) http.Handler {
	s := &server{Config: c, sessions: newSessions(c.Now), templates: parseTemplates()}
	mux := http.NewServeMux()
	s.pages(mux)
	mux.HandleFunc("GET /api/v1/status", s.token(s.apiStatus))
	mux.HandleFunc("POST /api/v1/plan", s.token(s.leaders(s.apiPlan)))
	mux.HandleFunc("POST /api/v1/apply", s.token(s.leaders(s.apiApply)))
	mux.HandleFunc("POST /api/v1/progress", s.token(s.leaders(s.apiProgress)))
	mux.HandleFunc("POST /api/v1/settle", s.token(s.leaders(s.apiSettle)))
	mux.HandleFunc("POST /api/v1/freeze", s.token(s.leaders(s.apiFreeze)))
	mux.HandleFunc("GET /api/v1/resources", s.token(s.leaders(s.apiResources)))
	mux.HandleFunc("GET /api/v1/explain", s.token(s.leaders(s.apiExplain)))
	mux.HandleFunc("GET /api/v1/proxies/{fleet}/{node}", s.token(s.leaders(s.apiProxy)))
	mux.HandleFunc("GET /api/v1/history", s.token(s.apiHistory))
	mux.HandleFunc("GET /api/v1/audit/verify", s.token(s.apiVerify))

	top := http.NewServeMux()
	top.Handle("/", s.named(mux))
	top.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	top.HandleFunc("GET /readyz", s.ready)
	top.Handle("GET /metrics", s.named(promhttp.HandlerFor(c.Gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})))
	top.HandleFunc("POST /webhook", s.webhook)
	return secured(top)
}

// secured sets what browsers are to keep to on every answer.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// Server bounds what a client may take of time and memory.
func Server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}

func (s *server) webhook(w http.ResponseWriter, r *http.Request) {
	if s.Webhook == nil {
		http.Error(w, "no webhook is set up here: the repository is polled; give the daemon a forge and the webhook's secret", http.StatusNotFound)
		return
	}
	s.Webhook.ServeHTTP(w, r)
}

// leaders keeps questions away that only the leader can answer.
func (s *server) leaders(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if now := s.Leader(); !now.Leads {
			http.Error(w, whoLeads(now)+": ask there", http.StatusServiceUnavailable)
			return
		}
		next(w, r)
	}
}

func whoLeads(s election.Standing) string {
	if s.Holder == "" {
		return "no process leads at present"
	}
	return fmt.Sprintf("process %s leads since %s, and this one waits to take over", s.Holder, s.Since.Format(time.RFC3339))
}

// ready is for whoever sends traffic here: this process leads, and a commit was evaluated, or proxies are served what was good before
// the start.
func (s *server) ready(w http.ResponseWriter, _ *http.Request) {
	if now := s.Leader(); !now.Leads {
		http.Error(w, whoLeads(now), http.StatusServiceUnavailable)
		return
	}
	v := s.Loop.View()
	if !v.Loaded && !s.proxiesServed() {
		why := "no commit was evaluated yet, and no proxy is served"
		switch {
		case v.Source != "":
			why += ": " + v.Source
		case v.Frozen:
			why = "the newest commit has a problem that holds everything, and no proxy is served"
		}
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

func (s *server) proxiesServed() bool {
	for _, n := range s.Proxies.Nodes() {
		if n.Acknowledged != "" {
			return true
		}
	}
	return false
}
