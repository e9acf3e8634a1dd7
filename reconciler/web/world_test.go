package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/reconciler/aws/budget"
	"github.com/edgewright/edgewright/reconciler/election"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/secret"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

const token = "the-token-of-the-state-folder"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// loop applies what waits in its view, as the reconciler does.
type loop struct {
	mu        sync.Mutex
	view      *reconciler.View
	applied   []reconciler.Apply
	settled   []reconciler.Settle
	preview   reconciler.Preview
	explained reconciler.ExplainQuery
	err       error
}

func (l *loop) View() *reconciler.View {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view
}

func (l *loop) Settle(_ context.Context, q reconciler.Settle) (reconciler.Settled, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return reconciler.Settled{}, l.err
	}
	l.settled = append(l.settled, q)
	return reconciler.Settled{Keys: make([]resource.Key, len(q.Names))}, nil
}

func (l *loop) Resources(_ context.Context, q reconciler.ResourcesQuery) (reconciler.Resources, error) {
	key := resource.Key{Kind: resource.DNSRecord, Scope: "zone/example.com", Name: "A wiki.example.com"}
	return reconciler.Resources{Total: 501, Items: []reconciler.ResourceView{{Key: key, Service: "wiki", State: reconciler.Approval, Why: "only reported",
		Desired: resource.Value(`{"ttl":5}`), Actual: resource.Value(`{"ttl":60}`), Commit: "feedfacefeed", Applied: noon.Add(-time.Hour)}}}, l.err
}

func (l *loop) Explain(_ context.Context, q reconciler.ExplainQuery) ([]reconciler.Explained, error) {
	l.explained = q
	return []reconciler.Explained{{Fleet: "edge", Version: "v2", Explanation: render.Explanation{Service: "wiki"}}}, l.err
}

func (l *loop) Freeze(context.Context, reconciler.Freeze) error { return l.err }

func (l *loop) change(edit func(*reconciler.View)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := *l.view
	edit(&next)
	l.view = &next
}

func (l *loop) Apply(_ context.Context, q reconciler.Apply) (reconciler.Agreed, error) {
	v := l.View()
	switch {
	case l.err != nil:
		return reconciler.Agreed{}, l.err
	case q.Digest != v.Pending:
		return reconciler.Agreed{}, &reconciler.Refused{Why: "digest " + q.Digest + " is not what waits now"}
	case q.ConfirmDeletes != v.Deletes:
		return reconciler.Agreed{}, &reconciler.Refused{Why: "confirm the exact count"}
	}
	l.mu.Lock()
	l.applied = append(l.applied, q)
	l.mu.Unlock()
	agreed := reconciler.Agreed{Digest: q.Digest}
	for _, step := range v.Steps {
		if waits(step) {
			agreed.Steps = append(agreed.Steps, step.Step)
		}
	}
	l.change(func(v *reconciler.View) { v.Pending, v.Deletes, v.Vetoes, v.Steps = "", 0, nil, nil })
	return agreed, nil
}

func (l *loop) Progress(_ context.Context, q reconciler.ProgressQuery) ([]reconciler.Progress, error) {
	out := make([]reconciler.Progress, len(q.Steps))
	for i := range out {
		out[i] = reconciler.Progress{Status: forge.StepDone}
	}
	return out, l.err
}

func (l *loop) Preview(_ context.Context, q reconciler.Preview) (reconciler.Previewed, error) {
	l.preview = q
	return reconciler.Previewed{Digest: "d1", Tree: "t1"}, l.err
}

func (l *loop) History(_ context.Context, name string, limit int) ([]audit.Entry, error) {
	if name != "jira.acme.example" || limit != 7 {
		return nil, nil
	}
	return []audit.Entry{{Seq: 3, Who: "ann", What: "create dns/record zone/acme.example A jira.acme.example", Result: "applied"}}, l.err
}

func (l *loop) VerifyAudit(context.Context) error { return l.err }

type proxies struct {
	nodes    []xds.Node
	refusals []xds.Refusal
	turned   []xds.TurnedAway
}

