package xds

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/edgewright/edgewright/schema"
)

// manyServices are more than one part of all clusters holds.
func manyServices(t *testing.T) []Service {
	var out []Service
	for n := range 2*maxClusters + 40 {
		out = append(out, declared(t, fmt.Sprintf("s%04d", n), 1, hostname(fmt.Sprintf("h%d.test", n))))
	}
	return out
}

// picky is a proxy that takes of an answer what it likes, as Envoy does, and says of the rest what it wants to say.
type picky struct {
	*client
	mu      sync.Mutex
	has     map[string]map[string]string // type → name → version
	dislike map[string]bool              // clusters
	names   bool                         // it says which
	refused map[string]int
}

func newPicky(t *testing.T, conn *testConn, id string, names bool, dislike ...string) *picky {
	p := &picky{client: connect(t, conn), has: map[string]map[string]string{clusterType: {}, routeType: {}, listenerType: {}}, dislike: map[string]bool{}, names: names, refused: map[string]int{}}
	for _, name := range dislike {
		p.dislike[name] = true
	}
	p.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed(id, "edge"), TypeUrl: clusterType})
	p.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType})
	p.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: everyRoute()})
	go p.follow()
	return p
}

func everyRoute() []string {
	var out []string
	for _, b := range layout.BucketNames() {
		out = append(out, layout.RouteName("public", b))
	}
	return out
}

func (p *picky) follow() {
	for {
		select {
		case r := <-p.got:
			if why := p.take(r); why != "" {
				p.nack(r, why)
			} else {
				p.ack(r)
			}
		case <-p.end:
			return
		}
	}
}

func (p *picky) take(r *discoveryv3.DeltaDiscoveryResponse) (why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	has := p.has[r.TypeUrl]
	for _, a := range r.Resources {
		if !p.dislike[a.Name] {
			has[a.Name] = a.Version
			continue
		}
		p.refused[a.Name]++
		if why = "some field is not as it must be"; p.names {
			why = a.Name + ": " + why
		}
	}
	for _, name := range r.RemovedResources {
		delete(has, name)
	}
	return why
}

// lacks are those of these services whose clusters the proxy does not have.
func (p *picky) lacks(all []Service) (out []schema.ServiceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range all {
		if p.has[clusterType][s.Unit.Clusters[0].Name] == "" {
			out = append(out, s.ID)
		}
	}
	return out
}

func (p *picky) routes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.has[routeType])
}

// TestRefusedWhileJoining: a cluster that a proxy refuses as it comes keeps no other from it, is not sent to the next one, and the service is
// named. What changes meanwhile comes too.
func TestRefusedWhileJoining(t *testing.T) {
	for _, named := range []bool{true, false} {
		t.Run(fmt.Sprintf("named %t", named), func(t *testing.T) {
			s, conn := newServerFor(t, delta)
			all := manyServices(t)
			s.Publish(release(all...))
			bad := all[maxClusters+7]
			p := newPicky(t, conn, "one", named, bad.Unit.Clusters[0].Name)
			eventually(t, "the refusal is known", func() bool {
				r := s.Refusals()
				return len(r) == 1 && r[0].Service == bad.ID && r[0].Version == bad.Version
			})
			eventually(t, "it has all others", func() bool {
				n := s.Nodes()
				return slices.Equal(p.lacks(all), []schema.ServiceID{bad.ID}) && p.routes() == len(everyRoute()) && len(n) == 1 && n[0].Behind == 1
			})
			p.mu.Lock()
			if n := p.refused[bad.Unit.Clusters[0].Name]; named && n != 1 || !named && n > 12 {
				t.Errorf("refused content came %d times", n)
			}
			p.mu.Unlock()

			next := newPicky(t, conn, "two", named, bad.Unit.Clusters[0].Name)
			eventually(t, "the next one has all others", func() bool {
				return slices.Equal(next.lacks(all), []schema.ServiceID{bad.ID}) && next.routes() == len(everyRoute())
			})
			next.mu.Lock()
			if n := next.refused[bad.Unit.Clusters[0].Name]; n > 0 {
				t.Errorf("refused content came to another proxy %d times", n)
			}
			next.mu.Unlock()

			good := declared(t, string(bad.ID), 2, hostname(fmt.Sprintf("h%d.test", maxClusters+7)))
			all[maxClusters+7] = good
			s.Publish(release(all...))
			eventually(t, "what is mended comes to both", func() bool { return acknowledgedAs(s, good)() && len(p.lacks(all))+len(next.lacks(all)) == 0 })
		})
	}
}

