package xds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"

	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/edgewright/edgewright/fixtures/authority"
	"github.com/edgewright/edgewright/fixtures/envoy"
)

// signer signs certificates for a test, and keeps them in files.
type signer struct {
	*authority.Authority
	t         *testing.T
	dir, file string // its own certificate is in file
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	a := &signer{Authority: authority.New(t), t: t, dir: t.TempDir()}
	a.file = filepath.Join(a.dir, "ca.pem")
	authority.Replace(t, a.file, a.PEM())
	return a
}

// sign makes files with a certificate of these names, and of this machine, and its key.
func (a *signer) sign(file string, names ...string) (cert, key string) {
	a.t.Helper()
	return a.Issue(append(names, "127.0.0.1")...).Write(a.t, a.dir, file)
}

// text writes a file of lines.
func (a *signer) text(name string, lines ...string) string {
	a.t.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// guarded is a server with an admission, and its address.
func guarded(t *testing.T, a Admission) (*Server, string) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	access, err := a.Open(log, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	noLeak(t)
	_, recorded := record(t)
	s, l := New(log, time.Now), localListener(t)
	s.Access = access
	g := NewGRPC(s.Credentials(), recorded)
	s.Register(g)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	s.Publish(release())
	return s, l.Addr().String()
}

// visitor is how a proxy comes.
type visitor struct {
	ca, cert, key string // files
	bearer        string
	node, fleet   string
}

// visit opens a stream and tells how it goes: nil once the proxy is answered.
func (v visitor) visit(t *testing.T, at string) error {
	t.Helper()
	_, err := v.open(t, at).Recv()
	return err
}

// open opens a stream and asks for clusters. All of it ends with the test.
func (v visitor) open(t *testing.T, at string) deltaClient {
	t.Helper()
	how := insecure.NewCredentials()
	if v.ca != "" {
		c := &tls.Config{RootCAs: x509.NewCertPool()}
		data, err := os.ReadFile(v.ca)
		if err != nil || !c.RootCAs.AppendCertsFromPEM(data) {
			t.Fatal("no authority", err)
		}
		if v.cert != "" {
			own, err := tls.LoadX509KeyPair(v.cert, v.key)
			if err != nil {
				t.Fatal(err)
			}
			c.Certificates = []tls.Certificate{own}
		}
		how = credentials.NewTLS(c)
	}
	conn, err := grpc.NewClient(at, grpc.WithTransportCredentials(how))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	if v.bearer != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", v.bearer)
	}
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return failed{err: err}
	}
	_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed(v.node, v.fleet), TypeUrl: clusterType})
	return stream
}

// failed is a stream that could not be opened.
type failed struct {
	deltaClient
	err error
}

func (f failed) Recv() (*discoveryv3.DeltaDiscoveryResponse, error) { return nil, f.err }

const (
	edgeToken = "Bearer 0123456789abcdef-edge"
	moonToken = "Bearer 0123456789abcdef-moon"
)

