package reconciler

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// event is something that people, machines or chance do.
func (s *sim) event() {
	switch n := s.IntN(100); {
	case n < 12:
		s.propose()
	case n < 22:
		s.merge()
	case n < 28:
		s.count("direct push")
		s.push(s.anyEdit(), 0)
	case n < 29:
		s.count("many services go")
		s.push(s.massacre(), 0)
	case n < 36:
		s.handMade()
	case n < 46:
		s.proxyMoves()
	case n < 52:
		s.apply()
	case n < 56:
		s.trouble = []int{0, 0, 5, 20, 60}[s.IntN(5)]
	case n < 59:
		s.frozen, s.frozenAt = !s.frozen, s.clock.Now()
		s.world.Freeze(s.frozen)
	case n < 64:
		s.crashIn = 1 + s.IntN(12)
	case n < 67:
		s.crash()
	case n < 69:
		s.count("clock jumps ahead")
		s.advance(time.Duration(s.IntN(1200)) * time.Second)
	default:
		s.advance(time.Duration(s.IntN(3000)) * time.Millisecond)
		s.tell(nil)
	}
}

// progress lets one thing that is under way go on.
func (s *sim) progress() {
	l := s.leader
	switch n := s.IntN(10); {
	case n < 4 && len(s.tasks) > 0:
		s.step(s.tasks[s.IntN(len(s.tasks))], goesOn)
	case n < 7 && len(l.mail) > 0:
		i := s.IntN(len(l.mail))
		if _, is := l.mail[i].(posted); is { // they come from one goroutine, in their order
			i = slices.IndexFunc(l.mail, func(m any) bool { _, is := m.(posted); return is })
		}
		m := l.mail[i]
		l.mail = slices.Delete(l.mail, i, i+1)
		s.tell(m)
	case n < 8 && len(l.posts) > 0:
		s.post()
	case n < 9:
		s.fetch()
	default:
		s.proxyTakes(s.nodes[s.IntN(len(s.nodes))])
	}
}

// advance moves the clock. A listing is not stale for long.
func (s *sim) advance(d time.Duration) {
	s.clock.Advance(d)
	if s.frozen && s.clock.Now().Sub(s.frozenAt) > staleness-time.Second {
		s.frozen = false
		s.world.Freeze(false)
	}
}

// propose opens a pull.
func (s *sim) propose() {
	if len(s.pulls) >= 4 {
		return
	}
	s.serial++
	s.pulls[s.serial] = &proposal{number: s.serial, edit: s.anyEdit()}
}

// merge merges a pull. What was shown on it is agreed to, if it was shown for the very tree that the branch gets or for some of its steps.
func (s *sim) merge() {
	if len(s.pulls) == 0 {
		return
	}
	numbers := sortedKeys(s.pulls)
	p := s.pulls[numbers[s.IntN(len(numbers))]]
	delete(s.pulls, p.number)
	if p.shown != nil {
		for _, step := range p.shown.Steps {
			s.agreed[step.ID()] = true
			s.log.Debug("  agreed", "verb", step.Verb, "key", step.Key, "before", string(step.Before), "id", step.ID())
		}
	}
	s.count("merge")
	s.log.Debug("MERGE", "pull", p.number, "shown", p.shown != nil)
	s.push(p.edit, p.number)
}

// push puts a commit on the branch.
func (s *sim) push(edit func(declarations) declarations, pull int) {
	s.count("commit")
	next := edit(s.tip().decl)
	s.branch = append(s.branch, revision{commit: Commit{Hash: fmt.Sprintf("c%d", len(s.branch))}, decl: next, pull: pull})
	if len(next.broken) > 0 {
		s.count("declaration is broken")
	}
}

// apply is a person who looks at what waits, and agrees to it.
func (s *sim) apply() {
	l := s.leader
	steps, digest := l.pending()
	if len(steps) == 0 {
		return
	}
	count := 0
	for _, v := range l.vetoes {
		count = max(count, v.Deletes)
	}
	if s.chance(1, 5) {
		s.refused(Apply{Digest: digest + "0", ConfirmDeletes: count, Identity: "mallory"}, "a digest that nobody has seen was applied")
		s.count("wrong digest refused")
		return
	}
	if count > 0 {
		s.count("guard asks for a count")
		s.refused(Apply{Digest: digest, ConfirmDeletes: count + 1, Identity: "ann"}, "a wrong count was taken")
	}
	if s.leader != l { // it died of the question
		return
	}
	for _, step := range steps {
		s.agreed[step.ID()] = true
	}
	s.alive(func() error {
		return l.applyDigest(l.ctx, Apply{Digest: digest, ConfirmDeletes: count, Identity: "ann"})
	})
	s.count("applied by a person")
	s.tell(nil)
}

// refused holds that the daemon does not do what it is asked.
func (s *sim) refused(q Apply, otherwise string) {
	s.alive(func() error {
		if err := s.leader.applyDigest(s.leader.ctx, q); err == nil {
			s.fail("%s", otherwise)
		}
		return nil
	})
}

// proxyMoves lets a proxy come or go.
func (s *sim) proxyMoves() {
	n := s.nodes[s.IntN(len(s.nodes))]
	if n.connected && s.chance(1, 2) {
		s.count("proxy goes away")
		n.connected = false
		return
	}
	s.proxyTakes(n)
}

// proxyTakes lets a proxy take what its fleet is served, connecting it first.
func (s *sim) proxyTakes(n *node) {
	r, published := s.leader.Proxies.(*fleets).published[n.fleet]
	if !published {
		return
	}
	if !n.connected {
		s.count("proxy comes back")
	}
	n.has, n.connected = r, true
	s.checkProxy(n)
	l := s.leader
	s.alive(func() error { l.takeAcknowledgements(l.ctx); return l.pass(l.ctx) })
}

// handMade is somebody who changes a zone without the daemon.
func (s *sim) handMade() {
	zone := zoneNames[s.IntN(len(zoneNames))]
	switch n := s.IntN(6); {
	case n < 2:
		s.serial++
		name := fmt.Sprintf("foreign-%d.%s", s.serial, zone)
		if n == 0 { // in the way of a host that may be declared later
			if free := s.absent(zone); len(free) > 0 {
				name = string(free[s.IntN(len(free))])
				s.count("clash")
			}
		}
		s.count("foreign record")
		s.putForeign(zone, world.Simple("A", name, 60, fmt.Sprintf("203.0.113.%d", s.IntN(200))))
	default:
		ours := s.ours(zone)
		if len(ours) == 0 {
			return
		}
		r := ours[s.IntN(len(ours))]
		if n == 2 {
			s.count("record deleted by hand")
			s.byHand(zone, "DELETE", r)
			return
		}
		s.count("record changed by hand")
		s.byHand(zone, "UPSERT", world.Simple(r.Type, r.Name, 60, fmt.Sprintf("203.0.113.%d", s.IntN(200))))
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
