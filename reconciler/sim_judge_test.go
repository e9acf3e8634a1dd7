package reconciler

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/release"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// judge looks at a write of the store that is about to be made. What it returns is done once it was made: by then, what was decided to be
// done must have been allowed, and what people decided is known.
func (s *sim) judge(p *process, what string, ops []state.Op) (then func()) {
	ops = slices.DeleteFunc(slices.Clone(ops), func(op state.Op) bool { return op.Check })
	switch what {
	case "intent":
		return func() { s.judgeIntent(p, ops[0]) }
	case "release":
		before := read[release.Release](s, s.rows.tables["release"][ops[0].Key].Value)
		return func() { s.judgeRelease(p, before, read[release.Release](s, ops[0].Value)) }
	case "inventory":
		return s.judgeInventory(ops)
	case "claim":
		return func() {
			s.count("a part of a call in doubt is there")
			s.judgeOutcome(ops)
		}
	case "outcome":
		return func() { s.judgeOutcome(ops) }
	}
	return func() {}
}

// read is a value of the store.
func read[T any](s *sim, value []byte) (v T) {
	if value == nil {
		return v
	}
	if err := json.Unmarshal(value, &v); err != nil {
		s.fail("read %T: %v", v, err)
	}
	return v
}

// judgeIntent judges a call before it is made.
func (s *sim) judgeIntent(p *process, op state.Op) {
	intent := read[state.Intent](s, op.Value)
	c, known := s.revisionOf(intent.Commit)
	if !known {
		s.fail("intent %s is of an unknown commit %s", intent.ID, intent.Commit)
		return
	}
	for _, step := range intent.Steps {
		owned := read[state.Entry](s, s.rows.tables["inventory"][step.Key.String()].Value)
		for _, id := range slices.Compact([]schema.ServiceID{step.Service, owned.Service}) {
			if _, declared := c.decl.services[id]; declared || id == step.Service {
				s.judgeMode(c, id, step)
			}
		}
		zone, _ := step.Key.Scope.Zone()
		about := []subject{{zone: zone}}
		for _, id := range []schema.ServiceID{step.Service, owned.Service} {
			_, declared := c.decl.services[id]
			about = append(about, subject{service: id, gone: !declared || len(c.decl.broken) > 0})
		}
		for fleet, address := range addressOf {
			if leadsTo(step.Before, address) || leadsTo(step.After, address) {
				about = append(about, subject{fleet: fleet})
			}
		}
		s.judgeFrozen(p, step.Verb, step.Key, about...)
		s.judgeDecided(step)
		if step.Verb == plan.Delete && step.Key.Kind == resource.DNSRecord && protects(c.decl, step.Key) && !s.confirmed[step.ID()] {
			s.fail("%s is protected and goes, and nobody confirmed the count", step.Key)
		}
	}
	s.judgeQuota(p, c, intent)
}

// revisionOf is the commit of a hash.
func (s *sim) revisionOf(commit string) (revision, bool) {
	i := slices.IndexFunc(s.branch, func(c revision) bool { return c.commit.Hash == commit })
	if i < 0 {
		return revision{}, false
	}
	return s.branch[i], true
}

func leadsTo(spec resource.Value, address string) bool {
	return bytes.Contains(spec, []byte(`"`+address+`"`))
}

// protects tells whether a record does not go without the count.
func protects(d declarations, key resource.Key) bool {
	return d.protected[schema.Hostname(placeOf(key).host)] || strings.HasPrefix(key.Name, "NS ") || render.IsMark(key)
}

// modeAt is what a commit says of drift in what a service has; known is false where it may stay at an earlier declaration.
func (c revision) modeAt(id schema.ServiceID) (mode schema.DriftMode, known bool) {
	mode = c.decl.drift
	if x, is := c.decl.services[id]; is && x.drift != "" {
		mode = x.drift
	}
	return mode, id == "" || len(c.decl.broken) == 0
}

