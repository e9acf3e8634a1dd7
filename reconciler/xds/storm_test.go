package xds

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/envoy"
	render "github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

var (
	stormServices = flag.Int("storm.services", 400, "services of the storm")
	stormSeconds  = flag.Int("storm.seconds", 3, "how long it takes")
	renames       = flag.Int("renames", 200, "releases under load that rename clusters with their routes")
)

// TestInvariant6Storm publishes 100 changes a second, each of one service, under load: each is delivered or overtaken by the next one of its
// service, and no request fails.
func TestInvariant6Storm(t *testing.T) { bootstraps(t, underStorm) }

func underStorm(t *testing.T, like envoy.Config) {
	const perSecond = 100
	s, port := control(t)
	proxy := proxyNamed(t, like, "one", port)
	blue, green := backend(t, "blue"), backend(t, "green")
	named := func(n, turn int) Service {
		to := blue
		if turn%2 == 1 {
			to = green
		}
		return declaredAt(t, fmt.Sprintf("s%d", n), to, hostname(fmt.Sprintf("h%d.test", n)))
	}
	r := Release{Fleet: fleetOf("edge"), Layout: render.Layout{Generation: 1, Buckets: render.Buckets(*stormServices, *stormServices)}, Services: map[schema.ServiceID]Service{}}
	for n := range *stormServices {
		one := named(n, 0)
		r.Services[one.ID] = one
	}
	s.Publish(r)
	converged := func() bool {
		for _, one := range r.Services {
			if !acknowledgedAs(s, one)() {
				return false
			}
		}
		return true
	}
	eventually(t, "first release", converged)
	hosts := []string{"h0.test", "h1.test", fmt.Sprintf("h%d.test", *stormServices-1)}
	c := &http.Client{Timeout: 5 * time.Second}
	for _, h := range hosts {
		eventually(t, h+" is served", func() bool { _, err := get(c, proxy, h); return err == nil })
	}
	asking := busy(t, []string{proxy}, hosts)
	random, turns := rand.New(rand.NewPCG(1, 1)), map[int]int{}
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for range perSecond * *stormSeconds {
		<-tick.C
		n := random.IntN(*stormServices)
		if random.IntN(4) == 0 {
			n = random.IntN(2) // those that are asked for change most
		}
		turns[n]++
		one := named(n, turns[n])
		r.Services = maps.Clone(r.Services)
		r.Services[one.ID], r.Changed = one, []schema.ServiceID{one.ID}
		s.Publish(r)
	}
	eventually(t, "all is delivered", converged)
	for n := range 2 {
		want := []string{"blue", "green"}[turns[n]%2]
		eventually(t, fmt.Sprintf("h%d.test from %s", n, want), func() bool { got, err := get(c, proxy, fmt.Sprintf("h%d.test", n)); return err == nil && got == want })
	}
	count, failed := asking.Stop()
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(failed), count, failed[0])
	}
	if changes := int64(perSecond * *stormSeconds); count < changes {
		t.Errorf("only %d requests while there were %d changes", count, changes)
	}
	t.Logf("%d changes, %d requests", perSecond**stormSeconds, count)
}
