package xds

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/schema"
)

func regex(r string) *matcherv3.RegexMatcher { return &matcherv3.RegexMatcher{Regex: r} }

func TestConverge(t *testing.T) { speaking(t, testConverge) }

func testConverge(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	a, b := declared(t, "a", 1, "a.test"), declared(t, "b", 2, "b.test", "*.b.test")
	s.Publish(release(a, b))
	m := newModel(t, conn, "one")
	eventually(t, "both acknowledged", func() bool { return acknowledgedAs(s, a)() && acknowledgedAs(s, b)() })
	want := map[string]string{"a.test": a.Unit.Clusters[0].Name, "b.test": b.Unit.Clusters[0].Name, "*.b.test": b.Unit.Clusters[0].Name}
	if diff := cmp.Diff(want, m.placed()); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	n := s.Nodes()
	if len(n) != 1 || n[0].ID != "one" || n[0].Behind != 0 || n[0].Lag != 0 || n[0].Published != n[0].Acknowledged || n[0].Published == "" {
		t.Errorf("nodes are %+v", n)
	}

	a2 := declared(t, "a", 3, "a.test")
	s.Publish(release(a2, b))
	eventually(t, "the change acknowledged", acknowledgedAs(s, a2))
	eventually(t, "the old cluster pruned", func() bool {
		return cmp.Equal(m.clusters(), []string{a2.Unit.Clusters[0].Name, b.Unit.Clusters[0].Name})
	})
	m.sound()
	conn.recorder.mu.Lock()
	defer conn.recorder.mu.Unlock()
	if conn.recorder.seen < 10 {
		t.Errorf("the recorder has seen %d messages", conn.recorder.seen)
	}
}

func TestRemovedLingersThenGoes(t *testing.T) { speaking(t, testRemovedLingersThenGoes) }

func testRemovedLingersThenGoes(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	a, b := declared(t, "a", 1, "a.test"), declared(t, "b", 2, "b.test")
	s.Publish(release(a, b))
	m := newModel(t, conn, "one")
	eventually(t, "both acknowledged", func() bool { return acknowledgedAs(s, a)() && acknowledgedAs(s, b)() })

	lingers := a
	lingers.Unit.Domains, lingers.Extra, lingers.Version = nil, []schema.Place{{Exposure: "public", Host: "a.test"}}, "lingers"
	s.Publish(release(lingers, b))
	eventually(t, "lingering acknowledged", acknowledgedAs(s, lingers))
	if m.placed()["a.test"] == "" {
		t.Error("a.test is not served while it lingers")
	}

	s.Publish(release(b))
	eventually(t, "dropped", acknowledgedAs(s, Service{ID: "a"}))
	if _, there := m.placed()["a.test"]; there {
		t.Error("a.test is still served")
	}
	eventually(t, "cluster pruned", func() bool { return cmp.Equal(m.clusters(), []string{b.Unit.Clusters[0].Name}) })
	m.sound()
}

func TestReconnect(t *testing.T) { speaking(t, testReconnect) }

func testReconnect(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	a, b := declared(t, "a", 1, "a.test"), declared(t, "b", 2, "b.test")
	s.Publish(release(a, b))
	m := newModel(t, conn, "one")
	eventually(t, "both acknowledged", func() bool { return acknowledgedAs(s, a)() && acknowledgedAs(s, b)() })
	m.close()
	eventually(t, "gone", func() bool { return len(s.Nodes()) == 0 })
	if _, ok := s.Acknowledged("edge", "a"); ok {
		t.Error("acknowledged with no proxy")
	}

	// Another server that is published the same has nothing to say: versions are of the content.
	first, firstConn := s, conn
	s, conn = newServerFor(t, speaks)
	s.Publish(release(a, b))
	c := connectAgain(t, conn, m.memory)
	for n, url := range []string{clusterType, listenerType, scopeType, routeType, extensionType} {
		r := requestFrom(m, url)
		if n == 0 {
			r.Node = nodeNamed("one", "edge")
		}
		c.ask(r)
	}
	c.silent()
	eventually(t, "acknowledged without a word", func() bool { return acknowledgedAs(s, a)() && acknowledgedAs(s, b)() })
	c.close()

	// What changed meanwhile is switched as ever; what is no longer wanted goes last. A proxy that speaks state of the world does
	// not tell what it has, so that only the server knows that it was connected to.
	if s, conn = newServerFor(t, speaks); speaks == sotw {
		s, conn = first, firstConn
	}
	a2 := declared(t, "a", 3, "a.test")
	s.Publish(release(a2))
	m.start(t, conn, "one")
	eventually(t, "the change acknowledged", acknowledgedAs(s, a2))
	eventually(t, "strays pruned", func() bool { return cmp.Equal(m.clusters(), []string{a2.Unit.Clusters[0].Name}) })
	if diff := cmp.Diff(map[string]string{"a.test": a2.Unit.Clusters[0].Name}, m.placed()); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	m.sound()
}

