package xds

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/edgewright/edgewright/schema"
)

func requestFrom(m *model, url string) *discoveryv3.DeltaDiscoveryRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, InitialResourceVersions: map[string]string{}}
	for name, has := range m.has[url] {
		r.InitialResourceVersions[name] = has.Version
	}
	if url == routeType {
		r.ResourceNamesSubscribe = m.wantedRoutes()
	}
	if url == extensionType {
		r.ResourceNamesSubscribe = m.wantedFilters()
	}
	return r
}

// bucketOf is the route configuration of a service's first host.
func bucketOf(s Service) string {
	return layout.RouteName("public", layout.BucketOf(s.Unit.Domains[0]))
}

func joined(r *discoveryv3.DeltaDiscoveryResponse) string { return strings.Join(resourceNames(r), " ") }

// open brings a client to where it has the clusters and one bucket.
func open(t *testing.T, c *client, buckets ...string) {
	t.Helper()
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType})
	c.ack(c.next(clusterType))
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: buckets})
	c.ack(c.next(routeType))
}

func TestMakeBeforeBreak(t *testing.T) { speaking(t, testMakeBeforeBreak) }

func testMakeBeforeBreak(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	a, a2 := declared(t, "a", 1, "a.test"), declared(t, "a", 2, "a.test")
	old, next := a.Unit.Clusters[0].Name, a2.Unit.Clusters[0].Name
	s.Publish(release(a))
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType})
	first := c.next(clusterType)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType})
	c.silent() // no listener before the clusters are there
	c.ack(first)
	c.ack(c.next(listenerType))
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: []string{bucketOf(a)}})
	c.ack(c.next(routeType))
	c.silent()

	s.Publish(release(a2))
	added := c.next(clusterType)
	if got := joined(added); got != next {
		t.Fatalf("clusters %s, want %s added", got, next)
	}
	c.silent() // no route before its cluster is there
	c.ack(added)
	routes := c.next(routeType)
	c.silent() // no prune before the route is there
	c.ack(routes)
	if got := joined(c.next(clusterType)); got != "-"+old {
		t.Fatalf("clusters %s, want %s removed", got, old)
	}
}

func TestHostMoves(t *testing.T) { speaking(t, testHostMoves) }

func testHostMoves(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	a, b := declared(t, "a", 1, "x.test", "a.test"), declared(t, "b", 2, "b.test")
	s.Publish(release(a, b))
	c := connect(t, conn)
	open(t, c, bucketOf(a), bucketOf(declared(t, "x", 1, "x.test")), bucketOf(b))

	a2, b2 := declared(t, "a", 1, "a.test"), declared(t, "b", 3, "b.test", "x.test")
	s.Publish(release(a2, b2))
	clusters := c.next(clusterType)
	c.silent() // a keeps the host until b can answer for it
	c.ack(clusters)
	moved := c.next(routeType)
	for _, r := range moved.Resources {
		text := string(r.Resource.Value)
		if strings.Count(text, "x.test") > 1 {
			t.Errorf("%s holds x.test twice", r.Name)
		}
		if strings.Contains(text, "x.test") && !strings.Contains(text, b2.Unit.Clusters[0].Name) {
			t.Errorf("%s holds x.test without b", r.Name)
		}
	}
	if !strings.Contains(joined(moved), bucketOf(declared(t, "x", 1, "x.test"))) {
		t.Errorf("buckets %s lack that of x.test", joined(moved))
	}
	c.ack(moved)
	eventually(t, "a", acknowledgedAs(s, a2))
	eventually(t, "b", acknowledgedAs(s, b2))
}

func TestHeldBeforeTheFirstRelease(t *testing.T) { speaking(t, testHeldBeforeTheFirstRelease) }

func testHeldBeforeTheFirstRelease(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType})
	c.silent()
	c.silent()
	s.Publish(release())
	if got := joined(c.next(clusterType)); got != "" {
		t.Errorf("clusters %s, want none, but an answer", got)
	}
}

