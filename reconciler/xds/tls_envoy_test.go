package xds

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/edgewright/edgewright/fixtures/authority"
	fixture "github.com/edgewright/edgewright/fixtures/envoy"
	"github.com/edgewright/edgewright/reconciler/secret"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// secured is a fleet whose public listener has two policies: strict for one name, and the default for all others.
func secured() schema.Fleet {
	return schema.Fleet{
		ID: "edge",
		Listeners: []schema.Listener{{Exposure: "public", Port: 443, TLS: &schema.TLS{Default: "modern", Policies: []schema.TLSPolicy{
			{ID: "modern", Minimum: "1.2"},
			{ID: "strict", Minimum: "1.3", Hosts: []schema.Hostname{"pay.test"}},
		}}}},
		Certificates: []schema.Certificate{
			{ID: "first", Chain: "/first.pem", Key: "/first.key", Hosts: []schema.Hostname{"a.test", "x.test"}},
			{ID: "pay", Chain: "/pay.pem", Key: "/pay.key", Hosts: []schema.Hostname{"pay.test"}},
			{ID: "wild", Chain: "/wild.pem", Key: "/wild.key", Hosts: []schema.Hostname{"*.wild.test"}},
		},
	}
}

func secretOf(id schema.CertificateID, c authority.Certificate) Secret {
	return Secret{Name: envoy.CertificateSecret(id), Chain: c.Chain, Key: secret.New(string(c.Key))}
}

// caller speaks TLS to a proxy, with a connection of its own for each request.
func caller(at string, config *tls.Config) *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, at)
	}
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: dial, TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true, DisableKeepAlives: true}}
}

// fetch asks for a host on a connection that was made for a name.
func fetch(c *http.Client, name, host string) (*http.Response, string, error) {
	ask, err := http.NewRequest(http.MethodGet, "https://"+name+"/", nil)
	if err != nil {
		return nil, "", err
	}
	ask.Host = host
	r, err := c.Do(ask)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	return r, string(body), err
}

// answered waits until a proxy answers for a host.
func answered(t *testing.T, c *http.Client, host string) (*http.Response, string) {
	t.Helper()
	var (
		got  *http.Response
		body string
		err  error
	)
	eventually(t, host+" is answered", func() bool {
		got, body, err = fetch(c, host, host)
		return err == nil && got.StatusCode == http.StatusOK
	})
	return got, body
}

func serialOf(r *http.Response) string { return r.TLS.PeerCertificates[0].SerialNumber.String() }

// tlsProxy is a real proxy of a fleet with these certificates, which serves some hosts.
func tlsProxy(t *testing.T, s *Server, port int, fleet schema.Fleet, secrets ...Secret) (at string) {
	t.Helper()
	s.Entrust("edge", secrets)
	r := release(declaredAt(t, "a", backend(t, "blue"), "a.test", "pay.test", "*.wild.test"))
	r.Fleet = fleet
	s.Publish(r)
	return proxyNamed(t, fixture.Config{}, "one", port)
}

// TestTLSByName has a real proxy show each name its certificate, and speak with each what its policy demands.
func TestTLSByName(t *testing.T) {
	ca := authority.New(t)
	first, pay, wild := ca.Issue("a.test", "x.test"), ca.Issue("pay.test"), ca.Issue("*.wild.test")
	s, port := control(t)
	at := tlsProxy(t, s, port, secured(), secretOf("first", first), secretOf("pay", pay), secretOf("wild", wild))
	for _, one := range []struct {
		host, serial string
		version      uint16
	}{
		{"a.test", first.Serial(t), tls.VersionTLS13},
		{"a.test", first.Serial(t), tls.VersionTLS12},
		{"x.wild.test", wild.Serial(t), tls.VersionTLS13},
		{"pay.test", pay.Serial(t), tls.VersionTLS13},
		{"pay.test", "", tls.VersionTLS12},
		{"a.test", "", tls.VersionTLS11},
	} {
		c := caller(at, &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: one.version})
		if one.serial == "" {
			if _, _, err := fetch(c, one.host, one.host); err == nil || !strings.Contains(err.Error(), "protocol version") {
				t.Errorf("%s with version %x: %v", one.host, one.version, err)
			}
			continue
		}
		got, body := answered(t, c, one.host)
		if serialOf(got) != one.serial || body != "blue" || got.ProtoMajor != 2 {
			t.Errorf("%s: certificate %s, body %q, %s", one.host, serialOf(got), body, got.Proto)
		}
	}
	c := caller(at, &tls.Config{RootCAs: ca.Pool()})
	for _, one := range []struct{ name, host string }{{"a.test", "pay.test"}, {"a.test", "PAY.Test.:443"}, {"pay.test", "a.test"}} {
		if r, body, err := fetch(c, one.name, one.host); err != nil || r.StatusCode != http.StatusMisdirectedRequest || body != envoy.Misdirected {
			t.Errorf("%s on a connection for %s: %v, %q, %v", one.host, one.name, r, body, err)
		}
	}
	c.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	if got, _ := answered(t, c, "a.test"); got.ProtoMajor != 1 {
		t.Errorf("a client of HTTP/1.1 gets %s", got.Proto)
	}
}

