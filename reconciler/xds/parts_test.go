package xds

import (
	"fmt"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/edgewright/edgewright/schema"
)

// answers acknowledges whatever comes until nothing does any more.
func (c *client) answers() (all []*discoveryv3.DeltaDiscoveryResponse) {
	c.t.Helper()
	for {
		select {
		case r := <-c.got:
			all = append(all, r)
			c.ack(r)
		case err := <-c.end:
			c.t.Fatalf("stream ended: %v", err)
		case <-time.After(300 * time.Millisecond):
			return all
		}
	}
}

// TestManyClustersGoInParts has a proxy take a few clusters at a time, so that it finds the time to look at their health checks, and
// each route configuration once when all clusters change.
func TestManyClustersGoInParts(t *testing.T) {
	s, conn := newTestServer(t)
	const services = 600
	publish := func(port uint16) {
		r := release()
		for n := range services {
			one := declared(t, fmt.Sprintf("s%d", n), port, schema.Hostname(fmt.Sprintf("h%d.test", n)))
			r.Services[one.ID] = one
		}
		s.Publish(r)
	}
	publish(1)
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType})
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType})
	added := 0
	for added < services {
		r := c.next(clusterType) // no listener before all clusters are there
		if len(r.Resources) == 0 || len(r.Resources) > maxClusters {
			t.Fatalf("an answer adds %d clusters, want at most %d", len(r.Resources), maxClusters)
		}
		added += len(r.Resources)
		c.silent() // and no other part before this one
		c.ack(r)
	}
	c.ack(c.next(listenerType))
	var buckets []string
	for _, b := range layout.BucketNames() {
		buckets = append(buckets, layout.RouteName("public", b))
	}
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: buckets})
	c.ack(c.next(routeType))
	c.silent()

	publish(2)
	added, removed, sent := 0, 0, map[string]int{}
	for _, r := range c.answers() {
		switch r.TypeUrl {
		case clusterType:
			added, removed = added+len(r.Resources), removed+len(r.RemovedResources)
			if len(r.Resources) > 2*maxClusters { // a bucket is not torn
				t.Errorf("an answer adds %d clusters", len(r.Resources))
			}
		case routeType:
			for _, one := range r.Resources {
				sent[one.Name]++
			}
		}
	}
	if added != services || removed != services || len(sent) != layout.Buckets {
		t.Errorf("%d clusters added, %d removed, %d route configurations; want %d, %d, %d", added, removed, len(sent), services, services, layout.Buckets)
	}
	for name, times := range sent {
		if times > 1 {
			t.Errorf("%s was sent %d times", name, times)
		}
	}
}
