package xds

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// noLeak has a test fail that leaves goroutines of this package behind. It must be called before the server is started.
func noLeak(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var left []string
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if left = ours(); len(left) == 0 {
				return
			}
		}
		t.Errorf("%d goroutines go on, such as:\n%s", len(left), left[0])
	})
}

// ours are the goroutines that the server has started or runs in.
func ours() []string {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var out []string
	for one := range strings.SplitSeq(string(stacks), "\n\n") {
		for _, of := range []string{"/xds.(*Server).", "/xds.(*link).", "/xds.(*session)."} {
			if strings.Contains(one, of) {
				out = append(out, one)
				break
			}
		}
	}
	return out
}

// hostile does one kind of harm until stop is closed, and tells how often.
type hostile func(t *testing.T, conn *testConn, stop <-chan struct{}) int

// pest is a client that sends what it likes and answers as it likes.
func pest(t *testing.T, conn *testConn, id string, stop <-chan struct{}, reply func(c *client, r *discoveryv3.DeltaDiscoveryResponse)) int {
	c := connect(t, conn)
	defer c.close()
	for n, url := range []string{clusterType, scopeType, listenerType, routeType} {
		r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url}
		if n == 0 {
			r.Node = nodeNamed(id, "edge")
		}
		if url == routeType {
			for _, b := range layout.BucketNames() {
				r.ResourceNamesSubscribe = append(r.ResourceNamesSubscribe, layout.RouteName("public", b))
			}
		}
		c.ask(r)
	}
	for did := 0; ; did++ {
		select {
		case <-stop:
			return did
		case <-c.end:
			return did
		case r := <-c.got:
			reply(c, r)
		case <-time.After(time.Millisecond):
			reply(c, nil)
		}
	}
}

var hostiles = map[string]hostile{
	"never acknowledges": func(t *testing.T, conn *testConn, stop <-chan struct{}) int {
		return pest(t, conn, "mute", stop, func(*client, *discoveryv3.DeltaDiscoveryResponse) {})
	},
	"wrong nonces": func(t *testing.T, conn *testConn, stop <-chan struct{}) int {
		return pest(t, conn, "liar", stop, func(c *client, r *discoveryv3.DeltaDiscoveryResponse) {
			c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, ResponseNonce: "77777"})
			c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResponseNonce: "1", ErrorDetail: &rpc.Status{Message: "svc/s1"}})
		})
	},
	"unknown types": func(t *testing.T, conn *testConn, stop <-chan struct{}) int {
		n := 0
		return pest(t, conn, "alien", stop, func(c *client, r *discoveryv3.DeltaDiscoveryResponse) {
			n++
			c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: fmt.Sprint("type.googleapis.com/", n), ResourceNamesSubscribe: []string{"x"}})
		})
	},
	"names without end": func(t *testing.T, conn *testConn, stop <-chan struct{}) int {
		n := 0
		return pest(t, conn, "greedy", stop, func(c *client, r *discoveryv3.DeltaDiscoveryResponse) {
			ask := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType}
			for range 1000 {
				n++
				ask.ResourceNamesSubscribe = append(ask.ResourceNamesSubscribe, fmt.Sprintf("rc/none/%d", n))
			}
			c.ask(ask)
			if r != nil {
				c.ack(r)
			}
		})
	},
	"comes again without end": func(t *testing.T, conn *testConn, stop <-chan struct{}) int {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return n
			default:
			}
			c := connect(t, conn)
			c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("storm", "edge"), TypeUrl: clusterType})
			select {
			case <-c.got:
			case <-c.end:
			}
			c.close()
		}
	},
}

// TestHostile has clients do harm in every way while a proxy is served: each change reaches it at once, it goes through no breach,
// and memory does not grow.
func TestHostile(t *testing.T) { speaking(t, testHostile) }

func testHostile(t *testing.T, speaks form) {
	for name, harm := range hostiles {
		t.Run(name, func(t *testing.T) {
			s, conn := newServerFor(t, speaks)
			change := func(round int) []Service {
				var out []Service
				for n := range 100 {
					out = append(out, declared(t, fmt.Sprintf("s%d", n), uint16(1+round*n%7), hostname(fmt.Sprintf("h%d.test", n))))
				}
				return out
			}
			s.Publish(release(change(0)...))
			m := newModel(t, conn, "good")
			good := func() bool {
				for _, n := range s.Nodes() {
					if n.ID == "good" {
						return n.Behind == 0
					}
				}
				return false
			}
			eventually(t, "served", good)
			stop, did := make(chan struct{}), make(chan int)
			go func() { did <- harm(t, conn, stop) }()
			time.Sleep(50 * time.Millisecond)
			before, slowest := heap(), time.Duration(0)
			for round := 1; round <= 12; round++ {
				began := time.Now()
				s.Publish(release(change(round)...))
				eventually(t, "the change is there", good)
				slowest = max(slowest, time.Since(began))
			}
			grown := int64(heap()) - int64(before)
			close(stop)
			t.Logf("harm was done %d times; the slowest change took %v; the heap grew by %d KiB", <-did, slowest, grown>>10)
			if slowest > 10*time.Second {
				t.Errorf("a change took %v", slowest)
			}
			if grown > 64<<20 {
				t.Errorf("the heap grew by %d MiB", grown>>20)
			}
			m.sound()
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestRefusesEverything has a proxy that refuses whatever it is sent: it comes to rest.
func TestRefusesEverything(t *testing.T) { speaking(t, testRefusesEverything) }

func testRefusesEverything(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	var services []Service
	for n := range 100 {
		services = append(services, declared(t, fmt.Sprintf("s%d", n), 1, hostname(fmt.Sprintf("h%d.test", n))))
	}
	s.Publish(release(services...))
	stop, did := make(chan struct{}), make(chan int)
	var refused atomic.Int64
	go func() {
		did <- pest(t, conn, "no", stop, func(c *client, r *discoveryv3.DeltaDiscoveryResponse) {
			if r != nil {
				refused.Add(1)
				c.nack(r, "no")
			}
		})
	}()
	last := int64(-1)
	eventually(t, "it is sent nothing more", func() bool {
		time.Sleep(200 * time.Millisecond)
		now := refused.Load()
		rests := now == last && now > 0
		last = now
		return rests
	})
	close(stop)
	<-did
	if last > 1000 {
		t.Errorf("it was sent %d answers", last)
	}
	t.Logf("it refused %d answers", last)
}

// TestBounds has requests that ask for too much.
func TestBounds(t *testing.T) { speaking(t, testBounds) }

func testBounds(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	s.Publish(release())
	many := make([]string, maxNames+1)
	for n := range many {
		many[n] = fmt.Sprint(n)
	}
	for _, c := range []struct {
		names []string
		want  codes.Code
	}{
		{many, codes.ResourceExhausted},
		{[]string{strings.Repeat("x", maxName+1)}, codes.InvalidArgument},
		{[]string{strings.Repeat("x", maxMessage)}, codes.ResourceExhausted},
	} {
		proxy := connect(t, conn)
		proxy.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: routeType, ResourceNamesSubscribe: c.names})
		select {
		case err := <-proxy.end:
			if status.Code(err) != c.want {
				t.Errorf("%d names of %d bytes: %v", len(c.names), len(c.names[0]), err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%d names of %d bytes are taken", len(c.names), len(c.names[0]))
		}
	}
}
