package xds

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/edgewright/edgewright/reconciler/secret"
	"github.com/edgewright/edgewright/schema"
)

// made is a secret of any content: what it holds is the proxy's business.
func madeSecret(name, content string) Secret {
	return Secret{Name: name, Chain: []byte("chain of " + content), Key: secret.New("key of " + content)}
}

// askForSecrets asks on a stream that is open already.
func askForSecrets(c *client, names ...string) {
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: secretType, ResourceNamesSubscribe: names})
}

// secure publishes a fleet with TLS, and opens a stream of it.
func secure(t *testing.T, s *Server, conn *testConn, secrets ...Secret) *client {
	t.Helper()
	s.Entrust("edge", secrets)
	r := release()
	r.Fleet = secured()
	s.Publish(r)
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType})
	c.ack(c.next(clusterType))
	return c
}

// TestSecretsApart: secrets are served on a stream of their own too, in both forms, and a new one is sent as it comes.
func TestSecretsApart(t *testing.T) {
	speaking(t, func(t *testing.T, speaks form) {
		s, conn := newServerFor(t, speaks)
		r := release()
		r.Fleet = secured()
		s.Entrust("edge", []Secret{madeSecret("certificate/first", "1")})
		s.Publish(r)
		c := streamOf(t, conn, secretType)
		c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: secretType, ResourceNamesSubscribe: []string{"certificate/first"}})
		for _, content := range []string{"1", "2"} {
			s.Entrust("edge", []Secret{madeSecret("certificate/first", content)})
			got := c.next(secretType)
			if joined(got) != "certificate/first" || !bytes.Contains(got.Resources[0].Resource.Value, []byte("key of "+content)) {
				t.Errorf("answer is %v", joined(got))
			}
			c.ack(got)
			c.silent()
		}
	})
}

// TestSecrets follows one stream: each name is answered at once, and only what changes is sent.
func TestSecrets(t *testing.T) {
	s, conn := newTestServer(t)
	c := secure(t, s, conn, madeSecret("certificate/first", "1"), madeSecret("certificate/pay", "1"))
	expect := func(want string) {
		t.Helper()
		r := c.next(secretType)
		if got := joined(r); got != want {
			t.Errorf("answer is %s, want %s", got, want)
		}
		c.ack(r)
	}
	askForSecrets(c, "certificate/first", "certificate/nobody", "certificate/pay")
	expect("certificate/first -certificate/nobody")
	expect("certificate/pay")
	c.silent()
	askForSecrets(c, "certificate/first")
	expect("certificate/first") // asked for again, it is sent again

	s.Entrust("edge", []Secret{madeSecret("certificate/first", "1"), madeSecret("certificate/pay", "2"), madeSecret("certificate/nobody", "1")})
	expect("certificate/nobody")
	expect("certificate/pay")
	s.Entrust("edge", []Secret{madeSecret("certificate/first", "1"), madeSecret("certificate/pay", "2"), madeSecret("certificate/nobody", "1")})
	c.silent()

	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: secretType, ResourceNamesUnsubscribe: []string{"certificate/pay"}})
	c.silent()
	s.Entrust("edge", []Secret{madeSecret("certificate/pay", "3")})
	c.silent() // what the proxy has and nobody has any more stays, and what it does not want is not sent
}

// TestSecretsBeforeAll asks for a secret before anything else: nothing makes it wait.
func TestSecretsBeforeAll(t *testing.T) {
	s, conn := newTestServer(t)
	s.Entrust("edge", []Secret{madeSecret("certificate/first", "1")})
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: secretType, ResourceNamesSubscribe: []string{"certificate/first", "x"}})
	c.silent() // there is no release
	s.Publish(release(declared(t, "a", 1, "a.test")))
	if got := joined(c.next(secretType)); got != "certificate/first -x" {
		t.Errorf("answer is %s", got)
	}
}

// TestSecretsAgain connects as a proxy that has some from an earlier stream.
func TestSecretsAgain(t *testing.T) {
	s, conn := newTestServer(t)
	c := secure(t, s, conn, madeSecret("certificate/first", "1"), madeSecret("certificate/pay", "1"))
	askForSecrets(c, "certificate/first", "certificate/pay")
	has := map[string]string{"certificate/lost": "1"}
	for range 2 {
		r := c.next(secretType)
		has[r.Resources[0].Name] = r.Resources[0].Version
		c.ack(r)
	}
	s.Entrust("edge", []Secret{madeSecret("certificate/first", "1"), madeSecret("certificate/pay", "2")})
	again := connect(t, conn)
	again.ask(&discoveryv3.DeltaDiscoveryRequest{
		Node: nodeNamed("one", "edge"), TypeUrl: secretType, InitialResourceVersions: has,
		ResourceNamesSubscribe: []string{"certificate/first", "certificate/lost", "certificate/pay"},
	})
	r := again.next(secretType)
	if got := joined(r); got != "certificate/pay" {
		t.Errorf("answer is %s, want what changed alone", got)
	}
	again.ack(r)
	again.silent()
}