// TestWhoMayConnect has proxies come with every kind of certificate and token.
func TestWhoMayConnect(t *testing.T) {
	ours, others := newSigner(t), newSigner(t)
	cert, key := ours.sign("server", "localhost")
	tokens := ours.text("tokens", "# fleets", "", "edge 0123456789abcdef-edge", "edge 0123456789abcdef-next # soon", "moon 0123456789abcdef-moon")
	names := ours.text("names", "any.acme.example edge", "One.acme.example edge one")
	certificates := Admission{Cert: cert, Key: key, ClientCA: ours.file, TrustDomain: "acme.example", Names: names}
	both := certificates
	both.Tokens = tokens
	byToken := Admission{Tokens: tokens}
	n := 0
	by := func(of *signer, names ...string) visitor {
		n++
		v := visitor{ca: ours.file, node: "one", fleet: "edge"}
		if of != nil {
			v.cert, v.key = of.sign("client"+string(rune('a'+n)), names...)
		}
		return v
	}
	bearing := func(token string) visitor { return visitor{bearer: token, node: "one", fleet: "edge"} }
	for _, c := range []struct {
		name string
		Admission
		visitor
		code   codes.Code
		reason Reason
	}{
		{"the node itself", certificates, by(ours, "spiffe://acme.example/fleet/edge/node/one"), codes.OK, ""},
		{"any node of the fleet", certificates, by(ours, "spiffe://acme.example/fleet/edge"), codes.OK, ""},
		{"another node", certificates, by(ours, "spiffe://acme.example/fleet/edge/node/two"), codes.PermissionDenied, WrongNode},
		{"another fleet", certificates, by(ours, "spiffe://acme.example/fleet/moon"), codes.PermissionDenied, WrongFleet},
		{"another trust domain", certificates, by(ours, "spiffe://evil.example/fleet/edge"), codes.PermissionDenied, NoIdentity},
		{"a path with more", certificates, by(ours, "spiffe://acme.example/fleet/edge/node/one/x"), codes.PermissionDenied, NoIdentity},
		{"an empty node", certificates, by(ours, "spiffe://acme.example/fleet/edge/node/"), codes.PermissionDenied, NoIdentity},
		{"not SPIFFE", certificates, by(ours, "https://acme.example/fleet/edge"), codes.PermissionDenied, NoIdentity},
		{"one of two", certificates, by(ours, "spiffe://acme.example/fleet/moon", "spiffe://acme.example/fleet/edge"), codes.OK, ""},
		{"a listed name", certificates, by(ours, "any.acme.example"), codes.OK, ""},
		{"a listed name of the node", certificates, by(ours, "one.ACME.example"), codes.OK, ""},
		{"a name that is not listed", certificates, by(ours, "none.acme.example"), codes.PermissionDenied, NoIdentity},
		{"no certificate", certificates, by(nil), codes.Unavailable, BadHandshake},
		{"of another authority", certificates, by(others, "spiffe://acme.example/fleet/edge"), codes.Unavailable, BadHandshake},
		{"a token where certificates are wanted", certificates, visitor{ca: ours.file, node: "one", fleet: "edge", bearer: edgeToken}, codes.Unavailable, BadHandshake},

		{"both: a certificate", both, by(ours, "spiffe://acme.example/fleet/edge"), codes.OK, ""},
		{"both: a token", both, visitor{ca: ours.file, node: "one", fleet: "edge", bearer: edgeToken}, codes.OK, ""},
		{"both: neither", both, by(nil), codes.Unauthenticated, NoCredentials},
		{"both: of another authority", both, by(others, "spiffe://acme.example/fleet/edge"), codes.Unavailable, BadHandshake},

		{"a token", byToken, bearing(edgeToken), codes.OK, ""},
		{"the next token", byToken, bearing("bearer 0123456789abcdef-next"), codes.OK, ""},
		{"a token of another fleet", byToken, bearing(moonToken), codes.PermissionDenied, WrongFleet},
		{"an unknown token", byToken, bearing("Bearer 0123456789abcdef-egde"), codes.Unauthenticated, BadToken},
		{"a token of another scheme", byToken, bearing("Basic 0123456789abcdef-edge"), codes.Unauthenticated, NoCredentials},
		{"no token", byToken, bearing(""), codes.Unauthenticated, NoCredentials},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, at := guarded(t, c.Admission)
			if err := c.visit(t, at); status.Code(err) != c.code {
				t.Errorf("ended with %v, want %s", err, c.code)
			}
			eventually(t, "noted", func() bool { return c.reason == "" || s.TurnedAwayFor(c.reason) > 0 })
			for _, one := range s.TurnedAway() {
				if one.Reason != c.reason || one.Address != "127.0.0.1" || one.Why == "" || strings.Contains(one.Why, "0123456789abcdef") {
					t.Errorf("turned away is %+v, want for %q", one, c.reason)
				}
				if c.reason != BadHandshake && (one.Node != "one" || one.Fleet != "edge" || one.Times != 1) {
					t.Errorf("turned away is %+v", one)
				}
			}
		})
	}
}

