package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/edgewright/edgewright/fixtures/demo"
)

// browser is a headless Chromium on a running demo. What its console complains of fails the test.
type browser struct {
	*testing.T
	demo *demo.Demo
	ctx  context.Context

	mu       sync.Mutex
	concerns []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless_shell"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Fatal("no Chromium on PATH: run `make debian`")
	}
	b := &browser{T: t, demo: startDemo(t, 2)}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(t.TempDir()))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	var cancel context.CancelFunc
	b.ctx, cancel = chromedp.NewContext(allocator)
	t.Cleanup(func() { _ = chromedp.Cancel(b.ctx); cancel() }) // it may be gone
	if err := chromedp.Do(b.ctx); err != nil {                 // the first call starts the browser
		t.Fatal(err)
	}
	go b.listen()
	return b
}

// listen collects what the console says is wrong: a script that throws, something that the content security policy refused.
func (b *browser) listen() {
	for m, err := range chromedp.Console(b.ctx) {
		if err != nil {
			return
		}
		if m.IsException() || m.Type == "error" {
			b.mu.Lock()
			b.concerns = append(b.concerns, m.String())
			b.mu.Unlock()
		}
	}
}

// do runs actions within a time that a slow machine needs too.
func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.Fatalf("%s: %v", what, err)
	}
}

// get is do for an action with an answer.
func get[T any](b *browser, what string, action chromedp.Action[T]) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.Fatalf("%s: %v", what, err)
	}
	return v
}

// reads waits until the text of a part of the page holds all words, loading it anew as a person does.
func (b *browser) reads(url, selector string, words ...string) {
	b.Helper()
	var text string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		b.do("open "+url, chromedp.Navigate(url), chromedp.WaitReady("body"))
		text = get(b, "read "+selector, chromedp.Evaluate[string](fmt.Sprintf(`[...document.querySelectorAll(%q)].map(e => e.innerText).join("\n")`, selector)))
		missing := ""
		for _, w := range words {
			if !strings.Contains(text, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
	}
	b.Fatalf("%s at %s never says %q; it says:\n%s", selector, url, words, text)
}

// push makes a change in a fresh clone and pushes it.
func (b *browser) push(branch string, path string, change func(string) string) {
	b.Helper()
	clone, err := b.demo.Clone(b.Context(), "clone-"+branch)
	if err == nil {
		err = clone.Edit(path, change)
	}
	if err == nil {
		_, err = clone.Push(b.Context(), branch, "A change to "+path)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// TestBrowser reads the demo's pull and the status page as a person would, merges with the button, and agrees to a deletion.
func TestBrowser(t *testing.T) {
	b := newBrowser(t)
	status := "http://" + b.demo.Daemon.Web
	b.reads(status, "main", "converged", "envoy-1", "envoy-2", "jira-web", "zone/acme.example")

	b.push("more", "services/statuspage/statuspage.cue", func(text string) string {
		return strings.Replace(text, `["status.acme.example"]`, `["status.acme.example", "uptime.status.acme.example"]`, 1)
	})
	pull := b.demo.Forge.PullURL(1)
	b.reads(pull, ".bot .prose", "uptime.status.acme.example", "1 to create", "1 to update")
	b.reads(pull, "#checks", "edgewright")
	b.reads(status+"/pulls/1", "#comment", "uptime.status.acme.example")
	b.do("unfold the diff", chromedp.Navigate(pull), chromedp.WaitVisible(".bot details summary"), chromedp.Click(".bot details summary"),
		chromedp.WaitVisible(".bot details[open] pre"))
	b.do("merge", chromedp.Click(`#merge button[value="merge"]`, chromedp.NodeVisible), chromedp.WaitVisible(`//section[@id="merge"]//a[starts-with(@href, "/commits/")]`))
	b.reads(pull, ".bot .prose", "Applied")

	b.push("broken", "services/trello/trello-web.cue", func(text string) string { return strings.Replace(text, "exposure:", "exposre:", 1) })
	b.reads(b.demo.Forge.PullURL(2), "body", "unknown field exposre", "did you mean exposure?", "services/trello/trello-web.cue")

	b.push("main", "services/platform/old-names.cue", func(string) string { return "" })
	b.reads(status, "#pending", "old-names", "edgewright apply")
	token, err := os.ReadFile(filepath.Join(b.demo.Daemon.State, "token"))
	if err != nil {
		t.Fatal(err)
	}
	b.do("log in", chromedp.WaitVisible(`input[name="token"]`), chromedp.SendKeys(`input[name="token"]`, string(token)), chromedp.Click(`form[action="/login"] button`),
		chromedp.WaitVisible(`form[action="/apply"] button`))
	b.do("apply", chromedp.Click(`form[action="/apply"] button`), chromedp.WaitVisible("#outcome"))
	if outcome := get(b, "read the outcome", chromedp.Text("#outcome")); !strings.Contains(outcome, "3, by digest") {
		t.Errorf("the outcome is %q", outcome)
	}

	// The page keeps itself up to date: nobody reloads it here.
	b.do("watch", chromedp.Navigate(status), chromedp.WaitVisible(`//h1[text()="converged"]`))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.concerns {
		t.Errorf("the console says: %s", c)
	}
}
