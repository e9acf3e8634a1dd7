package source

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
)

// asked counts what a remote is asked.
type asked struct {
	mu sync.Mutex
	n  map[string]int
}

// counting has the mirror ask its remote by way of a counter.
func (b *bench) counting() *asked {
	b.Helper()
	to, err := url.Parse(b.mirror.URL)
	if err != nil {
		b.Fatal(err)
	}
	a := &asked{n: map[string]int{}}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: to.Scheme, Host: to.Host})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.n[path.Base(r.URL.Path)]++
		a.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	b.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		b.Fatal(err)
	}
	to.Host = at.Host
	b.mirror.URL = to.String()
	return a
}

func (a *asked) since() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.n
	a.n = map[string]int{}
	return n
}

// TestFetchAsTold holds that what is told saves a question where it is so, and is nothing where it is not.
func TestFetchAsTold(t *testing.T) {
	b := newBench(t, Config{})
	a := b.counting()
	first, _ := b.mirror.Tip()
	fetch := func(what, told, want string, refs, packs int) {
		t.Helper()
		if err := b.mirror.Fetch(t.Context(), told); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if tip, err := b.mirror.Tip(); err != nil || tip.Hash != want {
			t.Fatalf("%s: the tip is %s, want %s (%v)", what, tip.Hash, want, err)
		}
		if _, err := b.mirror.Files(t.Context(), want); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if n := a.since(); n["refs"] != refs || n["git-upload-pack"] != packs {
			t.Errorf("%s: asked %v, want %d for refs and %d for packs", what, n, refs, packs)
		}
	}
	second := b.push("main", "services/trello/b.cue", "package services\n")
	fetch("as told", second, second, 1, 1)
	fetch("told again", second, second, 1, 0)
	third := b.push("main", "services/trello/c.cue", "package services\n")
	fetch("told of one before", first.Hash, third, 2, 1)
	fourth := b.push("main", "services/trello/d.cue", "package services\n")
	fetch("told of what is nowhere", strings.Repeat("ab", 20), fourth, 2, 2)
	fetch("told nonsense", "../../etc", fourth, 1, 0)

	b.git("reset", "--quiet", "--hard", second)
	rewritten := b.push("main", "services/trello/e.cue", "package services\n", "--force")
	fetch("rewritten", rewritten, rewritten, 1, 1)
	if !strings.Contains(b.log.String(), "the branch was rewritten") {
		t.Errorf("log:\n%s", b.log.String())
	}
	b.git("reset", "--quiet", "--hard", second)
	b.git("push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
	fetch("set back", rewritten, second, 1, 0)

	head := b.push("topic", "services/jira/x.cue", "package services\n")
	b.git("reset", "--quiet", "--hard", second)
	fifth := b.push("main", "services/trello/f.cue", "package services\n")
	fetch("a pull besides", fifth, fifth, 2, 2)
	if _, err := b.mirror.Files(t.Context(), head); err != nil {
		t.Errorf("the head of the pull: %v", err)
	}
}