func (p proxies) Nodes() []xds.Node            { return p.nodes }
func (p proxies) Refusals() []xds.Refusal      { return p.refusals }
func (p proxies) TurnedAway() []xds.TurnedAway { return p.turned }

func (p proxies) Versions(schema.FleetID, schema.ServiceID) map[string]string {
	return map[string]string{"envoy-1": "v2", "envoy-2": "v1"}
}

func (p proxies) Inspect(_ context.Context, fleet schema.FleetID, id string) (xds.Inspected, error) {
	for _, n := range p.nodes {
		if n.ID == id && n.Fleet == fleet {
			return xds.Inspected{Node: n, Types: []xds.InspectedType{{URL: "type.googleapis.com/envoy.config.cluster.v3.Cluster", Version: "0011", Published: "0022", Has: 1, Wants: 1,
				Differ: []xds.InspectedResource{{Name: "c/wiki/<1>", Has: "aa11", Wants: "bb22", State: xds.Refused, Why: "it is <bad>", Of: "wiki"}}}}}, nil
		}
	}
	return xds.Inspected{}, xds.ErrNotConnected
}

// everything is a view with one of each.
func everything() *reconciler.View {
	record := func(name string) resource.Key {
		return resource.Key{Kind: resource.DNSRecord, Scope: "zone/example.com", Name: name}
	}
	return &reconciler.View{
		At: noon.Add(-3 * time.Second), Commit: "0123456789abcdef", Subject: "Move jira", Author: "dev", Loaded: true,
		Problems: []schema.Problem{{Code: "host/duplicate", Position: schema.Position{File: "services/jira/web.cue", Line: 7, Column: 3},
			Message: "the name is taken", Hint: "take another", Line: "hosts: [\"x\"]", Holds: schema.Holding("jira-web")}},
		Warnings: []schema.Problem{{Code: "waiver/ending", Position: schema.Position{File: "services/jira/web.cue", Line: 9}, Message: "this waiver ends soon", Holds: schema.Holding("jira-web")}},
		Waivers:  []reconciler.WaiverView{{Service: "jira-web", Waiver: schema.Waiver{Rule: "backend/health", At: "backends.old", Reason: "it is <old>", Expires: schema.Date{Year: 2027, Month: 1, Day: 31}, Approver: "platform"}}},
		Services: []reconciler.ServiceView{
			{ID: "wiki", Team: "confluence", Fleet: "edge", Hosts: []schema.Hostname{"wiki.example.com"}, File: "services/wiki.cue", State: "converged", Commit: "feedfacefeed", Since: noon.Add(-time.Hour)},
			{ID: "jira-web", Team: "jira", Fleet: "edge", Hosts: []schema.Hostname{"jira.example.com"}, State: "held", Why: "the name is taken", Linger: []schema.Hostname{"old.example.com"}},
		},
		Steps: []reconciler.StepView{
			{Step: plan.Step{Key: record("A gone.example.com"), Verb: plan.Delete, Service: "wiki", Before: resource.Value(`{"ttl":60}`)}, Status: reconciler.Status{State: reconciler.Vetoed, Why: "mass-delete"}},
			{Step: plan.Step{Key: record("A new.example.com"), Verb: plan.Create, Service: "jira-web", After: resource.Value(`{"ttl":61}`)}, Status: reconciler.Status{State: reconciler.Applying}},
		},
		Vetoes:  []plan.Veto{{Guard: "mass-delete", Message: "this would delete 12 records", Unblock: "type the count", Deletes: 12}},
		Pending: "abc123", Deletes: 12,
		Zones: []reconciler.ZoneView{{Scope: "zone/example.com", Taken: noon.Add(-12 * time.Second), Records: 41, Ours: 17},
			{Scope: "zone/example.org", Error: "throttled", Since: noon.Add(-5 * time.Minute)}},
		Pulls:  []reconciler.PullView{{Number: 7, Title: "Add a name", Author: "dev", Head: "aaaabbbbccccdddd", URL: "http://forge.example/pulls/7", Verdict: "planned", Digest: "d7", Comment: "**Ready** to merge\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"}},
		Merged: []reconciler.PullView{{Number: 6, Title: "Older", Verdict: "applied"}},
		Drifts: []reconciler.Drift{{Key: record("A wiki.example.com"), Fields: []plan.FieldChange{{Path: "ttl", Before: "60", After: "5"}}, Found: noon.Add(-time.Minute), State: reconciler.Approval},
			{Key: record("A kept.example.com"), Found: noon.Add(-time.Hour), Kept: "ann"}},
		Foreign: []reconciler.ForeignView{{Key: record("A theirs.example.com"), Service: "wiki", Fields: []plan.FieldChange{{Path: "ttl", Before: "300", After: "5"}}},
			{Key: record("A asked.example.com"), Asked: "bob"}},
		Calls:   []reconciler.CallView{{Intent: "i1", Scope: "zone/example.com", Steps: 3, Began: noon.Add(-4 * time.Second), State: "spreading to the name servers"}},
		Freezes: []reconciler.FreezeView{{Name: "release", Freeze: schema.Freeze{Reason: "the release", Teams: []schema.TeamID{"jira"}}, By: "ann", Ends: noon.Add(time.Hour)}},
	}
}

