package xds

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"

	"github.com/edgewright/edgewright/schema"
)

// plain is one state-of-the-world stream, by hand.
type plain struct {
	t   *testing.T
	to  grpc.BidiStreamingClient[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]
	got chan *discoveryv3.DiscoveryResponse
	end chan error
	url string
	// of the last answer
	version, nonce string
}

func newPlain(t *testing.T, to grpc.BidiStreamingClient[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse], url string) *plain {
	p := &plain{t: t, to: to, url: url, got: make(chan *discoveryv3.DiscoveryResponse, 10), end: make(chan error, 1)}
	go func() {
		for {
			r, err := to.Recv()
			if err != nil {
				p.end <- err
				return
			}
			p.got <- r
		}
	}()
	return p
}

func (p *plain) ask(names ...string) {
	_ = p.to.Send(&discoveryv3.DiscoveryRequest{
		Node: nodeNamed("one", "edge"), TypeUrl: p.url, ResourceNames: names, VersionInfo: p.version, ResponseNonce: p.nonce,
	})
}

// next is the names in the next answer.
func (p *plain) next() string {
	p.t.Helper()
	select {
	case r := <-p.got:
		p.version, p.nonce = r.VersionInfo, r.Nonce
		var out []string
		for _, a := range r.Resources {
			out = append(out, nameOf(a))
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	case err := <-p.end:
		p.t.Fatalf("stream ended: %v", err)
	case <-time.After(5 * time.Second):
		p.t.Fatalf("no answer of %s", p.url)
	}
	return ""
}

func (p *plain) silent(why string) {
	p.t.Helper()
	select {
	case r := <-p.got:
		p.t.Fatalf("%d resources of %s, want no answer: %s", len(r.Resources), r.TypeUrl, why)
	case err := <-p.end:
		p.t.Fatalf("stream ended: %v", err)
	case <-time.After(60 * time.Millisecond):
	}
}

func plainADS(t *testing.T, conn grpc.ClientConnInterface, url string) *plain {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	to, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return newPlain(t, to, url)
}

func (p *plain) wants(what, want string) {
	p.t.Helper()
	if got := p.next(); got != want {
		p.t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

// TestWildcard asks for clusters in every way that the protocol has.
func TestWildcard(t *testing.T) {
	s, conn := newServerFor(t, sotw)
	a, b := declared(t, "a", 1, "a.test"), declared(t, "b", 2, "b.test")
	one, two := a.Unit.Clusters[0].Name, b.Unit.Clusters[0].Name
	s.Publish(release(a, b))
	p := plainADS(t, conn, clusterType)
	p.ask()
	p.wants("none named at first", one+" "+two)
	p.ask()
	p.silent("it was an acknowledgement")
	p.ask(one)
	p.wants("one named", one)
	p.ask(one, "c/unknown")
	p.wants("one more that is not there", one)
	p.ask()
	p.wants("none any more", "")
	p.ask("*")
	p.wants("all", one+" "+two)
	p.ask("*")
	p.silent("it was an acknowledgement")

	a2 := declared(t, "a", 3, "a.test")
	s.Publish(release(a2, b))
	p.wants("another cluster, beside the old one", one+" "+a2.Unit.Clusters[0].Name+" "+two)
}

// TestEmptyWorld has nothing to serve, of which a proxy must be told.
func TestEmptyWorld(t *testing.T) {
	s, conn := newServerFor(t, sotw)
	s.Publish(release())
	p := plainADS(t, conn, clusterType)
	p.ask()
	p.wants("no clusters", "")
	if p.version == "" {
		t.Error("the answer has no version")
	}
	p.ask()
	p.silent("it was an acknowledgement")

	again := plainADS(t, conn, clusterType)
	again.version = p.version
	again.ask()
	again.silent("it has that already")
}

// TestRoutesByName has routes asked for by name: only what changed of them is sent.
func TestRoutesByName(t *testing.T) {
	s, conn := newServerFor(t, sotw)
	a, b := declared(t, "a", 1, "a.test"), declared(t, "b", 2, "other.test")
	s.Publish(release(a, b))
	p := plainADS(t, conn, clusterType)
	p.ask()
	p.next()
	p.ask()
	acked := p.version
	p.url, p.version, p.nonce = routeType, "", ""
	p.ask(bucketOf(a))
	p.wants("the first", bucketOf(a))
	first := p.version
	p.ask(bucketOf(a))
	p.silent("it was an acknowledgement")
	p.ask(bucketOf(a), bucketOf(b))
	p.wants("the second", bucketOf(b))
	if p.version == first {
		t.Error("the version is the same with another route configuration")
	}

	stale := *p
	stale.nonce = "1"
	stale.ask(bucketOf(a))
	p.silent("the nonce is out of date")
	p.ask(bucketOf(a), bucketOf(b), "rc/unknown")
	p.silent("there is no such")

	s.Publish(release(a, bad(t, b)))
	p.wants("what changed", bucketOf(b))
	_ = p.to.Send(&discoveryv3.DiscoveryRequest{
		TypeUrl: routeType, ResourceNames: []string{bucketOf(a), bucketOf(b)}, VersionInfo: first, ResponseNonce: p.nonce,
		ErrorDetail: &rpc.Status{Message: "no"},
	})
	eventually(t, "refused", func() bool { return len(s.Refusals()) == 1 })
	if acked == "" {
		t.Error("clusters had no version")
	}
}

// TestAskedForAgain has a proxy come back with all that it has, let a route configuration go and ask for it again: it has it no more.
func TestAskedForAgain(t *testing.T) {
	s, conn := newServerFor(t, sotw)
	a, b := declared(t, "a", 1, "a.test"), declared(t, "b", 2, "other.test")
	s.Publish(release(a, b))
	versions := map[string]string{}
	for range 2 { // the second time it has all
		p := plainADS(t, conn, clusterType)
		p.version = versions[clusterType]
		p.ask()
		if p.version == "" {
			p.next()
			p.ask()
		}
		versions[clusterType] = p.version
		p.url, p.version, p.nonce = routeType, versions[routeType], ""
		p.ask(bucketOf(a), bucketOf(b))
		if p.version == "" {
			p.next()
			p.ask(bucketOf(a), bucketOf(b))
			versions[routeType] = p.version
			_ = p.to.CloseSend()
			eventually(t, "gone", func() bool { return len(s.Nodes()) == 0 })
			continue
		}
		p.silent("it has all")
		p.ask(bucketOf(a))
		p.silent("it has that")
		p.ask(bucketOf(a), bucketOf(b))
		p.wants("what it let go", bucketOf(b))
	}
}

// TestDoubt has a proxy come back that refused the last answer: its version does not tell what it has.
func TestDoubt(t *testing.T) {
	s, conn := newServerFor(t, sotw)
	a := declared(t, "a", 1, "a.test")
	s.Publish(release(a))
	p := plainADS(t, conn, clusterType)
	p.ask()
	p.next()
	p.ask()
	good := p.version
	a2 := declared(t, "a", 2, "a.test")
	s.Publish(release(a2))
	p.next()
	_ = p.to.Send(&discoveryv3.DiscoveryRequest{TypeUrl: clusterType, VersionInfo: good, ResponseNonce: p.nonce, ErrorDetail: &rpc.Status{Message: "no"}})
	eventually(t, "refused", func() bool { return len(s.Refusals()) == 1 })
	_ = p.to.CloseSend()
	eventually(t, "gone", func() bool { return len(s.Nodes()) == 0 })
	s.Publish(release(a))
	again := plainADS(t, conn, clusterType)
	again.version = good
	again.ask()
	again.wants("all that it is to have", a.Unit.Clusters[0].Name)
}

// TestRefusedBefore has a listener refused, and refused again with another that is good.
func TestRefusedBefore(t *testing.T) {
	s, conn := newServerFor(t, sotw)
	r := release()
	s.Publish(r)
	p := plainADS(t, conn, clusterType)
	p.ask()
	p.next()
	p.ask()
	p.url, p.version, p.nonce = listenerType, "", ""
	p.ask()
	p.wants("a listener", "edge-80")
	nack := func() {
		_ = p.to.Send(&discoveryv3.DiscoveryRequest{TypeUrl: listenerType, ResponseNonce: p.nonce, ErrorDetail: &rpc.Status{Message: "edge-80: in use"}})
	}
	nack()
	eventually(t, "refused", func() bool { return len(s.Refusals()) == 1 })
	r.Fleet.Listeners = append(slices.Clone(r.Fleet.Listeners), schema.Listener{Exposure: "internal", Port: 81})
	s.Publish(r)
	p.wants("both listeners", "edge-80 edge-81")
	nack()
	eventually(t, "refused again", func() bool { return len(s.Refusals()) == 1 })
	if got := only(s).others; len(got) != 1 || got[listenerType+"/edge-80"].why == "" {
		t.Errorf("refused are %+v, want only what the proxy named", got)
	}
}