// TestClientsShowACertificate has a real proxy answer only clients with a certificate of the authority of the policy, by whatever name.
func TestClientsShowACertificate(t *testing.T) {
	ca, partners, strangers := authority.New(t), authority.New(t), authority.New(t)
	fleet := secured()
	fleet.Listeners[0].TLS.Policies[1].Clients = "/partners.pem"
	s, port := control(t)
	at := tlsProxy(t, s, port, fleet, secretOf("first", ca.Issue("a.test")), secretOf("pay", ca.Issue("pay.test")), secretOf("wild", ca.Issue("*.wild.test")),
		Secret{Name: envoy.ClientsSecret("public", "strict"), Authorities: partners.PEM()})
	with := func(certs ...tls.Certificate) *http.Client {
		return caller(at, &tls.Config{RootCAs: ca.Pool(), Certificates: certs})
	}
	answered(t, with(partners.Issue("p").Pair(t)), "pay.test")
	answered(t, with(), "a.test")
	for name, c := range map[string]*http.Client{"nobody": with(), "a stranger": with(strangers.Issue("p").Pair(t))} {
		if _, _, err := fetch(c, "pay.test", "pay.test"); err == nil {
			t.Errorf("%s is answered", name)
		}
		if r, _, err := fetch(c, "a.test", "pay.test"); err != nil || r.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s gets around the policy: %v, %v", name, r, err)
		}
	}
}

// TestMissingSecretHoldsNobody has real proxies start while a certificate is not there: the plain listener, the other policies, and
// other names of the same policy are served all the same, and the rest as soon as it is there. A proxy that runs keeps what it has.
func TestMissingSecretHoldsNobody(t *testing.T) {
	ca := authority.New(t)
	first, pay, wild := ca.Issue("a.test", "x.test"), ca.Issue("pay.test"), ca.Issue("*.wild.test")
	s, port := control(t)
	fleet := secured()
	began := time.Now()
	at := tlsProxy(t, s, port, fleet, secretOf("first", first))
	c := caller(at, &tls.Config{RootCAs: ca.Pool()})
	answered(t, c, "a.test")
	if took := time.Since(began); took > 1900*time.Millisecond {
		t.Errorf("the proxy took %v: it waited for a secret until it gave up", took)
	}
	for _, host := range []string{"pay.test", "x.wild.test"} {
		if _, _, err := fetch(c, host, host); err == nil {
			t.Errorf("%s is answered without its certificate", host)
		}
	}
	s.Entrust("edge", []Secret{secretOf("first", first), secretOf("pay", pay), secretOf("wild", wild)})
	for host, want := range map[string]authority.Certificate{"pay.test": pay, "x.wild.test": wild} {
		if got, _ := answered(t, c, host); serialOf(got) != want.Serial(t) {
			t.Errorf("%s is shown %s", host, serialOf(got))
		}
	}

	// Another certificate is declared, and is not there: nothing of what is served changes.
	r := release(declaredAt(t, "a", backend(t, "green"), "a.test", "pay.test", "*.wild.test"))
	r.Fleet = secured()
	r.Fleet.Certificates = append(r.Fleet.Certificates, schema.Certificate{ID: "z", Chain: "/z.pem", Key: "/z.key", Hosts: []schema.Hostname{"z.test"}})
	s.Publish(r)
	eventually(t, "the service goes on", acknowledgedAs(s, r.Services["a"]))
	for _, host := range []string{"a.test", "pay.test", "x.wild.test"} {
		if _, body, err := fetch(c, host, host); err != nil || body != "green" {
			t.Errorf("%s: %q, %v", host, body, err)
		}
	}
}

