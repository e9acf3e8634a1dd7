package xds

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/edgewright/edgewright/render/envoy"
)

// recorder watches every message between a server and its proxies, and notes each that breaks the protocol or comes too early: see
// rules_test.go. It knows nothing of the server but what it says.
type recorder struct {
	mu       sync.Mutex // guards all
	breaches []string
	seen     int
	talks    map[string]*conversation     // by node: the present one
	leads    map[string][]string          // version of a route configuration → clusters that it names
	sets     map[string]map[string]string // type and version of a state of the world → name → version
	doubtful map[string]bool              // node and type: refused last, so that its version tells nothing
}

// conversation is what is said to one proxy, on one stream or several.
type conversation struct {
	node  string
	types map[string]*tally
	ended bool
}

// tally is one type on one stream.
type tally struct {
	url    string
	whole  bool // state of the world
	nonces map[string]bool
	last   string            // nonce
	flying *said             // sent, neither acknowledged nor refused
	has    map[string]string // name → version, as acknowledged or brought along
	asked  map[string]bool   // names, ever
	now    map[string]bool   // names, at present
	was    map[string]bool   // names, before the request that the server is being given: an answer may cross it
	anew   map[string]bool   // may be sent again
	again  bool              // state of the world: the whole may be sent again
	vague  bool              // the proxy has what nobody here has seen
}

// said is an answer in terms of differences.
type said struct {
	nonce   string
	added   map[string]string
	removed []string
}

// record is for a server of this test: its breaches fail it.
func record(t *testing.T) (*recorder, grpc.ServerOption) {
	r := &recorder{talks: map[string]*conversation{}, leads: map[string][]string{}, sets: map[string]map[string]string{}, doubtful: map[string]bool{}}
	t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, b := range r.breaches[:min(10, len(r.breaches))] {
			t.Errorf("breach of the protocol: %s", b)
		}
	})
	return r, grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, of *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		s := &recorded{ServerStream: ss, recorder: r, only: typeOf(of.FullMethod), types: map[string]*tally{}}
		defer s.over()
		return next(srv, s)
	})
}

// typeOf is the type of a stream, empty for an aggregated one.
func typeOf(method string) string {
	for service, url := range map[string]string{"Clusters": clusterType, "Listeners": listenerType, "ScopedRoutes": scopeType, "Routes": routeType, "Endpoints": endpointType, "Runtime": runtimeType, "Secrets": secretType, "ExtensionConfigs": extensionType} {
		if name := path.Base(method); name == "Delta"+service || name == "Stream"+service {
			return url
		}
	}
	return ""
}

// recorded is one stream.
type recorded struct {
	grpc.ServerStream
	recorder *recorder
	only     string        // the type of the stream, if it has one
	talk     *conversation // from the first request on
	types    map[string]*tally
}

func (s *recorded) RecvMsg(m any) error {
	s.recorder.mu.Lock()
	for _, t := range s.types { // the server has the request before this one
		t.was = nil
	}
	s.recorder.mu.Unlock()
	if err := s.ServerStream.RecvMsg(m); err != nil {
		s.over()
		return err
	}
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.recorder.seen++
	s.heard(m)
	return nil
}

func (s *recorded) SendMsg(m any) error {
	s.recorder.mu.Lock()
	s.recorder.seen++
	s.says(unpacked(m))
	s.recorder.mu.Unlock()
	return s.ServerStream.SendMsg(m)
}

// unpacked is an answer as it is on the wire.
func unpacked(m any) any {
	p, is := m.(prepared)
	if !is {
		return m
	}
	if p.encoded == nil {
		return p.DeltaDiscoveryResponse
	}
	out := &discoveryv3.DeltaDiscoveryResponse{}
	if err := proto.Unmarshal(p.encoded, out); err != nil {
		panic(err)
	}
	return out
}

func (s *recorded) over() {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	if s.talk != nil {
		s.talk.ended = true
	}
}

func (s *recorded) breach(format string, args ...any) {
	node := ""
	if s.talk != nil {
		node = s.talk.node
	}
	s.recorder.breaches = append(s.recorder.breaches, node+": "+fmt.Sprintf(format, args...))
}

// heard takes a request; of a state of the world it makes one of differences.
func (s *recorded) heard(m any) {
	of := m.(message)
	url := of.GetTypeUrl()
	if url == "" {
		url = s.only
	}
	s.join(of, url)
	t := s.types[url]
	first := t == nil
	if first {
		_, whole := m.(*discoveryv3.DiscoveryRequest)
		t = &tally{
			url: url, whole: whole, nonces: map[string]bool{}, has: map[string]string{}, asked: map[string]bool{}, now: map[string]bool{},
			anew: map[string]bool{},
		}
		s.types[t.url], s.talk.types[t.url] = t, t
	}
	switch r := m.(type) {
	case *discoveryv3.DeltaDiscoveryRequest:
		s.heardDelta(t, r, first)
	case *discoveryv3.DiscoveryRequest:
		s.heardWhole(t, r, first)
	}
}

// join finds the conversation that a stream is part of.
func (s *recorded) join(of message, url string) {
	if s.talk != nil {
		return
	}
	node := of.GetNode().GetCluster() + " " + of.GetNode().GetId()
	k := s.recorder.talks[node]
	if k == nil || k.ended || k.types[url] != nil {
		k = &conversation{node: node, types: map[string]*tally{}}
		s.recorder.talks[node] = k
	}
	s.talk = k
}

