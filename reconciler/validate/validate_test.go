package validate_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	proxies "github.com/edgewright/edgewright/fixtures/envoy"
	"github.com/edgewright/edgewright/reconciler/validate"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// service forwards to two backends outside of this machine, and answers one path itself.
func service(id schema.ServiceID) schema.Service {
	s := schema.Service{ID: id, Exposure: "public", Hosts: []schema.Hostname{schema.Hostname(id) + ".edge.test"},
		Backends: []schema.Backend{
			{ID: "blue", Location: schema.Addresses([]netip.AddrPort{netip.MustParseAddrPort("203.0.113.9:80"), netip.MustParseAddrPort("[2001:db8::9]:80")})},
			{ID: "green", Location: schema.DNSName{Name: "green.up.example", Port: 443}},
		}}
	for i := range 9 {
		s.Routes = append(s.Routes, schema.Route{Name: fmt.Sprint("r", i), Match: schema.Match{Path: schema.Prefix(fmt.Sprint("/p", i))},
			Action: schema.Forward{To: []schema.Destination{{Backend: "blue", Weight: 50}, {Backend: "green", Weight: 50}}}})
	}
	return s
}

func unit(t *testing.T, s schema.Service) envoy.Unit {
	t.Helper()
	u, _, err := envoy.Render(schema.Fleet{ID: "edge", Listeners: []schema.Listener{{Exposure: "public", Port: 80}}}, s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// edited is a unit that was changed by hand: what no declaration renders to.
func edited(t *testing.T, host func(*routev3.VirtualHost), cluster func(*clusterv3.Cluster)) envoy.Unit {
	t.Helper()
	u := unit(t, service("edited"))
	h, c := &routev3.VirtualHost{}, &clusterv3.Cluster{}
	if err := proto.Unmarshal(u.VirtualHost, h); err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(u.Clusters[1].Proto, c); err != nil {
		t.Fatal(err)
	}
	host(h)
	cluster(c)
	var err error
	if u.VirtualHost, err = proto.Marshal(h); err == nil {
		u.Clusters[1].Proto, err = proto.Marshal(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func validator(t *testing.T, c validate.Config) *validate.Validator {
	t.Helper()
	v, err := validate.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func withEnvoy(t *testing.T) validate.Config {
	t.Helper()
	return validate.Config{Binary: proxies.Binary(proxies.Tools(t))}
}

func regex(of string) func(*schema.Service) {
	return func(s *schema.Service) { s.Routes[6].Match.Path = schema.Regex(of) }
}

// TestEnvoyRefuses holds what only Envoy says, and where it is at fault. The regular expressions are such as the rules of
// schema/policy take.
func TestEnvoyRefuses(t *testing.T) {
	untouchedHost, untouchedCluster := func(*routev3.VirtualHost) {}, func(*clusterv3.Cluster) {}
	declared := func(change func(*schema.Service)) envoy.Unit {
		s := service("declared")
		change(&s)
		return unit(t, s)
	}
	cases := []struct {
		name    string
		unit    envoy.Unit
		says    string // empty: it is taken
		route   string
		backend schema.BackendID
	}{
		{name: "fine", unit: unit(t, service("fine"))},
		{name: "code point", unit: declared(regex(`/\x{1F600}`)), says: "invalid escape sequence", route: "r6"},
		{name: "program size", unit: declared(regex(`/[^é]{40}`)), says: "program size", route: "r6"},
		{name: "weights", unit: declared(func(s *schema.Service) {
			s.Routes[0].Action = schema.Forward{To: []schema.Destination{{Backend: "blue"}, {Backend: "green"}}}
		}), says: "Sum of weights", route: "r0"},
		{name: "header", unit: declared(func(s *schema.Service) { s.Routes[8].Headers.Request.Remove = []string{"host"} }), says: "host headers may not be removed", route: "r8"},
		{name: "unknown cluster", unit: edited(t, func(h *routev3.VirtualHost) {
			h.Routes[3].GetRoute().ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: "gone"}
		}, untouchedCluster), says: "unknown cluster 'gone'", route: "r3"},
		{name: "header format", unit: edited(t, func(h *routev3.VirtualHost) {
			h.Routes[2].ResponseHeadersToAdd = []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "x-a", Value: "%NONSENSE(x)%"}}}
		}, untouchedCluster), says: "NONSENSE", route: "r2"},
		{name: "cluster provided", unit: edited(t, untouchedHost, func(c *clusterv3.Cluster) {
			c.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
		}), says: "cluster", backend: "green"},
		{name: "domains", unit: func() envoy.Unit {
			u := unit(t, service("domains"))
			u.Domains = []schema.Hostname{"a.edge.test", "A.edge.test"}
			return u
		}(), says: "domains"},
		{name: "proto rule", unit: edited(t, func(h *routev3.VirtualHost) { h.Routes[5].Match.PathSpecifier = nil }, untouchedCluster), says: "required", route: "r5"},
		{name: "proto rule of a cluster", unit: edited(t, untouchedHost, func(c *clusterv3.Cluster) { c.ConnectTimeout = durationpb.New(-time.Second) }), says: "greater than 0s", backend: "green"},
		{name: "proto rule within a packed message", unit: edited(t, untouchedHost, func(c *clusterv3.Cluster) {
			for name := range c.TypedExtensionProtocolOptions {
				packed, err := anypb.New(&httpv3.HttpProtocolOptions{})
				if err != nil {
					t.Fatal(err)
				}
				c.TypedExtensionProtocolOptions[name] = packed
			}
		}), says: "required", backend: "green"},
		{name: "a name where only an address can stand", unit: edited(t, untouchedHost, func(c *clusterv3.Cluster) {
			c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		}), says: `"green.up.example" is no IP address`, backend: "green"},
	}
	v := validator(t, withEnvoy(t))
	var all []envoy.Unit
	for _, c := range cases {
		all = append(all, c.unit)
	}
	// All in one go: what is wrong with one says nothing of the others.
	for i, got := range v.Validate(t.Context(), all) {
		c := cases[i]
		if got.Unsure != "" || (got.Refused != "") != (c.says != "") || !strings.Contains(got.Refused, c.says) || got.Route != c.route || got.Backend != c.backend {
			t.Errorf("%s: %+v, want %q of route %q, backend %q", c.name, got, c.says, c.route, c.backend)
		}
		if strings.Contains(got.Refused, "/tmp") || strings.ContainsAny(got.Refused, "\n\t") {
			t.Errorf("%s: %q is not what an author needs", c.name, got.Refused)
		}
	}
}

func TestManyTakeOneRun(t *testing.T) {
	runs := 0
	c := withEnvoy(t)
	c.Ran = func(time.Duration) { runs++ }
	v := validator(t, c)
	var units []envoy.Unit
	for i := range 100 {
		units = append(units, unit(t, service(schema.ServiceID(fmt.Sprint("s", i)))))
	}
	units = append(units, units[0], units[1]) // two pulls may ask for the same, or for two versions of one service
	for _, got := range v.Validate(t.Context(), units) {
		if got != (validate.Verdict{}) {
			t.Errorf("%+v", got)
		}
	}
	if runs != 1 {
		t.Errorf("%d runs of Envoy, want 1", runs)
	}
}

// script is an Envoy that does what a script says.
func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "envoy")
	text = "#!/bin/sh\n[ \"$1\" = --version ] && { echo 'envoy  version: 1/1.40.0/test'; exit; }\n" + text
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// One that hangs is ended, with all that it has started; nothing is known then, and nothing is left behind.
func TestEnvoyThatHangs(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	pids := t.TempDir() // a folder for each process: it must not write files
	v := validator(t, validate.Config{Within: 300 * time.Millisecond, Binary: script(t, "sleep 600 & mkdir "+pids+"/$$ "+pids+"/$!; wait\n")})
	began := time.Now()
	got := v.Validate(t.Context(), []envoy.Unit{unit(t, service("a")), unit(t, service("b"))})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	for _, one := range got {
		if one.Refused != "" || !strings.Contains(one.Unsure, "did not end within 300ms") {
			t.Errorf("%+v", one)
		}
	}
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	started, err := os.ReadDir(pids)
	if err != nil || len(started) < 2 {
		t.Fatal(started, err)
	}
	for _, pid := range started {
		for end := time.Now().Add(5 * time.Second); alive(pid.Name()); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("process %s lives", pid.Name())
			}
		}
	}
}

