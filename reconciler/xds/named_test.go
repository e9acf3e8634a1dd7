package xds

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	xdsresolver "google.golang.org/grpc/xds"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// called is a gRPC server that says who it is.
type called struct {
	grpc_health_v1.UnimplementedHealthServer
	name string
	at   netip.AddrPort
}

func (c *called) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{}, grpc.SetHeader(ctx, metadata.Pairs("from", c.name))
}

func callable(t *testing.T, name string) *called {
	t.Helper()
	l, g := localListener(t), grpc.NewServer()
	c := &called{name: name, at: l.Addr().(*net.TCPAddr).AddrPort()}
	grpc_health_v1.RegisterHealthServer(g, c)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	return c
}

// clientService is a service of a fleet of gRPC clients whose one backend, of a name, has these endpoints.
func clientService(t testing.TB, id, backend string, host schema.Hostname, at ...netip.AddrPort) Service {
	t.Helper()
	s := schema.Service{
		ID: schema.ServiceID(id), Exposure: "internal", Hosts: []schema.Hostname{host},
		Backends: []schema.Backend{{ID: schema.BackendID(backend), Location: schema.Addresses(at)}},
		Routes:   []schema.Route{{Name: "all", Action: schema.Forward{To: []schema.Destination{{Backend: schema.BackendID(backend), Weight: 100}}}}},
	}
	u, _, err := envoy.Render(schema.Fleet{ID: "rpc", Kind: schema.GRPC}, s)
	if err != nil {
		t.Fatal(err)
	}
	return Service{ID: s.ID, Version: u.Hash()[:12], Unit: u}
}

func clientRelease(services ...Service) Release {
	r := release(services...)
	r.Fleet = schema.Fleet{ID: "rpc", Kind: schema.GRPC}
	return r
}

// plane is a control plane on a port, recorded, that can go and come back there.
func planeAt(t *testing.T, l net.Listener) (s *Server, addr string, stop func()) {
	t.Helper()
	_, recorded := record(t)
	s = New(slog.New(slog.NewTextHandler(t.Output(), nil)), time.Now)
	g := NewGRPC(recorded)
	s.Register(g)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	return s, l.Addr().String(), g.Stop
}

// dial is a gRPC client that finds its way by xDS: grpc-go's own.
func dial(t *testing.T, control, id, target string) *grpc.ClientConn {
	t.Helper()
	builder, err := xdsresolver.NewXDSResolverWithConfigForTesting(fmt.Appendf(nil, `{
		"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
		"node": {"id": %q, "cluster": "rpc"}
	}`, control, id))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///"+target, grpc.WithResolvers(builder), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// from is who answers a call.
func from(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var header metadata.MD
	_, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Header(&header), grpc.WaitForReady(false))
	if err != nil {
		return "", err
	}
	return header.Get("from")[0], nil
}

func eventuallyFrom(t *testing.T, conn *grpc.ClientConn, want string) {
	t.Helper()
	eventually(t, "answered by "+want, func() bool {
		got, _ := from(t.Context(), conn)
		return got == want
	})
}

