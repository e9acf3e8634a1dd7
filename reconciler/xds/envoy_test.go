package xds

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/edgewright/edgewright/fixtures/envoy"
	"github.com/edgewright/edgewright/fixtures/load"
	"github.com/edgewright/edgewright/fixtures/ports"
	"github.com/edgewright/edgewright/schema"
)

func localListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := ports.Listen()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// control serves on a port, as the daemon does.
func control(t *testing.T) (*Server, int) {
	t.Helper()
	l := localListener(t)
	s, _ := controlAt(t, l)
	return s, l.Addr().(*net.TCPAddr).Port
}

func controlAt(t *testing.T, l net.Listener, options ...grpc.ServerOption) (*Server, *grpc.Server) {
	t.Helper()
	s := New(slog.New(slog.NewTextHandler(t.Output(), nil)), time.Now)
	return s, serveAt(t, s, l, options...)
}

func serveAt(t *testing.T, s *Server, l net.Listener, options ...grpc.ServerOption) *grpc.Server {
	t.Helper()
	noLeak(t)
	_, recorded := record(t)
	g := NewGRPC(append(options, recorded)...)
	s.Register(g)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	return g
}

// proxyNamed runs an Envoy that is told to speak like this, and returns the address where it will take requests.
func proxyNamed(t *testing.T, c envoy.Config, id string, port int) string {
	t.Helper()
	free, err := ports.Free()
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("127.0.0.1:%d", free)
	c.Listen = map[string]string{"public": at}
	runNamed(t, c, id, port)
	return at
}

func runNamed(t *testing.T, c envoy.Config, id string, port int) *envoy.Proxy {
	t.Helper()
	c.Node, c.Fleet, c.XDS = id, "edge", fmt.Sprintf("127.0.0.1:%d", port)
	if c.Listen == nil {
		c.Listen = map[string]string{"public": "127.0.0.1:0"}
	}
	return envoy.Run(t, c)
}

func backend(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

// get is what a proxy answers for a host: the name of a backend when all is well.
func get(c *http.Client, at, host string) (string, error) {
	r, err := http.NewRequest(http.MethodGet, "http://"+at+"/", nil)
	if err != nil {
		return "", err
	}
	r.Host = host
	response, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %d %s", host, response.StatusCode, body)
	}
	return string(body), err
}

// busy asks for hosts at all proxies without a pause.
func busy(t *testing.T, proxies []string, hosts []string) *load.Busy {
	t.Helper()
	var clients []func(int) error
	for _, at := range proxies {
		for range 2 {
			c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
			t.Cleanup(c.CloseIdleConnections)
			clients = append(clients, func(n int) error {
				_, err := get(c, at, hosts[n%len(hosts)])
				return err
			})
		}
	}
	return load.KeepBusy(clients...)
}

