package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/schema"
)

// TestIncrementalTellsTheSame holds that a checker which knows the edges before tells of one what a checker tells that has seen none.
func TestIncrementalTellsTheSame(t *testing.T) {
	told := map[schema.Code]int{}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		var known Checker
		services, revision := map[schema.ServiceID]schema.Service{}, 0
		for step := range 40 {
			for range 1 + r.IntN(3) {
				id := schema.ServiceID(fmt.Sprintf("s%d", r.IntN(8)))
				if revision++; r.IntN(4) == 0 {
					delete(services, id)
					continue
				}
				services[id] = anyService(r, id, fmt.Sprint(revision))
			}
			e := schema.Edge{Platform: somePlatform()}
			for id := range services {
				e.Services = append(e.Services, services[id])
			}
			slices.SortFunc(e.Services, func(a, b schema.Service) int { return int(a.ID[1]) - int(b.ID[1]) })
			today := schema.Date{Year: 2026, Month: 1, Day: 1 + step/10}
			got, want := sorted(known.Check(e, today, nil)), sorted(new(Checker).Check(e, today, nil))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d step %d (-fresh +incremental):\n%s", seed, step, diff)
			}
			for _, p := range append(want.Problems, want.Warnings...) {
				told[p.Code]++
			}
		}
	}
	for _, code := range []schema.Code{"host/duplicate", "host/wildcard", "redirect/loop", "redirect/dangling", "backend/loop"} {
		if told[code] < 20 {
			t.Errorf("%s was told %d times: the edges are too tame", code, told[code])
		}
	}
}

func sorted(v Verdict) Verdict {
	schema.SortProblems(v.Problems)
	schema.SortProblems(v.Warnings)
	return v
}

func somePlatform() schema.Platform {
	return schema.Platform{
		Name: "acme", Revision: "1", Approvers: []schema.TeamID{"b"},
		Teams:  []schema.Team{{ID: "a", Name: "A", Domains: []schema.Hostname{"x.test"}, OnCall: "#a"}, {ID: "b", Name: "B", Domains: []schema.Hostname{"x.test"}, OnCall: "#b"}},
		Fleets: []schema.Fleet{{ID: "edge", Listeners: []schema.Listener{{Exposure: "public", Port: 443}}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}},
		Zones:  []schema.Zone{{Name: "x.test", Exposure: "public"}},
	}
}

// anyService has names and references that may clash with those of others.
func anyService(r *rand.Rand, id schema.ServiceID, revision string) schema.Service {
	host := func() schema.Hostname {
		return []schema.Hostname{"a.x.test", "b.x.test", "c.x.test", "d.a.x.test", "*.a.x.test", "*.x.test"}[r.IntN(6)]
	}
	s := schema.Service{ID: id, Owner: schema.Owner{Team: schema.TeamID([]string{"a", "b"}[r.IntN(2)]), OnCall: "#x"}, Hosts: []schema.Hostname{host()}, Exposure: "public", Fleet: "edge",
		Revision: revision, Source: schema.Source{File: "services/" + string(id) + ".cue"}}
	switch r.IntN(4) {
	case 0:
		s.Backends = []schema.Backend{{ID: "web", Location: schema.DNSName{Name: plain(host()), Port: 80}, Health: &schema.HealthCheck{Path: "/"}}}
		s.Routes = []schema.Route{{Name: "all", Action: schema.Forward{To: []schema.Destination{{Backend: "web", Weight: 100}}}}}
	case 1:
		s.Routes = []schema.Route{{Name: "all", Action: schema.Respond{Status: 200}}}
		s.Waivers = []schema.Waiver{{Rule: "host/wildcard", Reason: "r", Expires: schema.Date{Year: 2026, Month: 1, Day: 1 + r.IntN(6)}, Approver: "b"}}
	default:
		s.Routes = []schema.Route{{Name: "all", Action: schema.Redirect{Host: plain(host()), Path: "/", Code: 302}}}
	}
	return s
}

