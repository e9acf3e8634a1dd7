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
	case n < 45:
		s.proxyMoves()
	case n < 51:
		s.apply()
	case n < 55:
		s.trouble = []int{0, 0, 5, 20, 60}[s.IntN(5)]
	case n < 58:
		s.frozen, s.frozenAt = !s.frozen, s.clock.Now()
		s.world.Freeze(s.frozen)
	case n < 67:
		s.machineEvent()
	case n < 69:
		s.count("clock jumps ahead")
		s.advance(time.Duration(s.IntN(1200)) * time.Second)
	case n < 72:
		s.freeze()
	case n < 78:
		s.decide()
	case n < 79:
		s.accountFails()
	default:
		s.advance(time.Duration(s.IntN(3000)) * time.Millisecond)
		if p := s.awake(); p != nil {
			s.tell(p, nil)
		}
	}
}

// machineEvent is what becomes of processes and their clocks.
func (s *sim) machineEvent() {
	p := s.processes[s.IntN(2)]
	if s.leader != nil && s.chance(3, 4) {
		p = s.leader
	}
	switch n := s.IntN(20); {
	case n < 7:
		s.crashIn = 1 + s.IntN(14)
	case n < 11:
		s.crash(p)
	case n < 12:
		if p.works() {
			s.stopGently(p)
		}
	case n < 15:
		if p.asleep {
			s.wake(p)
		} else {
			s.fallAsleep(p)
			s.advance(time.Duration(s.IntN(40)) * time.Second)
		}
	case n < 18:
		s.sleepIn = 1 + s.IntN(12)
	default:
		s.wallClock()
	}
}

// wallClock sets the clock on the wall, by as much as AWS suffers. A process reads it when it starts; what passes then it measures itself.
func (s *sim) wallClock() {
	before := s.wrong
	s.wrong = time.Duration(s.IntN(480)-240) * time.Second
	if s.wrong > before {
		s.count("wall clock is set forwards")
	} else {
		s.count("wall clock is set back")
	}
}

