package xds

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

type layoutOf = envoy.Layout

var layout = layoutOf{Generation: 1, Buckets: 32}

func fleetOf(id schema.FleetID) schema.Fleet {
	return schema.Fleet{ID: id, Listeners: []schema.Listener{{Exposure: "public", Port: 80}}}
}

// declared is a service whose one backend is at a port: another port is another cluster.
func declared(t testing.TB, id string, port uint16, hosts ...schema.Hostname) Service {
	t.Helper()
	return declaredAt(t, id, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), hosts...)
}

func declaredAt(t testing.TB, id string, at netip.AddrPort, hosts ...schema.Hostname) Service {
	t.Helper()
	return declaredAtAll(t, id, []netip.AddrPort{at}, hosts...)
}

func declaredAtAll(t testing.TB, id string, at []netip.AddrPort, hosts ...schema.Hostname) Service {
	t.Helper()
	s := schema.Service{
		ID: schema.ServiceID(id), Exposure: "public", Hosts: hosts,
		Backends: []schema.Backend{{ID: "b", Location: schema.Addresses(at)}},
		Routes:   []schema.Route{{Name: "all", Action: schema.Forward{To: []schema.Destination{{Backend: "b", Weight: 100}}}}},
	}
	u, _, err := envoy.Render(fleetOf("edge"), s)
	if err != nil {
		t.Fatal(err)
	}
	return Service{ID: s.ID, Version: u.Hash()[:12], Unit: u}
}

// bad makes a service's virtual host one that a proxy refuses: its first route has a regular expression that does not compile.
func bad(t testing.TB, s Service) Service {
	t.Helper()
	v := &routev3.VirtualHost{}
	if err := proto.Unmarshal(s.Unit.VirtualHost, v); err != nil {
		t.Fatal(err)
	}
	v.Routes[0].Match = &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_SafeRegex{SafeRegex: regex("(")}}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	s.Unit.VirtualHost, s.Version = data, "bad-"+s.Version
	return s
}

func release(services ...Service) Release {
	r := Release{Fleet: fleetOf("edge"), Layout: layout, Services: map[schema.ServiceID]Service{}}
	for _, s := range services {
		r.Services[s.ID] = s
	}
	return r
}

func newTestServer(t *testing.T) (*Server, *testConn) {
	t.Helper()
	return newServerFor(t, delta)
}

func newServerFor(t *testing.T, speaks form) (*Server, *testConn) {
	t.Helper()
	noLeak(t)
	r, recorded := record(t)
	s, conn := newServerWith(t, speaks, recorded)
	conn.recorder = r
	return s, conn
}

func newServerWith(t *testing.T, speaks form, options ...grpc.ServerOption) (*Server, *testConn) {
	t.Helper()
	s := New(slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})), time.Now)
	s.grace = 50 * time.Millisecond
	l, g := bufconn.Listen(1<<20), NewGRPC(append(options, grpc.MaxConcurrentStreams(100))...) // all proxies on one connection
	s.Register(g)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	conn, err := grpc.NewClient("passthrough:///xds", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return s, &testConn{ClientConn: conn, form: speaks}
}

// model is a proxy that keeps what it is sent, as Envoy does, and notes every breach of what a proxy must be able to rely on.
type model struct {
	*client
	fleet  string
	slow   time.Duration
	blind  bool // nothing is checked
	again  bool // refused content may come again
	mu     sync.Mutex
	has    map[string]map[string]*discoveryv3.Resource // by type
	routes map[string]*routev3.RouteConfiguration
	nacks  int
	sure   map[string]bool // by name and version: refused on its own, so that the server must know which it was
	stays  map[string]bool // hosts that are in every release
	seen   map[string]bool // hosts that are served
	had    map[string]bool // resources, ever
	breach []string
	memory *wholes // of a proxy that speaks state of the world
}

func newModel(t *testing.T, conn *testConn, id string) *model {
	t.Helper()
	m := emptyModel()
	m.start(t, conn, id)
	return m
}

func emptyModel() *model {
	return &model{
		fleet: "edge", has: map[string]map[string]*discoveryv3.Resource{}, routes: map[string]*routev3.RouteConfiguration{},
		sure: map[string]bool{}, had: map[string]bool{}, memory: &wholes{types: map[string]*whole{}},
	}
}

// start opens a stream, and tells what the proxy has.
func (m *model) start(t *testing.T, conn *testConn, id string) {
	t.Helper()
	m.client = connectAgain(t, conn, m.memory)
	m.mu.Lock()
	defer m.mu.Unlock()
	for n, url := range []string{clusterType, listenerType, scopeType, routeType, extensionType} {
		r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, InitialResourceVersions: map[string]string{}}
		for name, has := range m.has[url] {
			r.InitialResourceVersions[name] = has.Version
		}
		if n == 0 {
			r.Node = nodeNamed(id, m.fleet)
		}
		if url == routeType {
			if r.ResourceNamesSubscribe = m.wantedRoutes(); len(r.ResourceNamesSubscribe) == 0 {
				continue
			}
		}
		if url == extensionType {
			if r.ResourceNamesSubscribe = m.wantedFilters(); len(r.ResourceNamesSubscribe) == 0 {
				continue
			}
		}
		m.ask(r)
	}
	go m.follow(m.client)
}

func (m *model) wantedRoutes() []string {
	var out []string
	for _, s := range m.has[scopeType] {
		scope := &routev3.ScopedRouteConfiguration{}
		_ = proto.Unmarshal(s.Resource.Value, scope)
		out = append(out, scope.RouteConfigurationName)
	}
	slices.Sort(out)
	return out
}

