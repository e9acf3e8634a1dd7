package reconciler_test

import (
	"slices"
	"testing"
	"time"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/schema"
)

// TestWaiverEndsWithoutACommit holds that what ends with a day ends on that day, and that traffic does not end with it.
func TestWaiverEndsWithoutACommit(t *testing.T) {
	b := newBench(t)
	waived := func(days int) func(string) string {
		return func(s string) string {
			ends := schema.DateOf(b.now().Add(time.Duration(days) * 24 * time.Hour)).String()
			return swap(`routes: [`, `waivers: [{rule: "backend/health", reason: "it has none yet", expires: "`+ends+`", approver: "platform"}]
	routes: [`)(swap(`, health: path: "/healthz"`, "")(s))
		}
	}
	before := b.tree()
	b.repository.commit(with(before, trello, waived(2)))
	b.converged()
	trelloWeb := func() reconciler.ServiceView {
		services := b.View().Services
		return services[slices.IndexFunc(services, func(s reconciler.ServiceView) bool { return s.ID == "trello-web" })]
	}
	b.ahead.Store(int64(3 * 24 * time.Hour))
	b.until("the waiver has ended", func() bool { return trelloWeb().State == "held" })
	if p := b.View().Problems; len(p) != 2 || p[0].Code != "backend/health" || p[1].Code != "waiver/expired" {
		t.Errorf("problems: %v", p)
	}
	if _, served := b.proxies.serves(trelloHost); !served || b.records("acme.example")[trelloHost] == "" {
		t.Error("traffic ended with the waiver")
	}
	b.repository.commit(with(before, trello, waived(2)))
	b.converged()
}
