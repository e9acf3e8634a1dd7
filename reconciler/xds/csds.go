package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	statusservice "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// maxStatus bounds the resources in one answer of the client status discovery service: more are asked for by node.
const maxStatus = 200_000

// RegisterStatus adds the client status discovery service (CSDS), by which tools ask what proxies have. It answers who shows a token in
// the metadata of the call, as "authorization: Bearer TOKEN", that is allowed.
func (s *Server) RegisterStatus(g *grpc.Server, allowed func(token string) bool) {
	statusservice.RegisterClientStatusDiscoveryServiceServer(g, clientStatus{server: s, allowed: allowed})
}

type clientStatus struct {
	statusservice.UnimplementedClientStatusDiscoveryServiceServer
	server  *Server
	allowed func(token string) bool
}

func (c clientStatus) FetchClientStatus(ctx context.Context, r *statusservice.ClientStatusRequest) (*statusservice.ClientStatusResponse, error) {
	if err := c.admit(ctx); err != nil {
		return nil, err
	}
	return c.answer(ctx, r)
}

func (c clientStatus) StreamClientStatus(g grpc.BidiStreamingServer[statusservice.ClientStatusRequest, statusservice.ClientStatusResponse]) error {
	if err := c.admit(g.Context()); err != nil {
		return err
	}
	for {
		r, err := g.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		out, err := c.answer(g.Context(), r)
		if err != nil {
			return err
		}
		if err := g.Send(out); err != nil {
			return err
		}
	}
}

func (c clientStatus) admit(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, shown := range md.Get("authorization") {
		if token, bearer := strings.CutPrefix(shown, "Bearer "); bearer && c.allowed(token) {
			return nil
		}
	}
	return status.Error(codes.Unauthenticated, "client status is told to who shows the token of the state folder: authorization: Bearer TOKEN")
}

// answer tells of each node that fits one of the matchers, or of all where there is none.
func (c clientStatus) answer(ctx context.Context, r *statusservice.ClientStatusRequest) (*statusservice.ClientStatusResponse, error) {
	fits, err := matchers(r.GetNodeMatchers())
	if err != nil {
		return nil, err
	}
	out := &statusservice.ClientStatusResponse{}
	total := 0
	for _, n := range c.server.Nodes() {
		if !fits(n.ID) {
			continue
		}
		got, err := c.server.Inspect(ctx, n.Fleet, n.ID)
		if errors.Is(err, ErrNotConnected) {
			continue // it went away meanwhile
		}
		if err != nil {
			return nil, err
		}
		one := clientConfig(got, r.GetExcludeResourceContents())
		if total += len(one.GenericXdsConfigs); total > maxStatus {
			return nil, status.Errorf(codes.ResourceExhausted, "the nodes asked for have more than %d resources: ask for fewer, with node_matchers", maxStatus)
		}
		out.Config = append(out.Config, one)
	}
	return out, nil
}

func clientConfig(of Inspected, bare bool) *statusservice.ClientConfig {
	out := &statusservice.ClientConfig{Node: &corev3.Node{
		Id: of.Node.ID, Cluster: string(of.Node.Fleet), UserAgentName: "envoy",
		UserAgentVersionType: &corev3.Node_UserAgentVersion{UserAgentVersion: of.Node.Envoy},
		Metadata:             &structpb.Struct{},
	}}
	for _, one := range of.Types {
		for _, r := range one.all {
			g := &statusservice.ClientConfig_GenericXdsConfig{
				TypeUrl: one.URL, Name: r.Name, VersionInfo: r.Has, ConfigStatus: configStatus[r.State], ClientStatus: clientStatuses[r.State],
			}
			if r.bytes != nil && !bare {
				g.XdsConfig = r.bytes.Resource
			}
			if r.Why != "" {
				g.ErrorState = &adminv3.UpdateFailureState{Details: r.Why, VersionInfo: r.Wants}
			}
			out.GenericXdsConfigs = append(out.GenericXdsConfigs, g)
		}
	}
	return out
}

// What the states are in terms of service/status/v3/csds.proto and admin/v3/config_dump_shared.proto.
var (
	configStatus = map[InspectedState]statusservice.ConfigStatus{
		Synced: statusservice.ConfigStatus_SYNCED, Sent: statusservice.ConfigStatus_STALE, Stale: statusservice.ConfigStatus_STALE,
		NotSent: statusservice.ConfigStatus_NOT_SENT, Refused: statusservice.ConfigStatus_ERROR,
	}
	clientStatuses = map[InspectedState]adminv3.ClientResourceStatus{
		Synced: adminv3.ClientResourceStatus_ACKED, Sent: adminv3.ClientResourceStatus_REQUESTED, Stale: adminv3.ClientResourceStatus_ACKED,
		NotSent: adminv3.ClientResourceStatus_REQUESTED, Refused: adminv3.ClientResourceStatus_NACKED,
	}
)

// matchers tells of a node's id whether one of the matchers fits it.
func matchers(all []*matcherv3.NodeMatcher) (func(id string) bool, error) {
	var fits []func(string) bool
	for _, m := range all {
		if len(m.GetNodeMetadatas()) > 0 {
			return nil, status.Error(codes.InvalidArgument, "nodes are found by node_id, not by metadata")
		}
		one, err := matcher(m.GetNodeId())
		if err != nil {
			return nil, err
		}
		fits = append(fits, one)
	}
	return func(id string) bool {
		for _, one := range fits {
			if one(id) {
				return true
			}
		}
		return len(fits) == 0
	}, nil
}

func matcher(m *matcherv3.StringMatcher) (func(string) bool, error) {
	as := func(text string) string { return text }
	if m.GetIgnoreCase() {
		as = strings.ToLower
	}
	switch p := m.GetMatchPattern().(type) {
	case nil:
		return func(string) bool { return true }, nil
	case *matcherv3.StringMatcher_Exact:
		return func(id string) bool { return as(id) == as(p.Exact) }, nil
	case *matcherv3.StringMatcher_Prefix:
		return func(id string) bool { return strings.HasPrefix(as(id), as(p.Prefix)) }, nil
	case *matcherv3.StringMatcher_Suffix:
		return func(id string) bool { return strings.HasSuffix(as(id), as(p.Suffix)) }, nil
	case *matcherv3.StringMatcher_Contains:
		return func(id string) bool { return strings.Contains(as(id), as(p.Contains)) }, nil
	case *matcherv3.StringMatcher_SafeRegex:
		if len(p.SafeRegex.GetRegex()) > maxName {
			return nil, status.Errorf(codes.InvalidArgument, "a regular expression is longer than %d bytes", maxName)
		}
		re, err := regexp.Compile("^(?:" + p.SafeRegex.GetRegex() + ")$") // the whole text, as RegexMatcher is defined
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		return re.MatchString, nil
	}
	return nil, status.Error(codes.InvalidArgument, fmt.Sprintf("node_id is matched by text, not by %T", m.GetMatchPattern()))
}