// progress lets one thing that is under way go on.
func (s *sim) progress() {
	p := s.processes[s.IntN(2)]
	if s.chance(9, 10) && s.leader != nil {
		p = s.leader
	}
	n := s.IntN(10)
	if tasks := s.steppable(); n < 4 && len(tasks) > 0 {
		s.step(tasks[s.IntN(len(tasks))], goesOn)
		return
	}
	if p.asleep && s.chance(1, 6) {
		s.wake(p)
		return
	}
	if !p.works() {
		s.advance(time.Second)
		return
	}
	switch {
	case n < 7 && len(p.mail) > 0:
		i := s.IntN(len(p.mail))
		if _, is := p.mail[i].(posted); is { // they come from one goroutine, in their order
			i = slices.IndexFunc(p.mail, func(m any) bool { _, is := m.(posted); return is })
		}
		m := p.mail[i]
		p.mail = slices.Delete(p.mail, i, i+1)
		s.tell(p, m)
	case n < 8 && len(p.posts) > 0:
		s.post(p)
	case n < 9:
		s.fetch(p)
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
	if s.calm || s.chance(9, 10) {
		s.tickAll()
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

// proxyMoves lets a proxy come or go.
func (s *sim) proxyMoves() {
	n := s.nodes[s.IntN(len(s.nodes))]
	if n.to != nil && s.chance(1, 2) {
		s.count("proxy goes away")
		n.to = nil
		return
	}
	s.proxyTakes(n)
}

// proxyTakes lets a proxy take what its fleet is served, connecting it first. Only who leads lets proxies in.
func (s *sim) proxyTakes(n *node) {
	p := s.awake()
	if p == nil {
		return
	}
	if p.election.Epoch() == 0 {
		s.count("proxy is turned away by who may not lead any more")
		return
	}
	r, published := p.Proxies.(*fleets).published[n.fleet]
	if !published {
		return
	}
	if n.to != p {
		s.count("proxy comes back")
	}
	n.has, n.to = r, p
	s.checkProxy(n)
	s.alive(p, func() error { p.takeAcknowledgements(p.ctx); return p.pass(p.ctx) })
}

// handMade is somebody who changes a zone without the daemon.
func (s *sim) handMade() {
	zone := zoneNames[s.IntN(len(zoneNames))]
	switch n := s.IntN(8); {
	case n >= 6:
		s.checksByHand()
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
		r := world.Simple("A", name, 60, fmt.Sprintf("203.0.113.%d", s.IntN(200)))
		if s.chance(1, 3) { // as a service would have it
			r = world.Simple("A", name, int64(s.tip().decl.fleets["edge"]), addressOf["edge"])
		}
		s.putForeign(zone, r)
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
		value := map[string]string{"A": "203.0.113.%d", "CNAME": "hand%d.elsewhere.test", "NS": "hand%d.elsewhere.test", "TXT": `"by hand %d"`}[r.Type]
		r.TTL, r.ResourceRecords = new(int64(60)), &world.Records{ResourceRecord: []world.Value{{Value: fmt.Sprintf(value, s.IntN(200))}}}
		s.byHand(zone, "UPSERT", r)
	}
}

func (s *sim) putForeign(zone string, r world.RecordSet) {
	s.world.Put(s.zones[zone], r)
	s.foreign[atOf(zone, r)] = shape(r)
	s.noteLeads(zone, false)
}

// byHand changes a record of ours.
func (s *sim) byHand(zone, action string, r world.RecordSet) {
	s.log.Info("BY HAND", "action", action, "name", r.Name, "values", r.Values())
	s.touched[atOf(zone, r)] = true
	if action == "DELETE" {
		s.world.Remove(s.zones[zone], r)
	} else {
		s.world.Put(s.zones[zone], r)
	}
	s.noteLeads(zone, false)
}

// ours are the records of a zone that are not others', but for those that make it a zone and ours.
func (s *sim) ours(zone string) []world.RecordSet {
	return slices.DeleteFunc(s.world.Records(s.zones[zone]), func(r world.RecordSet) bool {
		_, theirs := s.foreign[atOf(zone, r)]
		return theirs || r.Type == "SOA" || r.Type == "NS" && r.Name == zone+"." || strings.HasPrefix(r.Name, "_edgewright.")
	})
}

// absent are the host names of a zone that nobody has declared and that are not there either.
func (s *sim) absent(zone string) []schema.Hostname {
	there := map[schema.Hostname]bool{}
	for _, r := range s.world.Records(s.zones[zone]) {
		there[schema.Hostname(strings.TrimSuffix(r.Name, "."))] = true
	}
	free := s.tip().decl.free(zone)
	for n := range 5 {
		if name := extraName(n, zone); s.tip().decl.records[name].form == "" {
			free = append(free, name)
		}
	}
	return slices.DeleteFunc(free, func(h schema.Hostname) bool { return there[h] || s.madeAny(zone, h) }) // else it would be a change of ours
}

// madeAny tells whether we have made a record of a name that we did not take away.
func (s *sim) madeAny(zone string, host schema.Hostname) bool {
	for at, made := range s.made {
		if words := strings.Fields(at); made && words[0] == zone && words[2] == string(host) {
			return true
		}
	}
	return false
}

// removeClashes is the person who removes what stands in the way of a declaration, or plans to take it over.
func (s *sim) removeClashes() {
	p := s.awake()
	if p == nil {
		return
	}
	keys := sortedKeysFunc(p.clashes, resource.Key.Compare)
	for _, step := range p.sortedSteps() {
		if p.status[step.Key].State == Clashes {
			s.count("others' record beside which ours cannot stand")
			keys = append(keys, step.Key)
		}
	}
	for _, key := range keys {
		if p.clashes[key].Adoptable && s.chance(1, 2) {
			if s.choose(p, ChooseAdopt, key); s.awake() != p {
				return
			}
			continue
		}
		if key.Kind != resource.DNSRecord {
			if z := p.zones[key.Scope]; p.now().Sub(z.snapshot.Taken) < staleness { // only we make what has such a name
				s.fail("%s is called somebody else's, and is not", key)
			}
			continue
		}
		zone := strings.TrimPrefix(string(key.Scope), "zone/")
		host := placeOf(key).host
		_, claimed := p.clashes[key] // that it is somebody else's
		for _, r := range s.world.Records(s.zones[zone]) {
			if r.Name != host+"." {
				continue
			}
			at := atOf(zone, r)
			if _, is := s.foreign[at]; claimed && !is && !s.touched[at] && at == zone+" "+key.Name { // what somebody changed before it was known to be ours is nobody's
				s.fail("%s is called somebody else's, and is not", at)
			} else if is || s.touched[at] && s.leader.owned[resource.Key{Kind: key.Kind, Scope: key.Scope, Name: strings.TrimPrefix(at, zone+" ")}].Spec == nil {
				s.world.Remove(s.zones[zone], r)
				delete(s.foreign, at)
			}
		}
		s.noteLeads(zone, false)
	}
}
