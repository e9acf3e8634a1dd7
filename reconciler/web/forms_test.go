package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/reconciler"
)

func TestApplyForm(t *testing.T) {
	for _, c := range []struct {
		name   string
		form   func(url.Values)
		header []string
		code   int
		want   string
	}{
		{"all right", func(url.Values) {}, nil, 200, "by digest abc123"},
		{"no code", func(v url.Values) { v.Del("csrf") }, nil, 403, "too old"},
		{"wrong code", func(v url.Values) { v.Set("csrf", strings.Repeat("0", 64)) }, nil, 403, "too old"},
		{"another site", func(url.Values) {}, []string{"Sec-Fetch-Site", "cross-site"}, 403, "another site"},
		{"another port of this host", func(url.Values) {}, []string{"Sec-Fetch-Site", "same-site"}, 403, "another site"},
		{"another origin of an old browser", func(url.Values) {}, []string{"Sec-Fetch-Site", "", "Origin", "http://evil.example"}, 403, "another site"},
		{"no session", func(url.Values) {}, []string{"Cookie", ""}, 403, "nobody is logged in"},
		{"a made-up session", func(url.Values) {}, []string{"Cookie", cookieName + "=x"}, 403, "nobody is logged in"},
		{"old digest", func(v url.Values) { v.Set("digest", "older") }, nil, 409, "not what waits now"},
		{"no count", func(v url.Values) { v.Del("confirm") }, nil, 409, "exact count"},
		{"not a count", func(v url.Values) { v.Set("confirm", "twelve") }, nil, 400, "no count of deletions"},
		{"large", func(v url.Values) { v.Set("x", strings.Repeat("x", maxApply)) }, nil, 413, "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			cookie, csrf := w.login(t)
			form := url.Values{"csrf": {csrf}, "digest": {"abc123"}, "confirm": {"12"}}
			c.form(form)
			got := w.post("/apply", form, append([]string{"Cookie", cookie}, c.header...)...)
			if got.Code != c.code || !strings.Contains(got.Body.String(), c.want) {
				t.Errorf("got %d %s", got.Code, got.Body)
			}
			var want []reconciler.Apply
			if c.code == 200 {
				want = []reconciler.Apply{{Digest: "abc123", ConfirmDeletes: 12, Identity: "page"}}
			}
			if diff := cmp.Diff(want, w.loop.applied); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSettleForm: the buttons beside what others made or changed are guarded as the one that applies is.
func TestSettleForm(t *testing.T) {
	for _, c := range []struct {
		name   string
		form   func(url.Values)
		header []string
		code   int
		want   string
	}{
		{"adopt", func(url.Values) {}, nil, 200, "Nothing was done yet"},
		{"put back", func(v url.Values) { v.Set("choice", "put-back") }, nil, 200, "Records that this is for: 1."},
		{"no code", func(v url.Values) { v.Del("csrf") }, nil, 403, "too old"},
		{"another site", func(url.Values) {}, []string{"Sec-Fetch-Site", "cross-site"}, 403, "another site"},
		{"no session", func(url.Values) {}, []string{"Cookie", ""}, 403, "nobody is logged in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			cookie, csrf := w.login(t)
			page := w.ask(http.MethodGet, "/", "", "Cookie", cookie).Body.String()
			if !strings.Contains(page, `action="/settle"`) || !strings.Contains(page, `value="A theirs.example.com"`) {
				t.Error("the page has no button for it")
			}
			form := url.Values{"csrf": {csrf}, "choice": {"adopt"}, "name": {"A theirs.example.com"}, "zone": {"example.com"}}
			c.form(form)
			got := w.post("/settle", form, append([]string{"Cookie", cookie}, c.header...)...)
			if got.Code != c.code || !strings.Contains(got.Body.String(), c.want) {
				t.Errorf("got %d %s", got.Code, got.Body)
			}
			var want []reconciler.Settle
			if c.code == 200 {
				want = []reconciler.Settle{{Choice: reconciler.Choice(form.Get("choice")), Names: []string{"A theirs.example.com"}, Zone: "example.com", Identity: "page"}}
			}
			if diff := cmp.Diff(want, w.loop.settled); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	w := newWorld(t)
	for _, wrong := range []string{"", "x", token + "x"} {
		if got := w.post("/login", url.Values{"token": {wrong}}); got.Code != 401 || len(got.Result().Cookies()) > 0 {
			t.Errorf("%q got %d %v", wrong, got.Code, got.Header())
		}
	}
	if got := w.post("/login?token="+token, nil); got.Code != 401 {
		t.Errorf("a token in the URL got %d", got.Code)
	}
	if got := w.post("/login", url.Values{"token": {token}}, "Sec-Fetch-Site", "cross-site"); got.Code != 403 || len(got.Result().Cookies()) > 0 {
		t.Errorf("another site logged in: %d", got.Code)
	}
	page := w.ask(http.MethodGet, "/", "").Body.String()
	if strings.Contains(page, token) || strings.Contains(page, `action="/apply"`) {
		t.Error("the page tells the token, or lets anybody apply")
	}
}

func TestSessionsEnd(t *testing.T) {
	now := noon
	s := newSessions(func() time.Time { return now })
	begin := func() *http.Request {
		out, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		s.begin(out, false)
		r.AddCookie(out.Result().Cookies()[0])
		return r
	}
	first := begin()
	now = now.Add(time.Second)
	second := begin()
	for range maxSessions - 1 {
		begin()
	}
	if _, ok := s.of(first); ok || len(s.by) != maxSessions {
		t.Errorf("the oldest of %d stays", len(s.by))
	}
	if _, ok := s.of(second); !ok {
		t.Error("a younger one was dropped")
	}
	now = now.Add(sessionLife)
	if _, ok := s.of(second); ok {
		t.Error("a session outlives its time")
	}
	begin()
	if len(s.by) != 1 {
		t.Errorf("%d sessions are kept", len(s.by))
	}
}