func (s *recorded) heardDelta(t *tally, r *discoveryv3.DeltaDiscoveryRequest, first bool) {
	if first {
		maps.Copy(t.has, r.InitialResourceVersions)
	}
	for _, name := range r.ResourceNamesUnsubscribe {
		delete(t.now, name)
		delete(t.has, name)
	}
	for _, name := range r.ResourceNamesSubscribe {
		t.asked[name], t.now[name] = true, true
		if !first || r.InitialResourceVersions[name] == "" {
			t.anew[name] = true
		}
	}
	if t.flying != nil && r.ResponseNonce == t.flying.nonce {
		s.closed(t, r.GetErrorDetail().GetMessage(), r.ErrorDetail != nil)
	}
}

func (s *recorded) heardWhole(t *tally, r *discoveryv3.DiscoveryRequest, first bool) {
	if first {
		set, known := s.recorder.sets[t.url+r.VersionInfo]
		t.vague = r.VersionInfo != "" && (!known || s.recorder.doubtful[s.talk.node+t.url])
		for name, version := range set {
			if !t.vague && (wildcard(t.url) || slices.Contains(r.ResourceNames, name)) {
				t.has[name] = version
			}
		}
	} else if r.ResponseNonce != t.last {
		return
	}
	next := map[string]bool{}
	for _, name := range r.ResourceNames {
		t.asked[name], next[name] = true, true
	}
	if !maps.Equal(next, t.now) {
		t.again = true
	}
	for name := range t.now {
		if !next[name] && !wildcard(t.url) {
			delete(t.has, name)
		}
	}
	t.was, t.now = t.now, next
	if !first && t.flying != nil {
		s.closed(t, r.GetErrorDetail().GetMessage(), r.ErrorDetail != nil)
	}
}

// says takes an answer, before it is sent.
func (s *recorded) says(m any) {
	var url, nonce string
	out := &said{added: map[string]string{}}
	switch r := m.(type) {
	case *discoveryv3.DeltaDiscoveryResponse:
		url, nonce, out.removed = r.TypeUrl, r.Nonce, r.RemovedResources
		for _, a := range r.Resources {
			out.added[a.Name] = a.Version
			s.recorder.learn(url, a)
		}
	case *discoveryv3.DiscoveryResponse:
		url, nonce = r.TypeUrl, r.Nonce
		for _, a := range r.Resources {
			one := resource(url, nameOf(a), a.Value)
			if _, twice := out.added[one.Name]; twice {
				s.breach("%s is twice in an answer", one.Name)
			}
			out.added[one.Name] = one.Version
			s.recorder.learn(url, one)
		}
		if r.VersionInfo == "" {
			s.breach("an answer of %s has no version", url)
		}
	}
	t := s.types[url]
	if t == nil {
		s.breach("an answer of %s, which was not asked for on this stream", url)
		return
	}
	out.nonce = nonce
	if r, ok := m.(*discoveryv3.DiscoveryResponse); ok {
		s.difference(t, out, r.VersionInfo)
	}
	s.judge(t, out)
	t.flying, t.last = out, nonce
}

// difference makes a state of the world one.
func (s *recorded) difference(t *tally, out *said, version string) {
	set := map[string]string{}
	if !wildcard(t.url) {
		maps.Copy(set, t.has)
	}
	maps.Copy(set, out.added)
	s.recorder.sets[t.url+version] = set
	if !wildcard(t.url) {
		return
	}
	for name := range out.added {
		if len(t.asked) > 0 && !t.now[everything] && !t.now[name] && !t.was[name] {
			s.breach("%s is sent, which was not asked for", name)
		}
	}
	if maps.Equal(out.added, t.has) && t.last != "" && !t.again {
		s.breach("an answer of %s holds nothing but what is acknowledged", t.url)
	}
	t.again = false
	for name, had := range t.has {
		switch out.added[name] {
		case had:
			delete(out.added, name)
		case "":
			out.removed = append(out.removed, name)
		}
	}
}

// closed takes an acknowledgement or a refusal of the answer that is under way.
func (s *recorded) closed(t *tally, why string, refused bool) {
	out := t.flying
	t.flying = nil
	s.recorder.doubtful[s.talk.node+t.url] = refused
	for _, name := range out.removed {
		delete(t.has, name)
	}
	if !refused {
		t.vague = false
		maps.Copy(t.has, out.added)
		return
	}
	t.again = true
	told := slices.ContainsFunc(slices.Collect(maps.Keys(out.added)), func(name string) bool { return names(why, name) })
	for name, version := range out.added {
		t.anew[name] = true
		if t.url == clusterType && told && !names(why, name) {
			t.has[name] = version // a proxy takes what it does not complain of
		}
	}
}

// learn notes which clusters a route configuration names.
func (r *recorder) learn(url string, a *discoveryv3.Resource) {
	if url != routeType || r.leads[a.Version] != nil {
		return
	}
	rc := &routev3.RouteConfiguration{}
	_ = proto.Unmarshal(a.Resource.Value, rc)
	to := []string{}
	for _, v := range rc.VirtualHosts {
		for _, one := range v.Routes {
			action := one.GetRoute()
			if strings.HasSuffix(one.Name, envoy.Warming) {
				continue // nothing is sent that way
			}
			if c := action.GetCluster(); c != "" {
				to = append(to, c)
			}
			for _, w := range action.GetWeightedClusters().GetClusters() {
				to = append(to, w.Name)
			}
			for _, w := range action.GetRequestMirrorPolicies() {
				to = append(to, w.Cluster)
			}
		}
	}
	r.leads[a.Version] = to
}
