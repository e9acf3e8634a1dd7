package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/secret"
	"github.com/edgewright/edgewright/schema/load"
)

const bearer = "Bearer " + token

func TestAPIAnswers(t *testing.T) {
	for _, c := range []struct {
		name, method, path, auth, body string
		code                           int
		want                           string
	}{
		{"status without token", "GET", "/api/v1/status", "", "", 401, "token"},
		{"wrong token", "GET", "/api/v1/status", bearer + "x", "", 401, "token"},
		{"another scheme", "GET", "/api/v1/status", "Basic " + token, "", 401, "token"},
		{"apply without token", "POST", "/api/v1/apply", "", `{"digest":"abc123","confirmDeletes":12}`, 401, "token"},
		{"plan without token", "POST", "/api/v1/plan", "", `{}`, 401, "token"},
		{"status", "GET", "/api/v1/status", bearer, "", 200, `"version":"v1"`},
		{"status with a body", "GET", "/api/v1/status", bearer, "null", 200, `"proxies":[`},
		{"apply", "POST", "/api/v1/apply", bearer, `{"digest":"abc123","confirmDeletes":12}`, 200, `{"digest":"abc123","steps":[{"key":"dns/record zone/example.com A gone`},
		{"progress", "POST", "/api/v1/progress", bearer, `{"steps":[{"verb":"delete"},{"verb":"create"}]}`, 200, `[{"status":"done"},{"status":"done"}]`},
		{"progress of nothing", "POST", "/api/v1/progress", bearer, `{}`, 200, `[]`},
		{"progress without token", "POST", "/api/v1/progress", "", `{}`, 401, "token"},
		{"progress of what is no step", "POST", "/api/v1/progress", bearer, `{"steps":[{"now":1}]}`, 400, "now"},
		{"another digest", "POST", "/api/v1/apply", bearer, `{"digest":"zzz"}`, 409, "digest zzz is not what waits now"},
		{"no count", "POST", "/api/v1/apply", bearer, `{"digest":"abc123"}`, 409, "confirm the exact count"},
		{"unknown field", "POST", "/api/v1/apply", bearer, `{"digest":"abc123","force":true}`, 400, "force"},
		{"identity of one's own", "POST", "/api/v1/apply", bearer, `{"digest":"abc123","identity":"root"}`, 400, "identity"},
		{"no JSON", "POST", "/api/v1/apply", bearer, `hello`, 400, "not understood"},
		{"two values", "POST", "/api/v1/apply", bearer, `{"digest":"abc123"} {}`, 400, "more than one"},
		{"large apply", "POST", "/api/v1/apply", bearer, `{"digest":"` + strings.Repeat("a", maxPlan) + `"}`, 413, "larger than"},
		{"large plan", "POST", "/api/v1/plan", bearer, archive(t, load.File{Path: "a.cue", Data: make([]byte, maxPlan)}), 413, "larger than"},
		{"history without token", "GET", "/api/v1/history?name=jira.acme.example&limit=7", "", "", 401, "token"},
		{"history", "GET", "/api/v1/history?name=jira.acme.example&limit=7", bearer, "", 200, `"who":"ann"`},
		{"history of nothing", "GET", "/api/v1/history?name=x&limit=7", bearer, "", 200, `[]`},
		{"history without a name", "GET", "/api/v1/history?limit=7", bearer, "", 400, "want name"},
		{"endless history", "GET", "/api/v1/history?name=x&limit=1000000", bearer, "", 400, "from 1 to 1000"},
		{"audit without token", "GET", "/api/v1/audit/verify", "", "", 401, "token"},
		{"audit", "GET", "/api/v1/audit/verify", bearer, "", 200, `{}`},
		{"proxy", "GET", "/api/v1/proxies/edge/envoy-1", bearer, "", 200, `"name":"c/wiki/`},
		{"proxy that is not there", "GET", "/api/v1/proxies/edge/envoy-2", bearer, "", 404, "it is not connected"},
		{"proxy without token", "GET", "/api/v1/proxies/edge/envoy-1", "", "", 401, "token"},
		{"explain", "GET", "/api/v1/explain?host=wiki.example.com&path=/&method=GET&exposure=public", bearer, "", 200, `"proxies":[{"node":"envoy-1","has":true}]`},
		{"explain with a header that is none", "GET", "/api/v1/explain?host=a&header=b", bearer, "", 400, "want name=value"},
		{"plan", "POST", "/api/v1/plan", bearer, archive(t, load.File{Path: "a.cue", Data: []byte("hi")}), 200, `"digest":"d1"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			got := w.ask(c.method, c.path, c.body, "Authorization", c.auth)
			if got.Code != c.code || !strings.Contains(got.Body.String(), c.want) {
				t.Errorf("got %d %.300s, want %d with %q", got.Code, got.Body, c.code, c.want)
			}
			if applied := len(w.loop.applied) > 0; applied != (c.name == "apply") {
				t.Errorf("applied: %v", w.loop.applied)
			}
		})
	}
}

// archive is what the command line sends for declarations.
func archive(t *testing.T, files ...load.File) string {
	t.Helper()
	var b strings.Builder
	if err := Archive(&b, files); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestArchive: declarations arrive as they were sent, those that could not be read with the reason; one that is too large arrives as one
// that is too large; what is no archive is refused.
func TestArchive(t *testing.T) {
	sent := []load.File{{Path: "services/a/a.cue", Data: []byte("package services\n")}, {Path: "platform/empty.cue", Data: []byte{}},
		{Path: "services/a/b.yaml", Data: []byte{}, Unfit: "its name ends in .yaml"}, {Path: "services/a/large.cue", Data: make([]byte, load.MaxBytes+1)}}
	got, err := unpack(strings.NewReader(archive(t, sent...)))
	if diff := cmp.Diff(sent, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	got, err = unpack(strings.NewReader(archive(t, load.File{Path: "./x.cue", Data: make([]byte, load.MaxBytes+4000)}, load.File{Path: "y.cue", Data: []byte("y")})))
	if err != nil || len(got) != 2 || got[0].Path != "x.cue" || len(got[0].Data) != load.MaxBytes+1 || string(got[1].Data) != "y" {
		t.Error(len(got), err)
	}
	whole := archive(t, sent[0])
	for _, bad := range []string{"{}", whole[:520], strings.Repeat("x", 600)} {
		if got, err := unpack(strings.NewReader(bad)); err == nil {
			t.Errorf("%.20q is an archive of %v", bad, got)
		}
	}
}

func TestAPIHandsOn(t *testing.T) {
	w := newWorld(t)
	w.ask("POST", "/api/v1/plan", archive(t, load.File{Path: "a.cue", Data: []byte("hi")}), "Authorization", bearer)
	if f := w.loop.preview.Files; len(f) != 1 || f[0].Path != "a.cue" || string(f[0].Data) != "hi" {
		t.Errorf("planned %v", f)
	}
	w.ask("POST", "/api/v1/apply", `{"digest":"abc123","confirmDeletes":12}`, "Authorization", bearer)
	want := []reconciler.Apply{{Digest: "abc123", ConfirmDeletes: 12, Identity: "local token"}}
	if diff := cmp.Diff(want, w.loop.applied); diff != "" {
		t.Error(diff)
	}
	var s Status
	body := w.ask("GET", "/api/v1/status", "", "Authorization", bearer).Body.Bytes()
	if err := json.Unmarshal(body, &s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Status{View: *w.loop.View(), Leader: w.leader, Budgets: w.config.Budgets(), Proxies: w.proxies.nodes, Refusals: w.proxies.refusals, Turned: w.proxies.turned, Version: "v1", Evaluated: 128, Evaluating: 5000}, s); diff != "" {
		t.Error(diff)
	}
}

func TestAPIFault(t *testing.T) {
	w := newWorld(t)
	w.loop.err = errors.New("the loop has ended")
	if got := w.ask("POST", "/api/v1/apply", `{}`, "Authorization", bearer); got.Code != http.StatusInternalServerError {
		t.Errorf("got %d", got.Code)
	}
}

// TestNoToken: without a token nobody is let in, also not with an empty one.
func TestNoToken(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Token = secret.Value{} })
	if got := w.ask("GET", "/api/v1/status", "", "Authorization", "Bearer "); got.Code != http.StatusUnauthorized {
		t.Errorf("got %d", got.Code)
	}
}
