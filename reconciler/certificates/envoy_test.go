package certificates

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/authority"
	proxies "github.com/edgewright/edgewright/fixtures/envoy"
	"github.com/edgewright/edgewright/fixtures/load"
	"github.com/edgewright/edgewright/fixtures/ports"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// edge is a real proxy of a fleet whose certificates are files, with a service behind it.
type edge struct {
	*Keeper
	server  *xds.Server
	release xds.Release
	proxy   *proxies.Proxy
	at      map[schema.Exposure]string
}

// publish has the fleet be another, as the daemon does.
func (e *edge) publish(fleet schema.Fleet) {
	e.Keep(fleet)
	e.release.Fleet = fleet
	e.server.Publish(e.release)
}

func newEdge(t *testing.T, fleet schema.Fleet) *edge {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	server := xds.New(log, time.Now)
	g := xds.NewGRPC()
	server.Register(g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	e := &edge{
		Keeper: &Keeper{Log: log, Now: time.Now, Proxies: server}, server: server, at: map[schema.Exposure]string{},
		release: xds.Release{Layout: envoy.Layout{Generation: 1, Buckets: 32}, Services: map[schema.ServiceID]xds.Service{}},
	}
	listen := map[string]string{}
	for _, one := range fleet.Listeners {
		port, err := ports.Free()
		if err != nil {
			t.Fatal(err)
		}
		e.at[one.Exposure] = fmt.Sprintf("127.0.0.1:%d", port)
		listen[string(one.Exposure)] = e.at[one.Exposure]
		s := service(t, fleet, one.Exposure)
		e.release.Services[s.ID] = s
	}
	e.publish(fleet)
	e.proxy = proxies.Run(t, proxies.Config{Node: "one", Fleet: string(fleet.ID), XDS: l.Addr().String(), Listen: listen})
	if err := e.proxy.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func service(t *testing.T, fleet schema.Fleet, e schema.Exposure) xds.Service {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(backend.Close)
	s := schema.Service{
		ID: schema.ServiceID("on-" + string(e)), Exposure: e, Hosts: []schema.Hostname{"a.test", "pay.test"},
		Backends: []schema.Backend{{ID: "b", Location: schema.Addresses([]netip.AddrPort{netip.MustParseAddrPort(backend.Listener.Addr().String())})}},
		Routes:   []schema.Route{{Name: "all", Action: schema.Forward{To: []schema.Destination{{Backend: "b", Weight: 100}}}}},
	}
	unit, _, err := envoy.Render(fleet, s)
	if err != nil {
		t.Fatal(err)
	}
	return xds.Service{ID: s.ID, Version: unit.Hash()[:12], Unit: unit}
}

// client speaks TLS to an address, whichever host it asks for.
func client(at string, config *tls.Config, keep bool) *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, at)
	}
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: dial, TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true, DisableKeepAlives: !keep}}
}

func get(c *http.Client, url string) (serial string, err error) {
	r, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		return "", err
	case string(body) != "hello":
		return "", fmt.Errorf("%d %s", r.StatusCode, body)
	case r.TLS == nil:
		return "", nil
	}
	return r.TLS.PeerCertificates[0].SerialNumber.String(), nil
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// busy has clients ask for a URL without a pause.
func busy(t *testing.T, url string, clients ...*http.Client) *load.Busy {
	t.Helper()
	var all []func(int) error
	for _, c := range clients {
		t.Cleanup(c.CloseIdleConnections)
		all = append(all, func(int) error {
			_, err := get(c, url)
			return err
		})
	}
	return load.KeepBusy(all...)
}

