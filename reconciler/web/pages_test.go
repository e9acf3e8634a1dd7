package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/election"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
)

func TestPages(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		path string
		code int
		want []string
	}{
		{"/", 200, []string{
			`data-verdict="unreachable"`, "0123456789", "Move jira", "3 s ago", `datetime="2026-03-01T11:59:57Z"`,
			"edgewright apply abc123 --confirm-deletes 12", "this would delete 12 records", "Paste the token", "A gone.example.com",
			"services/jira/web.cue:7:3", "the name is taken", "this waiver ends soon", "128 of 5000 are", "backend/health", "backends.old", "it is &lt;old&gt;", "2027-01-31", "take another", "A new.example.com", "applying",
			`href="/services/wiki"`, `href="/pulls/7"`, "http://forge.example/pulls/7", "open, planned", "merged, applied",
			`href="/proxies/edge/envoy-1"`, "1.40.0", "pppppp", "oooooo", "2 services", "no such filter",
			"Turned away", "stranger", "192.0.2.7", "the token is not known",
			"zone/example.com", "41", "17", "12 s ago", "throttled", "ttl: 60 → 5", "not put back yet",
			"left as it is by word of ann", "edgewright drift put-back &#34;A wiki.example.com&#34;", "ttl: 300 → 5", "edgewright adopt &#34;A theirs.example.com&#34;", "bob has asked to adopt it",
			"3 steps, begun", "spreading to the name servers", "5.0 of 10.0 requests a second, 41 saved up; 2 for people and 7 for looking again", "GetChange", "33",
			"the release", "only for team jira", "edgewright unfreeze release",
		}},
		{"/services/jira-web", 200, []string{"jira.example.com", "held", "the name is taken", "old.example.com", "A new.example.com"}},
		{"/services/wiki", 200, []string{"wiki.example.com", "no such filter", "feedfacefe", "60 min ago", "services/wiki.cue"}},
		{"/resources?service=wiki&text=A", 200, []string{"501 are ours", "500 are left out", "A wiki.example.com", "only reported", "ttl: 60 → 5", "60 min ago", "feedfacefe", `value="wiki"`}},
		{"/proxies/edge/envoy-1", 200, []string{"1.40.0", "2 services, for 3 s", "no such filter", "Cluster", "c/wiki/&lt;1&gt;", "it is &lt;bad&gt;", `href="/services/wiki"`, "refused", "0011", "0022", "aa11", "bb22"}},
		{"/proxies/edge/envoy-9", 404, []string{"it is not connected"}},
		{"/proxies/two/envoy-1", 404, []string{"it is not connected"}},
		{"/services/none", 404, []string{"There is no service"}},
		{"/pulls/7", 200, []string{"<strong>Ready</strong>", "<td>2</td>", "d7", "http://forge.example/pulls/7"}},
		{"/pulls/6", 200, []string{"Merged; by", "Nothing was posted"}},
		{"/pulls/99", 404, []string{"not open"}},
		{"/pulls/x", 404, []string{"not open"}},
		{"/nowhere", 404, []string{"no such page"}},
		{"/static/", 404, nil},
		{"/static/live.js", 200, []string{"refresh"}},
		{"/static/style.css", 200, []string{"prefers-color-scheme"}},
		{"/healthz", 200, []string{"ok"}},
		{"/readyz", 200, []string{"ready"}},
		{"/metrics", 200, []string{"edgewright_services"}},
	} {
		t.Run(c.path, func(t *testing.T) {
			got := w.ask(http.MethodGet, c.path, "")
			if got.Code != c.code {
				t.Errorf("got %d, want %d", got.Code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(strings.ReplaceAll(got.Body.String(), "&#43;", "+"), want) {
					t.Errorf("misses %q", want)
				}
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
				if h := got.Header().Get(name); h != want {
					t.Errorf("%s is %q", name, h)
				}
			}
			if csp := got.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("policy %q", csp)
			}
		})
	}
}

func TestEmptyPage(t *testing.T) {
	w := newWorld(t)
	w.loop.view, *w.proxies = &reconciler.View{}, proxies{}
	got := w.ask(http.MethodGet, "/", "")
	for _, want := range []string{`data-verdict="starting"`, "No Envoy is connected", "No service is declared", "No zone was looked at"} {
		if !strings.Contains(got.Body.String(), want) {
			t.Errorf("misses %q", want)
		}
	}
	if strings.Contains(got.Body.String(), "<form") {
		t.Error("a form though nothing waits")
	}
}

func TestPageTellsOfValidation(t *testing.T) {
	const missing = "not validated by Envoy before they are published, only by the protos&#39; own rules: there is none."
	w := newWorld(t)
	if got := w.ask(http.MethodGet, "/", "").Body.String(); strings.Contains(got, "not validated") || strings.Contains(got, "Envoy looks at") {
		t.Error("the page tells of validation though nothing is with it")
	}
	w = newWorld(t, func(c *Config) { c.Unvalidated = "there is none" })
	for n, want := range map[int]string{1: "Envoy looks at a service before it is published.", 3: "Envoy looks at 3 services before they are published."} {
		w.loop.view.Validating = n
		got := strings.ReplaceAll(w.ask(http.MethodGet, "/", "").Body.String(), "protos' ", "protos&#39; ")
		if !strings.Contains(got, missing) || !strings.Contains(got, want) {
			t.Errorf("the page does not say %q and %q", missing, want)
		}
	}
	if got := w.ask(http.MethodGet, "/api/v1/status", "", "Authorization", "Bearer "+token).Body.String(); !strings.Contains(got, `"unvalidated":"there is none"`) {
		t.Error("the API does not say that Envoy is not asked")
	}
}

