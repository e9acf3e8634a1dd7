package xds

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/edgewright/edgewright/fixtures/envoy"
	renderenvoy "github.com/edgewright/edgewright/render/envoy"
)

// TestRuntime: real proxies take the runtime of their fleet as it is published, with nothing else made anew, and lose what is gone.
func TestRuntime(t *testing.T) { bootstraps(t, runtimeFollows) }

func runtimeFollows(t *testing.T, like envoy.Config) {
	s, port := control(t)
	a := declaredAt(t, "a", backend(t, "blue"), "a.test")
	publish := func(values map[string]string) {
		r := release(a)
		r.Fleet.Runtime = values
		s.Publish(r)
	}
	publish(map[string]string{"edge.label": "one", "edge.share": "12.5", "edge.on": "true"})
	p := runNamed(t, like, "one", port)
	eventually(t, "the first values", func() bool {
		got := runtimeOf(t, p)
		return got["edge.label"] == "one" && got["edge.share"] == "12.5" && got["edge.on"] == "true"
	})
	eventually(t, "everything else", acknowledgedAs(s, a))
	before, err := p.Updates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	publish(map[string]string{"edge.label": "two", "edge.on": "false"})
	eventually(t, "the next values", func() bool {
		got := runtimeOf(t, p)
		_, share := got["edge.share"]
		return got["edge.label"] == "two" && got["edge.on"] == "false" && !share
	})
	publish(nil)
	eventually(t, "none", func() bool { _, label := runtimeOf(t, p)["edge.label"]; return !label })
	after, err := p.Updates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range after {
		if before[name] != n && !strings.HasPrefix(name, "runtime.") {
			t.Errorf("%s was %d and is %d: only the runtime changed", name, before[name], n)
		}
	}
}

// runtimeOf is what a proxy says that it has, by key.
func runtimeOf(t *testing.T, p *envoy.Proxy) map[string]string {
	t.Helper()
	response, err := http.Get(p.Admin + "/runtime")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var said struct {
		Entries map[string]struct {
			Value string `json:"final_value"`
		} `json:"entries"`
	}
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for key, one := range said.Entries {
		out[key] = one.Value
	}
	return out
}

// TestRuntimeByName: a layer that the fleet does not have is told to be absent; what a proxy has is not sent again, and what it refuses neither.
func TestRuntimeByName(t *testing.T) {
	s, conn := newServerFor(t, delta)
	publish := func(label string) {
		r := release(declared(t, "a", 1, "a.test"))
		r.Fleet.Runtime = map[string]string{"edge.label": label}
		s.Publish(r)
	}
	publish("one")
	c := connect(t, conn)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: runtimeType, ResourceNamesSubscribe: []string{"theirs", renderenvoy.RuntimeLayer}})
	first := c.next(runtimeType)
	if got := resourceNames(first); !slices.Equal(got, []string{renderenvoy.RuntimeLayer, "-theirs"}) {
		t.Errorf("layers %v", got)
	}
	c.ack(first)
	publish("two")
	c.nack(c.next(runtimeType), "no such value")
	eventually(t, "the refusal is told", func() bool {
		r := s.Refusals()
		return len(r) == 1 && r[0].Service == "" && r[0].Node == "one"
	})
	c.silent()
	publish("one")
	c.ack(c.next(runtimeType))
	c.close()
	eventually(t, "it is gone", func() bool { return len(s.Nodes()) == 0 })
	again := connect(t, conn)
	again.ask(&discoveryv3.DeltaDiscoveryRequest{Node: nodeNamed("one", "edge"), TypeUrl: runtimeType, ResourceNamesSubscribe: []string{renderenvoy.RuntimeLayer},
		InitialResourceVersions: map[string]string{renderenvoy.RuntimeLayer: first.Resources[0].Version}})
	again.silent()
}