// TestKeysOfAllKinds has a real proxy take or refuse each kind of key, as reconciler/certificates does beforehand. Another secret that
// comes together with it is taken in any case.
func TestKeysOfAllKinds(t *testing.T) {
	rsaKey := func(bits int) crypto.Signer {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	curve := func(c elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := authority.New(t)
	pay, wild := ca.Issue("pay.test"), ca.Issue("*.wild.test")
	s, port := control(t)
	entrust := func(first authority.Certificate) {
		s.Entrust("edge", []Secret{secretOf("first", first), secretOf("pay", pay), secretOf("wild", wild)})
	}
	shown := ca.Issue("a.test")
	at := tlsProxy(t, s, port, secured(), secretOf("first", shown), secretOf("pay", pay), secretOf("wild", wild))
	c := caller(at, &tls.Config{RootCAs: ca.Pool()})
	answered(t, c, "a.test")
	for _, one := range []struct {
		name  string
		key   crypto.Signer
		taken bool
	}{
		{"RSA 2048", rsaKey(2048), true}, {"RSA 4096", rsaKey(4096), true}, {"P-256", curve(elliptic.P256()), true}, {"P-384", curve(elliptic.P384()), true},
		{"P-521", curve(elliptic.P521()), true}, {"Ed25519", edwards, true}, {"RSA 1024", rsaKey(1024), false}, {"P-224", curve(elliptic.P224()), false},
	} {
		next := ca.Make(authority.Order{Names: []string{"a.test"}, Key: one.key})
		pay = ca.Issue("pay.test")
		entrust(next)
		if one.taken {
			shown = next
		} else {
			eventually(t, one.name+" is refused", func() bool { return len(s.Refusals()) == 1 })
			t.Logf("%s: %s", one.name, s.Refusals()[0].Why)
		}
		eventually(t, one.name+": what is shown", func() bool {
			r, _, err := fetch(c, "a.test", "a.test")
			return err == nil && serialOf(r) == shown.Serial(t)
		})
		eventually(t, one.name+": what came with it", func() bool {
			r, _, err := fetch(c, "pay.test", "pay.test")
			return err == nil && serialOf(r) == pay.Serial(t)
		})
	}
	entrust(shown)
	if got := s.Refusals(); len(got) != 0 {
		t.Errorf("refusals are %+v", got)
	}
}

// TestRestartSendsNoSecret has a real proxy connect again to a server that was started anew: it is sent neither secrets nor listeners,
// also where a certificate cannot be had any more, and connections go on.
func TestRestartSendsNoSecret(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("one is lost %v", lost), func(t *testing.T) { testRestartSendsNoSecret(t, lost) })
	}
}

func testRestartSendsNoSecret(t *testing.T, lost bool) {
	ca := authority.New(t)
	secrets := []Secret{secretOf("first", ca.Issue("a.test", "x.test")), secretOf("pay", ca.Issue("pay.test")), secretOf("wild", ca.Issue("*.wild.test"))}
	l := localListener(t)
	s, g := controlAt(t, l)
	a := declaredAt(t, "a", backend(t, "blue"), "a.test", "pay.test", "*.wild.test")
	r := release(a)
	r.Fleet = secured()
	s.Entrust("edge", secrets)
	s.Publish(r)
	at := proxyNamed(t, fixture.Config{}, "one", l.Addr().(*net.TCPAddr).Port)
	c := caller(at, &tls.Config{RootCAs: ca.Pool()})
	for _, host := range []string{"a.test", "pay.test", "x.wild.test"} {
		answered(t, c, host)
	}
	g.Stop()

	again, err := net.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	s, _ = controlAt(t, again, grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		return next(srv, counted{ss, &sent})
	}))
	if lost {
		secrets = secrets[:2]
	}
	s.Entrust("edge", secrets)
	s.Publish(r)
	eventually(t, "known to be served", acknowledgedAs(s, a))
	for _, host := range []string{"a.test", "pay.test", "x.wild.test"} {
		if _, body, err := fetch(c, host, host); err != nil || body != "blue" {
			t.Errorf("%s: %q, %v", host, body, err)
		}
	}
	if n := sent.Load(); n != 0 {
		t.Errorf("%d answers were sent, want none", n)
	}
}
