package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
)

// round is what a daemon answers when it is asked once: how far each step is, by its name. Those that are not named are applying.
type round map[string]reconciler.Progress

// telling is a daemon that answers round by round, the last one for ever; a nil round is a daemon that is starting again.
func telling(t *testing.T, rounds ...round) *client {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q reconciler.ProgressQuery
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.URL.Path != "/api/v1/progress" {
			t.Error(r.URL, err)
		}
		now := rounds[0]
		if len(rounds) > 1 {
			rounds = rounds[1:]
		}
		if now == nil {
			http.Error(w, "it is starting", http.StatusServiceUnavailable)
			return
		}
		out := []reconciler.Progress{}
		for _, s := range q.Steps {
			p, named := now[s.Key.Name]
			if !named {
				p.Status = forge.StepApplying
			}
			out = append(out, p)
		}
		_ = json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(server.Close)
	return &client{base: server.URL}
}

func recordSteps(names ...string) []plan.Step {
	var out []plan.Step
	for _, name := range names {
		out = append(out, plan.Step{Key: resource.Key{Kind: resource.DNSRecord, Scope: "zone/acme.example", Name: name}, Verb: plan.Delete, Before: resource.Value(`{}`)})
	}
	return out
}

var (
	is = func(s forge.StepStatus, why string) reconciler.Progress {
		return reconciler.Progress{Status: s, Why: why}
	}
	done    = is(forge.StepDone, "")
	dropped = is(forge.StepDropped, "the branch asks for something else by now")
)

func TestFollow(t *testing.T) {
	steps := recordSteps("A one", "A two", "A three")
	for name, c := range map[string]struct {
		rounds   []round
		patience time.Duration
		want     string
		code     error
	}{
		"all done, through a restart and a failure": {
			[]round{{"A one": done}, nil, {"A two": is(forge.StepFailed, "AWS says no")}, {"A two": is(forge.StepFailed, "AWS says no")}, {"A two": done}, {"A three": done}}, time.Minute,
			"done: delete record A one (zone/acme.example)\n" +
				"failed: delete record A two (zone/acme.example), AWS says no\n" +
				"done: delete record A two (zone/acme.example)\n" +
				"done: delete record A three (zone/acme.example)\n" +
				"done: 3 of 3 steps done\n", nil},
		"one is asked for no more": {
			[]round{{"A one": done, "A two": done, "A three": dropped}}, time.Minute,
			"done: delete record A one (zone/acme.example)\n" +
				"done: delete record A two (zone/acme.example)\n" +
				"dropped: delete record A three (zone/acme.example), the branch asks for something else by now\n" +
				"done: 2 of 3 steps done, 1 dropped\n", nil},
		"somebody has to agree again": {
			[]round{{"A one": done, "A two": is(forge.StepApproval, "it is frozen"), "A three": done}}, time.Minute,
			"done: delete record A one (zone/acme.example)\n" +
				"done: delete record A three (zone/acme.example)\n" +
				"needs apply: delete record A two (zone/acme.example), it is frozen\n" +
				"stopped, the rest needs somebody to agree once more: edgewright status: 2 of 3 steps done\n", exitCode(exitRefused)},
		"for longer than one waits": {
			[]round{{"A one": done, "A two": done}}, time.Second,
			"done: delete record A one (zone/acme.example)\n" +
				"done: delete record A two (zone/acme.example)\n" +
				"applying: delete record A three (zone/acme.example)\n" +
				"not done yet, the daemon goes on by itself: edgewright status: 2 of 3 steps done\n", exitCode(exitError)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := telling(t, c.rounds...).follow(t.Context(), &out, steps, c.patience)
			if diff := cmp.Diff(c.want, out.String()); diff != "" || !errors.Is(err, c.code) {
				t.Errorf("%v, want %v; -want +got:\n%s", err, c.code, diff)
			}
		})
	}
}

// On a terminal there is a bar for each kind and scope, above which stands what fails; nothing of it on a dumb one.
func TestFollowOnTerminal(t *testing.T) {
	steps := append(recordSteps("A one", "A two"), plan.Step{Key: resource.Key{Kind: resource.EnvoyService, Scope: "fleet/edge", Name: "wiki"}, Verb: plan.Delete})
	shown := func() string {
		terminal, tty, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: 100}); err != nil {
			t.Fatal(err)
		}
		got := make(chan string)
		go func() {
			text, _ := io.ReadAll(terminal) // it ends with an error once the other side is closed
			got <- string(text)
		}()
		if err := telling(t, round{"wiki": done, "A one": is(forge.StepFailed, "AWS says no")}, round{"A one": done}, round{"A two": done}).follow(t.Context(), tty, steps, time.Minute); err != nil {
			t.Error(err)
		}
		tty.Close()
		text := <-got
		terminal.Close()
		return text
	}
	t.Setenv("TERM", "xterm")
	text := shown()
	for _, want := range []string{"records in zone/acme.example", "services in fleet/edge", "1 of 2", "2 of 2", "[=", "failed: delete record A one (zone/acme.example), AWS says no", "\x1b[", "done: 3 of 3 steps done"} {
		if !strings.Contains(text, want) {
			t.Errorf("the terminal does not show %q:\n%q", want, text)
		}
	}
	t.Setenv("TERM", "dumb")
	if text := shown(); strings.Contains(text, "\x1b") || !strings.Contains(text, "done: delete record A two (zone/acme.example)") {
		t.Errorf("a dumb terminal shows\n%q", text)
	}
}