// judgeMode holds that what is paused is left alone, and that where drift is only reported nothing is done that nobody agreed to.
func (s *sim) judgeMode(c revision, id schema.ServiceID, step plan.Step) {
	switch mode, known := c.modeAt(id); {
	case known && mode == schema.Pause:
		s.fail("%s %s is of %q, which is paused", step.Verb, step.Key, id)
	case known && mode == schema.Report && !s.agreed[step.ID()]:
		s.fail("%s %s is of %q, which only reports, and nobody agreed", step.Verb, step.Key, id)
	}
}

// subject is what a freeze may be of.
type subject struct {
	service schema.ServiceID
	fleet   schema.FleetID
	zone    schema.Hostname
	gone    bool // the service is declared no more: what was its may be known of no team
}

func (a subject) team() schema.TeamID {
	if a.service == "" || a.gone {
		return ""
	}
	return theTeam
}

// judgeFrozen holds that what is frozen stays as it is.
func (s *sim) judgeFrozen(p *process, verb plan.Verb, key resource.Key, about ...subject) {
	for _, name := range sortedKeys(s.rows.tables["freeze"]) {
		f := read[state.Freeze](s, s.rows.tables["freeze"][name].Value)
		if !p.now().Before(f.Until) {
			continue
		}
		if slices.ContainsFunc(about, func(a subject) bool { return f.Covers(a.service, a.team(), a.fleet, a.zone) }) {
			s.fail("%s %s, and freeze %s holds for %s", verb, key, name, f.Until.Sub(p.now()))
		}
	}
}

// judgeDecided holds that what a person decided is done.
func (s *sim) judgeDecided(step plan.Step) {
	at := at(step)
	d := read[state.Decision](s, s.rows.tables["decision"][step.Key.String()].Value)
	switch _, theirs := s.foreign[at]; {
	case step.Verb == plan.Adopt && !s.agreed[step.ID()]:
		s.fail("%s is adopted, and nobody agreed to that", step.Key)
	case step.Verb != plan.Adopt && theirs && s.forgotten[at] && step.Before != nil:
		s.fail("%s %s was let go, and is not ours", step.Verb, step.Key)
	case d.Kept != nil && bytes.Equal(d.Kept.Have, step.Before) && bytes.Equal(d.Kept.Want, step.After):
		s.fail("%s %s: it was to be kept as it is", step.Verb, step.Key)
	}
}

// judgeQuota holds that no call is made for which a zone has no room, as far as is known.
func (s *sim) judgeQuota(p *process, c revision, intent state.Intent) {
	z := p.zones[intent.Scope]
	if intent.Scope != resource.ZoneScope(quotaZone) || c.decl.quota == 0 || z == nil || z.snapshot == nil {
		return
	}
	more := 0
	for _, step := range intent.Steps {
		switch step.Verb {
		case plan.Create:
			more++
		case plan.Delete:
			more--
		}
	}
	if n := len(z.snapshot.Resources); more > 0 && n+more > c.decl.quota {
		s.fail("%d records more than the %d that are there, in a zone that may hold %d", more, n, c.decl.quota)
	}
}

// judgeRelease judges what becomes of a fleet.
func (s *sim) judgeRelease(p *process, before, after release.Release) {
	c, known := s.revisionOf(p.tip.Hash)
	if !known {
		return // none was read since the start: names linger, at most
	}
	if !bytes.Equal(before.Spec, after.Spec) {
		s.judgeFrozen(p, plan.Update, after.FleetKey(), subject{fleet: after.Fleet})
	}
	for _, id := range sortedKeys(after.Services) {
		was, is := before.Services[id], after.Services[id]
		if was.Content == is.Content && was.Removed == is.Removed && slices.Equal(was.Names, is.Names) {
			continue
		}
		s.judgeFrozen(p, plan.Update, after.Key(id), subject{service: id, fleet: after.Fleet})
		if mode, known := c.modeAt(id); known && mode == schema.Pause {
			s.fail("service %s is paused, and fleet %s serves it otherwise", id, after.Fleet)
		}
		for _, host := range was.Hosts() {
			gone := !slices.Contains(is.Hosts(), host) && !slices.Contains(c.decl.services[id].hosts, host)
			if gone && c.decl.protected[host] && len(c.decl.broken) == 0 && !s.confirmed[string(id)+" "+string(host)] {
				s.fail("%s is protected and is taken from %s, and nobody confirmed the count", host, id)
			}
		}
	}
}

