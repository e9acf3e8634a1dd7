package xds

import (
	"fmt"
	"slices"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/edgewright/edgewright/schema"
)

// nodeOn is a node that says it is of a version of Envoy.
func nodeOn(id string, minor uint32) *corev3.Node {
	n := nodeNamed(id, "edge")
	n.UserAgentVersionType = &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{Version: &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: minor}}}
	return n
}

// TestCohorts: what proxies of one version of Envoy refuse keeps nobody of another from having it, and is served to them as the release says.
func TestCohorts(t *testing.T) {
	s, conn := newServerFor(t, delta)
	a := declared(t, "a", 1, "a.test")
	s.Publish(release(a))
	join := func(id string, minor uint32) *client {
		c := connect(t, conn)
		c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeOn(id, minor), TypeUrl: clusterType})
		c.ack(c.next(clusterType))
		c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: []string{bucketOf(a)}})
		c.ack(c.next(routeType))
		return c
	}
	old, young := join("old", 39), join("young", 40)
	eventually(t, "all have it", acknowledgedAs(s, a))

	next := declared(t, "a", 2, "a.test")
	s.Publish(release(next))
	old.nack(old.next(clusterType), "no such field")
	old.silent()
	young.ack(young.next(clusterType))
	young.ack(young.next(routeType))
	young.ack(young.next(clusterType))
	eventually(t, "one has it, and the other what it had", func() bool {
		v := s.Versions("edge", "a")
		return v["young"] == next.Version && v["old"] == a.Version
	})
	if version, ok := s.Acknowledged("edge", "a"); ok {
		t.Errorf("all are said to have %s", version)
	}
	refused := s.Refusals()
	if len(refused) != 1 || refused[0].Cohort != "1.39.0" || refused[0].Service != "a" || refused[0].Version != next.Version {
		t.Errorf("refusals are %+v", refused)
	}

	// The release says what a cohort gets: also one that nobody of was here before, as after a restart.
	again, conn := newServerFor(t, delta)
	r := release(next)
	r.Held = map[Cohort]map[schema.ServiceID]Service{"1.39.0": {"a": a}}
	again.Publish(r)
	for id, minor := range map[string]uint32{"old": 39, "young": 40} {
		want := map[uint32]Service{39: a, 40: next}[minor]
		c := connect(t, conn)
		c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeOn(id, minor), TypeUrl: clusterType})
		if got := resourceNames(c.next(clusterType)); !slices.Equal(got, []string{want.Unit.Clusters[0].Name}) {
			t.Errorf("%s gets %v, want %s", id, got, want.Unit.Clusters[0].Name)
		}
	}
	first, second := again.fleets["edge"].of["1.39.0"], again.fleets["edge"].of["1.40.0"]
	if first == nil || second == nil {
		t.Fatal("there are not two cohorts")
	}
}

// TestCohortsAreBounded: a proxy may say any version, and makes no more of the server than that.
func TestCohortsAreBounded(t *testing.T) {
	s, _ := newServerFor(t, delta)
	a := declared(t, "a", 1, "a.test")
	s.Publish(release(a))
	for n := range 3 * maxCohorts {
		f, _ := s.find(node{id: "x", fleet: "edge", envoy: fmt.Sprint("1.", n)})
		if f == nil || f.published["a"] == nil {
			t.Fatal("it gets nothing")
		}
		if n > 0 && f.published["a"] != s.fleets["edge"].of["1.0"].published["a"] {
			t.Fatal("it is encoded once more")
		}
	}
	if n := len(s.fleets["edge"].of); n != maxCohorts+1 {
		t.Errorf("there are %d cohorts", n)
	}
	if f, names := s.find(node{fleet: "nobody"}); f != nil || !slices.Equal(names, []schema.FleetID{"edge"}) {
		t.Errorf("a fleet that is not there: %v, %v", f, names)
	}
}

// only is the one cohort of the fleet.
func only(s *Server) *fleet {
	for _, f := range s.fleets["edge"].of {
		return f
	}
	return nil
}

// TestChangedIsTakenAtItsWord: of a release that names what differs only that is looked at, in every cohort; what is named and alike, or gone,
// is found out.
func TestChangedIsTakenAtItsWord(t *testing.T) {
	s, _ := newServerFor(t, delta)
	a, b, c := declared(t, "a", 1, "a.test"), declared(t, "b", 1, "b.test"), declared(t, "c", 1, "c.test")
	s.Publish(release(a, b, c))
	for _, version := range []string{"1.39.0", "1.40.0"} {
		s.find(node{fleet: "edge", envoy: version})
	}
	next := release(declared(t, "a", 2, "a.test"), b)
	next.Changed = []schema.ServiceID{"a", "b", "c"}
	before := s.fleets["edge"].of["1.40.0"].published["b"]
	s.Publish(next)
	for version, f := range s.fleets["edge"].of {
		if len(f.published) != 2 || f.published["a"].Version != next.Services["a"].Version || f.published["b"] != before || f.published["c"] != nil {
			t.Errorf("%s is published %v", version, f.published)
		}
	}
	unsaid := release(declared(t, "a", 3, "a.test"), b)
	unsaid.Changed = []schema.ServiceID{}
	s.Publish(unsaid)
	if f := s.fleets["edge"].of["1.39.0"]; f.published["a"].Version != next.Services["a"].Version {
		t.Error("what is not named was looked at")
	}
	s.find(node{fleet: "edge", envoy: "1.41.0"}) // one that is new gets all
	if f := s.fleets["edge"].of["1.41.0"]; len(f.published) != 2 || f.published["a"].Version != unsaid.Services["a"].Version {
		t.Errorf("the new one is published %v", f.published)
	}
}
