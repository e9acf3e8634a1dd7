package render_test

import (
	"context"
	"testing"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

func TestExplain(t *testing.T) {
	commit, err := (&load.Loader{Evaluator: &load.Trusted{}}).Load(context.Background(), fixtures.Declarations(fixtures.EdgeConfig()))
	if err != nil || len(commit.Problems) > 0 {
		t.Fatal(err, commit.Problems)
	}
	cases := []struct {
		host, path, method string
		header             map[string][]string
		exposure           schema.Exposure
		service, route     string
		passed             int
	}{
		{"jira.acme.example", "/browse", "GET", nil, "", "jira-web", "all", 1},
		{"JIRA.acme.example.:8080", "/assets/x.css", "GET", nil, "", "jira-web", "assets", 0},
		{"jira.acme.example", "/assets/x.css", "POST", nil, "", "jira-web", "all", 1},
		{"jira.acme.example", "/assetsx", "GET", nil, "", "jira-web", "all", 1},
		{"status.acme.example", "/ping", "GET", nil, "", "statuspage", "ping", 0},
		{"one.status.acme.example", "/ping", "GET", nil, "", "statuspage-customers", "all", 0},
		{"trello.acme.example", "/", "GET", map[string][]string{"x-preview": {"on"}}, "", "trello-web", "preview", 0},
		{"api.jira.acme.example", "/other", "GET", nil, "", "jira-api", "", 2},
		{"git.bitbucket.acme.example", "/a/b.git/git-receive-pack", "POST", nil, "", "bitbucket-git", "receive", 0},
		{"automation.jira.acme.internal", "/", "GET", nil, "", "", "", 0},
		{"automation.jira.acme.internal", "/", "GET", nil, schema.Internal, "jira-automation", "all", 0},
		{"nobody.example", "/", "GET", nil, "", "", "", 0},
	}
	for _, c := range cases {
		if c.exposure == "" {
			c.exposure = schema.Public
		}
		got := render.Explain(commit.Edge, schema.Fleet{ID: "edge"}, envoy.Layout{Generation: 1, Buckets: 32}, render.Request{Host: c.host, Path: c.path, Method: c.method, Header: c.header, Exposure: c.exposure})
		route := ""
		if got.Route != nil {
			route = got.Route.Name
		}
		if string(got.Service) != c.service || route != c.route || len(got.Passed) != c.passed {
			t.Errorf("%s %s%s: service %q, route %q, passed %v; want %q, %q, %d", c.method, c.host, c.path, got.Service, route, got.Passed, c.service, c.route, c.passed)
		}
	}
}
