package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestSettle asks a running daemon to let a record go, to take it back, and to change nothing for a while.
func TestSettle(t *testing.T) {
	d := startDemo(t, 1)
	ask := func(code int, want string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		got := -1
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			out.Reset()
			errs.Reset()
			got = run(t.Context(), append(args, "--state", d.Daemon.State), strings.NewReader(""), &out, &errs)
			if got == code && strings.Contains(out.String()+errs.String(), want) {
				return out.String()
			}
		}
		t.Fatalf("%v: %d, want %d and %q\n%s%s", args, got, code, want, out.String(), errs.String())
		return ""
	}
	const name = "jira.acme.example"
	ask(0, "create dns/record zone/acme.example A "+name+"  by edgewright", "history", name)
	ask(0, "nothing was changed by others", "drift")
	ask(3, "nothing there is ours by that name", "forget", "nobody.acme.example")
	ask(1, "name records, or all of a zone", "adopt")
	ask(0, "1 record let go", "forget", name)
	ask(0, `to take it over: edgewright adopt "A jira.acme.example"`, "drift")
	planned := ask(0, "nothing was done yet", "adopt", name)
	digest := regexp.MustCompile(`edgewright apply ([0-9a-f]+)`).FindStringSubmatch(planned)
	if digest == nil || !strings.Contains(planned, "adopt A jira.acme.example (zone/acme.example)") {
		t.Fatalf("adopt says\n%s", planned)
	}
	ask(0, "local token has asked to adopt it", "drift")
	ask(0, "done: 1 of 1 step done", "apply", digest[1])
	ask(0, "nothing was changed by others", "drift")
	ask(0, "forget dns/record zone/acme.example A "+name, "history", name)

	ask(0, "nothing is frozen", "freeze")
	ask(1, "is no time", "freeze", "incident", "--for", "soon", "--reason", "x")
	ask(3, "there is no team jria", "freeze", "incident", "--for", "2h", "--reason", "x", "--team", "jria")
	ask(0, "to end it: edgewright unfreeze incident", "freeze", "incident", "--for", "2h", "--reason", "the zone moves", "--team", "jira", "--zone", "acme.internal")
	ask(0, "team jira, zone acme.internal, until", "freeze")
	ask(0, "what waited goes on", "unfreeze", "incident")
	ask(3, "there is no freeze incident; those that are on: none", "unfreeze", "incident")
}