// TestFilesChange has tokens, authority and certificate replaced while the server runs; a broken file changes nothing.
func TestFilesChange(t *testing.T) {
	ours, next := newSigner(t), newSigner(t)
	cert, key := ours.sign("server", "localhost")
	tokens := ours.text("tokens", "edge 0123456789abcdef-edge")
	_, at := guarded(t, Admission{Cert: cert, Key: key, ClientCA: ours.file, Tokens: tokens})
	bearing := visitor{ca: ours.file, node: "one", fleet: "edge", bearer: edgeToken}
	if err := bearing.visit(t, at); err != nil {
		t.Fatal(err)
	}
	ours.text("tokens", "edge short")
	time.Sleep(lookEvery + 50*time.Millisecond)
	if err := bearing.visit(t, at); err != nil {
		t.Errorf("a broken file of tokens: %v", err)
	}
	ours.text("tokens", "edge 0123456789abcdef-other")
	eventually(t, "the old token is not good any more", func() bool { return status.Code(bearing.visit(t, at)) == codes.Unauthenticated })

	theirs := visitor{ca: next.file, node: "one", fleet: "edge"}
	theirs.cert, theirs.key = next.sign("client", "spiffe://x/fleet/edge")
	ours.dir = filepath.Dir(ours.file)
	data, err := os.ReadFile(next.file)
	if err != nil {
		t.Fatal(err)
	}
	newCert, newKey := next.sign("server", "localhost")
	for to, from := range map[string]string{cert: newCert, key: newKey} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(ours.file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new authority and certificate are good", func() bool { return theirs.visit(t, at) == nil })
}

// TestNotAnyMore has proxies connected whose token is taken away, and whose authority is.
func TestNotAnyMore(t *testing.T) {
	ours, next := newSigner(t), newSigner(t)
	cert, key := ours.sign("server", "localhost")
	tokens := ours.text("tokens", "edge 0123456789abcdef-edge")
	s, at := guarded(t, Admission{Cert: cert, Key: key, ClientCA: ours.file, Tokens: tokens})
	s.recheck = 20 * time.Millisecond
	bearing, certified := visitor{ca: ours.file, node: "one", fleet: "edge", bearer: edgeToken}, visitor{ca: ours.file, node: "two", fleet: "edge"}
	certified.cert, certified.key = ours.sign("client", "spiffe://x/fleet/edge")
	first, second := bearing.open(t, at), certified.open(t, at)
	for _, stream := range []deltaClient{first, second} {
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	ours.text("tokens", "edge 0123456789abcdef-other")
	if _, err := first.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a token that was taken away: %v", err)
	}
	if n := len(s.Nodes()); n != 1 {
		t.Errorf("%d nodes are connected, want the other one", n)
	}
	data, err := os.ReadFile(next.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ours.file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Recv(); status.Code(err) != codes.Unauthenticated || s.TurnedAwayFor(BadCertificate) != 1 {
		t.Errorf("an authority that was taken away: %v", err)
	}
}

// TestAdmission tells every fault of flags.
func TestAdmission(t *testing.T) {
	for _, c := range []struct {
		listen string
		Admission
		want string
	}{
		{"127.0.0.1:18000", Admission{}, ""},
		{"[::1]:18000", Admission{}, ""},
		{"localhost:18000", Admission{Tokens: "t"}, ""},
		{"0.0.0.0:18000", Admission{Anyone: true}, ""},
		{"0.0.0.0:18000", Admission{Cert: "c", Key: "k", ClientCA: "a"}, ""},
		{"0.0.0.0:18000", Admission{Cert: "c", Key: "k", Tokens: "t"}, ""},
		{"0.0.0.0:18000", Admission{}, "is open to whoever reaches it: add --xds-client-ca or --xds-tokens"},
		{":18000", Admission{}, "is open to whoever reaches it"},
		{"[::]:18000", Admission{Cert: "c", Key: "k"}, "or --xds-anyone if the network is trusted"},
		{"10.0.0.1:18000", Admission{Tokens: "t"}, "would send tokens in the clear"},
		{"127.0.0.1:18000", Admission{Cert: "c"}, "go together"},
		{"127.0.0.1:18000", Admission{ClientCA: "a"}, "--xds-client-ca needs --xds-tls-cert"},
		{"127.0.0.1:18000", Admission{Names: "n"}, "need --xds-client-ca"},
		{"127.0.0.1:18000", Admission{Anyone: true, Tokens: "t"}, "--xds-anyone lets everybody in"},
	} {
		err := c.Check(c.listen)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %+v: %v, want %q", c.listen, c.Admission, err, c.want)
		}
	}
}

// TestBadFiles reads files that are not good.
func TestBadFiles(t *testing.T) {
	a := newSigner(t)
	cert, _ := a.sign("server", "localhost")
	_, otherKey := a.sign("other", "localhost")
	for _, c := range []struct {
		Admission
		want string
	}{
		{Admission{Tokens: filepath.Join(a.dir, "none")}, "no such file"},
		{Admission{Tokens: a.text("empty")}, "no token in it"},
		{Admission{Tokens: a.text("three", "edge a b")}, "line 1: want a fleet and a token"},
		{Admission{Tokens: a.text("short", "#", "edge short")}, "line 2: the token has fewer than 16 characters"},
		{Admission{Names: a.text("alone", "a.example")}, "line 1: want a DNS name, a fleet"},
		{Admission{Names: a.text("twice", "a.example edge", "A.example moon")}, "line 2: a.example stands there twice"},
		{Admission{ClientCA: a.text("ca", "hello")}, "no certificate in PEM form"},
		{Admission{Cert: cert, Key: otherKey}, "private key does not match"},
	} {
		_, err := c.Open(slog.New(slog.DiscardHandler), time.Now)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.Admission, err, c.want)
		}
	}
}

