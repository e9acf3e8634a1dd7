package reconciler

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/xds"
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
	adopts := map[string]bool{}
	for _, step := range intent.Steps {
		adopts[at(step)] = step.Verb == plan.Adopt
		s.judgeDecided(step)
		kind, name, _ := strings.Cut(step.Key.Name, " ")
		if step.Verb != plan.Create {
			want = append(want, "DELETE "+kind+" "+name)
		}
		if step.Verb != plan.Delete {
			want = append(want, "CREATE "+kind+" "+name)
		}
		if step.Verb == plan.Delete {
			s.checkHeld(schema.Hostname(name), intent.Commit)
		}
		if plan.TakesTraffic(step) && !s.agreed[step.ID()] {
			s.fail("%s %s takes traffic away, and nobody agreed to it", step.Verb, step.Key)
		}
	}
	for _, c := range w.Changes {
		r := c.ResourceRecordSet
		at := atOf(w.Zone, r)
		_, key, _ := strings.Cut(at, " ")
		got = append(got, c.Action+" "+key)
		s.made[at] = c.Action == "CREATE" // the last of a batch counts
		if _, theirs := s.foreign[at]; theirs && adopts[at] {
			s.count("adopted by a change")
			s.takeOver(at)
		} else if theirs {
			s.fail("%s %s is not ours", c.Action, at)
		}
		if c.Action == "DELETE" && r.Type != "TXT" {
			s.checkAnswered(w.Zone, r.Name, intent.Commit)
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

// checkAnswered holds that a name of the platform which has led somewhere, and is declared to, leads somewhere after a write, though in
// another form than before.
func (s *sim) checkAnswered(zone, name, commit string) {
	i := slices.IndexFunc(s.branch, func(c revision) bool { return c.commit.Hash == commit })
	if i < 0 {
		return
	}
	if form := s.branch[i].decl.records[schema.Hostname(strings.TrimSuffix(name, "."))].form; form == "" || form == "TXT" || form == "NS" {
		return
	}
	if !slices.ContainsFunc(s.world.Records(s.zones[zone]), func(r world.RecordSet) bool { return r.Name == name && r.Type != "TXT" }) {
		s.fail("%s is declared, and has no answer after a write of ours", name)
	}
}

// checkHeld holds that a declaration which cannot be read stays in effect as it was (invariant 7).
func (s *sim) checkHeld(host schema.Hostname, commit string) {
	i := slices.IndexFunc(s.branch, func(c revision) bool { return c.commit.Hash == commit })
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

// checkHolder holds that nobody writes but who has the lease.
func (s *sim) checkHolder(p *process, what string) {
	term, err := (state.Lease{Store: desk{s.rows, p}}).Read(context.Background())
	if err != nil || term.Holder != p.election.Self && what != "lease" {
		s.fail("%s wrote %s, and %q has the lease, %v", p.election.Self, what, term.Holder, err)
	}
}

// checkLeads holds that whoever is led to a fleet by a new record is answered by each of its proxies (invariant 5).
func (s *sim) checkLeads(zone string, r world.RecordSet) {
	host := schema.Hostname(strings.TrimSuffix(r.Name, "."))
	for _, address := range r.Values() {
		for i, n := range s.nodes {
			if addressOf[n.fleet] == address && n.to != nil && n.to == s.leader && !n.answers(exposureOf(zone), host) {
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

// lead is that a host name leads to an address.
type lead struct {
	zone, host, address string
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
		if _, theirs := s.foreign[atOf(zone, r)]; theirs {
			continue // whoever made it sees to where it leads
		}
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
