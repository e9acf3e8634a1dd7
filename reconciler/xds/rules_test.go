package xds

import (
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// judge holds an answer against the rules of the protocol and of the order of phases.
func (s *recorded) judge(t *tally, out *said) {
	if out.nonce == "" || t.nonces[out.nonce] {
		s.breach("nonce %q of %s is empty or not new", out.nonce, t.url)
	}
	t.nonces[out.nonce] = true
	if t.flying != nil {
		s.breach("answer %s of %s while %s is neither acknowledged nor refused", out.nonce, t.url, t.flying.nonce)
	}
	for name, version := range out.added {
		if t.has[name] == version && !t.anew[name] {
			s.breach("%s is sent again in version %s, which is acknowledged", name, version)
		}
		delete(t.anew, name)
		if !wildcard(t.url) && !t.asked[name] {
			s.breach("%s is sent, which was not asked for", name)
		}
	}
	for _, name := range out.removed {
		if _, had := t.has[name]; !had && !t.anew[name] && !t.asked[name] {
			s.breach("%s is removed, which was neither sent nor asked for", name)
		}
		delete(t.anew, name)
	}
	s.inOrder(t, out)
}

// inOrder holds an answer against what the proxy has of other types.
func (s *recorded) inOrder(t *tally, out *said) {
	if strings.HasPrefix(s.talk.node, "rpc ") {
		s.inClientOrder(t, out)
		return
	}
	clusters, routes := s.talk.types[clusterType], s.talk.types[routeType]
	switch t.url {
	case routeType:
		if clusters == nil {
			s.breach("routes before clusters were asked for")
			return
		}
		for name, version := range out.added {
			for _, c := range s.recorder.leads[version] {
				if clusters.has[c] == "" && !clusters.vague {
					s.breach("%s leads to %s, which is not acknowledged", name, c)
				}
			}
		}
	case listenerType:
		if clusters == nil || clusters.flying != nil && len(clusters.has) == 0 {
			s.breach("listeners before the first clusters are acknowledged")
		}
	case clusterType:
		if routes == nil {
			return
		}
		for name, version := range routes.has {
			for _, c := range s.recorder.leads[version] {
				if slices.Contains(out.removed, c) {
					s.breach("cluster %s is removed while %s leads to it", c, name)
				}
			}
		}
	}
}

// inClientOrder is the same for a gRPC client, which asks for clusters when routes lead there: routes that take the place of others lead only
// to what it has.
func (s *recorded) inClientOrder(t *tally, out *said) {
	clusters := s.talk.types[clusterType]
	for name, version := range out.added {
		if t.url != routeType || t.has[name] == "" {
			continue
		}
		for _, c := range s.recorder.leads[version] {
			if clusters == nil || clusters.has[c] == "" {
				s.breach("%s leads now to %s, which is not acknowledged", name, c)
			}
		}
	}
}

// script is a conversation as the recorder sees it, with the breach that it is to find.
type script struct {
	name string
	says []any
	want string
}

func asks(url string, names ...string) *discoveryv3.DeltaDiscoveryRequest {
	return &discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: url, ResourceNamesSubscribe: names}
}

func acks(url, nonce string) *discoveryv3.DeltaDiscoveryRequest {
	return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, ResponseNonce: nonce}
}

func answers(url, nonce string, added ...*discoveryv3.Resource) *discoveryv3.DeltaDiscoveryResponse {
	return &discoveryv3.DeltaDiscoveryResponse{TypeUrl: url, Nonce: nonce, Resources: added}
}

func removes(url, nonce string, names ...string) *discoveryv3.DeltaDiscoveryResponse {
	return &discoveryv3.DeltaDiscoveryResponse{TypeUrl: url, Nonce: nonce, RemovedResources: names}
}

func wants(url, nonce, version string, names ...string) *discoveryv3.DiscoveryRequest {
	return &discoveryv3.DiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: url, ResponseNonce: nonce, VersionInfo: version, ResourceNames: names}
}

func gives(url, nonce, version string, all ...*discoveryv3.Resource) *discoveryv3.DiscoveryResponse {
	out := &discoveryv3.DiscoveryResponse{TypeUrl: url, Nonce: nonce, VersionInfo: version}
	for _, a := range all {
		out.Resources = append(out.Resources, &anypb.Any{TypeUrl: url, Value: a.Resource.Value})
	}
	return out
}

