package xds

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protowire"

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

// TestOneOvertakesMany: while all services change, one that changes after them is in the next answer: its clusters, and its routes.
func TestOneOvertakesMany(t *testing.T) {
	s, conn := newTestServer(t)
	r := release()
	r.Layout.Buckets = 256
	const services = 3000
	publish := func(port uint16, text string) {
		next := r
		next.Services = map[schema.ServiceID]Service{}
		for n := range services {
			one := declared(t, fmt.Sprintf("s%d", n), port, schema.Hostname(fmt.Sprintf("h%d.test", n)))
			one.Version += text
			next.Services[one.ID] = one
		}
		s.Publish(next)
		r = next
	}
	change := func(port uint16) Service {
		one := declared(t, "s7", port, "h7.test")
		r.Services = maps.Clone(r.Services)
		r.Services["s7"] = one
		s.Publish(r)
		return one
	}
	bucket := r.Layout.RouteName("public", r.Layout.BucketOf("h7.test"))
	publish(1, "")
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType})
	var buckets []string
	for _, b := range r.Layout.BucketNames() {
		buckets = append(buckets, r.Layout.RouteName("public", b))
	}
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: buckets})
	eventually(t, "it has all", func() bool { // quiet alone says little on a busy machine
		c.answers()
		n := s.Nodes()
		return len(n) == 1 && n[0].Behind == 0
	})

	publish(2, "")
	part := c.next(clusterType) // of many
	one := change(3)
	c.ack(part)
	for part = nil; part == nil; {
		select {
		case got := <-c.got:
			if got.TypeUrl == clusterType {
				part = got
			}
			c.ack(got)
		case <-time.After(5 * time.Second):
			t.Fatal("no more clusters")
		}
	}
	if !slices.Contains(resourceNames(part), one.Unit.Clusters[0].Name) {
		t.Errorf("the next answer of %d clusters does not hold the one", len(part.Resources))
	}
	c.answers()

	publish(3, "again") // the same clusters, and other virtual hosts as far as anybody knows
	c.answers()
	for id, v := range r.Services { // only routes change
		v.Unit.VirtualHost, v.Version = append(slices.Clone(v.Unit.VirtualHost), unknownField...), v.Version+"x"
		r.Services[id] = v
	}
	s.Publish(r)
	routes := c.next(routeType)
	if n := len(routes.Resources); n != maxBuckets {
		t.Errorf("an answer replaces %d buckets, want %d", n, maxBuckets)
	}
	r.Services = maps.Clone(r.Services)
	v := r.Services["s7"]
	v.Unit.VirtualHost, v.Version = append(slices.Clone(v.Unit.VirtualHost), unknownField...), v.Version+"y"
	r.Services["s7"] = v
	s.Publish(r)
	c.ack(routes)
	if next := c.next(routeType); !slices.Contains(resourceNames(routes), bucket) && !slices.Contains(resourceNames(next), bucket) || len(next.Resources) > maxBuckets {
		t.Errorf("the next answer of %d buckets does not hold the one", len(next.Resources))
	} else {
		c.ack(next)
	}
	sent := map[string]bool{}
	for _, got := range c.answers() {
		for _, one := range got.Resources {
			sent[one.Name] = true
		}
	}
	eventually(t, "all is acknowledged", acknowledgedAs(s, r.Services["s8"]))
	if len(sent) < 190 {
		t.Errorf("%d more buckets were sent", len(sent))
	}
}

// unknownField is one that no version of a virtual host has: its bytes change, and nothing else.
var unknownField = protowire.AppendString(protowire.AppendTag(nil, 9999, protowire.BytesType), "x")
