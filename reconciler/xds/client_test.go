package xds

import (
	"context"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
)

// client speaks the protocol and no more.
type client struct {
	t      *testing.T
	stream talk
	got    chan *discoveryv3.DeltaDiscoveryResponse
	end    chan error
	close  context.CancelFunc
}

func connect(t *testing.T, conn *testConn) *client {
	t.Helper()
	return connectAgain(t, conn, &wholes{types: map[string]*whole{}})
}

// connectAgain opens a stream of a proxy that may have been here before.
func connectAgain(t *testing.T, conn *testConn, memory *wholes) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	of := discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
	if conn.form == sotw {
		stream, err := of.StreamAggregatedResources(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return newClient(t, newSotwTalk(stream, memory), cancel)
	}
	stream, err := of.DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, stream, cancel)
}

func newClient(t *testing.T, stream talk, cancel context.CancelFunc) *client {
	c := &client{t: t, stream: stream, got: make(chan *discoveryv3.DeltaDiscoveryResponse, 100), end: make(chan error, 1), close: cancel}
	t.Cleanup(cancel)
	go func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				c.end <- err
				return
			}
			c.got <- r
		}
	}()
	return c
}

func nodeNamed(id, fleet string) *corev3.Node { return &corev3.Node{Id: id, Cluster: fleet} }

func (c *client) ask(r *discoveryv3.DeltaDiscoveryRequest) {
	if err := c.stream.Send(r); err != nil {
		c.t.Logf("send: %v", err)
	}
}

func (c *client) next(url string) *discoveryv3.DeltaDiscoveryResponse {
	c.t.Helper()
	select {
	case r := <-c.got:
		if r.TypeUrl != url {
			c.t.Fatalf("answer of %s %v, want %s", r.TypeUrl, resourceNames(r), url)
		}
		return r
	case err := <-c.end:
		c.t.Fatalf("stream ended: %v", err)
	case <-time.After(5 * time.Second):
		c.t.Fatalf("no answer of %s", url)
	}
	return nil
}

func (c *client) silent() {
	c.t.Helper()
	select {
	case r := <-c.got:
		c.t.Fatalf("answer of %s %v, want none", r.TypeUrl, resourceNames(r))
	case err := <-c.end:
		c.t.Fatalf("stream ended: %v", err)
	case <-time.After(60 * time.Millisecond):
	}
}

func (c *client) ack(r *discoveryv3.DeltaDiscoveryResponse) {
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce})
}

func (c *client) nack(r *discoveryv3.DeltaDiscoveryResponse, why string) {
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce, ErrorDetail: &status.Status{Code: 13, Message: why}})
}

func resourceNames(r *discoveryv3.DeltaDiscoveryResponse) []string {
	var out []string
	for _, a := range r.Resources {
		out = append(out, a.Name)
	}
	for _, name := range r.RemovedResources {
		out = append(out, "-"+name)
	}
	return out
}
