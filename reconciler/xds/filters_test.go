package xds

import (
	"fmt"
	"slices"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	renderenvoy "github.com/edgewright/edgewright/render/envoy"
)

// larger is a release of a service in more buckets than release has.
func larger(s Service, old layoutOf) Release {
	r := release(s)
	r.Layout, r.Old = layoutOf{Generation: 2, Buckets: 64}, old
	return r
}

// bucketsOf are the route configurations of the public exposure.
func bucketsOf(l layoutOf) (names []string) {
	for _, b := range l.BucketNames() {
		names = append(names, l.RouteName("public", b))
	}
	return names
}

// TestFilterByName: a filter that no exposure has is told to be absent, and one that leads elsewhere goes after the buckets that it leads to.
func TestFilterByName(t *testing.T) { speaking(t, testFilterByName) }

func testFilterByName(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	a := declared(t, "a", 1, "a.test")
	s.Publish(release(a))
	c := connect(t, conn)
	open(t, c, bucketsOf(layout)...)
	public := renderenvoy.ScopeFilterName("public")
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: extensionType, ResourceNamesSubscribe: []string{public}})
	first := c.next(extensionType)
	if got := resourceNames(first); !slices.Equal(got, []string{public}) {
		t.Errorf("filters %v", got)
	}
	c.ack(first)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: extensionType, ResourceNamesSubscribe: []string{"theirs"}})
	if speaks == delta {
		absent := c.next(extensionType)
		if got := resourceNames(absent); !slices.Equal(got, []string{"-theirs"}) {
			t.Errorf("filters %v", got)
		}
		c.ack(absent)
	}
	next := larger(a, layout)
	s.Publish(next)
	c.silent() // it asks for no scopes, so it is told of no buckets
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: bucketsOf(next.Layout)})
	routes := c.next(routeType)
	c.silent() // no filter that leads to a bucket which is not there
	c.ack(routes)
	second := c.next(extensionType)
	if second.Resources[0].Version == first.Resources[0].Version {
		t.Error("the filter leads to the same buckets")
	}
	c.ack(second)
	c.silent()
}

// TestFilterRefused: what a proxy refuses is told, and neither sent again nor followed by the removal of what its old filter leads to, until
// something else is published.
func TestFilterRefused(t *testing.T) { speaking(t, testFilterRefused) }

func testFilterRefused(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	a := declared(t, "a", 1, "a.test")
	s.Publish(release(a))
	c := connect(t, conn)
	open(t, c, append(bucketsOf(layout), bucketsOf(larger(a, layout).Layout)...)...)
	public := renderenvoy.ScopeFilterName("public")
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: extensionType, ResourceNamesSubscribe: []string{public}})
	c.nack(c.next(extensionType), public+": no such filter")
	eventually(t, "the refusal is told", func() bool {
		r := s.Refusals()
		return len(r) == 1 && r[0].Service == "" && r[0].Node == "one"
	})
	c.silent()
	got, err := s.Inspect(t.Context(), "edge", "one")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range got.Types {
		if one.URL == extensionType && (len(one.Differ) != 1 || one.Differ[0].State != Refused) {
			t.Errorf("not known to be refused: %+v", one.Differ)
		}
	}
	s.Publish(larger(a, layout))
	c.ack(c.next(routeType))
	c.ack(c.next(extensionType))
	eventually(t, "no refusal is left", func() bool { return len(s.Refusals()) == 0 })
}

// TestTooManyFilters: names cost memory, so a stream has few.
func TestTooManyFilters(t *testing.T) {
	s, conn := newServerFor(t, delta)
	s.Publish(release())
	c := connect(t, conn)
	var names []string
	for n := range maxAsked + 1 {
		names = append(names, fmt.Sprint(n))
	}
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: extensionType, ResourceNamesSubscribe: names})
	if err := <-c.end; status.Code(err) != codes.ResourceExhausted {
		t.Errorf("stream ended with %v", err)
	}
}