// bootstraps runs a test with proxies that ask for their configuration in each way that there is.
func bootstraps(t *testing.T, test func(*testing.T, envoy.Config)) {
	for name, c := range map[string]envoy.Config{
		"incremental": {}, "whole": {Whole: true}, "incremental, apart": {Apart: true}, "whole, apart": {Whole: true, Apart: true},
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

// TestInvariant6NoRequestFails renames clusters, moves a host name between services and renames a service, under load.
func TestInvariant6NoRequestFails(t *testing.T) { bootstraps(t, noRequestFails) }

func noRequestFails(t *testing.T, like envoy.Config) {
	s, port := control(t)
	proxies := []string{proxyNamed(t, like, "one", port), proxyNamed(t, like, "two", port)} // they connect before the first release
	backends := []netip.AddrPort{backend(t, "blue"), backend(t, "green")}
	hosts := []string{"a.test", "b.test", "c.test", "moves.test", "x.wild.test"}
	publish := func(round int) Release {
		movesTo := [][]schema.Hostname{{"a.test", "moves.test"}, {"b.test"}}
		if round%2 == 1 {
			movesTo = [][]schema.Hostname{{"a.test"}, {"b.test", "moves.test"}}
		}
		to := backends[round%2]
		r := release(declaredAt(t, "a", to, movesTo[0]...), declaredAt(t, "b", to, movesTo[1]...),
			declaredAt(t, fmt.Sprintf("c%d", round%3), to, "c.test"), declaredAt(t, "wild", to, "*.wild.test"))
		s.Publish(r)
		return r
	}
	converged := func(r Release) func() bool {
		return func() bool {
			for _, one := range r.Services {
				if !acknowledgedAs(s, one)() {
					return false
				}
			}
			return len(s.Nodes()) == 2
		}
	}
	eventually(t, "first release", converged(publish(0)))
	c := &http.Client{Timeout: 5 * time.Second}
	for _, at := range proxies {
		for _, h := range hosts {
			eventually(t, h+" is served", func() bool { got, err := get(c, at, h); return err == nil && got == "blue" })
		}
	}
	asking := busy(t, proxies, hosts)
	var last Release
	for round := 1; round <= *renames || asking.Count() < 1000; round++ {
		last = publish(round)
		time.Sleep(5 * time.Millisecond)
		if round%8 == 0 {
			eventually(t, fmt.Sprintf("round %d", round), converged(last)) // the others may be overtaken
		}
	}
	count, failed := asking.Stop()
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(failed), count, strings.Join(failed[:min(5, len(failed))], "; "))
	}
	if count < 1000 {
		t.Errorf("only %d requests", count)
	}
	t.Logf("%d requests, %d failed", count, len(failed))
}

// TestLayoutGrowsUnderLoad gives real proxies ever more buckets, each time as a generation that is there before the old one goes, while what
// is in them changes: no request fails, and no connection is closed.
func TestLayoutGrowsUnderLoad(t *testing.T) { bootstraps(t, layoutGrows) }

func layoutGrows(t *testing.T, like envoy.Config) {
	s, port := control(t)
	like.Drain = time.Second
	proxies := []string{proxyNamed(t, like, "one", port)}
	hosts := []string{"a.test", "b.test", "x.wild.test"}
	to := backend(t, "blue")
	layouts := []layoutOf{{Generation: 1, Buckets: 32}, {Generation: 2, Buckets: 64}, {Generation: 3, Buckets: 256}}
	publish := func(now, old layoutOf, n int) {
		t.Helper()
		r := release(declaredAt(t, "a", to, "a.test"), declaredAt(t, fmt.Sprint("b", n), to, "b.test"), declaredAt(t, "wild", to, "*.wild.test"))
		r.Layout, r.Old = now, old
		s.Publish(r)
		eventually(t, fmt.Sprint("generation ", now.Generation), func() bool {
			got, err := s.Inspect(t.Context(), "edge", "one")
			for _, one := range r.Services {
				if !acknowledgedAs(s, one)() {
					return false
				}
			}
			return err == nil && len(got.Types) > 0 && !slices.ContainsFunc(got.Types, func(one InspectedType) bool { return len(one.Differ) > 0 })
		})
	}
	publish(layouts[0], layoutOf{}, 0)
	var dials atomic.Int64
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, network, at string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, at)
	}}}
	t.Cleanup(c.CloseIdleConnections)
	for _, h := range hosts {
		eventually(t, h+" is served", func() bool { got, err := get(c, proxies[0], h); return err == nil && got == "blue" })
	}
	asking, before := busy(t, proxies, hosts), dials.Load()
	for n, next := range layouts[1:] {
		publish(next, layouts[n], 2*n+1)
		time.Sleep(2 * like.Drain) // a listener that is another closes the connections that came by the one before
		publish(next, layoutOf{}, 2*n+2)
	}
	for _, h := range hosts {
		if got, err := get(c, proxies[0], h); err != nil || got != "blue" {
			t.Errorf("%s: %q, %v", h, got, err)
		}
	}
	if n := dials.Load(); n != before {
		t.Errorf("%d connections, %d before the layout grew", n, before)
	}
	time.Sleep(100 * time.Millisecond)
	count, failed := asking.Stop()
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(failed), count, strings.Join(failed[:min(5, len(failed))], "; "))
	}
	t.Logf("%d requests, %d failed", count, len(failed))
}

