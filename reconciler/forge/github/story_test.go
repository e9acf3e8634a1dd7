package github

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-github/v60/github"

	local "github.com/edgewright/edgewright/fixtures/forge"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/secret"
	"github.com/edgewright/edgewright/render/resource"
)

const botToken = "bot-token-that-must-not-be-printed"

// counted counts the requests that pass.
type counted struct{ reads, writes atomic.Int64 }

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		c.reads.Add(1)
	} else {
		c.writes.Add(1)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// stage is a local forge with a clone of its repository.
type stage struct {
	*testing.T
	forge  *local.Forge
	clone  string
	client *Client
	count  *counted
}

func newStage(t *testing.T) *stage {
	t.Helper()
	f, err := local.Start(t.Context(), local.Config{Dir: t.TempDir(), Token: botToken, WebhookSecret: hookSecret, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Users: map[string]local.User{
			"maria": {Token: "maria-token", Permission: local.Write},
			"rob":   {Token: "rob-token", Permission: local.Read},
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := f.Seed(t.Context(), fstest.MapFS{"services/jira.cue": {Data: []byte("jira: 1\n")}}, "seed"); err != nil {
		t.Fatal(err)
	}
	s := &stage{T: t, forge: f, clone: filepath.Join(t.TempDir(), "clone"), count: &counted{}}
	s.git("", "clone", "--quiet", f.CloneURL(), s.clone)
	s.client = s.another()
	return s
}

// another is a client as after a restart.
func (s *stage) another() *Client {
	s.Helper()
	c, err := New(Config{APIURL: s.forge.APIURL(), Owner: "acme", Repo: "edge-config", Token: secret.New(botToken),
		Login: "edgewright[bot]", Transport: s.count})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

func (s *stage) git(dir string, args ...string) string {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=maria", "GIT_AUTHOR_EMAIL=m@example.org", "GIT_COMMITTER_NAME=maria", "GIT_COMMITTER_EMAIL=m@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// push commits something on a branch, which opens or moves a pull.
func (s *stage) push(branch, content string) forge.Pull {
	s.Helper()
	s.git(s.clone, "checkout", "--quiet", "-B", branch)
	if err := os.WriteFile(filepath.Join(s.clone, "services/jira.cue"), []byte(content), 0o600); err != nil {
		s.Fatal(err)
	}
	s.git(s.clone, "commit", "--quiet", "--all", "--message", content)
	s.git(s.clone, "push", "--quiet", "--force", "origin", branch)
	open, err := s.client.Pulls(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return open[len(open)-1]
}

func (s *stage) post(c *Client, p forge.Pull, r forge.Review) {
	s.Helper()
	if err := c.Post(s.Context(), forge.Target{Pull: p.Number, SHA: p.Head}, r); err != nil {
		s.Fatal(err)
	}
}

// one is the only comment of a pull.
func (s *stage) one(p forge.Pull) local.Comment {
	s.Helper()
	comments := s.forge.Comments(p.Number)
	if len(comments) != 1 {
		s.Fatalf("%d comments, want 1", len(comments))
	}
	return comments[0]
}

func (s *stage) as(token string) *github.Client {
	c, err := github.NewClient(nil).WithAuthToken(token).WithEnterpriseURLs(s.forge.APIURL(), s.forge.APIURL())
	if err != nil {
		s.Fatal(err)
	}
	return c
}

func review(p forge.Pull, note string) forge.Review {
	return forge.Review{Head: p.Head, Digest: "c0ffee00c0ffee00c0ff", Note: note,
		Observed: map[resource.Scope]time.Time{"zone/example.com": time.Now()}}
}

func TestPulls(t *testing.T) {
	s := newStage(t)
	p := s.push("reweigh", "jira: 2\n")
	if p.Number != 1 || p.HeadRef != "reweigh" || p.BaseRef != "main" || p.Head != s.git(s.clone, "rev-parse", "HEAD") ||
		p.Base == "" || p.Author == "" || p.Fork || p.Merged != "" || p.URL == "" {
		t.Errorf("%+v", p)
	}
	if _, ok, err := s.client.PullOf(t.Context(), p.Head); err != nil || ok {
		t.Errorf("an open pull is told as merged: %v, %v", ok, err)
	}
}

func TestCommentIsPostedOnceAndEditedInPlace(t *testing.T) {
	s := newStage(t)
	p := s.push("reweigh", "jira: 2\n")
	s.post(s.client, p, review(p, "first"))
	first := s.one(p)
	if !strings.HasPrefix(first.Body, forge.Marker+"\n") || !strings.Contains(first.Body, "first") || first.Author != "edgewright[bot]" {
		t.Errorf("comment by %s: %s", first.Author, first.Body)
	}
	before := s.count.reads.Load() + s.count.writes.Load()
	s.post(s.client, p, review(p, "first"))
	if n := s.count.reads.Load() + s.count.writes.Load() - before; n != 0 {
		t.Errorf("%d requests to say the same again", n)
	}
	writes := s.count.writes.Load()
	restarted := s.another()
	s.post(restarted, p, review(p, "first"))
	if n := s.count.writes.Load() - writes; n != 0 {
		t.Errorf("%d writes after a restart to say the same again", n)
	}
	s.post(restarted, p, review(p, "second"))
	if second := s.one(p); second.ID != first.ID || !strings.Contains(second.Body, "second") {
		t.Errorf("not edited in place: %+v", second)
	}
	if checks := s.forge.Checks(p.Head); len(checks) != 1 || checks[0].Conclusion != "success" || checks[0].Status != "completed" {
		t.Errorf("checks: %+v", checks)
	}
}

func TestOnlyOurOwnCommentIsTaken(t *testing.T) {
	s := newStage(t)
	p := s.push("reweigh", "jira: 2\n")
	forged := forge.Marker + "\nmine"
	if _, _, err := s.as("maria-token").Issues.CreateComment(t.Context(), "acme", "edge-config", p.Number, &github.IssueComment{Body: &forged}); err != nil {
		t.Fatal(err)
	}
	s.post(s.client, p, review(p, "ours"))
	comments := s.forge.Comments(p.Number)
	if len(comments) != 2 || comments[0].Body != forged || !strings.Contains(comments[1].Body, "ours") {
		t.Errorf("comments: %+v", comments)
	}
}

func TestDuplicatesAndDeletionsAreHealed(t *testing.T) {
	s := newStage(t)
	p := s.push("reweigh", "jira: 2\n")
	for _, text := range []string{"one", "two", "three"} {
		body := forge.Marker + "\n" + text
		if _, _, err := s.as(botToken).Issues.CreateComment(t.Context(), "acme", "edge-config", p.Number, &github.IssueComment{Body: &body}); err != nil {
			t.Fatal(err)
		}
	}
	s.post(s.client, p, review(p, "healed"))
	kept := s.one(p)
	if !strings.Contains(kept.Body, "healed") {
		t.Errorf("kept: %s", kept.Body)
	}
	if _, err := s.as("maria-token").Issues.DeleteComment(t.Context(), "acme", "edge-config", kept.ID); err != nil {
		t.Fatal(err)
	}
	s.post(s.client, p, review(p, "again"))
	if again := s.one(p); !strings.Contains(again.Body, "again") || again.ID == kept.ID {
		t.Errorf("after a deletion: %+v", again)
	}
}

func TestMovedHeadIsDropped(t *testing.T) {
	s := newStage(t)
	old := s.push("reweigh", "jira: 2\n")
	now := s.push("reweigh", "jira: 3\n")
	writes := s.count.writes.Load()
	var moved *forge.MovedError
	err := s.client.Post(t.Context(), forge.Target{Pull: old.Number, SHA: old.Head}, review(old, "stale"))
	if !errors.As(err, &moved) || moved.Have != now.Head {
		t.Errorf("got %v", err)
	}
	if n := s.count.writes.Load() - writes; n != 0 || len(s.forge.Comments(old.Number)) != 0 {
		t.Errorf("%d writes for a head that is gone", n)
	}
	s.forge.Faults.Inject(local.Fault{Kind: local.StaleHead})
	if err := s.client.Post(t.Context(), forge.Target{Pull: now.Number, SHA: now.Head}, review(now, "early")); !errors.As(err, &moved) {
		t.Errorf("a forge that lags behind: got %v", err)
	}
	s.post(s.client, now, review(now, "current"))
	s.one(now)
}

func TestNewTokenIsTriedAgain(t *testing.T) {
	s := newStage(t)
	p := s.push("reweigh", "jira: 2\n")
	key, err := s.forge.AppKey()
	if err != nil {
		t.Fatal(err)
	}
	s.forge.Faults.Inject(local.Fault{Kind: local.RefuseNewToken, Times: 2})
	c, err := New(Config{APIURL: s.forge.APIURL(), Owner: "acme", Repo: "edge-config",
		App: App{s.forge.AppID(), s.forge.InstallationID(), secret.New(string(key))}})
	if err != nil {
		t.Fatal(err)
	}
	s.post(c, p, review(p, "as an App"))
	s.one(p)
	if n := s.forge.Faults.Fired(local.RefuseNewToken); n != 2 {
		t.Errorf("the token was refused %d times, want 2", n)
	}
	token, err := c.Token(t.Context())
	if err != nil || token.Empty() {
		t.Fatalf("a token for git: %v", err)
	}
	s.git("", "-c", "http.extraHeader=Authorization: Bearer x", "ls-remote", "http://x-access-token:"+token.Reveal()+"@"+strings.TrimPrefix(s.forge.CloneURL(), "http://"))
}

func TestSecondaryLimitIsHonoured(t *testing.T) {
	for _, c := range []struct {
		fault local.Fault
		least time.Duration
		most  time.Duration
	}{
		{local.Fault{Kind: local.SecondaryLimit, RetryAfter: 7 * time.Second}, 6 * time.Second, 7 * time.Second},
		{local.Fault{Kind: local.SecondaryLimit}, 59 * time.Second, time.Minute},
		{local.Fault{Kind: local.AbuseLimit}, 59 * time.Second, time.Minute},
	} {
		t.Run(string(c.fault.Kind)+c.fault.RetryAfter.String(), func(t *testing.T) {
			s := newStage(t)
			p := s.push("reweigh", "jira: 2\n")
			s.forge.Faults.Inject(c.fault)
			target := forge.Target{Pull: p.Number, SHA: p.Head}
			var limited *LimitedError
			for range 2 {
				err := s.client.Post(t.Context(), target, review(p, "x"))
				if !errors.As(err, &limited) || limited.RetryAfter < c.least || limited.RetryAfter > c.most {
					t.Fatalf("got %v", err)
				}
			}
			if n := s.count.writes.Load(); n != 1 {
				t.Errorf("%d writes, want 1: the forge wants to be left alone", n)
			}
			s.post(s.another(), p, review(p, "x"))
			s.one(p)
		})
	}
}

func TestMergedPullIsToldTheResult(t *testing.T) {
	s := newStage(t)
	p := s.push("reweigh", "jira: 2\n")
	s.post(s.client, p, review(p, "plan"))
	result, _, err := s.as("maria-token").PullRequests.Merge(t.Context(), "acme", "edge-config", p.Number, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := s.another()
	merged, ok, err := c.PullOf(t.Context(), result.GetSHA())
	if err != nil || !ok || merged.Number != p.Number || merged.Merged != result.GetSHA() || merged.Head != p.Head {
		t.Fatalf("pull of the merge: %+v, %v, %v", merged, ok, err)
	}
	if lately, err := c.Merged(t.Context()); err != nil || len(lately) != 1 || lately[0].Number != p.Number {
		t.Errorf("merged lately: %+v, %v", lately, err)
	}
	for _, state := range []forge.State{forge.Applying, forge.Applied} {
		r := review(merged, "")
		var moved *forge.MovedError
		if err := c.Post(t.Context(), forge.Target{Pull: merged.Number, SHA: merged.Head}, review(merged, "too late")); !errors.As(err, &moved) || !moved.Merged {
			t.Errorf("a plan was posted on a merged pull: %v", err)
		}
		r.State, r.Commit = state, merged.Merged
		s.post(c, merged, r)
	}
	if body := s.one(p).Body; !strings.Contains(body, "### edgewright: Applied") {
		t.Errorf("comment: %s", body)
	}
	if checks := s.forge.Checks(p.Head); len(checks) != 1 || checks[0].Conclusion != "success" {
		t.Errorf("checks: %+v", checks)
	}
	if err := c.Post(t.Context(), forge.Target{SHA: merged.Merged, CheckOnly: true, Background: true}, review(merged, "on the branch")); err != nil {
		t.Fatal(err)
	}
	if checks := s.forge.Checks(merged.Merged); len(checks) != 1 {
		t.Errorf("checks on the branch: %+v", checks)
	}
}

func TestCommands(t *testing.T) {
	s := newStage(t)
	p := s.push("reweigh", "jira: 2\n")
	for _, c := range []struct{ token, body string }{
		{"maria-token", "edgewright apply c0ffee00c0ffee00c0ff --confirm-deletes 12"},
		{"rob-token", "please\r\nedgewright apply 00000000000000000000 \r\nthanks"},
		{"maria-token", "> edgewright apply 11111111111111111111"},
		{"maria-token", "```\nedgewright apply 22222222222222222222\n```\nedgewright apply short"},
		{botToken, "edgewright apply 33333333333333333333"},
	} {
		if _, _, err := s.as(c.token).Issues.CreateComment(t.Context(), "acme", "edge-config", p.Number, &github.IssueComment{Body: &c.body}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.client.Commands(t.Context(), p.Number)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if m := got[0]; m.Digest != "c0ffee00c0ffee00c0ff" || m.ConfirmDeletes != 12 || m.Author != "maria" || !m.MayMerge() || m.CommentID == 0 {
		t.Errorf("maria's: %+v", m)
	}
	if r := got[1]; r.Digest != "00000000000000000000" || r.Author != "rob" || r.MayMerge() {
		t.Errorf("rob's: %+v", r)
	}
}

func TestWebhooksOfTheForgeAreTaken(t *testing.T) {
	s := newStage(t)
	s.forge.Faults.Inject(local.Fault{Kind: local.DuplicateDelivery, On: "pull_request"})
	hints, repeated := make(chan Hint, 10), make(chan string, 10)
	receiver := httptest.NewServer(Handler(secret.New(hookSecret), hints, nil, func(outcome string) {
		if outcome == "repeated" {
			repeated <- outcome
		}
	}))
	defer receiver.Close()
	s.forge.SetWebhook(receiver.URL)
	p := s.push("reweigh", "jira: 2\n")
	for _, from := range []struct {
		name string
		seen func() bool
	}{
		{"the pull's opening", func() bool { h := <-hints; return h.Event == "pull_request" && h.Pull == p.Number && h.SHA == p.Head }},
		{"its repetition", func() bool { return <-repeated == "repeated" }},
	} {
		done := make(chan struct{})
		go func() {
			for !from.seen() {
			}
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Fatalf("%s was not heard of", from.name)
		}
	}
}
