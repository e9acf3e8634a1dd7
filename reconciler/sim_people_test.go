package reconciler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// theTeam has all services.
const theTeam schema.TeamID = "t"

// quotaZone is the zone whose quota is small at times.
const quotaZone = "shop.example"

// driftEdit is a service, or the platform, that says something else of drift.
func (s *sim) driftEdit() func(declarations) declarations {
	mode := []schema.DriftMode{schema.Heal, schema.Report, schema.Pause}[s.IntN(3)]
	whole, a := s.chance(1, 6), s.IntN(1000)
	return func(d declarations) declarations {
		out := d.clone()
		s.count("drift becomes " + string(mode))
		if ids := sortedKeys(d.services); !whole && len(ids) > 0 {
			x := out.services[ids[a%len(ids)]]
			x.drift = mode
			out.services[ids[a%len(ids)]] = x
			return out
		}
		out.drift = mode
		return out
	}
}

// protectEdit is a name that becomes protected, or is so no more.
func (s *sim) protectEdit() func(declarations) declarations {
	zone := zoneNames[s.IntN(len(zoneNames))]
	name := extraName(s.IntN(5), zone)
	if s.chance(2, 3) {
		name = schema.Hostname(fmt.Sprintf("h%d.%s", s.IntN(16), zone))
	}
	return func(d declarations) declarations {
		out := d.clone()
		if out.protected[name] {
			delete(out.protected, name)
		} else {
			out.protected[name] = true
		}
		return out
	}
}

// quotaEdit is a zone that may hold few records, or as many as others.
func (s *sim) quotaEdit() func(declarations) declarations {
	quota := 0
	if s.chance(2, 3) {
		quota = 4 + s.IntN(16)
	}
	return func(d declarations) declarations {
		out := d.clone()
		out.quota = quota
		return out
	}
}

// awaken is that people let go on what they had stopped: services that are paused, a quota that is too small.
func (d declarations) awaken() declarations {
	out := d.mended()
	out.quota = 0
	if out.drift == schema.Pause {
		out.drift = schema.Heal
	}
	for id, x := range out.services {
		if x.drift == schema.Pause {
			x.drift = schema.Heal
			out.services[id] = x
		}
	}
	return out
}

// plain is that drift is put back everywhere.
func (d declarations) plain() declarations {
	out := d.clone()
	out.drift = schema.Heal
	for id, x := range out.services {
		x.drift = ""
		out.services[id] = x
	}
	return out
}

// wish lets somebody ask the leader for something. It is true once that was done: not if it was refused, or if the process died of it.
func (s *sim) wish(p *process, do func() error) bool {
	taken := false
	done := s.alive(p, func() error {
		err := do()
		if refused := new(Refused); errors.As(err, &refused) {
			return nil
		}
		taken = err == nil
		return err
	})
	if done && s.awake() == p {
		s.tell(p, nil)
	}
	return done && taken
}

// freeze is somebody who freezes something for a time, or ends a freeze.
func (s *sim) freeze() {
	p := s.awake()
	if p == nil {
		return
	}
	q := Freeze{Name: fmt.Sprint("f", s.IntN(3)), Reason: "an event", Identity: "ann", Until: p.now().Add(time.Duration(1+s.IntN(300)) * time.Second)}
	kind, a, ends := s.IntN(8), s.IntN(1000), s.chance(1, 2)
	if old, is := p.freezes[q.Name]; is && !p.now().Before(old.Until) {
		s.count("freeze has run out")
	} else if is && ends {
		s.unfreeze(p, q.Name)
		return
	}
	ids := sortedKeys(p.byService)
	switch {
	case kind < 1:
		s.count("freeze of everything")
	case kind < 3:
		s.count("freeze of a fleet")
		q.Fleets = []schema.FleetID{[]schema.FleetID{"edge", "two"}[a%2]}
	case kind < 5:
		s.count("freeze of a zone")
		q.Zones = []schema.Hostname{schema.Hostname(zoneNames[a%len(zoneNames)])}
	case kind < 6:
		s.count("freeze of a team")
		q.Teams = []schema.TeamID{theTeam}
	case len(ids) == 0 || kind == 7:
		s.count("freeze refused")
		q.Reason = ""
		if s.wish(p, func() error { return p.setFreeze(p.ctx, q) }) {
			s.fail("a freeze without a reason was taken")
		}
		return
	default:
		s.count("freeze of a service")
		q.Services = []schema.ServiceID{ids[a%len(ids)]}
	}
	s.log.Info("FREEZE", "name", q.Name, "until", q.Until, "fleets", q.Fleets, "teams", q.Teams, "zones", q.Zones, "services", q.Services)
	if s.wish(p, func() error { return p.setFreeze(p.ctx, q) }) && s.rows.tables["freeze"][q.Name].Value == nil {
		s.fail("freeze %s was taken, and is not stored", q.Name)
	}
}

func (s *sim) unfreeze(p *process, name string) {
	s.count("freeze is ended")
	s.log.Info("UNFREEZE", "name", name)
	s.wish(p, func() error { return p.setFreeze(p.ctx, Freeze{Name: name, End: true, Identity: "ann"}) })
}

// unfreezeAll ends all freezes.
func (s *sim) unfreezeAll() {
	for _, name := range sortedKeys(s.rows.tables["freeze"]) {
		if p := s.awake(); p != nil {
			s.unfreeze(p, name)
		}
	}
}

