package xds

import (
	"fmt"
	"testing"
	"time"

	"github.com/edgewright/edgewright/render/envoy"
)

// TestManyServicesAndProxies has one change among 5,000 services reach 20 proxies, each of which has all of it.
func TestManyServicesAndProxies(t *testing.T) {
	s, conn := newServerWith(t, delta) // not recorded: it is timed
	r := release()
	r.Layout = envoy.Layout{Generation: 1, Buckets: 256}
	for n := range 5000 {
		one := declared(t, fmt.Sprintf("s%04d", n), 1, hostname(fmt.Sprintf("h%d.test", n)))
		r.Services[one.ID] = one
	}
	began := time.Now()
	s.Publish(r)
	t.Logf("first publish %v", time.Since(began))
	began = time.Now()
	connectMany(t, conn, 20)
	eventually(t, "all have all", func() bool {
		n := s.Nodes()
		for _, one := range n {
			if one.Behind > 0 {
				return false
			}
		}
		return len(n) == 20
	})
	t.Logf("20 proxies have all of 5,000 services after %v", time.Since(began))
	for round := range 5 {
		next := release()
		next.Layout = r.Layout
		for id, one := range r.Services {
			next.Services[id] = one
		}
		one := declared(t, "s0007", uint16(10+round), "h7.test")
		next.Services[one.ID] = one
		began = time.Now()
		s.Publish(next)
		published := time.Since(began)
		eventually(t, "change", acknowledgedAs(s, one))
		t.Logf("one change: published in %v, acknowledged by all after %v", published, time.Since(began))
	}
}

func connectMany(t *testing.T, conn *testConn, count int) {
	t.Helper()
	for n := range count {
		m := emptyModel()
		m.blind = true
		m.start(t, conn, fmt.Sprintf("n%02d", n))
	}
}