// unmade gives a service a cluster that Envoy refuses: a name where only an address may stand.
func unmade(t *testing.T, s Service) Service {
	t.Helper()
	c := &clusterv3.Cluster{}
	if err := proto.Unmarshal(s.Unit.Clusters[0].Proto, c); err != nil {
		t.Fatal(err)
	}
	c.LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint().GetAddress().GetSocketAddress().Address = "no-address"
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	s.Unit.Clusters = append(s.Unit.Clusters[:0:0], s.Unit.Clusters...)
	s.Unit.Clusters[0].Proto, s.Version = data, "unmade-"+s.Version
	return s
}

// TestInvariant7RefusedAlone has real proxies refuse a route and a cluster of two services, whose neighbours in the same bucket
// converge, while the culprits stay as they were: also on a proxy that starts later.
func TestInvariant7RefusedAlone(t *testing.T) { bootstraps(t, refusedAlone) }

func refusedAlone(t *testing.T, like envoy.Config) {
	s, port := control(t)
	proxies := []string{proxyNamed(t, like, "one", port), proxyNamed(t, like, "two", port)}
	blue, green := backend(t, "blue"), backend(t, "green")
	hosts := neighbours(t, 6)
	var before, after []Service
	for n, h := range hosts {
		before = append(before, declaredAt(t, fmt.Sprintf("s%d", n), blue, hostname(h)))
		after = append(after, declaredAt(t, fmt.Sprintf("s%d", n), green, hostname(h)))
	}
	after[2], after[4] = bad(t, after[2]), unmade(t, after[4])
	s.Publish(release(before...))
	for _, one := range before {
		eventually(t, "first release", func() bool { return acknowledgedAs(s, one)() && len(s.Nodes()) == 2 })
	}
	asking := busy(t, proxies, hosts)
	s.Publish(release(after...))
	eventually(t, "two are refused", func() bool { return len(s.Refusals()) == 2 })
	for n, one := range after {
		if n == 2 || n == 4 {
			one = before[n]
		}
		eventually(t, "acknowledged", acknowledgedAs(s, one))
	}
	proxies = append(proxies, proxyNamed(t, like, "three", port))
	c := &http.Client{Timeout: 5 * time.Second}
	for _, at := range proxies {
		for n, h := range hosts {
			want := "green"
			if n == 2 || n == 4 {
				want = "blue"
			}
			eventually(t, fmt.Sprintf("%s from %s", h, want), func() bool { got, err := get(c, at, h); return err == nil && got == want })
		}
	}
	if count, failed := asking.Stop(); len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(failed), count, failed[0])
	}
	for n, r := range s.Refusals() {
		if want := after[2+2*n]; r.Service != want.ID || r.Version != want.Version || r.Why == "" {
			t.Errorf("refusal is %+v, want of %s", r, want.ID)
		}
		t.Log(r.Why)
	}
	if n := s.Nodes(); len(n) != 3 || n[0].Envoy == "" {
		t.Errorf("nodes are %+v", n)
	}
}

// methods are the streams that such a proxy opens.
func methods(like envoy.Config) []string {
	form := "Delta"
	if like.Whole {
		form = "Stream"
	}
	if like.Apart {
		return []string{form + "Listeners", form + "Clusters", form + "AggregatedResources"} // scopes and routes: as our listeners say
	}
	return []string{form + "AggregatedResources"}
}

// counted counts what a server sends.
type counted struct {
	grpc.ServerStream
	sent *atomic.Int64
}

func (c counted) SendMsg(m any) error {
	c.sent.Add(1)
	return c.ServerStream.SendMsg(m)
}

// TestInvariant10RestartSendsNothing has a real proxy connect again to a server that was started anew: it is sent nothing, counts
// as served, and the next change reaches it, without a failed request at any time.
func TestInvariant10RestartSendsNothing(t *testing.T) { bootstraps(t, restartSendsNothing) }