// TestInvariant6Rotation replaces a certificate many times under load: no request fails, a new handshake has the new certificate at once,
// connections go on, and the listener is not touched. Bad files then change nothing.
func TestInvariant6Rotation(t *testing.T) {
	dir, ca := t.TempDir(), authority.New(t)
	first := ca.Issue("a.test", "pay.test")
	chain, key := first.Write(t, dir, "web")
	e := newEdge(t, schema.Fleet{
		ID:           "edge",
		Listeners:    []schema.Listener{{Exposure: "public", Port: 443, TLS: &schema.TLS{Default: "default", Policies: []schema.TLSPolicy{schema.StandardTLS()}}}},
		Certificates: []schema.Certificate{{ID: "web", Chain: chain, Key: key, Hosts: []schema.Hostname{"a.test", "pay.test"}}},
	})
	config := &tls.Config{RootCAs: ca.Pool()}
	fresh := client(e.at["public"], config, false)
	eventually(t, "the first answer", func() bool { _, err := get(fresh, "https://a.test/"); return err == nil })
	old, ask := connection(t, e.at["public"], config)
	listeners := func() uint64 {
		n, err := e.proxy.Stat(t.Context(), "listener_manager.lds.update_success")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ask()
	before := listeners()
	asking := busy(t, "https://a.test/", client(e.at["public"], config, true), client(e.at["public"], config, false))
	var slowest time.Duration
	last := first
	for range 40 {
		last = ca.Issue("a.test", "pay.test")
		last.Write(t, dir, "web")
		began := time.Now()
		e.Look()
		eventually(t, "the new certificate is shown", func() bool {
			serial, err := get(fresh, "https://a.test/")
			return err == nil && serial == last.Serial(t)
		})
		slowest = max(slowest, time.Since(began))
		ask()
	}
	authority.Replace(t, chain, []byte("not a certificate"))
	for range 3 {
		e.Look()
		ask()
	}
	if serial, err := get(fresh, "https://a.test/"); err != nil || serial != last.Serial(t) {
		t.Errorf("with bad files %s is shown, %v", serial, err)
	}
	count, failed := asking.Stop()
	if len(failed) > 0 || count < 200 {
		t.Errorf("%d of %d requests failed: %s", len(failed), count, strings.Join(failed[:min(5, len(failed))], "; "))
	}
	if serial := old.ConnectionState().PeerCertificates[0].SerialNumber.String(); serial != first.Serial(t) {
		t.Error("the connection is not the one that was made first")
	}
	if n := listeners(); n != before {
		t.Errorf("listeners were updated %d times", n-before)
	}
	t.Logf("%d requests, slowest rotation %v", count, slowest)
}

// connection is one that stays open, and a way to ask on it.
func connection(t *testing.T, at string, config *tls.Config) (*tls.Conn, func()) {
	t.Helper()
	own := config.Clone()
	own.ServerName = "a.test"
	conn, err := tls.Dial("tcp", at, own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	answers := bufio.NewReader(conn)
	return conn, func() {
		t.Helper()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "hello" {
			t.Fatalf("the old connection gets %q, %v", body, err)
		}
	}
}

// TestInvariant6AnotherPolicy adds a certificate to a chain, and then a policy, under load: no request fails, on connections from before
// and on new ones.
func TestInvariant6AnotherPolicy(t *testing.T) {
	dir, ca := t.TempDir(), authority.New(t)
	certificate := func(id schema.CertificateID, host schema.Hostname) schema.Certificate {
		chain, key := ca.Issue(string(host)).Write(t, dir, string(id))
		return schema.Certificate{ID: id, Chain: chain, Key: key, Hosts: []schema.Hostname{host}}
	}
	fleet := func(certificates []schema.Certificate, policies ...schema.TLSPolicy) schema.Fleet {
		return schema.Fleet{ID: "edge", Certificates: certificates,
			Listeners: []schema.Listener{{Exposure: "public", Port: 443, TLS: &schema.TLS{Default: "default", Policies: append([]schema.TLSPolicy{schema.StandardTLS()}, policies...)}}}}
	}
	a, pay := certificate("a", "a.test"), certificate("pay", "pay.test")
	e := newEdge(t, fleet([]schema.Certificate{a}))
	config := &tls.Config{RootCAs: ca.Pool()}
	fresh := client(e.at["public"], config, false)
	eventually(t, "the first answer", func() bool { _, err := get(fresh, "https://a.test/"); return err == nil })
	_, ask := connection(t, e.at["public"], config)
	ask()
	asking := busy(t, "https://a.test/", client(e.at["public"], config, true), client(e.at["public"], config, false))
	e.publish(fleet([]schema.Certificate{a, pay}))
	eventually(t, "another name", func() bool { _, err := get(fresh, "https://pay.test/"); return err == nil })
	ask()
	e.publish(fleet([]schema.Certificate{a, pay}, schema.TLSPolicy{ID: "strict", Minimum: "1.3", Hosts: []schema.Hostname{"pay.test"}}))
	old := client(e.at["public"], &tls.Config{RootCAs: ca.Pool(), MaxVersion: tls.VersionTLS12}, false)
	eventually(t, "the strict policy", func() bool { _, err := get(old, "https://pay.test/"); return err != nil })
	if _, err := get(fresh, "https://pay.test/"); err != nil {
		t.Error(err)
	}
	time.Sleep(500 * time.Millisecond) // the old chains are drained meanwhile
	ask()
	if count, failed := asking.Stop(); len(failed) > 0 || count < 50 {
		t.Errorf("%d of %d requests failed: %s", len(failed), count, strings.Join(failed[:min(5, len(failed))], "; "))
	}
}

// TestMissingFileHoldsNobody starts without the files of one policy: the plain listener and the other policy are served, and that one as
// soon as there are files.
func TestMissingFileHoldsNobody(t *testing.T) {
	dir, ca := t.TempDir(), authority.New(t)
	chain, key := ca.Issue("a.test").Write(t, dir, "web")
	e := newEdge(t, schema.Fleet{
		ID: "edge",
		Listeners: []schema.Listener{{Exposure: "internal", Port: 80}, {Exposure: "public", Port: 443, TLS: &schema.TLS{Default: "default", Policies: []schema.TLSPolicy{
			schema.StandardTLS(), {ID: "strict", Minimum: "1.3", Hosts: []schema.Hostname{"pay.test"}},
		}}}},
		Certificates: []schema.Certificate{
			{ID: "pay", Chain: dir + "/pay.pem", Key: dir + "/pay.key", Hosts: []schema.Hostname{"pay.test"}},
			{ID: "web", Chain: chain, Key: key, Hosts: []schema.Hostname{"a.test"}},
		},
	})
	public := client(e.at["public"], &tls.Config{RootCAs: ca.Pool()}, false)
	for c, url := range map[*http.Client]string{client(e.at["internal"], nil, false): "http://a.test/", public: "https://a.test/"} {
		eventually(t, url, func() bool { _, err := get(c, url); return err == nil })
	}
	if _, err := get(public, "https://pay.test/"); err == nil {
		t.Error("pay.test is answered without its certificate")
	}
	asking := busy(t, "https://a.test/", client(e.at["public"], &tls.Config{RootCAs: ca.Pool()}, true), public)
	pay := ca.Issue("pay.test")
	pay.Write(t, dir, "pay")
	e.Look()
	strict := client(e.at["public"], &tls.Config{RootCAs: ca.Pool()}, false)
	eventually(t, "pay.test is answered", func() bool {
		serial, err := get(strict, "https://pay.test/")
		return err == nil && serial == pay.Serial(t)
	})
	if count, failed := asking.Stop(); len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(failed), count, failed[0])
	}
}