// TestTurnedAwayIsBounded has many come: the last few are told, those that come again once.
func TestTurnedAwayIsBounded(t *testing.T) {
	a := &turnedAway{log: slog.New(slog.DiscardHandler), now: time.Now, counts: map[Reason]uint64{}}
	for n := range 1000 {
		a.note(node{id: strings.Repeat("x", n), fleet: "edge"}, nil, &rejection{WrongFleet, "no"})
	}
	for range 3 {
		a.note(node{id: "again", fleet: "edge"}, nil, &rejection{WrongFleet, "no"})
	}
	if len(a.last) > turnedKept || a.counts[WrongFleet] != 1003 {
		t.Errorf("%d are kept, %d counted", len(a.last), a.counts[WrongFleet])
	}
	if got := a.last[len(a.last)-1]; got.Node != "again" || got.Times != 3 {
		t.Errorf("the last is %+v", got)
	}
	for _, one := range a.last {
		if len(one.Node) > turnedName {
			t.Errorf("%d bytes are kept of a name", len(one.Node))
		}
	}
}

// TestEnvoyShowsWhoItIs has real proxies come with a certificate and with a token.
func TestEnvoyShowsWhoItIs(t *testing.T) {
	ours := newSigner(t)
	cert, key := ours.sign("server", "localhost")
	s, at := guarded(t, Admission{Cert: cert, Key: key, ClientCA: ours.file, Tokens: ours.text("tokens", "edge 0123456789abcdef-edge")})
	one, two, three := envoy.Config{Node: "one", CA: ours.file}, envoy.Config{Node: "two", CA: ours.file}, envoy.Config{Node: "three", CA: ours.file}
	one.Cert, one.Key = ours.sign("one", "spiffe://acme/fleet/edge/node/one")
	two.Token = strings.TrimPrefix(edgeToken, "Bearer ")
	three.Cert, three.Key = ours.sign("three", "spiffe://acme/fleet/edge/node/one")
	for _, c := range []envoy.Config{one, two, three} {
		c.Fleet, c.XDS = "edge", at
		envoy.Run(t, c)
	}
	eventually(t, "two are served", func() bool { return len(s.Nodes()) == 2 })
	eventually(t, "one is turned away", func() bool { return s.TurnedAwayFor(WrongNode) > 0 })
	if got := s.TurnedAway()[0]; got.Node != "three" || got.Reason != WrongNode {
		t.Errorf("turned away is %+v", got)
	}
}
