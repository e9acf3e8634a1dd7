package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/demo"
	"github.com/edgewright/edgewright/fixtures/load"
)

// TestRefusedByEnvoy: with validation switched off, a change that only Envoy refuses is merged. All else is served, also to a proxy that
// starts afterwards, for which the last good version of that service is kept; the pull says what was refused, with file and line.
func TestRefusedByEnvoy(t *testing.T) {
	d := startDemo(t, 1, "--envoy", "none")
	answers := func(at, host, path, want string) error {
		a, err := load.Once(t.Context(), at, host, path)
		if err == nil && (a.Status != http.StatusOK || string(a.Body) != want) {
			err = fmt.Errorf("%s%s answers %d %q", host, path, a.Status, a.Body)
		}
		return err
	}
	soon := func(what string, is func(context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := load.Until(ctx, 10*time.Millisecond, is); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, d.Daemon.Log(20))
		}
	}
	soon("it is served at first", func(context.Context) error { return answers(d.Public[0], "status.acme.example", "/ping", "pong\n") })

	number := pulled(t, d, soon, "refused", map[string]func(string) string{
		"services/statuspage/statuspage.cue": func(s string) string {
			return strings.Replace(s, `{name: "ping"`, `{name: "odd", match: path: regex: "/\\x{1F600}", respond: status: 200}, {name: "ping"`, 1)
		},
		"services/platform/old-names.cue": func(s string) string { return strings.Replace(s, `path: "/"`, `path: "/", code: 307`, 1) },
	})
	if _, err := d.Merge(t.Context(), number); err != nil {
		t.Fatal(err)
	}
	merged := time.Now()
	soon("the pull says so", func(context.Context) error {
		body := d.Forge.Comments(number)[0].Body
		for _, want := range []string{"Envoy refused", "1.40.0", "invalid escape sequence", "services/statuspage/statuspage.cue:"} {
			if !strings.Contains(body, want) {
				return fmt.Errorf("want %q in:\n%s", want, body)
			}
		}
		return nil
	})
	t.Logf("the pull says so %v after the merge", time.Since(merged))
	served := func(at string) {
		t.Helper()
		soon("what was good", func(context.Context) error { return answers(at, "status.acme.example", "/ping", "pong\n") })
		soon("what was merged with it", func(ctx context.Context) error {
			a, err := load.Once(ctx, at, "issues.acme.example", "/x")
			if err == nil && a.Status != http.StatusTemporaryRedirect {
				err = fmt.Errorf("status %d", a.Status)
			}
			return err
		})
	}
	served(d.Public[0])
	if err := d.StartEnvoy(t.Context()); err != nil {
		t.Fatal(err)
	}
	served(d.Public[1])
	if err := d.Daemon.Stop(); err != nil { // nor is it forgotten
		t.Fatal(err)
	}
	if err := d.Daemon.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.StartEnvoy(t.Context()); err != nil {
		t.Fatal(err)
	}
	served(d.Public[2])
	for n, p := range d.Envoys {
		if n == 0 {
			continue
		}
		if refused, err := p.Stats(t.Context(), "update_rejected$"); err != nil || anyPositive(refused) {
			t.Errorf("%s was sent what had been refused before: %v, %v", p.Node, refused, err)
		}
	}
}

func anyPositive(stats map[string]uint64) bool {
	for _, n := range stats {
		if n > 0 {
			return true
		}
	}
	return false
}

// pulled pushes edits to a branch, and waits for the pull with its plan.
func pulled(t *testing.T, d *demo.Demo, soon func(string, func(context.Context) error), branch string, edits map[string]func(string) string) (number int) {
	t.Helper()
	clone, err := d.Clone(t.Context(), "clone")
	if err != nil {
		t.Fatal(err)
	}
	for file, edit := range edits {
		if err := clone.Edit(file, edit); err != nil {
			t.Fatal(err)
		}
	}
	head, err := clone.Push(t.Context(), branch, "A change")
	if err != nil {
		t.Fatal(err)
	}
	soon("a pull with a plan", func(context.Context) error {
		for _, p := range d.Forge.Pulls() {
			if runs := d.Forge.Checks(head); p.Branch == branch && len(runs) > 0 && runs[len(runs)-1].Conclusion == "success" {
				number = p.Number
				return nil
			}
		}
		return fmt.Errorf("none of %v; checks %+v", d.Forge.Pulls(), d.Forge.Checks(head))
	})
	return number
}
