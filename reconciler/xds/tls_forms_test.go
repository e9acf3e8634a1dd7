package xds

import (
	"crypto/tls"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/edgewright/edgewright/fixtures/authority"
	"github.com/edgewright/edgewright/fixtures/envoy"
)

// TestTLSInEveryForm has a real proxy start while a certificate is not there, get it, get a new one, and connect again to a server that
// was started anew, in whatever way it asks for its configuration.
func TestTLSInEveryForm(t *testing.T) { bootstraps(t, tlsInForm) }

func tlsInForm(t *testing.T, like envoy.Config) {
	ca := authority.New(t)
	first, pay, wild := ca.Issue("a.test", "x.test"), ca.Issue("pay.test"), ca.Issue("*.wild.test")
	l := localListener(t)
	s, g := controlAt(t, l)
	a := declaredAt(t, "a", backend(t, "blue"), "a.test", "pay.test", "*.wild.test")
	r := release(a)
	r.Fleet = secured()
	secrets := []Secret{secretOf("first", first), secretOf("wild", wild)}
	s.Entrust("edge", secrets)
	s.Publish(r)
	began := time.Now()
	at := proxyNamed(t, like, "one", l.Addr().(*net.TCPAddr).Port)
	c := caller(at, &tls.Config{RootCAs: ca.Pool()})
	answered(t, c, "a.test")
	answered(t, c, "x.wild.test")
	t.Logf("served without the secret of another policy after %v", time.Since(began))
	if _, _, err := fetch(c, "pay.test", "pay.test"); err == nil {
		t.Error("pay.test is answered without its certificate")
	}
	secrets = append(secrets, secretOf("pay", pay))
	s.Entrust("edge", secrets)
	if got, _ := answered(t, c, "pay.test"); serialOf(got) != pay.Serial(t) {
		t.Errorf("pay.test is shown %s", serialOf(got))
	}
	first = ca.Issue("a.test", "x.test")
	secrets[0] = secretOf("first", first)
	s.Entrust("edge", secrets)
	eventually(t, "the new certificate is shown", func() bool {
		got, _, err := fetch(c, "a.test", "a.test")
		return err == nil && serialOf(got) == first.Serial(t)
	})

	g.Stop()
	again, err := net.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	s, _ = controlAt(t, again, grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		return next(srv, counted{ss, &sent})
	}))
	s.Entrust("edge", secrets)
	s.Publish(r)
	eventually(t, "known to be served", acknowledgedAs(s, a))
	time.Sleep(100 * time.Millisecond)
	if n := sent.Load(); n != 0 {
		t.Errorf("%d answers were sent, want none", n)
	}
	for _, host := range []string{"a.test", "pay.test", "x.wild.test"} {
		if _, body, err := fetch(c, host, host); err != nil || body != "blue" {
			t.Errorf("%s: %q, %v", host, body, err)
		}
	}
}

// TestGrowthIsNotHeld gives a proxy other buckets while a certificate cannot be had any more: its filter must lead there before the old
// ones go, while its listener stays as it is.
func TestGrowthIsNotHeld(t *testing.T) {
	ca := authority.New(t)
	secrets := []Secret{secretOf("first", ca.Issue("a.test", "x.test")), secretOf("pay", ca.Issue("pay.test")), secretOf("wild", ca.Issue("*.wild.test"))}
	s, port := control(t)
	s.Entrust("edge", secrets)
	publish := func(now, old layoutOf, to string) {
		t.Helper()
		r := release(declaredAt(t, "a", backend(t, to), "a.test", "pay.test", "*.wild.test"))
		r.Fleet, r.Layout, r.Old = secured(), now, old
		s.Publish(r)
		eventually(t, "acknowledged", acknowledgedAs(s, r.Services["a"]))
	}
	small, large := layoutOf{Generation: 1, Buckets: 32}, layoutOf{Generation: 2, Buckets: 64}
	r := release()
	r.Fleet = secured()
	s.Publish(r)
	at := proxyNamed(t, envoy.Config{Drain: time.Second}, "one", port)
	publish(small, layoutOf{}, "blue")
	c := caller(at, &tls.Config{RootCAs: ca.Pool()})
	answered(t, c, "a.test")
	s.Entrust("edge", secrets[:2])
	publish(large, small, "green")
	eventually(t, "the filter leads to the new buckets", func() bool {
		got, err := s.Inspect(t.Context(), "edge", "one")
		return err == nil && !slices.ContainsFunc(got.Types, func(one InspectedType) bool { return len(one.Differ) > 0 && one.URL == extensionType })
	})
	publish(large, layoutOf{}, "red")
	for _, host := range []string{"a.test", "pay.test"} {
		if _, body, err := fetch(c, host, host); err != nil || body != "red" {
			t.Errorf("%s: %q, %v", host, body, err)
		}
	}
}