// calling calls without a pause until stop, which tells how often and what failed.
func calling(t *testing.T, conns ...*grpc.ClientConn) (stop func() int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	var wait sync.WaitGroup
	for _, conn := range conns {
		wait.Go(func() {
			for ctx.Err() == nil {
				if _, err := from(context.WithoutCancel(ctx), conn); err != nil {
					t.Errorf("a call failed: %v", err)
					return
				}
				calls.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	return func() int64 {
		cancel()
		wait.Wait()
		return calls.Load()
	}
}

func acknowledgedBy(s *Server, want Service) func() bool {
	return func() bool {
		v, ok := s.Acknowledged("rpc", want.ID)
		return ok && v == want.Version
	}
}

// TestClientsOfOneFleet: grpc-go's own client finds its way, by a name with a port and without, to endpoints that change in place; a
// changed cluster, and one service in the place of another, fail no call; a client knows nothing of services that it does not call.
func TestClientsOfOneFleet(t *testing.T) {
	noLeak(t)
	a, b := callable(t, "a"), callable(t, "b")
	s, control, _ := planeAt(t, localListener(t))
	one, other := clientService(t, "one", "main", "one.test", a.at), clientService(t, "other", "main", "other.test", b.at)
	s.Publish(clientRelease(one, other))
	conn, ported := dial(t, control, "c1", "one.test"), dial(t, control, "c2", "one.test:443")
	eventuallyFrom(t, conn, "a")
	eventuallyFrom(t, ported, "a")
	eventually(t, "all is acknowledged", func() bool {
		n := s.Nodes()
		return acknowledgedBy(s, one)() && acknowledgedBy(s, other)() && len(n) == 2 && n[0].Behind+n[1].Behind == 0
	})
	got, err := s.Inspect(t.Context(), "rpc", "c1")
	if err != nil || len(got.Types) != 4 {
		t.Fatalf("%+v %v", got, err)
	}
	for _, one := range got.Types {
		if one.Has != 1 || one.Wants != 1 || len(one.Differ) > 0 {
			t.Errorf("%s: %+v", one.URL, one)
		}
	}
	stop := calling(t, conn, ported)

	one = clientService(t, "one", "main", "one.test", b.at)
	clusterBefore := one.Unit.Clusters[0].Name
	s.Publish(clientRelease(one, other))
	eventuallyFrom(t, conn, "b")
	eventuallyFrom(t, ported, "b")
	if one.Unit.Clusters[0].Name != clusterBefore {
		t.Error("other endpoints are another cluster")
	}
	for n := range 100 {
		at := []*called{a, b}[n%2]
		one = clientService(t, "one", fmt.Sprintf("main-%d", n), "one.test", at.at)
		s.Publish(clientRelease(one, other))
		eventuallyFrom(t, conn, at.name)
		eventuallyFrom(t, ported, at.name)
		eventually(t, "acknowledged", acknowledgedBy(s, one))
	}
	taker := clientService(t, "taker", "main", "one.test", a.at)
	s.Publish(clientRelease(taker, other))
	eventuallyFrom(t, conn, "a")
	eventuallyFrom(t, ported, "a")
	eventually(t, "acknowledged", acknowledgedBy(s, taker))
	if n := stop(); n < 100 {
		t.Errorf("only %d calls were made", n)
	}
}

// TestClientRefuses: what a client refuses is named, is not sent to the next one, and the last good one stays with both. What is mended comes.
func TestClientRefuses(t *testing.T) {
	noLeak(t)
	a, b := callable(t, "a"), callable(t, "b")
	s, control, _ := planeAt(t, localListener(t))
	good := clientService(t, "one", "main", "one.test", a.at)
	s.Publish(clientRelease(good))
	conn := dial(t, control, "c1", "one.test")
	eventuallyFrom(t, conn, "a")
	eventually(t, "acknowledged", acknowledgedBy(s, good))
	stop := calling(t, conn)
	wrong := bad(t, clientService(t, "one", "main", "one.test", b.at))
	s.Publish(clientRelease(wrong))
	eventually(t, "the refusal is known", func() bool {
		r := s.Refusals()
		return len(r) == 1 && r[0].Service == "one" && r[0].Version == wrong.Version && r[0].Node == "c1"
	})
	next := dial(t, control, "c2", "one.test")
	eventuallyFrom(t, next, "a")
	eventuallyFrom(t, conn, "a")
	for range 20 {
		if got, err := from(t.Context(), conn); got != "a" {
			t.Fatalf("answered by %q, %v: want the last good one", got, err)
		}
	}
	if v := s.Versions("rpc", "one"); v["c1"] != good.Version || v["c2"] != good.Version {
		t.Errorf("they are said to have %v, want %s", v, good.Version)
	}
	mended := clientService(t, "one", "main", "one.test", b.at)
	s.Publish(clientRelease(mended))
	eventuallyFrom(t, conn, "b")
	eventuallyFrom(t, next, "b")
	eventually(t, "acknowledged", acknowledgedBy(s, mended))
	stop()
}

// TestClientsKeepTheirWay: while the control plane is gone, and when another is there instead, no call fails.
func TestClientsKeepTheirWay(t *testing.T) {
	a, b := callable(t, "a"), callable(t, "b")
	s, control, gone := planeAt(t, localListener(t))
	one := clientService(t, "one", "main", "one.test", a.at)
	s.Publish(clientRelease(one))
	conn := dial(t, control, "c1", "one.test")
	eventuallyFrom(t, conn, "a")
	stop := calling(t, conn)
	gone()
	time.Sleep(200 * time.Millisecond)
	again, err := net.Listen("tcp", control)
	if err != nil {
		t.Fatal(err)
	}
	s, _, _ = planeAt(t, again)
	one = clientService(t, "one", "main", "one.test", b.at)
	s.Publish(clientRelease(one))
	eventuallyFrom(t, conn, "b")
	stop()
}

// TestNamesOfOthers: what nobody has is said not to be there, at once, and comes when it is published. By difference, for which grpc-go has no client.
func TestNamesOfOthers(t *testing.T) { speaking(t, testNamesOfOthers) }

func testNamesOfOthers(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	one := clientService(t, "one", "main", "one.test", netip.MustParseAddrPort("192.0.2.1:80"))
	s.Publish(clientRelease(one))
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("c1", "rpc"), TypeUrl: listenerType, ResourceNamesSubscribe: []string{"one.test", "later.test"}})
	first := c.next(listenerType)
	if got := resourceNames(first); !slices.Contains(got, "one.test") || slices.Contains(got, "later.test") {
		t.Errorf("listeners %v", got)
	}
	c.ack(first)
	c.silent()
	later := clientService(t, "later", "main", "later.test", netip.MustParseAddrPort("192.0.2.2:80"))
	s.Publish(clientRelease(one, later))
	next := c.next(listenerType)
	if got := resourceNames(next); !slices.Contains(got, "later.test") {
		t.Errorf("listeners %v", got)
	}
	c.ack(next)
	s.Publish(clientRelease(one))
	gone := c.next(listenerType)
	if got := resourceNames(gone); !slices.Contains(got, "-later.test") {
		t.Errorf("listeners %v, want that of what is gone removed", got)
	}
	c.ack(gone)
}

// TestClientThatTakesNoClusters: its routes lead to new clusters all the same, once it had time enough to take them.
func TestClientThatTakesNoClusters(t *testing.T) { speaking(t, testClientThatTakesNoClusters) }

func testClientThatTakesNoClusters(t *testing.T, speaks form) {
	s, conn := newServerWith(t, speaks) // not recorded: the routes lead to what the client does not have
	s.warmWithin = 300 * time.Millisecond
	at := netip.MustParseAddrPort("192.0.2.1:80")
	s.Publish(clientRelease(clientService(t, "one", "main", "one.test", at)))
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("c1", "rpc"), TypeUrl: routeType, ResourceNamesSubscribe: []string{"rc/one.test"}})
	c.ack(c.next(routeType))
	c.silent() // and it is known to have them
	next := clientService(t, "one", "other", "one.test", at)
	s.Publish(clientRelease(next))
	warming := c.next(routeType)
	if text := string(warming.Resources[0].Resource.Value); !strings.Contains(text, envoy.Warming) {
		t.Errorf("the first answer does not make the client take the cluster: %q", text)
	}
	c.ack(warming)
	c.silent()
	switched := c.next(routeType)
	if text := string(switched.Resources[0].Resource.Value); strings.Contains(text, envoy.Warming) || !strings.Contains(text, next.Unit.Clusters[0].Name) {
		t.Errorf("the routes do not lead to the new cluster: %q", text)
	}
	c.ack(switched)
}

// TestClientRefusesWhoTakesAName: a name that moves to a service that a client refuses stays where it was.
func TestClientRefusesWhoTakesAName(t *testing.T) {
	noLeak(t)
	a, b := callable(t, "a"), callable(t, "b")
	s, control, _ := planeAt(t, localListener(t))
	one := clientService(t, "one", "main", "one.test", a.at)
	s.Publish(clientRelease(one))
	conn := dial(t, control, "c1", "one.test")
	eventuallyFrom(t, conn, "a")
	eventually(t, "acknowledged", acknowledgedBy(s, one))
	stop := calling(t, conn)
	s.Publish(clientRelease(bad(t, clientService(t, "taker", "main", "one.test", b.at))))
	eventually(t, "the refusal is known", func() bool { r := s.Refusals(); return len(r) == 1 && r[0].Service == "taker" })
	time.Sleep(200 * time.Millisecond)
	eventuallyFrom(t, conn, "a")
	s.Publish(clientRelease(clientService(t, "taker", "main", "one.test", b.at)))
	eventuallyFrom(t, conn, "b")
	stop()
}
