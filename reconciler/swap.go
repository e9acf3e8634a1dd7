package reconciler

import (
	"strings"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
)

// place is a name in a zone, with all its types and sets.
type place struct {
	scope resource.Scope
	host  string
}

func placeOf(key resource.Key) place {
	_, rest, _ := strings.Cut(key.Name, " ")
	host, _, _ := strings.Cut(rest, " ")
	return place{key.Scope, host}
}

// keepSwapsTogether makes records that cannot stand beside each other go in one call or not at all: a CNAME that makes way for
// addresses, one record that becomes several sets. AWS refuses the new one before the old is gone, and between two calls the name would
// have no answer.
func (l *loop) keepSwapsTogether(steps []plan.Step) {
	places := map[place][]plan.Step{}
	for _, s := range steps {
		if s.Key.Kind == resource.DNSRecord {
			places[placeOf(s.Key)] = append(places[placeOf(s.Key)], s)
		}
	}
	for _, all := range places {
		for again := len(all) > 1; again; {
			again = l.holdSwaps(all)
		}
	}
}

// holdSwaps makes each ready step wait that would go without its rival, and tells whether there was one.
func (l *loop) holdSwaps(all []plan.Step) (held bool) {
	for _, s := range all {
		for _, other := range all {
			if l.status[s.Key].State == Ready && l.status[other.Key].State != Ready && plan.Rivals(s, other) {
				l.status[s.Key] = Status{Waits, other.Key.Name + " changes with it in one call, and cannot yet"}
				held = true
			}
		}
	}
	return held
}

// flyingAt is a record of a name that a call is about which is not over.
func (l *loop) flyingAt(at place) (resource.Key, bool) {
	for _, id := range sortedKeys(l.flights) {
		for _, s := range l.flights[id].intent.Steps {
			if placeOf(s.Key) == at {
				return s.Key, true
			}
		}
	}
	return resource.Key{}, false
}

// oneName tells whether all steps are about one name: such a call is not divided.
func oneName(steps []plan.Step) bool {
	for _, s := range steps {
		if placeOf(s.Key) != placeOf(steps[0].Key) {
			return false
		}
	}
	return true
}

// wholeNames are the first steps, up to a number, and those of the same name behind them.
func wholeNames(steps []plan.Step, most int) []plan.Step {
	n := min(most, len(steps))
	for n < len(steps) && placeOf(steps[n].Key) == placeOf(steps[n-1].Key) {
		n++
	}
	return steps[:n]
}