// TestRecorder has the recorder see one conversation in order and many that are not.
func TestRecorder(t *testing.T) {
	u := declared(t, "a", 1, "a.test").Unit
	c := resource(clusterType, u.Clusters[0].Name, u.Clusters[0].Proto)
	f := newFleet("edge", "", nil, nil)
	name := layout.RouteName("public", layout.BucketOf("a.test"))
	v := newVersion(declared(t, "a", 1, "a.test"), packing{now: layout}, time.Now())
	r := f.route(name, place{layout, "public", layout.BucketOf("a.test")}, composition{{v, true}})
	start := []any{asks(clusterType), answers(clusterType, "1", c), acks(clusterType, "1")}
	routed := append(slices.Clone(start), asks(routeType, name), answers(routeType, "2", r), acks(routeType, "2"))
	world := []any{wants(clusterType, "", ""), gives(clusterType, "1", "v", c), wants(clusterType, "1", "v")}
	then := func(before []any, more ...any) []any { return append(slices.Clone(before), more...) }
	refused := acks(clusterType, "1")
	refused.ErrorDetail = &rpc.Status{Message: "no"}
	for _, one := range []script{
		{"in order", then(routed, answers(routeType, "3"), acks(routeType, "3")), ""},
		{"in order, whole", then(world, wants(routeType, "", "", name), gives(routeType, "2", "w", r), wants(routeType, "2", "w", name), gives(clusterType, "3", "x", c, v2(c))), ""},
		{"sent again after a refusal", []any{asks(clusterType), answers(clusterType, "1", c), refused, answers(clusterType, "2", c)}, ""},
		{"a nonce twice", then(start, removes(clusterType, "1", c.Name)), "not new"},
		{"two under way", []any{asks(clusterType), answers(clusterType, "1", c), answers(clusterType, "2")}, "neither acknowledged nor refused"},
		{"a wrong nonce does not acknowledge", []any{asks(clusterType), answers(clusterType, "1", c), acks(clusterType, "7"), answers(clusterType, "2")}, "neither acknowledged nor refused"},
		{"sent again", then(start, answers(clusterType, "2", c)), "which is acknowledged"},
		{"sent again, whole", then(world, gives(clusterType, "2", "v", c)), "nothing but what is acknowledged"},
		{"not asked for", then(start, asks(routeType, "other"), answers(routeType, "2", r)), "not asked for"},
		{"a type not asked for", then(start, answers(listenerType, "2")), "not asked for on this stream"},
		{"removed and never there", then(start, removes(clusterType, "2", "c/none")), "neither sent nor asked for"},
		{"routes first", []any{asks(clusterType), asks(routeType, name), answers(routeType, "1", r)}, "not acknowledged"},
		{"routes without clusters", []any{asks(routeType, name), answers(routeType, "1", r)}, "before clusters were asked for"},
		{"listeners first", []any{asks(clusterType), answers(clusterType, "1", c), asks(listenerType), answers(listenerType, "2")}, "listeners before"},
		{"a cluster that a route leads to", then(routed, removes(clusterType, "3", c.Name)), "is removed while"},
		{"a cluster that a route leads to, whole", then(world, wants(routeType, "", "", name), gives(routeType, "2", "w", r), wants(routeType, "2", "w", name), gives(clusterType, "3", "x")), "is removed while"},
		{"no version", []any{wants(clusterType, "", ""), gives(clusterType, "1", "", c)}, "has no version"},
		{"all, where one is asked for", []any{wants(clusterType, "", "", "c/other"), gives(clusterType, "1", "v", c)}, "not asked for"},
		{"all, where none is any more", append(slices.Clone(world), wants(clusterType, "1", "v", "c/other"), gives(clusterType, "2", "w"), wants(clusterType, "2", "w"), gives(clusterType, "3", "x", c)), "not asked for"},
		{"twice in an answer", []any{wants(clusterType, "", ""), gives(clusterType, "1", "v", c, c)}, "is twice"},
	} {
		recorder, _ := record(t)
		s := &recorded{recorder: recorder, types: map[string]*tally{}}
		for _, m := range one.says {
			if _, request := m.(message); request {
				s.heard(m)
			} else {
				s.says(m)
			}
		}
		got := strings.Join(recorder.breaches, "; ")
		if one.want == "" && got != "" || !strings.Contains(got, one.want) {
			t.Errorf("%s: breaches are %q, want %q", one.name, got, one.want)
		}
		recorder.breaches = nil
	}
}

// v2 is the same under another name.
func v2(c *discoveryv3.Resource) *discoveryv3.Resource {
	return resource(clusterType, "", append(slices.Clone(c.Resource.Value), "\x0a\x04c/v2"...))
}
