package reconciler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// checkIDs are the health checks that the platform may have.
var checkIDs = []schema.HealthCheckID{"up", "well", "spare"}

// writing tells whether an operation changes something.
func writing(operation string) bool {
	return !strings.HasPrefix(operation, "List") && !strings.HasPrefix(operation, "Get")
}

// checkEdit is a health check that comes, changes, or goes; what named it names it no more. A record comes to name one, or none.
func (s *sim) checkEdit() func(declarations) declarations {
	id, goes, n := checkIDs[s.IntN(len(checkIDs))], s.chance(1, 3), s.IntN(9)
	name, named := extraName(s.IntN(5), zoneNames[s.IntN(2)]), s.chance(3, 4) // in the account of the health checks
	return func(d declarations) declarations {
		out := d.clone()
		if _, there := d.checks[id]; there && goes {
			s.count("health check goes")
			delete(out.checks, id)
			for host, x := range out.records {
				if x.check == id {
					x.check = ""
					out.records[host] = x
				}
			}
			return out
		}
		out.checks[id] = n
		x := out.records[name]
		if x.form == "" {
			x = extra{form: "weighted", n: n}
		}
		if x.check = ""; named && x.form == "weighted" {
			x.check = id
		}
		out.records[name] = x
		return out
	}
}

// healthChecks are the platform's.
func (d declarations) healthChecks() []schema.DNSHealthCheck {
	var out []schema.DNSHealthCheck
	for _, id := range sortedKeys(d.checks) {
		out = append(out, schema.DNSHealthCheck{ID: id, Type: "https", Host: "health.acme.test", Port: 443, Path: fmt.Sprint("/", d.checks[id]), Interval: schema.Duration(30 * time.Second), Failures: 3})
	}
	return out
}

// nameOfCheck is the name of a health check of ours in the world: empty for others'.
func nameOfCheck(c world.HealthCheck) string {
	if parts := strings.Split(c.Reference, "/"); len(parts) == 4 && parts[0] == "edgewright" {
		return parts[2]
	}
	return ""
}

// checkHealthChecks judges what a call has changed about health checks: it was journalled, whoever takes one away was agreed to, nothing of
// others' is touched, none is made twice, and none goes that a record of ours names.
func (s *sim) checkHealthChecks(operation string, before []world.HealthCheck) {
	after := s.world.HealthChecks()
	was, is := map[string]world.HealthCheck{}, map[string]world.HealthCheck{}
	names := map[string]int{}
	for _, c := range before {
		was[c.ID] = c
	}
	for _, c := range after {
		is[c.ID] = c
		if name := nameOfCheck(c); name != "" {
			if names[name]++; names[name] > 1 {
				s.fail("%s: there are %d health checks %s", operation, names[name], name)
			}
		}
	}
	for _, id := range sortedKeys(was) {
		switch now, there := is[id]; {
		case !there:
			s.count("health check is deleted")
			s.countUnseen(was[id])
			s.checkIntended(was[id], plan.Delete)
			if naming := s.naming(id); len(naming) > 0 {
				s.fail("health check %s is deleted, and %v name it", nameOfCheck(was[id]), naming)
			}
		case now.Version != was[id].Version:
			s.count("health check is changed")
			s.checkIntended(now, plan.Update)
		}
	}
	for _, id := range sortedKeys(is) {
		if _, there := was[id]; !there {
			s.count("health check is made")
			s.checkIntended(is[id], plan.Create)
		}
	}
}

// countUnseen notes a deletion that takes a change with it which nobody had seen: what DeleteHealthCheck cannot be kept from, having no
// precondition.
func (s *sim) countUnseen(c world.HealthCheck) {
	if s.leader == nil || s.leader.loop == nil {
		return
	}
	z := s.leader.zones["healthchecks/"]
	if z == nil || z.snapshot == nil {
		return
	}
	seen := z.snapshot.Resources[resource.Key{Kind: resource.DNSHealthCheck, Scope: "healthchecks/", Name: nameOfCheck(c)}]
	if seen != nil && !strings.Contains(string(seen), fmt.Sprintf("%q", c.Config.ResourcePath)) {
		s.count("health check is deleted with a change that nobody had seen")
	}
}

// checkIntended holds that the journal has a step for what has become of a health check.
func (s *sim) checkIntended(c world.HealthCheck, verb plan.Verb) {
	name := nameOfCheck(c)
	if name == "" {
		s.fail("%s of a health check that is not ours", verb)
		return
	}
	for _, id := range sortedKeys(s.rows.tables["intent-open"]) {
		var intent state.Intent
		if err := json.Unmarshal(s.rows.tables["intent-open"][id].Value, &intent); err != nil {
			s.fail("intent %s: %v", id, err)
		}
		for _, step := range intent.Steps {
			if step.Key.Kind != resource.DNSHealthCheck || step.Key.Name != name || step.Verb != verb {
				continue
			}
			if plan.TakesTraffic(step) && !s.agreed[step.ID()] {
				s.fail("%s %s, and nobody agreed to it", step.Verb, step.Key)
			}
			return
		}
	}
	s.fail("%s of health check %s has no intent in the journal", verb, name)
}