func restartSendsNothing(t *testing.T, like envoy.Config) {
	l := localListener(t)
	s, g := controlAt(t, l)
	blue, green := backend(t, "blue"), backend(t, "green")
	a, b := declaredAt(t, "a", blue, "a.test"), declaredAt(t, "b", blue, "*.b.test")
	s.Publish(release(a, b))
	proxy := proxyNamed(t, like, "one", l.Addr().(*net.TCPAddr).Port)
	eventually(t, "served", func() bool { return acknowledgedAs(s, a)() && acknowledgedAs(s, b)() })
	asking := busy(t, []string{proxy}, []string{"a.test", "x.b.test"})
	g.Stop()

	again, err := net.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	var opened sync.Map
	s, _ = controlAt(t, again, grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, of *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		opened.Store(path.Base(of.FullMethod), true)
		return next(srv, counted{ss, &sent})
	}))
	s.Publish(release(a, b))
	eventually(t, "known to be served", func() bool { return acknowledgedAs(s, a)() && acknowledgedAs(s, b)() })
	for _, method := range methods(like) {
		eventually(t, method+" is called", func() bool { _, ok := opened.Load(method); return ok })
	}
	if n := sent.Load(); n != 0 {
		t.Errorf("%d answers were sent, want none", n)
	}
	a2 := declaredAt(t, "a", green, "a.test")
	s.Publish(release(a2))
	eventually(t, "changed and dropped", func() bool { return acknowledgedAs(s, a2)() && acknowledgedAs(s, Service{ID: "b"})() })
	_, failed := asking.Stop()
	for _, f := range failed {
		if !strings.HasPrefix(f, "x.b.test: 404") {
			t.Errorf("request failed: %s", f)
		}
	}
	got, err := get(&http.Client{Timeout: 5 * time.Second}, proxy, "a.test")
	if err != nil || got != "green" {
		t.Errorf("a.test is served by %q, %v", got, err)
	}
}

// TestInvariant6RestartAndChange has a real proxy come back to a server that was started anew, and was published a change before the
// proxy came: no request fails.
func TestInvariant6RestartAndChange(t *testing.T) { bootstraps(t, restartAndChange) }

func restartAndChange(t *testing.T, like envoy.Config) {
	l := localListener(t)
	s, g := controlAt(t, l)
	blue, green := backend(t, "blue"), backend(t, "green")
	var before, after []Service
	for n := range 50 {
		name, host := fmt.Sprintf("s%d", n), hostname(fmt.Sprintf("h%d.test", n))
		before, after = append(before, declaredAt(t, name, blue, host)), append(after, declaredAt(t, name, green, host))
	}
	s.Publish(release(before...))
	proxy := proxyNamed(t, like, "one", l.Addr().(*net.TCPAddr).Port)
	eventually(t, "served", acknowledgedAs(s, before[49]))
	c := &http.Client{Timeout: 5 * time.Second}
	eventually(t, "answers", func() bool { _, err := get(c, proxy, "h49.test"); return err == nil })
	asking := busy(t, []string{proxy}, []string{"h0.test", "h7.test", "h49.test"})
	g.Stop()

	s = New(slog.New(slog.NewTextHandler(t.Output(), nil)), time.Now)
	s.Publish(release(before...))
	s.Publish(release(after...))
	again, err := net.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	serveAt(t, s, again)
	for _, one := range after {
		eventually(t, "the change", acknowledgedAs(s, one))
	}
	eventually(t, "it answers anew", func() bool { got, err := get(c, proxy, "h7.test"); return err == nil && got == "green" })
	if count, failed := asking.Stop(); len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(failed), count, failed[0])
	}
}

// TestInvariant6RolledBackWhileAway has real proxies come back to a server that was started anew with an older release than they have: they go
// back to it, and no request fails. A proxy that speaks state of the world does not say what it has, and an answer without the newer cluster
// takes it away before the routes have changed: for a moment its requests fail.
func TestInvariant6RolledBackWhileAway(t *testing.T) { bootstraps(t, rolledBackWhileAway) }