// judgeInventory holds that what becomes ours without a call was agreed to, as it is; and notes what we let go.
func (s *sim) judgeInventory(ops []state.Op) (then func()) {
	var do []func()
	for _, op := range ops {
		if op.Table != "inventory" {
			continue
		}
		before, after := read[state.Entry](s, s.rows.tables["inventory"][op.Key].Value), read[state.Entry](s, op.Value)
		switch {
		case before.Spec == nil && after.Spec != nil:
			do = append(do, func() { s.adopted(after) })
		case before.Spec != nil && after.Spec == nil && before.Key.Kind == resource.DNSRecord:
			do = append(do, func() { s.letGo(before.Key) })
		}
	}
	return func() {
		for _, f := range do {
			f()
		}
	}
}

// judgeOutcome knows what somebody else made just as a call without an answer was to make it: nobody can tell the two apart, and it is
// ours by the journal.
func (s *sim) judgeOutcome(ops []state.Op) {
	for _, op := range ops {
		e := state.Entry{}
		if op.Table == "inventory" {
			e = read[state.Entry](s, op.Value)
		}
		at := at(plan.Step{Key: e.Key})
		if theirs, is := s.foreign[at]; is && e.Spec != nil && theirs == shapeOf(s, e.Spec) {
			s.count("others made what a call in doubt was to make")
			s.takeOver(at)
			zone, _ := e.Key.Scope.Zone()
			s.noteLeads(string(zone), false)
		}
	}
}

// adopted judges that a record became ours as it is.
func (s *sim) adopted(e state.Entry) {
	step := plan.Step{Key: e.Key, Verb: plan.Adopt, Before: e.Spec, After: e.Spec}
	if !s.agreed[step.ID()] {
		s.fail("%s becomes ours as it is, and nobody agreed to that", e.Key)
	}
	s.count("adopted as it is")
	zone := strings.TrimPrefix(string(e.Key.Scope), "zone/")
	if theirs, is := s.foreign[at(step)]; is {
		s.takeOver(at(step))
		s.touched[at(step)] = theirs != shapeOf(s, e.Spec) // since it was listed
	}
	s.noteLeads(zone, false)
}

// comeApart counts zones that were listed together and will be listed at different times, and holds that each is listed when it must be.
func (s *sim) comeApart(p *process, o observed) {
	z := p.zones[o.scope]
	wait := z.due.Sub(p.now())
	if _, is := o.scope.Zone(); !is || o.err != nil || wait <= 0 || z.err != nil {
		return
	}
	if wait > p.Every.Observe || wait < p.Every.Observe*9/10 && len(p.flights) == 0 {
		s.fail("%s is listed in %s, want a little less than %s", o.scope, wait, p.Every.Observe)
	}
	if !s.waitsFrom.Equal(o.started) {
		if s.together = s.together && len(s.waits) > 2; s.together && allEqual(s.waits) {
			s.fail("zones that were listed together twice are listed together again")
		}
		s.together = len(s.waits) > 2 && allEqual(s.waits)
		s.waits, s.waitsFrom = nil, o.started
	}
	if s.waits = append(s.waits, wait); !allEqual(s.waits) {
		s.count("zones that were listed together come apart")
	}
}

func allEqual(all []time.Duration) bool { return len(slices.Compact(slices.Clone(all))) <= 1 }