func TestUnknownFleet(t *testing.T) {
	s, conn := newTestServer(t)
	s.Publish(release())
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "moon"), TypeUrl: clusterType})
	err := <-c.end
	if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), `no fleet called "moon"; known: edge`) {
		t.Errorf("stream ended with %v", err)
	}
	if n := s.TurnedAwayFor(UnknownFleet); n != 1 {
		t.Errorf("%d proxies of unknown fleets, want 1", n)
	}
}

func TestIdentity(t *testing.T) {
	_, conn := newTestServer(t)
	for _, id := range []string{"", strings.Repeat("x", 257)} {
		c := connect(t, conn)
		c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed(id, "edge"), TypeUrl: clusterType})
		if err := <-c.end; status.Code(err) != codes.InvalidArgument {
			t.Errorf("node id of %d bytes: %v", len(id), err)
		}
	}
}

func TestSameNodeAgain(t *testing.T) { speaking(t, testSameNodeAgain) }

func testSameNodeAgain(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	s.Publish(release())
	older := connect(t, conn)
	older.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType})
	older.next(clusterType)
	newer := connect(t, conn)
	newer.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType})
	newer.next(clusterType)
	select {
	case err := <-older.end:
		if status.Code(err) != codes.Aborted {
			t.Errorf("older stream ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("older stream goes on")
	}
	if n := s.Nodes(); len(n) != 1 {
		t.Errorf("nodes are %+v, want one", n)
	}
}

func TestListeners(t *testing.T) {
	for _, c := range []struct{ metadata, want string }{
		{`{}`, "0.0.0.0:80 0.0.0.0:81"},
		{`{"listen": {"public": "127.0.0.1:1234"}}`, "127.0.0.1:1234"},
		{`{"listen": {"internal": "127.0.0.2:1", "public": "127.0.0.1:2"}}`, "127.0.0.1:2 127.0.0.2:1"},
	} {
		s, conn := newTestServer(t)
		r := release()
		r.Fleet.Listeners = append(r.Fleet.Listeners, schema.Listener{Exposure: "internal", Port: 81})
		s.Publish(r)
		n := nodeNamed("one", "edge")
		n.Metadata = &structpb.Struct{}
		if err := n.Metadata.UnmarshalJSON([]byte(c.metadata)); err != nil {
			t.Fatal(err)
		}
		proxy := connect(t, conn)
		proxy.ask(&discoveryv3.DeltaDiscoveryRequest{Node: n, TypeUrl: clusterType})
		proxy.ack(proxy.next(clusterType))
		proxy.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType})
		answer := proxy.next(listenerType)
		var got []string
		for _, a := range answer.Resources {
			l := &listenerv3.Listener{}
			if err := proto.Unmarshal(a.Resource.Value, l); err != nil {
				t.Fatal(err)
			}
			at := l.GetAddress().GetSocketAddress()
			got = append(got, fmt.Sprintf("%s:%d", at.Address, at.GetPortValue()))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: listeners at %v, want %s", c.metadata, got, c.want)
		}

		proxy.nack(answer, "Error adding listener edge-80: address in use")
		eventually(t, "refused", func() bool { return len(s.Refusals()) == 1 })
		if got := s.Refusals()[0]; got.Service != "" || got.Node != "one" || got.Why != "Error adding listener edge-80: address in use" {
			t.Errorf("refusal is %+v", got)
		}
		proxy.silent()
		proxy.close()
	}
}

// neighbours are hosts that lie in one bucket.
func neighbours(t *testing.T, count int) []string {
	t.Helper()
	by := map[string][]string{}
	for n := range 10_000 {
		host := "n" + strings.Repeat("x", n%7) + string(rune('a'+n%26)) + strings.Repeat("y", n/182%50) + ".test"
		bucket := layout.BucketOf(schema.Hostname(host))
		if !slices.Contains(by[bucket], host) {
			by[bucket] = append(by[bucket], host)
		}
		if len(by[bucket]) == count {
			return by[bucket]
		}
	}
	t.Fatal("no such hosts")
	return nil
}
