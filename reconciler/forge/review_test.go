package forge

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

var update = flag.Bool("update", false, "rewrite the goldens")

const (
	head = "3f9a1c0de5b7a2c4d6e8f00112233445566778899"
	base = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
)

func service(name string, hosts []schema.Hostname, weight int, content string) resource.Value {
	return resource.ValueOf(envoy.Spec{
		Hosts: hosts, Exposure: schema.Public, Content: content,
		Backends: []schema.Backend{{ID: "canary", Location: schema.DNSName{Name: "canary.internal", Port: 8080}},
			{ID: "web", Location: schema.DNSName{Name: schema.Hostname(name) + ".internal", Port: 8080}}},
		Routes: []schema.Route{{Name: "api", Match: schema.Match{Path: schema.Prefix("/api")}, Action: schema.Forward{
			To: []schema.Destination{{Backend: "canary", Weight: 100 - weight}, {Backend: "web", Weight: weight}}}}},
	})
}

func serviceStep(verb plan.Verb, name string, before, after resource.Value) Step {
	return Step{Step: plan.Step{
		Key:  resource.Key{Kind: resource.EnvoyService, Scope: "fleet/edge", Name: name},
		Verb: verb, Before: before, After: after, Service: schema.ServiceID(name),
	}}
}

func recordStep(verb plan.Verb, host string, before, after []string) Step {
	value := func(values []string) resource.Value {
		if values == nil {
			return nil
		}
		return resource.ValueOf(dns.Record{Name: schema.Hostname(host), Type: "A", TTL: 300, Values: values})
	}
	return Step{Step: plan.Step{
		Key:  resource.Key{Kind: resource.DNSRecord, Scope: "zone/example.com", Name: "A " + host},
		Verb: verb, Before: value(before), After: value(after),
	}}
}

func hosts(names ...schema.Hostname) []schema.Hostname { return names }

func planned(steps ...Step) Review {
	return Review{Head: head, Base: base, Tree: "77aa", Digest: "c0ffee00c0ffee00c0ff", Steps: steps, StatusURL: "https://edge.example.com/pulls/7",
		Observed: map[resource.Scope]time.Time{"zone/example.com": time.Date(2026, 3, 1, 9, 41, 7, 0, time.UTC)}}
}

func problem(line int, message string) schema.Problem {
	return schema.Problem{Code: "route/backend", Position: schema.Position{File: "services/jira/jira-web.cue", Line: line, Column: 9},
		Path: "routes[0].forward.to[0].backend", Message: message, Hint: "declare it under backends", Line: `  backend: "wbe"`, Holds: schema.Holding("jira-web"),
		Also: []schema.Position{{File: "services/jira/other.cue", Line: 3}}}
}