// TestChangedWhileJoining: what is published while a proxy is given all clusters comes after them, whichever part it was in.
func TestChangedWhileJoining(t *testing.T) {
	s, conn := newServerFor(t, delta)
	all := manyServices(t)
	s.Publish(release(all...))
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType})
	first := c.next(clusterType)
	old, gone := all[len(all)-1], all[3]
	changed, added := declared(t, string(old.ID), 2, old.Unit.Domains...), declared(t, "added", 1, "added.test")
	s.Publish(release(append(slices.Delete(slices.Clone(all[:len(all)-1]), 3, 4), changed, added)...))
	c.silent() // one answer at a time
	c.ack(first)
	c.ack(c.next(clusterType))
	c.ack(c.next(clusterType))
	more := c.next(clusterType)
	for _, want := range []Service{changed, added} {
		if !slices.Contains(resourceNames(more), want.Unit.Clusters[0].Name) {
			t.Errorf("the answer behind all clusters is %v, want %s in it", resourceNames(more), want.Unit.Clusters[0].Name)
		}
	}
	c.ack(more)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: everyRoute()})
	var removed []string
	for routed := false; len(removed) < 2 || !routed; {
		select {
		case r := <-c.got:
			removed, routed = append(removed, r.RemovedResources...), routed || r.TypeUrl == routeType
			c.ack(r)
		case err := <-c.end:
			t.Fatal(err)
		}
	}
	slices.Sort(removed)
	want := []string{old.Unit.Clusters[0].Name, gone.Unit.Clusters[0].Name}
	if slices.Sort(want); !slices.Equal(removed, want) {
		t.Errorf("removed are %v, want %v", removed, want)
	}
	eventually(t, "it has all", func() bool {
		n := s.Nodes()
		return acknowledgedAs(s, changed)() && acknowledgedAs(s, added)() && n[0].Behind == 0
	})
	if v := s.Versions("edge", gone.ID)["one"]; v != "" {
		t.Errorf("of %s it is said to have %s", gone.ID, v)
	}
}

// TestComesWithEverything: a proxy that has all is sent nothing, and what is published then and nothing else, from whatever it came with.
func TestComesWithEverything(t *testing.T) {
	s, conn := newServerFor(t, delta)
	all := manyServices(t)
	s.Publish(release(all...))
	p := newPicky(t, conn, "one", true)
	eventually(t, "it has all", func() bool {
		n := s.Nodes()
		return len(n) == 1 && n[0].Behind == 0 && n[0].Acknowledged == n[0].Published
	})
	p.close()
	eventually(t, "it is gone", func() bool { return len(s.Nodes()) == 0 })

	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType, InitialResourceVersions: p.has[clusterType]})
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType, InitialResourceVersions: p.has[listenerType]})
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, InitialResourceVersions: p.has[routeType], ResourceNamesSubscribe: everyRoute()})
	c.silent()
	eventually(t, "it is known to have all", func() bool {
		n := s.Nodes()
		return len(n) == 1 && n[0].Behind == 0 && n[0].Acknowledged == n[0].Published
	})

	next := declared(t, "s0005", 2, "h5.test")
	s.Publish(release(append(slices.Clone(all), next)...))
	added := c.next(clusterType)
	if got := joined(added); got != next.Unit.Clusters[0].Name {
		t.Errorf("clusters %s, want only that of the change", got)
	}
	c.ack(added)
	routes := c.next(routeType)
	if len(routes.Resources) != 1 || !strings.Contains(string(routes.Resources[0].Resource.Value), next.Unit.Clusters[0].Name) {
		t.Errorf("routes %v, want the bucket of the change", resourceNames(routes))
	}
	c.ack(routes)
	if got := joined(c.next(clusterType)); got != "-"+all[5].Unit.Clusters[0].Name {
		t.Errorf("clusters %s, want the old one removed", got)
	}
}