func (m *model) follow(c *client) {
	for {
		select {
		case r := <-c.got:
			time.Sleep(m.slow)
			if why := m.apply(r); why != "" {
				c.nack(r, why)
				continue
			}
			c.ack(r)
			switch r.TypeUrl {
			case scopeType:
				c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: m.names()})
			case listenerType:
				if names := m.filters(); len(names) > 0 {
					c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: extensionType, ResourceNamesSubscribe: names})
				}
			}
		case <-c.end:
			return
		}
	}
}

// wantedFilters are those that the listeners refer to.
func (m *model) wantedFilters() []string {
	out := map[string]bool{}
	for _, a := range m.has[listenerType] {
		l := &listenerv3.Listener{}
		_ = proto.Unmarshal(a.Resource.Value, l)
		for _, c := range l.FilterChains {
			manager := &hcmv3.HttpConnectionManager{}
			_ = c.Filters[0].GetTypedConfig().UnmarshalTo(manager)
			for _, f := range manager.HttpFilters {
				if f.GetConfigDiscovery() != nil {
					out[f.Name] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(out))
}

// filters are those that the proxy has not asked for yet.
func (m *model) filters() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(m.wantedFilters(), func(name string) bool { return m.has[extensionType][name] != nil })
}

var generationOf = regexp.MustCompile(`PREFIX, BUCKETS = "[^"]*", "(\d+)\.(\w+)\.", (\d+)`)

// leadsAway tells what is not there of the buckets to which a filter now leads that led to others.
func (m *model) leadsAway(a *discoveryv3.Resource) string {
	text := generationOf.FindSubmatch(a.Resource.Value)
	if text == nil {
		return a.Name + " leads nowhere"
	}
	to := layoutOf{}
	_, _ = fmt.Sscan(string(text[1])+" "+string(text[3]), &to.Generation, &to.Buckets)
	exposure := schema.Exposure(text[2])
	for _, b := range to.BucketNames() {
		if m.has[scopeType][to.ScopeName(exposure, b)] == nil || m.routes[to.RouteName(exposure, b)] == nil {
			return fmt.Sprintf("%s leads to bucket %s of generation %d, which is not there", a.Name, b, to.Generation)
		}
	}
	return ""
}

func (m *model) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wantedRoutes()
}

// apply takes the good resources of an answer and tells what is wrong with the others, like Envoy: without a name.
func (m *model) apply(r *discoveryv3.DeltaDiscoveryResponse) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	has, why := m.has[r.TypeUrl], ""
	if has == nil {
		has = map[string]*discoveryv3.Resource{}
		m.has[r.TypeUrl] = has
	}
	for _, name := range r.RemovedResources {
		delete(has, name)
	}
	for _, a := range r.Resources {
		m.had[a.Name] = true
		if r.TypeUrl == routeType && !m.blind {
			if why = m.check(a); why != "" {
				m.nacks++
				if m.sure[a.Name+a.Version] && !m.again {
					m.breach = append(m.breach, "refused content sent again: "+a.Name)
				}
				m.sure[a.Name+a.Version] = len(r.Resources) == 1
				break // the rest of the answer is not looked at
			}
		}
		if r.TypeUrl == extensionType && has[a.Name] != nil && !m.blind {
			if why := m.leadsAway(a); why != "" {
				m.breach = append(m.breach, why)
			}
		}
		has[a.Name] = a
	}
	if !m.blind {
		m.verify()
	}
	return why
}

func (m *model) check(a *discoveryv3.Resource) string {
	rc := &routev3.RouteConfiguration{}
	if err := proto.Unmarshal(a.Resource.Value, rc); err != nil {
		return err.Error()
	}
	seen := map[string]bool{}
	for _, v := range rc.VirtualHosts {
		for _, d := range v.Domains {
			if seen[d] {
				m.breach = append(m.breach, "domain twice: "+d)
			}
			seen[d] = true
		}
		for _, route := range v.Routes {
			if route.GetMatch().GetSafeRegex().GetRegex() == "(" {
				return "missing )"
			}
		}
	}
	m.routes[a.Name] = rc
	return ""
}

// verify looks for routes that lead to clusters that are not there, and for hosts that nobody answers for any more.
func (m *model) verify() {
	now := map[string]bool{}
	for name, rc := range m.routes {
		for _, v := range rc.VirtualHosts {
			for _, d := range v.Domains {
				now[d] = true
			}
			for _, route := range v.Routes {
				c := route.GetRoute().GetCluster()
				if c != "" && m.has[clusterType][c] == nil {
					m.breach = append(m.breach, fmt.Sprintf("%s leads to %s, which is not there", name, c))
				}
			}
		}
	}
	for host := range m.stays {
		if m.seen[host] && !now[host] {
			m.breach = append(m.breach, host+" is not served any more")
		}
	}
	m.seen = now
}

// placed tells which service answers for each host, by its cluster.
func (m *model) placed() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]string{}
	for _, rc := range m.routes {
		for _, v := range rc.VirtualHosts {
			for _, d := range v.Domains {
				if c := clusterOf(v); d != "*" {
					out[d] = c
				}
			}
		}
	}
	return out
}

func clusterOf(v *routev3.VirtualHost) string {
	for _, r := range v.Routes {
		if c := r.GetRoute().GetCluster(); c != "" {
			return c
		}
	}
	return ""
}

func (m *model) clusters() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.has[clusterType]))
}

func (m *model) sound() {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.breach) > 0 {
		m.t.Fatalf("breaches: %s", strings.Join(m.breach, "\n"))
	}
}

// eventually waits until what is awaited holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within a minute", what)
}

func acknowledgedAs(s *Server, want Service) func() bool {
	return func() bool {
		v, ok := s.Acknowledged("edge", want.ID)
		return ok && v == want.Version
	}
}