func TestChange(t *testing.T) {
	service := func(id schema.ServiceID, exposure schema.Exposure, host, to schema.Hostname, waivers ...schema.Waiver) schema.Service {
		s := schema.Service{ID: id, Owner: schema.Owner{Team: "a"}, Exposure: exposure, Hosts: []schema.Hostname{host}, Waivers: waivers, Source: schema.Source{File: "f.cue"}}
		if to != "" {
			s.Routes = []schema.Route{{Name: "old", Action: schema.Redirect{Host: to}}}
		}
		return s
	}
	edge := func(services ...schema.Service) schema.Edge {
		return schema.Edge{Platform: somePlatform(), Services: services}
	}
	waiver := schema.Waiver{Rule: Opened, Reason: "it is meant", Expires: schema.Date{Year: 2026, Month: 1, Day: 31}, Approver: "b"}
	wrong := waiver
	wrong.Approver = "a"
	for _, c := range []struct {
		name          string
		before, after schema.Edge
		day           int
		unread        string
		want          string
	}{
		{name: "nothing", before: edge(service("a", "public", "a.x.test", "")), after: edge(service("a", "public", "a.x.test", ""))},
		{name: "new and public", after: edge(service("a", "public", "a.x.test", ""))},
		{name: "closed", before: edge(service("a", "public", "a.x.test", "")), after: edge(service("a", "internal", "a.x.test", ""))},
		{name: "opened", before: edge(service("a", "internal", "a.x.test", "")), after: edge(service("a", "public", "a.x.test", "")), want: "a exposure/opened"},
		{name: "opened with a word", before: edge(service("a", "internal", "a.x.test", "")), after: edge(service("a", "public", "a.x.test", "", waiver))},
		{name: "opened with the word of somebody", before: edge(service("a", "internal", "a.x.test", "")), after: edge(service("a", "public", "a.x.test", "", wrong)), want: "a exposure/opened"},
		{name: "opened too late", before: edge(service("a", "internal", "a.x.test", "")), after: edge(service("a", "public", "a.x.test", "", waiver)), day: 40, want: "a exposure/opened"},
		{name: "pointed at", before: edge(service("a", "public", "a.x.test", ""), service("b", "public", "b.x.test", "a.x.test")), after: edge(service("b", "public", "b.x.test", "a.x.test")), want: "a host/removed"},
		{name: "renamed", before: edge(service("a", "public", "a.x.test", ""), service("b", "public", "b.x.test", "a.x.test")), after: edge(service("a", "public", "c.x.test", ""), service("b", "public", "b.x.test", "a.x.test")), want: "a host/removed"},
		{name: "pointed at no longer", before: edge(service("a", "public", "a.x.test", ""), service("b", "public", "b.x.test", "a.x.test")), after: edge(service("b", "public", "b.x.test", "c.x.test"))},
		{name: "moved", before: edge(service("a", "public", "a.x.test", ""), service("b", "public", "b.x.test", "a.x.test")), after: edge(service("b", "public", "b.x.test", "a.x.test"), service("c", "public", "a.x.test", ""))},
		{name: "in a file that cannot be read", before: edge(service("a", "public", "a.x.test", ""), service("b", "public", "b.x.test", "a.x.test")), after: edge(service("b", "public", "b.x.test", "a.x.test")), unread: "a.x.test"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			today := schema.Date{Year: 2026, Month: 1, Day: 1}
			if c.day > 0 {
				today = schema.Date{Year: 2026, Month: 2, Day: 9}
			}
			for _, p := range CheckChange(c.before, c.after, today, func(h schema.Hostname) bool { return string(h) == c.unread }) {
				got += p.Held(9) + " " + string(p.Code)
			}
			if got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

// TestStrictness holds what becomes of a breach by waiver, day and the platform's word.
func TestStrictness(t *testing.T) {
	until := func(day int) schema.Date { return schema.Date{Year: 2026, Month: 6, Day: day} }
	waiver := schema.Waiver{Rule: "backend/health", Reason: "r", Expires: until(20), Approver: "b"}
	at := func(path string) schema.Waiver { w := waiver; w.At = path; return w }
	for _, c := range []struct {
		name      string
		rule      schema.Strictness
		waivers   []schema.Waiver
		health    bool
		day       int
		want      string
		deprecate bool
	}{
		{name: "a breach", day: 1, want: "backend/health"},
		{name: "a warning", rule: schema.Warn, day: 1, want: "warning backend/health"},
		{name: "switched off", rule: schema.Off, day: 1},
		{name: "waived", waivers: []schema.Waiver{waiver}, day: 1},
		{name: "waived there", waivers: []schema.Waiver{at("backends.web")}, day: 1},
		{name: "waived above", waivers: []schema.Waiver{at("backends")}, day: 1},
		{name: "waived elsewhere", waivers: []schema.Waiver{at("backends.we")}, day: 1, want: "backend/health warning waiver/unused"},
		{name: "waived, for not much longer", waivers: []schema.Waiver{waiver}, day: 10, want: "warning waiver/ending"},
		{name: "the last day", waivers: []schema.Waiver{waiver}, day: 20, want: "warning waiver/ending"},
		{name: "over", waivers: []schema.Waiver{waiver}, day: 21, want: "backend/health waiver/expired"},
		{name: "not needed", waivers: []schema.Waiver{waiver}, health: true, day: 1, want: "warning waiver/unused"},
		{name: "deprecated", health: true, deprecate: true, day: 15, want: "warning field/deprecated"},
		{name: "no longer taken", health: true, deprecate: true, day: 16, want: "field/deprecated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := somePlatform()
			if c.rule != "" {
				p.Rules = map[schema.Code]schema.Strictness{"backend/health": c.rule}
			}
			if c.deprecate {
				p.Deprecated = map[string]schema.Deprecation{"backends.addresses": {Until: until(15), Use: "write dns"}}
			}
			s := schema.Service{ID: "s", Owner: schema.Owner{Team: "a", OnCall: "#a"}, Hosts: []schema.Hostname{"a.x.test"}, Exposure: "public", Fleet: "edge", Waivers: c.waivers,
				Backends: []schema.Backend{{ID: "web", Location: schema.Addresses{netip.MustParseAddrPort("10.0.0.1:80")}}},
				Routes:   []schema.Route{{Name: "all", Action: schema.Forward{To: []schema.Destination{{Backend: "web", Weight: 100}}}}},
				Source:   schema.Source{File: "services/a/s.cue", At: map[string]schema.Position{"backends.web.addresses": {File: "services/a/s.cue", Line: 3}}}}
			if c.health {
				s.Backends[0].Health = &schema.HealthCheck{Path: "/"}
			}
			v := sorted(new(Checker).Check(schema.Edge{Platform: p, Services: []schema.Service{s}}, until(c.day), nil))
			got := ""
			for _, p := range v.Problems {
				got += " " + string(p.Code)
			}
			for _, p := range v.Warnings {
				got += " warning " + string(p.Code)
			}
			if got != "" {
				got = got[1:]
			}
			if got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}
