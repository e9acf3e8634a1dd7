package reconciler

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// checkWrite judges a write as it reaches the world: it was journalled before, it is made once, it is the steps of its intent and nothing
// else, it touches nothing of others', what takes traffic away was agreed to, and no name leads to where nothing answers.
func (s *sim) checkWrite(w world.Write) {
	s.log.Debug("write", "zone", w.Zone, "intent", w.Comment, "changes", len(w.Changes), "refused", w.Refused)
	for _, c := range w.Changes {
		s.log.Debug("  "+c.Action, "name", c.ResourceRecordSet.Name, "is", shape(c.ResourceRecordSet))
	}
	if w.Refused != "" {
		return
	}
	s.noteLeads(w.Zone, true)
	if s.intents[w.Comment]++; s.intents[w.Comment] > 1 {
		s.fail("intent %s was written twice", w.Comment)
	}
	row, journalled := s.rows.tables["intent-open"][w.Comment]
	if !journalled {
		s.fail("a write to %s has no intent in the journal: %q", w.Zone, w.Comment)
		return
	}
	var intent state.Intent
	if err := json.Unmarshal(row.Value, &intent); err != nil {
		s.fail("intent %s: %v", w.Comment, err)
	}
	var want, got []string
	for _, step := range intent.Steps {
		kind, name, _ := strings.Cut(step.Key.Name, " ")
		if step.Verb != plan.Create {
			want = append(want, "DELETE "+kind+" "+name)
		}
		if step.Verb != plan.Delete {
			want = append(want, "CREATE "+kind+" "+name)
		}
		if step.Verb == plan.Delete {
			s.checkHeld(schema.Hostname(name))
		}
		if plan.TakesTraffic(step) && !s.agreed[step.ID()] {
			s.fail("%s %s takes traffic away, and nobody agreed to it", step.Verb, step.Key)
		}
	}
	for _, c := range w.Changes {
		r := c.ResourceRecordSet
		name := strings.TrimSuffix(r.Name, ".")
		got = append(got, c.Action+" "+r.Type+" "+name)
		s.made[w.Zone+" "+r.Type+" "+name] = c.Action == "CREATE" // the last of a batch counts
		if _, theirs := s.foreign[w.Zone+" "+r.Type+" "+name]; theirs {
			s.fail("%s %s %s is not ours", c.Action, r.Type, name)
		}
		if c.Action == "CREATE" && r.Type == "A" {
			s.checkLeads(w.Zone, r)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		s.fail("what was written is not what was planned: %v, planned %v", got, want)
	}
}

// checkHeld holds that a declaration which cannot be read stays in effect as it was (invariant 7).
func (s *sim) checkHeld(host schema.Hostname) {
	if s.leader == nil { // its request outlived it
		return
	}
	i := slices.IndexFunc(s.branch, func(c revision) bool { return c.commit.Hash == s.leader.tip.Hash })
	if i < 1 {
		return
	}
	now, before := s.branch[i].decl, s.branch[i-1].decl
	for _, id := range sortedKeys(now.broken) {
		if slices.Contains(now.services[id].hosts, host) && slices.Contains(before.services[id].hosts, host) {
			s.fail("%s is deleted, and is declared by %s, which cannot be read", host, id)
		}
	}
}

// checkLeads holds that whoever is led to a fleet by a new record is answered by each of its proxies (invariant 5).
func (s *sim) checkLeads(zone string, r world.RecordSet) {
	host := schema.Hostname(strings.TrimSuffix(r.Name, "."))
	for _, address := range r.Values() {
		for i, n := range s.nodes {
			if addressOf[n.fleet] == address && n.connected && !n.answers(exposureOf(zone), host) {
				s.fail("%s leads to fleet %s, whose proxy %d does not answer for it", host, n.fleet, i)
			}
		}
	}
}

// checkProxy holds that a proxy which took a release answers for every name that somebody may be led to it by (invariant 5).
func (s *sim) checkProxy(n *node) {
	now := s.clock.Now()
	for _, at := range s.leads() {
		if s.cached[at].After(now) && addressOf[n.fleet] == at.address && !n.answers(exposureOf(at.zone), schema.Hostname(at.host)) {
			s.fail("%s may still lead to fleet %s until %s later, which does not answer for it any more", at.host, n.fleet, s.cached[at].Sub(now))
		}
	}
}

// checkRelease holds that no name is served by two services.
func (s *sim) checkRelease(r xds.Release) {
	seen := map[schema.Place]schema.ServiceID{}
	for _, id := range sortedKeys(r.Services) {
		x := r.Services[id]
		places := slices.Clone(x.Extra)
		for _, h := range x.Unit.Domains {
			places = append(places, schema.Place{Exposure: x.Unit.Exposure, Host: h})
		}
		for _, p := range places {
			if other, twice := seen[p]; twice {
				s.fail("fleet %s serves %s by %s and by %s", r.Fleet.ID, p.Host, other, id)
			}
			seen[p] = id
		}
	}
}

var forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func (s *sim) leads() []lead {
	return slices.SortedFunc(func(yield func(lead) bool) {
		for at := range s.cached {
			if !yield(at) {
				return
			}
		}
	}, func(a, b lead) int {
		return strings.Compare(a.zone+" "+a.host+" "+a.address, b.zone+" "+b.host+" "+b.address)
	})
}

// noteLeads brings up to date who may believe in which answer: as long as a record is there, and for its TTL after it went. A change of
// ours may take its time to spread.
func (s *sim) noteLeads(zone string, ours bool) {
	now := s.clock.Now()
	here := map[lead]int64{}
	for _, r := range s.world.Records(s.zones[zone]) {
		for _, v := range r.Values() {
			if r.Type == "A" && r.TTL != nil {
				here[lead{zone, strings.TrimSuffix(r.Name, "."), v}] = *r.TTL
			}
		}
	}
	for at, until := range s.cached {
		if at.zone != zone || !until.Equal(forever) {
			continue
		}
		if ttl, still := here[at]; !still {
			s.cached[at] = now.Add(time.Duration(s.ttls[at]) * time.Second)
			if before := s.before[at]; before.After(s.cached[at]) {
				s.cached[at] = before
			}
		} else if ttl != s.ttls[at] { // who asked before has the old one
			s.before[at], s.ttls[at] = now.Add(time.Duration(s.ttls[at])*time.Second), ttl
		}
	}
	for at, ttl := range here {
		if !s.cached[at].Equal(forever) {
			s.cached[at], s.ttls[at] = forever, ttl
		}
	}
}

func (s *sim) putForeign(zone string, r world.RecordSet) {
	name := strings.TrimSuffix(r.Name, ".")
	s.world.Put(s.zones[zone], r)
	s.foreign[zone+" "+r.Type+" "+name] = shape(r)
	s.noteLeads(zone, false)
}

// byHand changes a record of ours.
func (s *sim) byHand(zone, action string, r world.RecordSet) {
	s.log.Info("BY HAND", "action", action, "name", r.Name, "values", r.Values())
	s.touched[zone+" "+r.Type+" "+strings.TrimSuffix(r.Name, ".")] = true
	if action == "DELETE" {
		s.world.Remove(s.zones[zone], r)
	} else {
		s.world.Put(s.zones[zone], r)
	}
	s.noteLeads(zone, false)
}

// ours are the address records of a zone that are not others'.
func (s *sim) ours(zone string) []world.RecordSet {
	return slices.DeleteFunc(s.world.Records(s.zones[zone]), func(r world.RecordSet) bool {
		_, theirs := s.foreign[zone+" "+r.Type+" "+strings.TrimSuffix(r.Name, ".")]
		return theirs || r.Type != "A"
	})
}

// absent are the host names of a zone that nobody has declared and that are not there either.
func (s *sim) absent(zone string) []schema.Hostname {
	there := map[schema.Hostname]bool{}
	for _, r := range s.world.Records(s.zones[zone]) {
		there[schema.Hostname(strings.TrimSuffix(r.Name, "."))] = true
	}
	return slices.DeleteFunc(s.tip().decl.free(zone), func(h schema.Hostname) bool {
		return there[h] || s.made[zone+" A "+string(h)] // else it would be a change of ours
	})
}

// removeClashes is the person who removes what stands in the way of a declaration.
func (s *sim) removeClashes() {
	for _, key := range sortedKeysFunc(s.leader.clashes, resource.Key.Compare) {
		zone := strings.TrimPrefix(string(key.Scope), "zone/")
		kind, name, _ := strings.Cut(key.Name, " ")
		at := zone + " " + kind + " " + name
		there := slices.ContainsFunc(s.world.Records(s.zones[zone]), func(r world.RecordSet) bool { return r.Type == kind && r.Name == name+"." })
		if _, theirs := s.foreign[at]; !there {
			continue // removed already, which the next listing shows
		} else if !theirs && !s.touched[at] { // what somebody changed before it was known to be ours is nobody's
			s.fail("%s is called somebody else's, and is not", at)
			continue
		}
		s.world.Remove(s.zones[zone], world.RecordSet{Name: name + ".", Type: kind})
		delete(s.foreign, at)
		s.noteLeads(zone, false)
	}
}

func shape(r world.RecordSet) string {
	values := r.Values()
	slices.Sort(values)
	ttl := int64(0)
	if r.TTL != nil {
		ttl = *r.TTL
	}
	return fmt.Sprint(ttl, " ", strings.Join(values, " "))
}

// expected is what the zones hold when everything is done: by zone, type and name.
func (s *sim) expected() map[string]string {
	d := s.tip().decl
	resources, err := render.Platform(d.platform())
	for _, id := range sortedKeys(d.services) {
		more, failed := render.Service(d.platform(), d.service(id))
		if failed != nil {
			err = failed
		}
		resources = append(resources, more...)
	}
	if err != nil {
		s.fail("render: %v", err)
	}
	want := map[string]string{}
	for _, r := range resources {
		if r.Key.Kind != resource.DNSRecord {
			continue
		}
		var record dns.Record
		if err := json.Unmarshal(r.Spec, &record); err != nil {
			s.fail("%s: %v", r.Key, err)
		}
		want[strings.TrimPrefix(string(r.Key.Scope), "zone/")+" "+r.Key.Name] = fmt.Sprint(record.TTL, " ", strings.Join(record.Values, " "))
	}
	return want
}

// converged tells whether the zones hold what is declared, what others have there, and nothing else.
func (s *sim) converged() bool { return s.difference() == "" }

func (s *sim) difference() string {
	want := s.expected()
	for at, value := range s.foreign {
		want[at] = value
	}
	var out []string
	for _, zone := range zoneNames {
		for _, r := range s.world.Records(s.zones[zone]) {
			name := strings.TrimSuffix(r.Name, ".")
			if r.Type == "SOA" || r.Type == "NS" && name == zone {
				continue
			}
			at := zone + " " + r.Type + " " + name
			switch value, known := want[at]; {
			case !known && s.touched[at] && s.leader.owned[recordKey(resource.Scope("zone/"+zone), r.Type, schema.Hostname(name))].Spec == nil:
				// Somebody made it another before its making was known to have come true: it is theirs.
			case !known:
				out = append(out, "left over: "+at)
			case value != shape(r):
				out = append(out, fmt.Sprintf("%s is %s, not %s", at, shape(r), value))
			}
			delete(want, at)
		}
	}
	for at := range want {
		out = append(out, "missing: "+at)
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// checkEnd judges the world at rest.
func (s *sim) checkEnd() {
	if diff := s.difference(); diff != "" {
		s.fail("at the end: %s", diff)
	}
	l := s.leader
	var missed dto.Metric
	if err := l.Metrics.Missed.Write(&missed); err != nil || missed.Counter.GetValue() != 0 {
		s.fail("sweeps found %v differences that the passes had missed, %v", missed.Counter.GetValue(), err)
	}
	if err := l.Books.Audit.Verify(l.ctx); err != nil {
		s.fail("audit: %v", err)
	}
	finished, uncertain := map[string]bool{}, map[string]bool{}
	intents, err := l.Books.Journal.Finished(l.ctx)
	if err != nil {
		s.fail("read journal: %v", err)
	}
	told := map[string]int{}
	entries, err := l.Books.Audit.Entries(l.ctx, 0, 1_000_000)
	if err != nil {
		s.fail("read audit: %v", err)
	}
	for _, e := range entries {
		if e.Result == "applied" {
			told[e.What]++
		}
	}
	for _, i := range intents {
		finished[i.ID] = i.Outcome.Refused == ""
		if s.intents[i.ID] == 0 || !finished[i.ID] {
			continue
		}
		for _, step := range i.Steps {
			what := fmt.Sprintf("%s %s", step.Verb, step.Key)
			if told[what]--; told[what] < 0 && !s.touched[strings.TrimPrefix(string(step.Key.Scope), "zone/")+" "+step.Key.Name] {
				s.fail("the audit does not say that it did: %s", what)
			}
		}
	}
	for _, i := range intents {
		uncertain[i.ID] = slices.ContainsFunc(i.Steps, func(step plan.Step) bool {
			return s.touched[strings.TrimPrefix(string(step.Key.Scope), "zone/")+" "+step.Key.Name]
		})
	}
	for _, intent := range sortedKeys(s.intents) {
		if taken, closed := finished[intent]; !closed || !taken && !uncertain[intent] {
			s.fail("intent %s was taken by AWS; the journal has it closed: %v, taken: %v", intent, closed, taken)
		}
	}
	if open, err := l.Books.Journal.Open(l.ctx); err != nil || len(open) > 0 {
		s.fail("%d intents are open at the end, %v", len(open), err)
	}
	// Invariant 1: a converged world is left alone.
	before := len(s.world.Writes())
	s.advance(l.Every.Sweep + time.Second)
	for range 3 {
		s.tell(nil)
		for len(s.tasks) > 0 {
			s.step(s.tasks[0], goesOn)
		}
		for len(l.mail) > 0 {
			m := l.mail[0]
			l.mail = l.mail[1:]
			s.tell(m)
		}
		s.advance(l.Every.Observe)
	}
	if n := len(s.world.Writes()) - before; n > 0 || len(l.steps) > 0 {
		s.fail("a converged world gets %d writes and %d steps", n, len(l.steps))
	}
}
