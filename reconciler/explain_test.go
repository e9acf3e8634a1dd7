package reconciler_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render"
)

// TestExplainServed: a request is explained by what proxies are served, with the commit that brought it, be it declared any more or not.
func TestExplainServed(t *testing.T) {
	b := newBench(t)
	b.converged()
	ask := func(host, path string) reconciler.Explained {
		t.Helper()
		got, err := b.Explain(t.Context(), reconciler.ExplainQuery{Request: render.Request{Host: host, Path: path, Method: "GET", Exposure: "public"}})
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		return got[0]
	}
	first := b.repository.tip()
	got := ask("STATUS.acme.example:80", "/browse")
	if got.Service != "statuspage" || got.Route.Name != "all" || got.Commit != first || got.Version == "" || got.Since.IsZero() || got.At.String() != "services/statuspage/statuspage.cue:11:3" {
		t.Errorf("%+v at %s", got, got.At)
	}
	if len(got.Backends) != 1 || got.Backends[0].Cluster == "" {
		t.Fatalf("backends %+v", got.Backends)
	}
	got.Backends[0].Cluster = ""
	if diff := cmp.Diff([]reconciler.ExplainedTarget{{Backend: "pages", Weight: 100, Endpoints: []string{"127.0.0.1:9008"}}}, got.Backends); diff != "" {
		t.Error(diff)
	}
	if got := ask("status.acme.example", "/ping"); got.Route.Name != "ping" || got.Backends != nil {
		t.Errorf("%+v", got)
	}
	if got := ask("nobody.acme.example", "/"); got.Service != "" || got.Commit != "" {
		t.Errorf("%+v", got)
	}

	// The next commit is refused by a proxy, which is told with the reason.
	b.proxies.acknowledge(false)
	tip := b.repository.commit(with(b.tree(), "services/statuspage/statuspage.cue", swap("pong", "PONG")))
	b.until("it is published", func() bool { return ask("status.acme.example", "/ping").Commit == tip })
	second := ask("status.acme.example", "/ping")
	b.proxies.mu.Lock()
	b.proxies.refusals = []xds.Refusal{{Fleet: "edge", Service: "statuspage", Cohort: "1.39.0", Version: second.Version, Node: "one", Why: "it cannot be"}}
	b.proxies.mu.Unlock()
	b.proxies.poke()
	b.until("the refusal is told", func() bool { return ask("status.acme.example", "/ping").Refused == "Envoy 1.39.0: it cannot be" })
	b.proxies.mu.Lock()
	held := b.proxies.releases["edge"].Held["1.39.0"]["statuspage"]
	b.proxies.mu.Unlock()
	if held.Version != got.Version && held.Version == second.Version || !strings.Contains(string(held.Unit.VirtualHost), "pong") {
		t.Errorf("those that refused it are held at %q", held.Version)
	}

	// A service goes, and its name lingers.
	b.proxies.acknowledge(true)
	b.show(9, with(b.tree(), "services/trello/trello-web.cue", gone))
	b.merge(9)
	b.until("it lingers", func() bool { return ask(trelloHost, "/").Lingers })
}
