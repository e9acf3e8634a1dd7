package xds

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/edgewright/edgewright/fixtures/envoy"
)

func at(address string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(address), Port: 1} }

// TestPace has one address open streams without end: others can still open theirs.
func TestPace(t *testing.T) {
	p, now := newPace(), time.Now()
	opened := 0
	for range 10_000 {
		if p.allow(at("192.0.2.1"), now) {
			opened++
		}
	}
	if opened != oneAddressAtOnce {
		t.Errorf("one address opened %d, want %d", opened, oneAddressAtOnce)
	}
	if !p.allow(at("192.0.2.2"), now) {
		t.Error("another address may not")
	}
	now = now.Add(time.Second)
	for range 2 * oneAddress {
		if p.allow(at("192.0.2.1"), now) {
			opened++
		}
	}
	if want := oneAddressAtOnce + oneAddress; opened != want {
		t.Errorf("one address opened %d within a second, want %d", opened, want)
	}
	for n := range 100_000 {
		p.allow(at(fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255)), now)
	}
	if len(p.by) > addresses+1 {
		t.Errorf("%d addresses are told apart", len(p.by))
	}
	later := now.Add(time.Minute)
	p.allow(at("192.0.2.9"), later)
	if p.by["192.0.2.9"] == nil {
		t.Error("an address is not told apart although others have rested")
	}
}

func TestTooFast(t *testing.T) {
	s, conn := newTestServer(t)
	s.Publish(release())
	s.pace.all = rate.NewLimiter(0, 1)
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType})
	c.next(clusterType)
	err := <-connect(t, conn).end
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "come again in a few seconds") {
		t.Errorf("the second ended with %v", err)
	}
	if n := s.TurnedAwayFor(TooFast); n != 1 {
		t.Errorf("%d were turned away, want 1", n)
	}
}

func TestTooManyStreams(t *testing.T) {
	s, conn := newTestServer(t)
	s.streams = maxStreams
	err := <-connect(t, conn).end
	if status.Code(err) != codes.ResourceExhausted || s.TurnedAwayFor(TooManyStreams) != 1 {
		t.Errorf("ended with %v", err)
	}
}

// TestStrangers has many come without a token and say nothing: none takes the place of a proxy that shows one.
func TestStrangers(t *testing.T) {
	a := newSigner(t)
	s, at := guarded(t, Admission{Tokens: a.text("tokens", "edge 0123456789abcdef-edge")})
	const many = 2 * strangers
	var conn *grpc.ClientConn
	for n := range many {
		if n%25 == 0 { // a connection has few streams
			var err error
			if conn, err = grpc.NewClient(at, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
		stranger, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = stranger.Recv() }()
	}
	good := visitor{bearer: edgeToken, node: "one", fleet: "edge"}
	began := time.Now()
	if err := good.visit(t, at); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > strangerFor/2 {
		t.Errorf("the good one waited %v", took)
	}
	s.mu.Lock()
	if s.streams > 1 {
		t.Errorf("%d streams count, want that of the good one", s.streams)
	}
	s.mu.Unlock()
	eventually(t, "all are turned away", func() bool { return s.TurnedAwayFor(NoCredentials) == many })
}

// TestSlowReader has a proxy that reads nothing any more once it has asked for all routes: its neighbour is served at once, and its own stream ends.
func TestSlowReader(t *testing.T) { speaking(t, testSlowReader) }

func testSlowReader(t *testing.T, speaks form) {
	l := localListener(t)
	s, _ := controlAt(t, l)
	s.patience = 3 * time.Second // the quick one, on a busy machine, stays below
	var services []Service
	for n := range 3000 {
		services = append(services, declared(t, fmt.Sprintf("s%04d", n), 1, hostname(fmt.Sprintf("h%d.test", n))))
	}
	s.Publish(release(services...))
	dial := func() *testConn {
		conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStaticStreamWindowSize(64<<10))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return &testConn{ClientConn: conn, form: speaks}
	}
	of := discoveryv3.NewAggregatedDiscoveryServiceClient(dial())
	var slow talk
	var err error
	if speaks == sotw {
		var stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
		stream, err = of.StreamAggregatedResources(t.Context())
		slow = newSotwTalk(stream, &wholes{types: map[string]*whole{}})
	} else {
		slow, err = of.DeltaAggregatedResources(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = slow.Send(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("slow", "edge"), TypeUrl: clusterType})
	for added := 0; added < len(services); {
		r, err := slow.Recv()
		if err != nil {
			t.Fatal(err)
		}
		added += len(r.Resources)
		_ = slow.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, ResponseNonce: r.Nonce})
	}
	all := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType}
	for _, b := range layout.BucketNames() {
		all.ResourceNamesSubscribe = append(all.ResourceNamesSubscribe, layout.RouteName("public", b))
	}
	_ = slow.Send(all)
	eventually(t, "all routes are on their way", func() bool {
		got, err := s.Inspect(t.Context(), "edge", "slow")
		return err == nil && slices.ContainsFunc(got.Types, func(one InspectedType) bool {
			return one.URL == routeType && one.Has == len(all.ResourceNamesSubscribe)
		})
	})
	_ = slow.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: scopeType}) // a stream has room for one answer, however large

	began := time.Now()
	quick := newModel(t, dial(), "quick")
	eventually(t, "the quick one has all", func() bool {
		for _, n := range s.Nodes() {
			if n.ID == "quick" && n.Behind == 0 {
				return true
			}
		}
		return false
	})
	t.Logf("the quick one has all of %d services after %v", len(services), time.Since(began))
	quick.sound()
	eventually(t, "the slow one is gone", func() bool { return len(s.Nodes()) == 1 })
	for err = nil; err == nil; {
		_, err = slow.Recv() // what was on its way before the end
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the slow one ended with %v", err)
	}
}

// TestConnectionAge ends the connections of real proxies for their age, again and again: they come back, are sent nothing that they
// have, and no request fails.
func TestConnectionAge(t *testing.T) {
	bootstraps(t, func(t *testing.T, like envoy.Config) {
		if like.Whole != like.Apart {
			t.Skip("as the others, and each takes seconds")
		}
		l := localListener(t)
		var sent, opened atomic.Int64
		s, _ := controlAt(t, l, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 300 * time.Millisecond, MaxConnectionAgeGrace: 50 * time.Millisecond}),
			grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, of *grpc.StreamServerInfo, next grpc.StreamHandler) error {
				if path.Base(of.FullMethod) == methods(like)[0] {
					opened.Add(1)
				}
				return next(srv, counted{ss, &sent})
			}))
		a := declaredAt(t, "a", backend(t, "blue"), "a.test")
		s.Publish(release(a))
		proxy := proxyNamed(t, like, "one", l.Addr().(*net.TCPAddr).Port)
		eventually(t, "served", acknowledgedAs(s, a))
		eventually(t, "it came back", func() bool { return opened.Load() >= 2 })
		eventually(t, "served again", acknowledgedAs(s, a))
		asking := busy(t, []string{proxy}, []string{"a.test"})
		before, since := opened.Load(), sent.Load()
		eventually(t, "it came back twice more", func() bool { return opened.Load() >= before+2 })
		if n := sent.Load() - since; n > 0 {
			t.Errorf("%d answers were sent to one that has all", n)
		}
		if count, failed := asking.Stop(); len(failed) > 0 {
			t.Errorf("%d of %d requests failed: %s", len(failed), count, failed[0])
		}
	})
}