func cases() map[string]Review {
	jira := hosts("jira.example.com")
	reweigh := serviceStep(plan.Update, "jira-web", service("jira", jira, 90, "aa"), service("jira", jira, 80, "bb"))
	create := serviceStep(plan.Create, "wiki", nil, service("wiki", hosts("wiki.example.com"), 100, "cc"))
	created := recordStep(plan.Create, "wiki.example.com", nil, []string{"192.0.2.1"})
	remove := serviceStep(plan.Delete, "old", service("old", hosts("old.example.com"), 100, "dd"), nil)
	removed := recordStep(plan.Delete, "old.example.com", []string{"192.0.2.1"}, nil)
	created.Service, created.Needs, removed.Service = "wiki", []resource.Key{create.Key}, "old"
	narrow := serviceStep(plan.Update, "jira-web", service("jira", hosts("jira.example.com", "j.example.com"), 90, "aa"), service("jira", jira, 90, "ab"))
	content := serviceStep(plan.Update, "jira-web", service("jira", jira, 90, "aa"), service("jira", jira, 90, "ff"))
	drifted := recordStep(plan.Update, "jira.example.com", []string{"198.51.100.9"}, []string{"192.0.2.1"})
	drifted.Drift = true
	with := func(r Review, change func(*Review)) Review { change(&r); return r }
	state := func(s Step, is StepStatus, why string) Step { s.Status, s.Why = is, why; return s }
	return map[string]Review{
		"nothing":       planned(),
		"reweigh":       planned(reweigh),
		"create":        planned(create, created),
		"everything":    planned(reweigh, create, created, remove, removed),
		"takes-traffic": planned(narrow),
		"content-only":  planned(content),
		"drift":         planned(drifted),
		"problems": with(planned(), func(r *Review) {
			r.Warnings = []schema.Problem{{Code: "backend/unused", Position: schema.Position{File: "services/a/b.cue", Line: 2, Column: 3}, Message: "no route forwards to backend x", Hint: "forward to it, or remove it", Holds: schema.Holding("b")}}
			r.Problems = []schema.Problem{problem(14, "backend wbe is not declared"), problem(3, "host name jira.example.com is taken by jira-old")}
			r.Held = []Held{{"jira-web", "services/jira/jira-web.cue:14:9: backend wbe is not declared"}}
		}),
		"clash": with(planned(created), func(r *Review) {
			r.Clashes = []plan.Clash{{Key: created.Key, Message: "it exists in zone/example.com and was not made by edgewright",
				Unblock: "remove it there, or declare another name"}}
		}),
		"conflict": with(planned(), func(r *Review) { r.State, r.Note = Refused, "it conflicts with main in services/jira/jira-web.cue" }),
		"fork":     with(planned(), func(r *Review) { r.State, r.Note = Refused, "pulls from forks are not planned" }),
		"vetoed": with(planned(remove, removed), func(r *Review) {
			r.Vetoes = []plan.Veto{{Guard: "empty-desired", Message: "the repository declares no service at all; this would delete 1 services and 1 records",
				Unblock: "if it is meant, apply the digest with --confirm-deletes 2", Deletes: 2}}
		}),
		"unknown": with(planned(reweigh), func(r *Review) { r.Unknown = []resource.Key{created.Key} }),
		"waiting": with(planned(state(remove, StepApproval, ""), state(removed, StepApproval, "")), func(r *Review) {
			r.State, r.Commit = Waiting, "99cc"
			r.Vetoes = []plan.Veto{{Guard: "mass-delete", Deletes: 2}}
		}),
		"applying": with(planned(state(create, StepDone, ""), state(created, StepWaits, "not every proxy of fleet/edge has acknowledged wiki"),
			state(removed, StepFailed, "InvalidChangeBatch: tried to delete what is not there")), func(r *Review) { r.State, r.Commit = Applying, "99cc" }),
		"applied": with(planned(state(create, StepDone, ""), state(created, StepDone, "")), func(r *Review) {
			r.State, r.Commit, r.CommitToServed = Applied, "99cc", 243*time.Millisecond
		}),
		"closed": with(planned(reweigh), func(r *Review) { r.State = Closed }),
		"hostile": with(planned(serviceStep(plan.Delete, "```\n</details><script>@everyone", resource.ValueOf(map[string]string{"a": "```\n@all <b>"}), nil)), func(r *Review) {
			r.Problems = []schema.Problem{problem(1, "<!-- edgewright:plan --> @admin [x](http://evil.example) #1 ![i](//e) www.evil.example `` ` GH-12")}
			r.Note = "\n# heading\n- @root"
			r.StatusURL = "javascript:alert(1)"
		}),
	}
}

func TestWording(t *testing.T) {
	for name, r := range cases() {
		t.Run(name, func(t *testing.T) {
			got := &txtar.Archive{Files: []txtar.File{
				{Name: "comment.md", Data: []byte(r.Comment())},
				{Name: "check.txt", Data: []byte(describe(r.Check()))},
				{Name: "terminal.txt", Data: []byte(Text(r, Terminal{}))},
			}}
			file := filepath.Join("testdata", name+".txtar")
			if *update {
				if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(txtar.Format(got))); diff != "" {
				t.Errorf("-want +got (rewrite with -update):\n%s", diff)
			}
		})
	}
}

