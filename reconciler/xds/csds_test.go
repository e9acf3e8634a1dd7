package xds

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"
	"time"

	statusservice "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/edgewright/edgewright/fixtures/envoy"
)

// TestClientStatus holds what is told of a real Envoy to what it says itself: the same clusters and routes, in the same versions.
func TestClientStatus(t *testing.T) {
	l := localListener(t)
	s := New(slog.New(slog.NewTextHandler(t.Output(), nil)), time.Now)
	g := NewGRPC()
	s.Register(g)
	s.RegisterStatus(g, func(token string) bool { return token == "open sesame" })
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	services := []Service{declaredAt(t, "a", backend(t, "a"), "a.test"), declaredAt(t, "b", backend(t, "b"), "b.test", "*.b.test")}
	s.Publish(release(services...))
	p := envoy.Run(t, envoy.Config{Node: "one", Fleet: "edge", XDS: l.Addr().String(), Listen: map[string]string{"public": "127.0.0.1:0"}})
	for _, one := range services {
		eventually(t, "it has everything", acknowledgedAs(s, one))
	}

	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := statusservice.NewClientStatusDiscoveryServiceClient(conn)
	for _, token := range []string{"", "guess"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
		if _, err := client.FetchClientStatus(ctx, &statusservice.ClientStatusRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("with token %q: %v", token, err)
		}
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer open sesame")
	var told map[string]string
	eventually(t, "all is told as acknowledged", func() bool {
		got, err := client.FetchClientStatus(ctx, &statusservice.ClientStatusRequest{})
		if err != nil || len(got.Config) != 1 || got.Config[0].Node.Id != "one" {
			t.Fatal(got, err)
		}
		told = map[string]string{}
		for _, r := range got.Config[0].GenericXdsConfigs {
			if r.ConfigStatus != statusservice.ConfigStatus_SYNCED {
				return false
			}
			if r.XdsConfig.GetTypeUrl() != r.TypeUrl {
				t.Errorf("the content of %s %s is %q", r.TypeUrl, r.Name, r.XdsConfig.GetTypeUrl())
			}
			if r.TypeUrl == clusterType || r.TypeUrl == routeType {
				told[r.TypeUrl+" "+r.Name] = r.VersionInfo
			}
		}
		return true
	})
	if diff := cmp.Diff(dumped(t, p), told); diff != "" {
		t.Errorf("what Envoy says of itself, and what is told of it (-Envoy +told):\n%s", diff)
	}

	for _, c := range []struct {
		m    *matcherv3.StringMatcher
		want int
	}{
		{&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "one"}}, 1},
		{&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "ONE"}, IgnoreCase: true}, 1},
		{&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "on"}}, 0},
		{&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "on"}}, 1},
		{&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: "o"}}, 0},
		{&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Contains{Contains: "n"}}, 1},
		{&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: "o.e"}}}, 1},
		{&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: "n"}}}, 0},
	} {
		got, err := client.FetchClientStatus(ctx, &statusservice.ClientStatusRequest{NodeMatchers: []*matcherv3.NodeMatcher{{NodeId: c.m}}, ExcludeResourceContents: true})
		if err != nil || len(got.Config) != c.want {
			t.Errorf("%v: %d nodes, %v; want %d", c.m, len(got.GetConfig()), err, c.want)
			continue
		}
		for _, one := range got.Config {
			if n := len(one.GenericXdsConfigs); n < len(told) || one.GenericXdsConfigs[0].XdsConfig != nil {
				t.Errorf("%v: %d resources, with contents: %v", c.m, n, one.GenericXdsConfigs[0].XdsConfig != nil)
			}
		}
	}
	stream, err := client.StreamClientStatus(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := stream.Send(&statusservice.ClientStatusRequest{}); err != nil {
			t.Fatal(err)
		}
		if got, err := stream.Recv(); err != nil || len(got.Config) != 1 {
			t.Fatal(got, err)
		}
	}
}

// dumped are the versions of clusters and route configurations as Envoy's own dump of its configuration has them.
func dumped(t *testing.T, p *envoy.Proxy) map[string]string {
	t.Helper()
	response, err := http.Get(p.Admin + "/config_dump")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	type named struct {
		Name string `json:"name"`
	}
	var dump struct {
		Configs []struct {
			DynamicActiveClusters []struct {
				VersionInfo string `json:"version_info"`
				Cluster     named  `json:"cluster"`
			} `json:"dynamic_active_clusters"`
			DynamicRouteConfigs []struct {
				VersionInfo string `json:"version_info"`
				RouteConfig named  `json:"route_config"`
			} `json:"dynamic_route_configs"`
		} `json:"configs"`
	}
	if err := json.NewDecoder(response.Body).Decode(&dump); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, c := range dump.Configs {
		for _, one := range c.DynamicActiveClusters {
			out[clusterType+" "+one.Cluster.Name] = one.VersionInfo
		}
		for _, one := range c.DynamicRouteConfigs {
			out[routeType+" "+one.RouteConfig.Name] = one.VersionInfo
		}
	}
	return out
}