// TestReconnectElsewhere has a proxy of the state of the world come to a server that was started anew, which was published what the
// proxy has and then something else: nobody knows what it has, but no cluster is taken away that it may serve by.
func TestReconnectElsewhere(t *testing.T) {
	s, conn := newServerFor(t, sotw)
	a, b := declared(t, "a", 1, "a.test"), declared(t, "b", 2, "b.test")
	s.Publish(release(a, b))
	m := newModel(t, conn, "one")
	eventually(t, "both acknowledged", func() bool { return acknowledgedAs(s, a)() && acknowledgedAs(s, b)() })
	m.close()
	s, conn = newServerFor(t, sotw)
	a2, broken := declared(t, "a", 3, "a.test"), declared(t, "b", 7, "b.test")
	s.Publish(release(a, b))
	s.Publish(release(a2, broken))
	only(s).refuse(&seat{}, only(s).published["b"], nil, "no")
	s.Publish(release(a2))
	m.start(t, conn, "one")
	eventually(t, "the change acknowledged", acknowledgedAs(s, a2))
	eventually(t, "the old clusters gone", func() bool { return cmp.Equal(m.clusters(), []string{a2.Unit.Clusters[0].Name}) })
	m.sound()
	if m.had[broken.Unit.Clusters[0].Name] {
		t.Error("what was refused was sent again")
	}
}

// TestRetiredIsBounded has a cluster come and go without end.
func TestRetiredIsBounded(t *testing.T) {
	r := retired{clusters: map[string]*discoveryv3.Resource{}}
	with := func(name string) *version { return &version{clusters: []*discoveryv3.Resource{{Name: name}}} }
	for n := range 3 * retiredKept {
		r.replace(with(fmt.Sprint(n)), with("stays"))
	}
	r.replace(with("stays"), with(fmt.Sprint(3*retiredKept-1)))
	if len(r.clusters) > retiredKept || len(r.order) > retiredKept || r.clusters["stays"] == nil {
		t.Errorf("%d clusters are kept, in an order of %d", len(r.clusters), len(r.order))
	}
	if last := fmt.Sprint(3*retiredKept - 1); r.clusters[last] != nil {
		t.Error("what is published anew is kept as retired")
	}
}

func TestLayoutChanges(t *testing.T) { speaking(t, testLayoutChanges) }

func testLayoutChanges(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	a, b := declared(t, "a", 1, "a.test"), declared(t, "b", 2, "b.test")
	s.Publish(release(a, b))
	m := newModel(t, conn, "one")
	eventually(t, "both acknowledged", func() bool { return acknowledgedAs(s, a)() && acknowledgedAs(s, b)() })
	next := release(a, declared(t, "b", 3, "b.test"))
	next.Layout.Generation, next.Layout.Buckets = 2, 64
	s.Publish(next)
	eventually(t, "scopes of the new layout only", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.has[scopeType]) == 65
	})
	eventually(t, "acknowledged", acknowledgedAs(s, next.Services["b"]))
	m.sound()
}

// TestStorm changes, moves, breaks and removes services at random under three proxies of different speed, and in the end all have
// what is published, but for what they refuse.
func TestStorm(t *testing.T) {
	for seed := range uint64(4) {
		speaking(t, func(t *testing.T, speaks form) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) { storm(t, speaks, rand.New(rand.NewPCG(seed, 1)), false) })
			t.Run(fmt.Sprint(seed, "broken"), func(t *testing.T) { storm(t, speaks, rand.New(rand.NewPCG(seed, 1)), true) })
		})
	}
}

func storm(t *testing.T, speaks form, r *rand.Rand, broken bool) {
	s, conn := newServerFor(t, speaks)
	models := []*model{}
	stays := map[string]bool{}
	for n := range 40 {
		stays[fmt.Sprintf("h%d.test", n)] = true
	}
	for n := range 3 {
		m := emptyModel()
		m.stays = stays
		m.again = true // a service that goes and comes is new
		m.slow = time.Duration(n) * time.Millisecond
		m.start(t, conn, fmt.Sprintf("n%d", n))
		models = append(models, m)
	}
	owner := map[schema.Hostname]string{}
	var last Release
	for round := range 60 {
		services := map[string][]schema.Hostname{}
		for n := range 40 {
			host := schema.Hostname(fmt.Sprintf("h%d.test", n))
			if r.IntN(8) == 0 || owner[host] == "" {
				owner[host] = fmt.Sprintf("s%d", r.IntN(20))
			}
			services[owner[host]] = append(services[owner[host]], host)
		}
		var list []Service
		for id, hosts := range services {
			one := declared(t, id, uint16(1+r.IntN(3)), hosts...)
			if broken && round > 0 && round < 59 && r.IntN(30) == 0 {
				one = bad(t, one)
			}
			list = append(list, one)
		}
		last = release(list...)
		s.Publish(last)
		for _, one := range list {
			if round == 0 {
				eventually(t, "first release", acknowledgedAs(s, one))
			}
		}
		time.Sleep(time.Duration(r.IntN(4)) * time.Millisecond)
	}
	for _, one := range last.Services {
		eventually(t, fmt.Sprintf("service %s acknowledged", one.ID), acknowledgedAs(s, one))
	}
	for _, m := range models {
		for id, one := range last.Services {
			for _, h := range one.Unit.Domains {
				if got := m.placed()[string(h)]; got != one.Unit.Clusters[0].Name {
					t.Errorf("%s of %s leads to %q, want %s", h, id, got, one.Unit.Clusters[0].Name)
				}
			}
		}
		eventually(t, "clusters pruned", func() bool { return len(m.clusters()) == len(last.Services) })
		m.sound()
	}
	if got := s.Refusals(); len(got) > 0 {
		t.Errorf("refusals are %+v, want none", got)
	}
}
