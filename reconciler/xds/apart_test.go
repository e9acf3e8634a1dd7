package xds

import (
	"context"
	"strings"
	"testing"
	"time"

	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type (
	sotwClient  = grpc.BidiStreamingClient[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]
	deltaClient = grpc.BidiStreamingClient[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]
)

// streamOf opens the stream of one type.
func streamOf(t *testing.T, conn *testConn, url string) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	clusters, listeners := clusterservice.NewClusterDiscoveryServiceClient(conn), listenerservice.NewListenerDiscoveryServiceClient(conn)
	routes, scopes := routeservice.NewRouteDiscoveryServiceClient(conn), routeservice.NewScopedRoutesDiscoveryServiceClient(conn)
	var to talk
	var err error
	if conn.form == sotw {
		open := map[string]func(context.Context, ...grpc.CallOption) (sotwClient, error){
			clusterType: clusters.StreamClusters, listenerType: listeners.StreamListeners,
			scopeType: scopes.StreamScopedRoutes, routeType: routes.StreamRoutes, secretType: secretservice.NewSecretDiscoveryServiceClient(conn).StreamSecrets,
		}
		var stream sotwClient
		stream, err = open[url](ctx)
		to = newSotwTalk(stream, &wholes{types: map[string]*whole{}})
	} else {
		open := map[string]func(context.Context, ...grpc.CallOption) (deltaClient, error){
			clusterType: clusters.DeltaClusters, listenerType: listeners.DeltaListeners,
			scopeType: scopes.DeltaScopedRoutes, routeType: routes.DeltaRoutes, secretType: secretservice.NewSecretDiscoveryServiceClient(conn).DeltaSecrets,
		}
		to, err = open[url](ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, to, cancel)
}

// TestApart has a proxy ask for each type on a stream of its own: it is served in the same phases as on one, and counts once.
func TestApart(t *testing.T) { speaking(t, testApart) }

func testApart(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	a, a2 := declared(t, "a", 1, "a.test"), declared(t, "a", 2, "a.test")
	s.Publish(release(a))
	streams := map[string]*client{}
	for _, url := range []string{routeType, listenerType, scopeType, clusterType} {
		c := streamOf(t, conn, url)
		streams[url] = c
		r := &discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: url}
		if url == routeType {
			r.ResourceNamesSubscribe = []string{bucketOf(a)}
		}
		c.ask(r)
	}
	clusters, routes := streams[clusterType], streams[routeType]
	first := clusters.next(clusterType)
	streams[scopeType].ack(streams[scopeType].next(scopeType))
	routes.silent()
	streams[listenerType].silent() // neither before the clusters are there
	clusters.ack(first)
	routes.ack(routes.next(routeType))
	streams[listenerType].ack(streams[listenerType].next(listenerType))

	s.Publish(release(a2))
	added := clusters.next(clusterType)
	routes.silent()
	clusters.ack(added)
	moved := routes.next(routeType)
	clusters.silent()
	routes.ack(moved)
	if got := joined(clusters.next(clusterType)); got != "-"+a.Unit.Clusters[0].Name {
		t.Errorf("clusters %s, want the old one removed", got)
	}
	if n := s.Nodes(); len(n) != 1 {
		t.Errorf("nodes are %+v, want one", n)
	}

	streams[scopeType].close()
	for _, url := range []string{clusterType, listenerType, routeType} {
		select {
		case err := <-streams[url].end:
			if status.Code(err) != codes.Unavailable {
				t.Errorf("%s ended with %v", url, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s goes on without the scopes", url)
		}
	}
	eventually(t, "gone", func() bool { return len(s.Nodes()) == 0 })
}

// TestTypeOfStream leaves the type of a request out, where the stream says it, and names another.
func TestTypeOfStream(t *testing.T) { speaking(t, testTypeOfStream) }

func testTypeOfStream(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	s.Publish(release())
	c := streamOf(t, conn, clusterType)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge")})
	c.next(clusterType)

	c = streamOf(t, conn, clusterType)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("two", "edge"), TypeUrl: listenerType})
	if err := <-c.end; status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "on a stream of "+clusterType) {
		t.Errorf("another type on a stream of clusters: %v", err)
	}
	c = connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("three", "edge")})
	if err := <-c.end; status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "no type_url") {
		t.Errorf("no type on an aggregated stream: %v", err)
	}
}