// alive tells whether a process runs; one that has ended and that nobody has asked about does not.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	_, after, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(after, "Z")
}

// words are scripts that look for a word in the configuration.
func TestEnvoyThatFails(t *testing.T) {
	good, bad := unit(t, service("good")), unit(t, service("bad"))
	for name, c := range map[string]struct {
		script string
		want   validate.Verdict // of the bad one
		good   validate.Verdict
	}{
		"crashes on one":    {"grep -q bad.edge.test \"$4\" && kill -SEGV $$; exit 0", validate.Verdict{Refused: "Envoy crashes on it (segmentation fault)"}, validate.Verdict{}},
		"hangs on one":      {"grep -q bad.edge.test \"$4\" && exec sleep 600; exit 0", validate.Verdict{Unsure: "Envoy did not end within 1s"}, validate.Verdict{}},
		"crashes on all":    {"kill -SEGV $$", validate.Verdict{Unsure: "Envoy crashes on it (segmentation fault)"}, validate.Verdict{Unsure: "Envoy crashes on it (segmentation fault)"}},
		"says another word": {"echo no memory; exit 1", validate.Verdict{Unsure: "Envoy ended with exit status 1: no memory"}, validate.Verdict{Unsure: "Envoy ended with exit status 1: no memory"}},
		"computes for ever": {"grep -q bad.edge.test \"$4\" && while :; do :; done; exit 0", validate.Verdict{Unsure: "Envoy was ended: CPU time limit exceeded"}, validate.Verdict{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			within := time.Second
			if name == "computes for ever" {
				within = 20 * time.Second
			}
			v := validator(t, validate.Config{Binary: script(t, c.script), Within: within, CPU: time.Second})
			got := v.Validate(t.Context(), []envoy.Unit{good, bad})
			if got[0] != c.good || got[1] != c.want {
				t.Errorf("%+v, want %+v and %+v", got, c.good, c.want)
			}
		})
	}
}