// TestRefusedSecret is told as a refusal of the fleet until another is there, and is not sent again.
func TestRefusedSecret(t *testing.T) {
	s, conn := newTestServer(t)
	c := secure(t, s, conn, madeSecret("certificate/first", "bad"), madeSecret("certificate/pay", "1"))
	askForSecrets(c, "certificate/first", "certificate/pay")
	c.nack(c.next(secretType), "Failed to load private key")
	r := c.next(secretType)
	if got := joined(r); got != "certificate/pay" {
		t.Fatalf("after the refusal %s is sent", got)
	}
	c.ack(r)
	eventually(t, "it is told", func() bool { return len(s.Refusals()) == 1 })
	if got := s.Refusals()[0]; got.Fleet != "edge" || got.Service != "" || got.Why != "certificate/first: Failed to load private key" || got.Node != "one" {
		t.Errorf("refusal is %+v", got)
	}
	changed := release()
	changed.Fleet = secured()
	changed.Fleet.Listeners[0].Port = 444
	s.Publish(changed)
	s.Entrust("edge", []Secret{madeSecret("certificate/first", "bad"), madeSecret("certificate/pay", "1")})
	if len(s.Refusals()) != 1 {
		t.Error("the refusal is forgotten with another change of the fleet")
	}
	c.silent()
	s.Entrust("edge", []Secret{madeSecret("certificate/first", "good"), madeSecret("certificate/pay", "1")})
	r = c.next(secretType)
	if got := joined(r); got != "certificate/first" || len(s.Refusals()) != 0 {
		t.Errorf("answer is %s, refusals are %+v", got, s.Refusals())
	}
}

// TestListenerWaitsForItsSecret holds a listener back that the proxy has, as long as it would lack a secret, and no other.
func TestListenerWaitsForItsSecret(t *testing.T) {
	s, conn := newTestServer(t)
	all := []Secret{madeSecret("certificate/first", "1"), madeSecret("certificate/pay", "1"), madeSecret("certificate/wild", "1")}
	c := secure(t, s, conn, all...)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType})
	c.ack(c.next(listenerType))

	r := release()
	r.Fleet = secured()
	r.Fleet.Certificates = append(r.Fleet.Certificates, schema.Certificate{ID: "z", Chain: "/z.pem", Key: "/z.key", Hosts: []schema.Hostname{"z.test"}})
	r.Fleet.Listeners = []schema.Listener{{Exposure: "internal", Port: 80}, r.Fleet.Listeners[0]}
	s.Publish(r)
	answer := c.next(listenerType)
	if got := joined(answer); got != "edge-80" {
		t.Errorf("answer is %s, want the listener alone that lacks nothing", got)
	}
	c.ack(answer)
	c.silent()
	s.Entrust("edge", append(all, madeSecret("certificate/z", "1")))
	answer = c.next(listenerType)
	if got := joined(answer); got != "edge-443" {
		t.Errorf("answer is %s, want the listener that lacked a secret", got)
	}
	c.ack(answer)

	// A certificate that cannot be had any more does not change what the proxy has.
	s.Entrust("edge", all)
	c.silent()

	// One that starts now has what there is: the chain of what lacks names it, and closes its connections.
	late := connect(t, conn)
	late.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("two", "edge"), TypeUrl: clusterType})
	late.ack(late.next(clusterType))
	late.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType})
	if got := joined(late.next(listenerType)); got != "edge-443 edge-80" {
		t.Errorf("answer is %s, want both listeners", got)
	}
}

func TestTooManySecrets(t *testing.T) {
	s, conn := newTestServer(t)
	c := secure(t, s, conn)
	var names []string
	for n := range maxSecrets + 1 {
		names = append(names, fmt.Sprintf("certificate/c%d", n))
	}
	askForSecrets(c, names...)
	select {
	case err := <-c.end:
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("stream ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the stream goes on")
	}
}

// TestInvariant12NoKeyInTheLog sends and has refused a secret, with all of the log.
func TestInvariant12NoKeyInTheLog(t *testing.T) {
	s, conn := newTestServer(t)
	var log bytes.Buffer
	s.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := secure(t, s, conn, madeSecret("certificate/first", "hunter2"))
	askForSecrets(c, "certificate/first")
	c.nack(c.next(secretType), "no")
	eventually(t, "it is told", func() bool { return len(s.Refusals()) == 1 })
	if said := log.String() + fmt.Sprintf("%+v %+v", s.Refusals(), s.Nodes()); strings.Contains(said, "hunter2") || !strings.Contains(said, "proxy refused") {
		t.Errorf("the log says %s", said)
	}
}

// TestLackingIsTold warns once of what is lacking, and again when that changes.
func TestLackingIsTold(t *testing.T) {
	s, conn := newTestServer(t)
	var log bytes.Buffer
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	secure(t, s, conn, madeSecret("certificate/first", "1"), madeSecret("certificate/pay", "1"))
	told := func(want int, secrets string) {
		t.Helper()
		if n := strings.Count(log.String(), "secrets are lacking"); n != want || !strings.Contains(log.String(), "secrets="+secrets) {
			t.Errorf("it is told %d times, want %d:\n%s", n, want, &log)
		}
	}
	told(1, "[certificate/wild]")
	r := release(declared(t, "a", 1, "a.test"))
	r.Fleet = secured()
	s.Publish(r)
	s.Entrust("edge", []Secret{madeSecret("certificate/first", "2"), madeSecret("certificate/pay", "1")})
	told(1, "[certificate/wild]")
	s.Entrust("edge", []Secret{madeSecret("certificate/first", "2")})
	told(2, `"[certificate/pay certificate/wild]"`)
	s.Entrust("edge", []Secret{madeSecret("certificate/first", "2"), madeSecret("certificate/pay", "1"), madeSecret("certificate/wild", "1")})
	s.Entrust("edge", []Secret{madeSecret("certificate/first", "2"), madeSecret("certificate/pay", "1")})
	told(3, "[certificate/wild]")
}
