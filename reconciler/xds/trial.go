package xds

import (
	"slices"

	"github.com/edgewright/edgewright/schema"
)

// unit are services that can only be tried together.
type unit []schema.ServiceID

// group are the units that are tried in one go.
type group struct {
	units []unit
	in    map[schema.ServiceID]string // with the versions that were refused
	after *group                      // was refused together with this one: if it is good alone, this one is not
}

func newGroup(units []unit, blame blame, after *group) *group {
	g := &group{units: units, in: map[schema.ServiceID]string{}, after: after}
	for _, u := range units {
		for _, id := range u {
			g.in[id] = ""
			if v := blame[id]; v != nil {
				g.in[id] = v.Version
			}
		}
	}
	return g
}

// blame is what a proxy may have meant by a refusal.
type blame map[schema.ServiceID]*version

// guilty tells whether a group need not be tried: together with what was just found good, it is what was refused before.
func (t *stream) guilty(g *group) bool {
	if g.after == nil {
		return false
	}
	for id, version := range g.after.in {
		if own := t.see(id).own; own == nil || own.Version != version {
			return false
		}
	}
	for id, version := range g.in {
		if next := t.see(id).goal.version; next == nil || next.Version != version {
			return false
		}
	}
	return true
}

// allowed tells whether a service may be changed now: while a culprit is sought, only those that are tried.
func (t *stream) allowed(id schema.ServiceID) bool {
	if len(t.trials) == 0 {
		return true
	}
	_, in := t.trials[0].in[id]
	return in
}

// nextTrial ends the present trial: what was tried is good.
func (t *stream) nextTrial() {
	t.trials = t.trials[1:]
	if len(t.trials) > 0 && t.guilty(t.trials[0]) {
		found := blame{}
		for id := range t.trials[0].in {
			found[id] = t.see(id).goal.version
		}
		t.try(t.trials[0].units, found, t.why)
		return
	}
	t.lookAgain()
}

// lookAgain has the clusters of all services looked at that are not what they are to be.
func (t *stream) lookAgain() {
	for id := range t.pending {
		t.stale[id] = struct{}{}
	}
}

// units are services with those that could only go together with them.
func (t *stream) units(of []schema.ServiceID, seen map[schema.ServiceID]bool) []unit {
	var out []unit
	for _, id := range of {
		if seen[id] {
			continue
		}
		tied := unit{id}
		if ties := t.see(id).ties; len(ties) > 1 {
			tied = ties
		}
		for _, other := range tied {
			seen[other] = true
		}
		out = append(out, tied)
	}
	return out
}

// try looks for the culprit among units: a single one is it, of several one half is tried and then the other.
func (t *stream) try(units []unit, shown blame, message string) {
	if len(units) > 1 {
		t.split(units[:len(units)/2], units[len(units)/2:], shown)
		return
	}
	for _, u := range units {
		t.condemn(u, shown, message)
	}
	t.dropTrial()
}

// split puts two trials in the place of the present one.
func (t *stream) split(first, second []unit, shown blame) {
	one := newGroup(first, shown, nil)
	t.trials = slices.Concat([]*group{one, newGroup(second, shown, one)}, t.trials[min(1, len(t.trials)):])
	t.lookAgain()
}

// dropTrial ends a trial that was refused and whose culprit is found. Others of its group go on.
func (t *stream) dropTrial() {
	if len(t.trials) > 0 && len(t.trials[0].units) == 1 {
		t.trials = t.trials[1:]
	}
	t.lookAgain()
}
