package web

import (
	"context"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/edgewright/edgewright/reconciler"
)

// browser is a tab of a headless Chromium, and what it complained of.
type browser struct {
	context.Context
	t *testing.T

	mu         sync.Mutex
	complaints []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "google-chrome", "chromium-browser", "headless_shell"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Fatal("no Chromium on PATH: run `make debian`")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(time.Minute))
	ctx, stop := context.WithTimeout(context.Background(), 45*time.Second)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	b := &browser{Context: ctx, t: t}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	for _, enable := range []cdp.Command[cdp.Empty, cdp.Empty]{log.Enable, audits.Enable, runtime.Enable} {
		if _, err := chromedp.Call(ctx, enable, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	return b
}

// hear notes violations of the policy and faults of the script.
func (b *browser) hear(event any) {
	var text string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	case *audits.EventIssueAdded:
		if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			text = "violation of the policy: " + e.Issue.Details.ContentSecurityPolicyIssueDetails.ViolatedDirective
		}
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
	}
	if text == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, text)
}

func (b *browser) heard() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.complaints
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// is evaluates a condition.
func (b *browser) is(condition string) bool {
	b.t.Helper()
	is, err := chromedp.Run(b, chromedp.Evaluate[bool]("!!("+condition+")"))
	if err != nil {
		b.t.Fatal(err)
	}
	return is
}

// until waits for a condition.
func (b *browser) until(what, condition string) {
	b.t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if b.is(condition) {
			return
		}
	}
	text, _ := chromedp.Run(b, chromedp.Text(chromedp.CSS("body")))
	b.t.Fatalf("%s did not come; the page says: %s", what, text)
}

func has(text string) string { return "document.body.innerText.includes(" + `"` + text + `")` }

// wider names what reaches beyond the right edge; tables may, within sections that scroll by themselves.
const wider = `document.documentElement.scrollWidth <= innerWidth ? "" : [...document.querySelectorAll("body *")]
	.filter((e) => !e.closest("table") && e.getBoundingClientRect().right > innerWidth).map((e) => e.tagName + "#" + e.id).join(" ") || "something"`

// TestBrowser is a person who reads what waits, logs in and applies it.
func TestBrowser(t *testing.T) {
	b := newBrowser(t)
	w := newWorld(t)
	served := httptest.NewServer(w.handler)
	t.Cleanup(served.Close)

	b.do(chromedp.EmulateViewport(400, 800), chromedp.Navigate(served.URL), chromedp.WaitVisible(chromedp.CSS("#login")))
	if wide, err := chromedp.Run(b, chromedp.Evaluate[string](wider)); err != nil || wide != "" {
		t.Errorf("at 400 pixels the page is scrolled sideways by %s (%v)", wide, err)
	}

	b.is(`window.first = document.getElementById("main")`)
	w.loop.change(func(v *reconciler.View) { v.Subject = "Move it again" })
	b.until("the live update", `document.getElementById("main") !== window.first && `+has("Move it again"))

	b.do(chromedp.SendKeys(chromedp.CSS("#login input[name=token]"), token[:5]))
	w.loop.change(func(v *reconciler.View) { v.Subject = "Not while somebody types" })
	time.Sleep(2500 * time.Millisecond)
	if b.is(has("Not while somebody types")) {
		t.Error("the page was replaced under the fingers of who types")
	}
	b.do(chromedp.SendKeys(chromedp.CSS("#login input[name=token]"), token[5:]+"\r"), chromedp.WaitVisible(chromedp.CSS("#apply")))

	w.loop.change(func(v *reconciler.View) { v.Pending = "def456" })
	b.until("the pause after a change of what waits", has("has changed just now")+` && document.querySelector("#apply button").disabled`)
	b.until("the end of the pause", `!document.querySelector("#apply button").disabled`)
	b.do(chromedp.SendKeys(chromedp.CSS("#apply input[name=confirm]"), "12"), chromedp.Click(chromedp.CSS("#apply button")),
		chromedp.WaitVisible(chromedp.CSS("#outcome")))
	b.until("the outcome", has("by digest def456"))
	if len(w.loop.applied) != 1 || w.loop.applied[0] != (reconciler.Apply{Digest: "def456", ConfirmDeletes: 12, Identity: "page"}) {
		t.Errorf("applied %+v", w.loop.applied)
	}
	b.do(chromedp.Navigate(served.URL + "/pulls/7"))
	b.until("the plan of the pull", `document.querySelector("#comment strong")?.textContent === "Ready"`)
	if heard := b.heard(); len(heard) > 0 {
		t.Errorf("the browser complains: %q", heard)
	}
}

// TestBrowserTells shows that a violation of the policy would be heard, and that a daemon that is gone is told of.
func TestBrowserTells(t *testing.T) {
	b := newBrowser(t)
	served := httptest.NewServer(newWorld(t).handler)
	t.Cleanup(served.Close)
	b.do(chromedp.Navigate(served.URL), chromedp.WaitVisible(chromedp.CSS("#login")))
	b.is(`document.body.append(Object.assign(document.createElement("img"), {src: "http://far.invalid/i.png"}))`)
	for end := time.Now().Add(5 * time.Second); len(b.heard()) == 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
	if !strings.Contains(strings.Join(b.heard(), " "), "olic") {
		t.Errorf("a violation of the policy was not heard: %q", b.heard())
	}
	served.Close()
	b.until("word that the daemon is gone", `!document.getElementById("stale").hidden`)
}
