package reconciler_test

import (
	"slices"
	"testing"
	"time"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// TestHostMovesBetweenServicesOfWhichOneIsBroken is the story of invariant 7: a commit gives a host name from one service to
// another, and one of them cannot be taken. The name stays with the one that has it, over a restart too, while others converge;
// once repaired it goes over in one release. No record goes, and no release has the name at two services or, on the fleet that all
// are on, at none.
func TestHostMovesBetweenServicesOfWhichOneIsBroken(t *testing.T) {
	const moved = "moved." + trelloHost
	gives := func(fleet string) func(string) string { return declared("next", fleet, "public", moved) }
	keeps := swap(`"`+trelloHost+`", "`+moved+`"`, `"`+trelloHost+`"`)
	unread := func(s string) string { return s + "\noops {" }
	wrong := swap(`exposure: "public"`, `exposure: "publick"`)
	ruled := swap(`{name: "all"`, `{name: "first", respond: status: 200}, {name: "all"`)
	both := func(a, b func(string) string) func(string) string {
		return func(s string) string { return b(a(s)) }
	}
	giver := func(broken func(string) string) func([]load.File) []load.File {
		return func(f []load.File) []load.File { return with(f, trello, broken) }
	}
	taker := func(broken func(string) string) func([]load.File) []load.File {
		return func(f []load.File) []load.File { return with(f, nextFile, broken) }
	}
	cases := []struct {
		name  string
		fleet string                        // of the taker
		broke func([]load.File) []load.File // what is wrong with the commit that moves the name
		mends func([]load.File) []load.File // a repair other than to undo what broke
	}{
		{"the taker cannot be read", "edge", taker(unread), nil},
		{"the giver cannot be read", "edge", giver(unread), nil},
		{"a field of the taker is wrong", "edge", taker(wrong), nil},
		{"a field of the giver is wrong", "edge", giver(wrong), nil},
		{"a rule refuses the taker", "edge", taker(ruled), nil},
		{"a rule refuses the giver", "edge", giver(ruled), nil},
		{"the giver goes and the taker cannot be read", "edge", func(f []load.File) []load.File {
			return with(with(f, trello, gone), nextFile, unread)
		}, nil},
		{"a third one wants it too", "edge", func(f []load.File) []load.File {
			return with(f, "services/trello/third.cue", declared("third", "edge", "public", moved))
		}, nil},
		{"to another fleet, and the taker cannot be read", "two", taker(unread), nil},
		{"to another fleet, and the giver is wrong", "two", giver(wrong), nil},
		{"repaired by leaving the name where it is", "edge", taker(wrong), func(f []load.File) []load.File {
			return with(with(f, trello, swap(`"`+trelloHost+`"`, `"`+trelloHost+`", "`+moved+`"`)), nextFile, gone)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.repository.commit(with(with(b.tree(), fleetsFile, both(swap(`ttl: "5s"`, `ttl: "1s"`), twoFleets)),
				trello, swap(`"`+trelloHost+`"`, `"`+trelloHost+`", "`+moved+`"`)))
			b.converged()
			before := b.records("acme.example")[moved]
			start := b.proxies.published()
			dns := b.resolve()

			good := with(with(b.tree(), trello, keeps), nextFile, gives(c.fleet))
			good = with(good, pingFile, pong("still pong"))
			b.repository.commit(c.broke(good))
			b.until("the others converge", func() bool {
				v := b.View()
				return v.Commit == b.repository.tip() && len(v.Problems) > 0 && len(v.Steps) == 0 && b.proxies.published() > start
			})
			b.keeps(moved, before)
			b.stop()
			b.start()
			b.until("held after a restart", func() bool { return b.View().Commit == b.repository.tip() && len(b.View().Services) > 0 })
			time.Sleep(100 * time.Millisecond)
			b.keeps(moved, before)

			if c.mends != nil { // with nothing to show, as the edge stays as it is
				b.repository.commit(c.mends(good))
				b.converged()
				if !b.proxies.holds("trello-web", moved) {
					t.Errorf("%s was lost", moved)
				}
			} else {
				b.land(2, good)
				b.converged()
				b.until("the giver lets go", func() bool { return !b.proxies.holds("trello-web", moved) && b.proxies.holds("next", moved) })
			}
			if b.records("acme.example")[moved] == "" {
				t.Error("the record was lost")
			}
			dns.fine(t)
			b.quiet()
			b.proxies.mu.Lock()
			defer b.proxies.mu.Unlock()
			for i, r := range b.proxies.history[start:] {
				n := len(holders(r, moved))
				if n > 1 || n == 0 && c.fleet == "edge" && r.Fleet.ID == "edge" {
					t.Errorf("release %d of fleet %s has the name %d times", i, r.Fleet.ID, n)
				}
			}
		})
	}
}

// keeps fails unless the name is where it was: at trello's service, which is held, with its record.
func (b *bench) keeps(host schema.Hostname, record string) {
	b.Helper()
	if id, _ := b.proxies.serves(host); id != "trello-web" {
		b.Errorf("%s is served by %q", host, id)
	}
	if got := b.records("acme.example")[string(host)]; got != record {
		b.Errorf("the record of %s is %q, was %q", host, got, record)
	}
	i := slices.IndexFunc(b.View().Services, func(s reconciler.ServiceView) bool { return s.ID == "trello-web" })
	if i < 0 || b.View().Services[i].State != "held" || b.View().Services[i].Why == "" {
		b.Errorf("the giver is not shown as held: %+v", b.View().Services)
	}
}

// holders are the services by which a release serves a host.
func holders(r xds.Release, host schema.Hostname) []schema.ServiceID {
	var out []schema.ServiceID
	for id, s := range r.Services {
		if slices.Contains(s.Unit.Domains, host) || slices.ContainsFunc(s.Extra, func(p schema.Place) bool { return p.Host == host }) {
			out = append(out, id)
		}
	}
	return out
}

// holds tells whether a service serves a host on any fleet.
func (p *proxies) holds(id schema.ServiceID, host schema.Hostname) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.releases {
		if slices.Contains(holders(r, host), id) {
			return true
		}
	}
	return false
}

// published counts the releases so far.
func (p *proxies) published() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.history)
}