type world struct {
	loop    *loop
	leader  election.Standing
	proxies *proxies
	config  Config
	handler http.Handler
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{loop: &loop{view: everything()}, leader: election.Standing{Leads: true, Holder: "here.1", Since: noon, Epoch: 3}, proxies: &proxies{
		nodes:    []xds.Node{{ID: "envoy-1", Fleet: "edge", Envoy: "1.40.0", Connected: noon.Add(-time.Hour), Published: "pppppp", Acknowledged: "oooooo", Behind: 2, Lag: 3 * time.Second, Refused: "no such filter"}},
		refusals: []xds.Refusal{{Fleet: "edge", Service: "wiki", Version: "vvvvvv", Node: "envoy-1", Why: "no such filter"}},
		turned:   []xds.TurnedAway{{Node: "stranger", Fleet: "moon", Address: "192.0.2.7", Reason: xds.BadToken, Why: "the token is not known", Last: noon.Add(-time.Minute), Times: 3}},
	}}
	registry := prometheus.NewPedanticRegistry()
	leader := func() election.Standing { return w.leader }
	registry.MustRegister(Collector(w.loop, w.proxies, leader))
	w.config = Config{Loop: w.loop, Leader: leader, Proxies: w.proxies, Token: secret.New(token), Gatherer: registry,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: func() time.Time { return noon }, Version: "v1", Budgets: func() []budget.Account {
			return []budget.Account{
				{State: budget.State{Rate: 5, Limit: 10, Saved: 41, People: 2, Background: 7, Actions: map[string]budget.Count{"GetChange": {Requests: 33, Throttled: 1}}}},
				{Account: "123456789012", State: budget.State{Rate: 10, Limit: 10, Saved: 50}},
			}
		}, Evaluating: func() (int, int) { return 128, 5000 }, Name: "acme/edge-config"}
	for _, f := range change {
		f(&w.config)
	}
	w.handler = New(w.config)
	return w
}

// ask sends a request; header are pairs.
func (w *world) ask(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

// post sends a form as a browser does that is on this site.
func (w *world) post(path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	header = append([]string{"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin"}, header...)
	return w.ask(http.MethodPost, path, form.Encode(), header...)
}

// login gives the session's cookie, and the code in its forms.
func (w *world) login(t *testing.T) (cookie, csrf string) {
	t.Helper()
	got := w.post("/login", url.Values{"token": {token}})
	cookies := got.Result().Cookies()
	if got.Code != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("login: %d %s", got.Code, got.Body)
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || len(c.Value) != 64 {
		t.Fatalf("cookie %v", c)
	}
	cookie = cookies[0].Name + "=" + cookies[0].Value
	page := w.ask(http.MethodGet, "/", "", "Cookie", cookie).Body.String()
	_, rest, found := strings.Cut(page, `name="csrf" value="`)
	csrf, _, _ = strings.Cut(rest, `"`)
	if !found || len(csrf) != 64 {
		t.Fatalf("no form after login: %s", page)
	}
	return cookie, csrf
}