// TestHostile puts markup wherever others choose the text.
func TestHostile(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>`
	w := newWorld(t)
	w.loop.change(func(v *reconciler.View) {
		v.Subject, v.Author, v.Source, v.Forge = evil, evil, evil, evil
		v.Problems = []schema.Problem{{Message: evil, Hint: evil, Line: evil, Position: schema.Position{File: evil}}}
		v.Services = []reconciler.ServiceView{{ID: "x", Why: evil, Refused: evil, State: evil}}
		v.Pulls = []reconciler.PullView{{Number: 7, Title: evil, Author: evil, URL: "javascript:alert(3)", Verdict: evil, Digest: evil,
			Comment: evil + "\n\n[x](javascript:alert(4)) <a href=\"data:text/html,x\">y</a> <p id=\"main\" style=\"x\">z</p> <form action=/apply><button>b</button></form> ![i](http://far.example/i.png)\n"}}
	})
	w.proxies.nodes = []xds.Node{{ID: evil, Envoy: evil, Refused: evil, Published: evil, Acknowledged: evil}}
	w.proxies.refusals = []xds.Refusal{{Why: evil, Node: evil, Service: "x"}}
	w.proxies.turned = []xds.TurnedAway{{Node: evil, Fleet: evil, Address: evil, Why: evil}}
	for _, path := range []string{"/", "/services/x", "/pulls/7", "/services/%3Cscript%3E"} {
		body := w.ask(http.MethodGet, path, "").Body.String()
		for _, bad := range []string{"<script>", "<img", `href="javascript:`, `href="data:`, "style=", "<button>b"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s holds %s", path, bad)
			}
		}
		if n := strings.Count(body, `id="main"`); n != 1 {
			t.Errorf("%s has %d elements main", path, n)
		}
	}
}

func TestReady(t *testing.T) {
	w := newWorld(t)
	w.loop.view = &reconciler.View{Source: "connection refused"}
	if got := w.ask(http.MethodGet, "/readyz", ""); got.Code != 200 {
		t.Errorf("proxies are served, but %d", got.Code)
	}
	w.proxies.nodes = nil
	got := w.ask(http.MethodGet, "/readyz", "")
	if got.Code != 503 || !strings.Contains(got.Body.String(), "connection refused") {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
	if got := w.ask(http.MethodGet, "/healthz", ""); got.Code != 200 {
		t.Errorf("health is %d", got.Code)
	}
}

// TestFollowerSaysWhoLeads: a process that waits for its turn is not ready, agrees to nothing, and says who leads.
func TestFollowerSaysWhoLeads(t *testing.T) {
	w := newWorld(t)
	cookie, csrf := w.login(t)
	w.leader = election.Standing{Holder: "other.7", Since: noon, Epoch: 4}
	form := url.Values{"csrf": {csrf}, "digest": {"abc123"}, "confirm": {"12"}}
	for what, got := range map[string]*httptest.ResponseRecorder{
		"readyz": w.ask(http.MethodGet, "/readyz", ""),
		"plan":   w.ask(http.MethodPost, "/api/v1/plan", "{}", "Authorization", "Bearer "+token),
		"apply":  w.ask(http.MethodPost, "/api/v1/apply", `{"digest":"abc123","confirmDeletes":12}`, "Authorization", "Bearer "+token),
		"button": w.post("/apply", form, "Cookie", cookie),
	} {
		if got.Code != 503 || !strings.Contains(got.Body.String(), "process other.7 leads") {
			t.Errorf("%s: got %d %s", what, got.Code, got.Body)
		}
	}
	if len(w.loop.applied) > 0 {
		t.Errorf("applied %v", w.loop.applied)
	}
	if got := w.ask(http.MethodGet, "/", "").Body.String(); !strings.Contains(got, "process other.7 leads") || !strings.Contains(got, `data-verdict="waiting"`) {
		t.Errorf("the page does not say who leads: %s", got)
	}
	if got := w.ask(http.MethodGet, "/metrics", "").Body.String(); !strings.Contains(got, "edgewright_leads 0") {
		t.Error("the metrics do not say that another leads")
	}
	if got := w.ask(http.MethodGet, "/healthz", ""); got.Code != 200 {
		t.Errorf("health is %d", got.Code)
	}
}

func TestWebhook(t *testing.T) {
	if got := newWorld(t).ask(http.MethodPost, "/webhook", ""); got.Code != 404 || !strings.Contains(got.Body.String(), "no webhook is set up") {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
	w := newWorld(t, func(c *Config) {
		c.Webhook = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	})
	if got := w.ask(http.MethodPost, "/webhook", "hello"); got.Body.String() != "hello" {
		t.Errorf("got %s", got.Body)
	}
}

// TestRebound: a page elsewhere whose name points to this machine reads nothing.
func TestRebound(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Hosts = []string{"edge.example.com"} })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := Server(w.handler)
	done := make(chan error, 1)
	go func() { done <- served.Serve(listener) }()
	t.Cleanup(func() {
		_ = served.Shutdown(context.Background())
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	for host, want := range map[string]int{"": 200, "localhost:8480": 200, "a.localhost": 200, "[::1]:80": 200, "edge.example.com": 200,
		"evil.example": 421, "evil.example:8480": 421, "localhost.evil.example": 421} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/", nil)
		r.Host = host
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = got.Body.Close()
		if got.StatusCode != want {
			t.Errorf("%q got %d, want %d", host, got.StatusCode, want)
		}
	}
}