// decide is somebody who settles what becomes of a record that others made or changed, or lets go of one of ours.
func (s *sim) decide() {
	p := s.awake()
	if p == nil {
		return
	}
	choices := []Choice{ChooseAdopt, ChooseKeep, ChoosePutBack}
	s.Shuffle(len(choices), func(i, j int) { choices[i], choices[j] = choices[j], choices[i] })
	if s.chance(1, 8) { // there always is something to let go of
		choices = []Choice{ChooseForget}
	}
	known := p.knownKeys()
	for _, choice := range choices {
		keys := slices.DeleteFunc(slices.Clone(known), func(key resource.Key) bool {
			return key.Kind != resource.DNSRecord || render.IsMark(key) || !s.decidable(p, choice, key)
		})
		if len(keys) > 0 {
			s.choose(p, choice, keys[s.IntN(len(keys))])
			return
		}
	}
}

// decidable tells whether somebody may come to a choice about a record. Nobody lets go of a record that names a health check: the check
// could never go.
func (s *sim) decidable(p *process, choice Choice, key resource.Key) bool {
	switch choice {
	case ChooseAdopt:
		return p.adoptable(key)
	case ChooseForget:
		r, there := s.record(key)
		return p.letsGo(key) && (!there || r.HealthCheckId == "")
	}
	return p.drifted(key)
}

// record is a record of the world.
func (s *sim) record(key resource.Key) (world.RecordSet, bool) {
	zone := strings.TrimPrefix(string(key.Scope), "zone/")
	all := s.world.Records(s.zones[zone])
	i := slices.IndexFunc(all, func(r world.RecordSet) bool { return atOf(zone, r) == zone+" "+key.Name })
	if i < 0 {
		return world.RecordSet{}, false
	}
	return all[i], true
}

func (s *sim) choose(p *process, choice Choice, key resource.Key) {
	s.log.Info("DECIDES", "choice", choice, "key", key)
	if choice == ChoosePutBack {
		s.agree([]plan.Step{p.steps[key]}, false)
	}
	done := s.wish(p, func() error {
		switch a := p.settle(p.ctx, Settle{Choice: choice, Names: []string{key.Name}, Zone: strings.TrimPrefix(string(key.Scope), "zone/"), Identity: "ann"}).(type) {
		case error:
			if strings.Contains(a.Error(), "a call about it is not over") {
				s.count("decision refused: a call is not over")
			}
			return a
		case Settled:
			if len(a.Keys) != 1 || a.Keys[0] != key {
				s.fail("%s %s was about %v", choice, key, a.Keys)
			}
		}
		return nil
	})
	if done {
		s.count("people " + string(choice))
	}
}

// agree notes that somebody agreed to steps, maybe by their count.
func (s *sim) agree(steps []plan.Step, counted bool) {
	for _, step := range steps {
		id := step.ID()
		s.agreed[id] = true
		if !counted {
			continue
		}
		s.confirmed[id] = true
		if step.Key.Kind == resource.EnvoyService {
			for _, host := range step.Hosts() {
				s.confirmed[step.Key.Name+" "+string(host)] = true
			}
		}
	}
}

// letGo notes that a record is ours no more: whoever took it sees to where it leads, once those who asked before have forgotten it.
func (s *sim) letGo(key resource.Key) {
	r, there := s.record(key)
	if !there {
		return
	}
	zone := strings.TrimPrefix(string(key.Scope), "zone/")
	at := atOf(zone, r)
	s.foreign[at], s.forgotten[at], s.made[at] = shape(r), true, false
	for l, until := range s.cached {
		if l.zone == zone && l.host == strings.TrimSuffix(r.Name, ".") && until.Equal(forever) {
			s.cached[l] = s.clock.Now().Add(time.Duration(s.ttls[l]) * time.Second)
		}
	}
}

// takeOver notes that a record of others is ours.
func (s *sim) takeOver(at string) {
	delete(s.foreign, at)
	delete(s.forgotten, at)
	s.made[at] = true
}

// countStopped notes what stops steps.
func (s *sim) countStopped(p *process) {
	stops := map[string]bool{}
	for _, status := range p.status {
		switch {
		case status.State == Frozen:
			stops["guard "+plan.GuardFreeze] = true
		case status.State == Paused:
			stops["paused"] = true
		case status.State == Clashes && strings.Contains(status.Why, "no room for this one"):
			stops["guard quota"] = true
		}
	}
	for what := range stops {
		s.count(what)
	}
}

// apply is a person who looks at what waits, and agrees to it.
func (s *sim) apply() {
	p := s.awake()
	if p == nil {
		return
	}
	s.countStopped(p)
	steps, digest := p.pending()
	if len(steps) == 0 {
		return
	}
	s.checkShares(p, steps)
	count := 0
	for _, v := range p.vetoes {
		count = max(count, v.Deletes)
		s.count("guard " + v.Guard)
	}
	if v := p.View(); !p.stale && v.Pending == digest && v.Deletes != count { // else they are about to be told
		s.fail("people are told the count %d, and %d is asked", v.Deletes, count)
	}
	if s.chance(1, 5) {
		s.refused(p, Apply{Digest: digest + "0", ConfirmDeletes: count, Identity: "mallory"}, "a digest that nobody has seen was applied")
		s.count("wrong digest refused")
		return
	}
	if count > 0 {
		s.count("guard asks for a count")
		s.refused(p, Apply{Digest: digest, ConfirmDeletes: count + 1, Identity: "ann"}, "a wrong count was taken")
	}
	if s.awake() != p { // it died of the question
		return
	}
	s.agree(steps, count > 0)
	if s.alive(p, func() error {
		_, err := p.applyDigest(p.ctx, Apply{Digest: digest, ConfirmDeletes: count, Identity: "ann"})
		return err
	}) {
		s.count("applied by a person")
		s.tell(p, nil)
	}
}

// refused holds that the daemon does not do what it is asked.
func (s *sim) refused(p *process, q Apply, otherwise string) {
	s.alive(p, func() error {
		if _, err := p.applyDigest(p.ctx, q); err == nil {
			s.fail("%s", otherwise)
		}
		return nil
	})
}