func describe(c Check) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q: %s\n", c.Conclusion, c.Title)
	for _, a := range c.Annotations {
		fmt.Fprintf(&b, "%s:%d:%d [%s] %q\n", a.Path, a.Line, a.Column, a.Title, a.Message)
	}
	return b.String()
}

func TestColoursOnlyWhenAsked(t *testing.T) {
	for name, r := range cases() {
		if plain := Text(r, Terminal{}); strings.Contains(plain, "\x1b") {
			t.Errorf("%s: an escape in plain text", name)
		} else if got := stripColours(Text(r, Terminal{Colour: true})); got != plain {
			t.Errorf("%s: colours change the words:\n%s", name, cmp.Diff(plain, got))
		}
	}
	hostile := planned(serviceStep(plan.Delete, "\x1b[2Jx", nil, nil))
	if strings.Contains(Text(hostile, Terminal{}), "\x1b") {
		t.Error("a name brought its own escape")
	}
}

func stripColours(s string) string {
	for {
		from := strings.Index(s, "\x1b[")
		if from < 0 {
			return s
		}
		to := strings.IndexByte(s[from:], 'm')
		s = s[:from] + s[from+to+1:]
	}
}

func TestSteadyIgnoresOnlyTimes(t *testing.T) {
	a, b := cases()["reweigh"], cases()["reweigh"]
	b.Observed = map[resource.Scope]time.Time{"zone/example.com": time.Unix(1, 0)}
	if a.Comment() == b.Comment() || Steady(a.Comment()) != Steady(strings.ReplaceAll(b.Comment(), "\n", "\r\n")) {
		t.Error("a new observation is not what it should be: another comment, but the same when steady")
	}
	b.Digest = "other"
	if Steady(a.Comment()) == Steady(b.Comment()) {
		t.Error("another digest is taken for the same")
	}
	if !cmp.Equal(a.Check(), cases()["reweigh"].Check()) {
		t.Error("a check is not stable")
	}
}

// What takes something away is always told in full; the rest as far as one looks, unless all is asked for.
func TestConcise(t *testing.T) {
	var steps []Step
	for i := range 30 {
		steps = append(steps, serviceStep(plan.Create, fmt.Sprintf("new-%02d", i), nil, service("new", hosts(schema.Hostname(fmt.Sprintf("n%d.example.com", i))), 100, "aa")))
	}
	many := hosts()
	for i := range 40 {
		many = append(many, schema.Hostname(fmt.Sprintf("m%02d.example.com", i)))
		removed := recordStep(plan.Delete, string(many[i]), []string{"192.0.2.1"}, nil)
		steps = append(steps, removed)
		made := recordStep(plan.Create, "x"+string(many[i]), nil, []string{"192.0.2.2"})
		made.Service = "new-00"
		steps = append(steps, made)
	}
	steps = append(steps, serviceStep(plan.Create, "new-01b", nil, service("many", many, 100, "bb")))
	r := planned(steps...)
	short, full := Text(r, Terminal{}), Text(r, Terminal{Full: true})
	for _, want := range []string{"… and 11 steps in 11 services more; --full shows them", "… and 33 steps more; --full shows them", "… and 40 lines more; --full shows them"} {
		if !strings.Contains(short, want) || strings.Contains(full, "more; --full") {
			t.Errorf("%q is not told, or also where all is:\n%s", want, short)
		}
	}
	for i, host := range many {
		if !strings.Contains(short, "delete record A "+string(host)) {
			t.Errorf("the deletion of %s is left out", host)
		}
		if !strings.Contains(full, "create record A x"+string(host)) || i < 30 && !strings.Contains(full, fmt.Sprintf("service new-%02d ", i)) {
			t.Errorf("step %d is left out where all is asked for", i)
		}
	}
	for _, text := range []string{short, full} {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if lines[0] != "Destroyed or replaced:" || !strings.HasPrefix(lines[len(lines)-1], "Ready to merge: 71 to create") {
			t.Errorf("it begins with %q and ends with %q", lines[0], lines[len(lines)-1])
		}
	}
}