func rolledBackWhileAway(t *testing.T, like envoy.Config) {
	l := localListener(t)
	s, g := controlAt(t, l)
	blue, green := backend(t, "blue"), backend(t, "green")
	a, b, other := declaredAt(t, "a", blue, "a.test"), declaredAt(t, "b", blue, "b.test"), declaredAt(t, "other", blue, "other.test")
	s.Publish(release(a, b, other))
	proxy := proxyNamed(t, like, "one", l.Addr().(*net.TCPAddr).Port)
	eventually(t, "served", acknowledgedAs(s, a))
	newer, added := declaredAt(t, "a", green, "a.test"), declaredAt(t, "added", green, "added.test")
	s.Publish(release(newer, b, other, added))
	eventually(t, "the newer one is served", func() bool { return acknowledgedAs(s, newer)() && acknowledgedAs(s, added)() })
	c := &http.Client{Timeout: 5 * time.Second}
	eventually(t, "it answers", func() bool { got, err := get(c, proxy, "a.test"); return err == nil && got == "green" })
	asking := busy(t, []string{proxy}, []string{"a.test", "b.test", "other.test"})
	g.Stop()
	time.Sleep(200 * time.Millisecond) // it serves on

	again, err := net.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, _ = controlAt(t, again)
	s.Publish(release(a, b, other))
	eventually(t, "it is back at the older one", func() bool {
		n := s.Nodes()
		return acknowledgedAs(s, a)() && acknowledgedAs(s, b)() && acknowledgedAs(s, other)() && n[0].Behind == 0
	})
	eventually(t, "it answers as before", func() bool { got, err := get(c, proxy, "a.test"); return err == nil && got == "blue" })
	if got, err := get(c, proxy, "added.test"); err == nil {
		t.Errorf("added.test is answered by %s, which is not published", got)
	}
	count, failed := asking.Stop()
	failed = slices.DeleteFunc(failed, func(f string) bool { return like.Whole && strings.HasPrefix(f, "a.test: 503") })
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(failed), count, failed[0])
	}
}

// TestInvariant6ServicesComeAndGo adds and removes 100 services while endpoints of others come and are drained: no request fails, and a
// service that is acknowledged answers at once.
func TestInvariant6ServicesComeAndGo(t *testing.T) { bootstraps(t, servicesComeAndGo) }

func servicesComeAndGo(t *testing.T, like envoy.Config) {
	s, port := control(t)
	proxy := proxyNamed(t, like, "one", port)
	blue, green := backend(t, "blue"), backend(t, "green")
	stays := declaredAt(t, "stays", blue, "stays.test")
	drains := func(n int) Service {
		at := [][]netip.AddrPort{{blue, green}, {green}, {green, blue}, {blue}}[n%4]
		return declaredAtAll(t, "drains", at, "drains.test")
	}
	s.Publish(release(stays, drains(0)))
	eventually(t, "served", func() bool { return acknowledgedAs(s, stays)() && acknowledgedAs(s, drains(0))() })
	c := &http.Client{Timeout: 5 * time.Second}
	for _, h := range []string{"stays.test", "drains.test"} {
		eventually(t, h+" is served", func() bool { _, err := get(c, proxy, h); return err == nil })
	}
	asking := busy(t, []string{proxy}, []string{"stays.test", "drains.test"})
	for n := range 100 {
		host := fmt.Sprintf("h%d.test", n)
		comes := declaredAt(t, fmt.Sprintf("s%d", n), blue, hostname(host))
		s.Publish(release(stays, drains(n), comes))
		eventually(t, host, func() bool { return acknowledgedAs(s, comes)() && acknowledgedAs(s, drains(n))() })
		if _, err := get(c, proxy, host); err != nil {
			t.Errorf("%s is acknowledged, and answers %v", host, err)
		}
	}
	s.Publish(release(stays, drains(0)))
	eventually(t, "the last one is gone", acknowledgedAs(s, Service{ID: "s99"}))
	count, failed := asking.Stop()
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(failed), count, failed[0])
	}
	if count < 500 {
		t.Errorf("only %d requests", count)
	}
}
