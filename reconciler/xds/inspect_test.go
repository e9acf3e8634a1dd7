package xds

import (
	"context"
	"errors"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// inspected is one type of a proxy as it is now.
func inspected(t *testing.T, s *Server, node, url string) InspectedType {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	got, err := s.Inspect(ctx, "edge", node)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range got.Types {
		if one.URL == url {
			return one
		}
	}
	t.Fatalf("%s is not told of %s", url, node)
	return InspectedType{}
}

// TestInspect follows a change of a service through what is told of a proxy: what it has, what it would have, and how far it is.
func TestInspect(t *testing.T) { speaking(t, testInspect) }

func testInspect(t *testing.T, speaks form) {
	s, conn := newServerFor(t, speaks)
	a, a2 := declared(t, "a", 1, "a.test"), declared(t, "a", 2, "a.test")
	old, next := a.Unit.Clusters[0].Name, a2.Unit.Clusters[0].Name
	s.Publish(release(a))
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: clusterType})
	first := c.next(clusterType)
	if got := inspected(t, s, "one", clusterType); got.Version != "" || len(got.Differ) != 1 || got.Differ[0].State != Sent {
		t.Errorf("under way: %+v", got)
	}
	c.ack(first)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: []string{bucketOf(a)}})
	c.ack(c.next(routeType))
	eventually(t, "clusters are as published", func() bool {
		got := inspected(t, s, "one", clusterType)
		return got.Version != "" && got.Version == got.Published && got.Has == 1 && got.Wants == 1 && len(got.Differ) == 0
	})
	if got := inspected(t, s, "one", listenerType); got.Has != 0 || got.Wants != 1 || len(got.Differ) != 1 || got.Differ[0].State != NotSent {
		t.Errorf("listeners, which nobody has asked for: %+v", got)
	}

	s.Publish(release(a2))
	added := c.next(clusterType)
	got := inspected(t, s, "one", clusterType)
	states := map[string]InspectedState{}
	for _, r := range got.Differ {
		states[r.Name] = r.State
		if r.Name == next && r.Of != "a" {
			t.Errorf("it is of %q", r.Of)
		}
	}
	if len(states) != 2 || states[old] != Stale || states[next] != Sent {
		t.Errorf("while the new cluster is under way: %v", states)
	}
	c.ack(added)
	c.ack(c.next(routeType))
	c.ack(c.next(clusterType))
	eventually(t, "clusters are as published again", func() bool { return len(inspected(t, s, "one", clusterType).Differ) == 0 })

	if _, err := s.Inspect(t.Context(), "edge", "two"); !errors.Is(err, ErrNotConnected) {
		t.Errorf("one that is not there: %v", err)
	}
	c.close()
	eventually(t, "it is gone", func() bool {
		_, err := s.Inspect(t.Context(), "edge", "one")
		return errors.Is(err, ErrNotConnected)
	})
}

// TestInspectRefused: what a proxy refused is told with its reason.
func TestInspectRefused(t *testing.T) {
	s, conn := newServerFor(t, delta)
	before := declared(t, "a", 1, "a.test")
	s.Publish(release(before))
	newModel(t, conn, "one")
	eventually(t, "first release", acknowledgedAs(s, before))
	s.Publish(release(bad(t, declared(t, "a", 2, "a.test"))))
	eventually(t, "it is refused", func() bool { return len(s.Refusals()) == 1 })
	eventually(t, "its cluster is told as refused", func() bool {
		for _, r := range inspected(t, s, "one", clusterType).Differ {
			if r.State == Refused && r.Why == "missing )" && r.Of == "a" {
				return true
			}
		}
		return false
	})
}

// TestInspectSecrets: of secrets only the names and versions are told.
func TestInspectSecrets(t *testing.T) {
	s, conn := newServerFor(t, delta)
	c := secure(t, s, conn, madeSecret("certificate/first", "1"))
	askForSecrets(c, "certificate/first")
	c.ack(c.next(secretType))
	eventually(t, "it has it", func() bool {
		got := inspected(t, s, "one", secretType)
		return got.Has == 1 && got.Version != ""
	})
	got := inspected(t, s, "one", secretType)
	if len(got.Differ) != 0 || len(got.all) != 1 || got.all[0].Name != "certificate/first" || got.all[0].Has == "" || got.all[0].bytes != nil {
		t.Errorf("%+v", got)
	}
}