// naming are the records that name a health check by its id.
func (s *sim) naming(id string) []string {
	var out []string
	for _, zone := range zoneNames {
		for _, r := range s.world.Records(s.zones[zone]) {
			if r.HealthCheckId == id {
				out = append(out, atOf(zone, r))
			}
		}
	}
	return out
}

// checkNamed holds that what our records name is there, unless somebody took it away.
func (s *sim) checkNamed() {
	for _, zone := range zoneNames {
		for _, r := range s.world.Records(s.zones[zone]) {
			id := r.HealthCheckId
			if id != "" && !s.dropped[id] && !slices.ContainsFunc(s.world.HealthChecks(), func(c world.HealthCheck) bool { return c.ID == id }) {
				s.fail("%s names a health check that is not there", atOf(zone, r))
			}
		}
	}
}

// checksByHand is somebody who makes, changes or deletes a health check without the daemon.
func (s *sim) checksByHand() {
	all := s.world.HealthChecks()
	var ours []world.HealthCheck
	for _, c := range all {
		if nameOfCheck(c) != "" {
			ours = append(ours, c)
		}
	}
	switch n := s.IntN(6); {
	case n < 2 || len(ours) == 0:
		s.serial++
		s.count("health check of others")
		s.others[s.world.PutHealthCheck(world.HealthCheck{Reference: fmt.Sprint("theirs ", s.serial), Config: world.HealthCheckConfig{Type: "TCP", IPAddress: "203.0.113.1", Port: 25, RequestInterval: 30, FailureThreshold: 3}})] = true
	case n < 5:
		s.count("health check changed by hand")
		c := ours[s.IntN(len(ours))]
		c.Config.ResourcePath = fmt.Sprint("/hand/", s.IntN(100))
		s.log.Info("BY HAND", "check", nameOfCheck(c))
		s.world.PutHealthCheck(c)
	default:
		s.count("health check deleted by hand")
		c := ours[s.IntN(len(ours))]
		s.log.Info("BY HAND", "deleted check", nameOfCheck(c))
		s.dropped[c.ID] = true
		for _, at := range s.naming(c.ID) { // they are not what they were: they name something that nobody knows
			s.touched[at] = true
		}
		s.world.DropHealthCheck(c.ID)
	}
}

// checkDifference is how the health checks differ from what is declared.
func (s *sim) checkDifference() []string {
	var out []string
	d := s.tip().decl
	want := map[string]string{}
	for id, n := range d.checks {
		want[string(id)] = fmt.Sprint("/", n)
	}
	ids := map[string]string{}
	others := 0
	for _, c := range s.world.HealthChecks() {
		name := nameOfCheck(c)
		if name == "" {
			others++
			continue
		}
		ids[c.ID] = name
		if path, declared := want[name]; !declared || path != c.Config.ResourcePath {
			out = append(out, fmt.Sprintf("health check %s asks for %s, want %q", name, c.Config.ResourcePath, path))
		}
		delete(want, name)
	}
	for _, name := range sortedKeys(want) {
		out = append(out, "missing: health check "+name)
	}
	if others != len(s.others) {
		out = append(out, fmt.Sprintf("%d health checks of others, want %d", others, len(s.others)))
	}
	kept := s.kept(s.expected())
	for _, zone := range zoneNames {
		for _, r := range s.world.Records(s.zones[zone]) {
			at := atOf(zone, r)
			_, theirs := s.foreign[at]
			if _, is := kept[at]; is || theirs {
				continue
			}
			if named, want := ids[r.HealthCheckId], d.records[schema.Hostname(strings.TrimSuffix(r.Name, "."))].check; named != string(want) {
				out = append(out, fmt.Sprintf("%s names the health check %q, not %q", at, named, want))
			}
		}
	}
	return out
}

// askAbout sends a request to the world, and judges what it has changed.
func (s *sim) askAbout(out http.ResponseWriter, req *http.Request, operation string) {
	before := len(s.world.Writes())
	var checks []world.HealthCheck
	if about := strings.Contains(operation, "HealthCheck") && writing(operation); about {
		checks = s.world.HealthChecks()
		defer func() { s.checkHealthChecks(operation, checks) }()
	}
	s.world.ServeHTTP(out, req)
	s.calls[operation]++
	if writes := s.world.Writes(); len(writes) > before {
		s.checkWrite(writes[len(writes)-1])
		s.checkNamed()
	}
}

// firstPage tells whether a request is for the beginning of a listing.
func firstPage(q url.Values) bool { return !q.Has("name") && !q.Has("marker") }