func TestRunsAreBounded(t *testing.T) {
	now, seen := t.TempDir(), t.TempDir()
	v := validator(t, validate.Config{Binary: script(t, "mkdir "+now+"/$$; sleep 0.1; mkdir "+seen+"/$$-$(ls "+now+" | wc -l); rmdir "+now+"/$$\n")})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { v.Validate(t.Context(), []envoy.Unit{unit(t, service("a"))}) })
	}
	all.Wait()
	runs, err := os.ReadDir(seen)
	if err != nil || len(runs) != 8 {
		t.Fatalf("%d runs, want 8: %v", len(runs), err)
	}
	together := false
	for _, run := range runs {
		_, n, _ := strings.Cut(run.Name(), "-")
		if together = together || n == "2"; n != "1" && n != "2" {
			t.Errorf("%s runs at a time, want 2 at most", n)
		}
	}
	if !together {
		t.Error("there were never two runs at a time")
	}
}

func TestWithoutEnvoy(t *testing.T) {
	v := validator(t, validate.Config{})
	bad := edited(t, func(h *routev3.VirtualHost) { h.Routes[5].Match.PathSpecifier = nil }, func(*clusterv3.Cluster) {})
	got := v.Validate(t.Context(), []envoy.Unit{unit(t, service("a")), bad})
	if got[0] != (validate.Verdict{}) || got[1].Route != "r5" {
		t.Errorf("%+v", got)
	}
	if with := validator(t, withEnvoy(t)); with.By() == v.By() || !strings.Contains(with.By(), "/1.40.0/") {
		t.Errorf("verdicts of %q and %q", with.By(), v.By())
	}
	for binary, want := range map[string]string{"/nowhere/envoy": "no such file", "/bin/true": "not what Envoy says", "/bin/false": "exit status 1"} {
		if _, err := validate.New(t.Context(), validate.Config{Binary: binary}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), binary) {
			t.Errorf("%s: %v, want %q", binary, err, want)
		}
	}
}
