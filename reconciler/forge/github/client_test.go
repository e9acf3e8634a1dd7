package github

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/secret"
)

// inProcess answers without a network, so that time can be the bubble's.
type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	answer := w.Result()
	answer.Request = r
	return answer, r.Context().Err()
}

// strict is a forge of one pull that fails on any request that it does not know.
type strict struct {
	*testing.T
	mu       sync.Mutex
	head     string
	comments []map[string]any
	checks   int
	log      []string
	refuse   func(w http.ResponseWriter, r *http.Request) bool
}

func (s *strict) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	route := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v3/repos/acme/edge-config")
	s.log = append(s.log, route)
	if got := r.Header.Get("Authorization"); got != "Bearer "+botToken {
		s.Errorf("%s: Authorization %q", route, got)
	}
	if s.refuse != nil && s.refuse(w, r) {
		return
	}
	answer := func(code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	var body map[string]any
	if r.Body != nil && r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			s.Errorf("%s: %v", route, err)
		}
	}
	switch {
	case strings.HasPrefix(route, "GET /pulls/"):
		answer(200, map[string]any{"number": 1, "head": map[string]any{"sha": s.head}})
	case strings.HasPrefix(route, "GET /issues/"):
		answer(200, s.comments)
	case strings.HasPrefix(route, "POST /issues/"):
		made := map[string]any{"id": len(s.comments) + 1, "body": body["body"], "user": map[string]any{"login": "bot"}}
		s.comments = append(s.comments, made)
		answer(201, made)
	case strings.HasPrefix(route, "GET /commits/"):
		answer(200, map[string]any{"total_count": 0, "check_runs": []any{}})
	case strings.HasPrefix(route, "POST /check-runs"):
		s.checks++
		answer(201, map[string]any{"id": s.checks})
	case strings.HasPrefix(route, "PATCH /check-runs/"), strings.HasPrefix(route, "PATCH /issues/comments/"):
		answer(200, map[string]any{"id": 1})
	default:
		s.Errorf("unknown request %s", route)
		answer(404, map[string]any{"message": "Not Found"})
	}
}

func (s *strict) client(log *slog.Logger) *Client {
	s.Helper()
	c, err := New(Config{APIURL: "http://forge.example/api/v3", Owner: "acme", Repo: "edge-config", Login: "bot",
		Token: secret.New(botToken), Transport: inProcess{s}, Log: log})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

func (s *strict) count(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, route := range s.log {
		if strings.HasPrefix(route, prefix) {
			n++
		}
	}
	return n
}

func TestExactRequestsOfAPost(t *testing.T) {
	s := &strict{T: t, head: "abc"}
	c := s.client(nil)
	r := forge.Review{Head: "abc"}
	for _, note := range []string{"", "", "moved"} {
		r.Note = note
		if err := c.Post(t.Context(), forge.Target{Pull: 1, SHA: "abc"}, r); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Join([]string{
		"GET /pulls/1", "GET /issues/1/comments", "POST /issues/1/comments", "GET /issues/1/comments", "GET /pulls/1", "GET /commits/abc/check-runs", "POST /check-runs",
		"GET /pulls/1", "PATCH /issues/comments/1", "GET /pulls/1", "PATCH /check-runs/1",
	}, "\n")
	if got := strings.Join(s.log, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestUnchangedListingsCostNothing(t *testing.T) {
	full := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full++
		if r.URL.Query().Get("page") == "" {
			w.Header().Set("Link", fmt.Sprintf(`<http://forge.example%s?page=2>; rel="next"`, r.URL.Path))
			_, _ = io.WriteString(w, `[{"number":1,"head":{"sha":"a","repo":{"id":5}},"base":{"repo":{"id":5}}}]`)
			return
		}
		_, _ = io.WriteString(w, `[{"number":2,"head":{"sha":"b","repo":{"id":6}},"base":{"repo":{"id":5}}},{"number":3,"head":{"sha":"c"},"base":{"repo":{"id":5}}}]`)
	})
	c, err := New(Config{APIURL: "http://forge.example/", Owner: "acme", Repo: "edge-config", Token: secret.New("x"), Transport: inProcess{handler}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got, err := c.Pulls(t.Context())
		if err != nil || len(got) != 3 {
			t.Fatalf("%+v, %v", got, err)
		}
		if got[0].Fork || !got[1].Fork || !got[2].Fork {
			t.Errorf("forks: %+v", got)
		}
	}
	if full != 2 {
		t.Errorf("%d full answers, want 2", full)
	}
}

func TestEndlessListingIsCutOff(t *testing.T) {
	asked := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Link", fmt.Sprintf(`<http://forge.example%s?page=%d>; rel="next"`, r.URL.Path, asked+1))
		_, _ = io.WriteString(w, `[]`)
	})
	c, err := New(Config{APIURL: "http://forge.example/", Owner: "a", Repo: "b", Token: secret.New("x"), Transport: inProcess{handler}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Pulls(t.Context()); err == nil || asked != mostPages {
		t.Errorf("%v after %d pages", err, asked)
	}
}

func TestTokenStaysAtTheForge(t *testing.T) {
	var hosts []string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.URL.Host)
		w.Header().Set("Location", "http://elsewhere.example/steal")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	c, err := New(Config{APIURL: "http://forge.example/", Owner: "a", Repo: "b", Token: secret.New("x"), Transport: inProcess{handler}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Pulls(t.Context()); err == nil {
		t.Error("a redirect elsewhere was taken for an answer")
	}
	if got := strings.Join(hosts, " "); got != "forge.example" {
		t.Errorf("asked %s", got)
	}
}

// TestInvariant12ForgeSecretsAreNeverTold drives the client into its errors and looks for the token in all that it says.
func TestInvariant12ForgeSecretsAreNeverTold(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, code := range []int{401, 403, 404, 422, 429, 500} {
		s := &strict{T: t, head: "abc"}
		s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"message":"no"}`)
			return true
		}
		c := s.client(log)
		_, err := c.Pulls(t.Context())
		log.Error("pulls", "error", err, "client", fmt.Sprintf("%v %+v", c.Config, c.tokens))
		log.Error("post", "error", c.Post(t.Context(), forge.Target{Pull: 1, SHA: "abc"}, forge.Review{}))
		log.Error("post", "error", fmt.Sprintf("%#v", c.Post(t.Context(), forge.Target{SHA: "abc"}, forge.Review{})))
	}
	_, err := New(Config{Owner: "a", Repo: "b", App: App{1, 2, secret.New("-----BEGIN " + botToken)}})
	log.Error("app", "error", err)
	_, err = New(Config{Owner: "a", Repo: "b", APIURL: "http://user:" + botToken + "@forge.example", Token: secret.New("x")})
	log.Error("url", "error", err)
	if err == nil {
		t.Error("credentials in a URL are taken")
	}
	if strings.Contains(out.String(), botToken) {
		t.Errorf("the token was told:\n%s", out.String())
	}
	if out.Len() == 0 {
		t.Error("nothing was told at all")
	}
}
