package xds

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/schema"
)

func hostname(h string) schema.Hostname { return schema.Hostname(h) }

func TestRefusal(t *testing.T) {
	for _, several := range []bool{false, true} {
		speaking(t, func(t *testing.T, speaks form) {
			t.Run(fmt.Sprintf("several changed %v", several), func(t *testing.T) { testRefusal(t, speaks, several) })
		})
	}
}

func testRefusal(t *testing.T, speaks form, several bool) {
	s, conn := newServerFor(t, speaks)
	hosts := neighbours(t, 8)
	made := func(port uint16) []Service {
		var out []Service
		for n, h := range hosts {
			out = append(out, declared(t, fmt.Sprintf("s%d", n), port, hostname(h)))
		}
		return out
	}
	before, after := made(1), made(2)
	s.Publish(release(before...))
	one, two := newModel(t, conn, "one"), newModel(t, conn, "two")
	for _, b := range before {
		eventually(t, "first release", acknowledgedAs(s, b))
	}

	culprit := bad(t, after[3])
	next := append([]Service{}, before...)
	if several {
		next = append([]Service{}, after...)
	}
	next[3] = culprit
	s.Publish(release(next...))
	for n, one := range next {
		if n != 3 {
			eventually(t, "neighbour converges", acknowledgedAs(s, one))
		}
	}
	eventually(t, "culprit is refused", func() bool { return len(s.Refusals()) == 1 })
	got := s.Refusals()[0]
	if got.Fleet != "edge" || got.Service != culprit.ID || got.Version != culprit.Version || got.Why != "missing )" {
		t.Errorf("refusal is %+v", got)
	}
	eventually(t, "culprit stays as it was", acknowledgedAs(s, before[3]))
	for _, m := range []*model{one, two} {
		if c := m.placed()[hosts[3]]; c != before[3].Unit.Clusters[0].Name {
			t.Errorf("culprit leads to %q", c)
		}
		m.sound()
	}
	for _, n := range s.Nodes() {
		if n.Behind != 1 || n.Acknowledged == n.Published || n.Lag == 0 {
			t.Errorf("node is %+v, want one service behind", n)
		}
	}

	// A proxy that starts later has the last good version of the culprit, and all of the others, without a refusal of its own.
	three := newModel(t, conn, "three")
	eventually(t, "three has the last good", func() bool {
		v, ok := s.Acknowledged("edge", culprit.ID)
		return ok && v == before[3].Version && three.placed()[hosts[3]] == before[3].Unit.Clusters[0].Name
	})
	if three.nacks > 0 {
		t.Errorf("the later proxy refused %d times", three.nacks)
	}

	// Published anew it is refused at once; another version clears it.
	s.Publish(release(next...))
	if len(s.Refusals()) != 1 {
		t.Errorf("refusals are %+v", s.Refusals())
	}
	next[3] = after[3]
	s.Publish(release(next...))
	eventually(t, "mended", acknowledgedAs(s, after[3]))
	if len(s.Refusals()) != 0 {
		t.Errorf("refusals are %+v, want none", s.Refusals())
	}
	one.sound()
}

// TestUnnamedCluster has a proxy refuse clusters without a word on which: one is then tried alone.
func TestUnnamedCluster(t *testing.T) { speaking(t, testUnnamedCluster) }

func testUnnamedCluster(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	a, b := declared(t, "a", 1, "a.test"), declared(t, "b", 1, "b.test")
	s.Publish(release(a, b))
	c := connect(t, conn)
	open(t, c, bucketOf(a), bucketOf(b))
	a2, b2 := declared(t, "a", 2, "a.test"), declared(t, "b", 2, "b.test")
	s.Publish(release(a2, b2))
	shown := 0
	eventually(t, "a converges and b is refused", func() bool {
		select {
		case r := <-c.got:
			if strings.Contains(joined(r), " "+b2.Unit.Clusters[0].Name) || strings.HasPrefix(joined(r), b2.Unit.Clusters[0].Name) {
				shown++
				c.nack(r, "out of memory")
			} else {
				c.ack(r)
			}
		case <-time.After(10 * time.Millisecond):
		}
		return len(s.Refusals()) == 1 && acknowledgedAs(s, a2)()
	})
	if got := s.Refusals()[0]; got.Service != "b" || got.Version != b2.Version {
		t.Errorf("refusal is %+v, want of b", got)
	}
	if shown != 1 {
		t.Errorf("the cluster was sent %d times, want once: that the other is good alone tells enough", shown)
	}
	eventually(t, "b stays", acknowledgedAs(s, b))
}

// TestRefusalAtStart has a proxy start, with nothing proven, into a release with two culprits among many.
func TestRefusalAtStart(t *testing.T) { speaking(t, testRefusalAtStart) }

func testRefusalAtStart(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	var services []Service
	for n := range 200 {
		one := declared(t, fmt.Sprintf("s%d", n), 1, hostname(fmt.Sprintf("h%d.test", n)))
		if n == 50 || n == 151 {
			one = bad(t, one)
		}
		services = append(services, one)
	}
	s.Publish(release(services...))
	m := newModel(t, conn, "one")
	for n, one := range services {
		if n != 50 && n != 151 {
			eventually(t, "neighbour converges", acknowledgedAs(s, one))
		}
	}
	eventually(t, "both are found", func() bool { return len(s.Refusals()) == 2 })
	m.sound()
	if m.nacks > 40 {
		t.Errorf("%d refusals to find two culprits of 200", m.nacks)
	}
}

// TestRefusedTaker renames a service to one that is refused: its name stays where it was, also on a proxy that starts later.
func TestRefusedTaker(t *testing.T) { speaking(t, testRefusedTaker) }

func testRefusedTaker(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	old, keep := declared(t, "old", 1, "x.test"), declared(t, "keep", 1, "keep.test", "y.test")
	s.Publish(release(old, keep))
	m := newModel(t, conn, "one")
	eventually(t, "first release", func() bool { return acknowledgedAs(s, old)() && acknowledgedAs(s, keep)() })

	renamed, kept := bad(t, declared(t, "renamed", 2, "x.test", "y.test")), declared(t, "keep", 1, "keep.test")
	s.Publish(release(renamed, kept))
	eventually(t, "refused", func() bool { return len(s.Refusals()) == 1 })
	later := newModel(t, conn, "two")
	eventually(t, "served as before by both", func() bool {
		for _, m := range []*model{m, later} {
			if at := m.placed(); at["x.test"] != old.Unit.Clusters[0].Name || at["y.test"] != keep.Unit.Clusters[0].Name {
				return false
			}
		}
		return true
	})
	if got := s.Refusals()[0].Service; got != "renamed" {
		t.Errorf("refused is %s", got)
	}

	mended := declared(t, "renamed", 2, "x.test", "y.test")
	s.Publish(release(mended, kept))
	eventually(t, "moved", func() bool {
		return acknowledgedAs(s, mended)() && acknowledgedAs(s, kept)() && acknowledgedAs(s, Service{ID: "old"})()
	})
	m.sound()
	later.sound()
	if n := len(only(s).gone); n != 0 {
		t.Errorf("%d services are kept that are not published", n)
	}
}
