package reconciler

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Choice is what a person may decide about records that others made or changed.
type Choice string

const (
	ChooseAdopt   Choice = "adopt"    // plan to take over what exists; nothing is done before somebody agrees to that plan
	ChooseKeep    Choice = "keep"     // leave what somebody else changed as it is, until it or the declaration changes
	ChoosePutBack Choice = "put-back" // undo what somebody else changed, where that is only reported
	ChooseForget  Choice = "forget"   // let go of what is ours: it stays as it is, and is ours no more
)

// Settle asks for a choice about records, by host name or by type and name ("A www.acme.example"), or about all of a zone.
type Settle struct {
	Choice   Choice   `json:"choice"`
	Names    []string `json:"names,omitempty"`
	Zone     string   `json:"zone,omitempty"` // with no names: all in it
	Identity string   `json:"-"`
}

// Settled is what a choice came to.
type Settled struct {
	Keys    []resource.Key `json:"keys"`
	Steps   []plan.Step    `json:"steps,omitempty"`   // that wait for somebody to agree
	Pending string         `json:"pending,omitempty"` // the digest by which all that waits is applied
}

// Settle does what is asked. A *Refused says why it is not done.
func (r *Reconciler) Settle(ctx context.Context, q Settle) (Settled, error) {
	got, err := r.ask(ctx, q)
	if err != nil {
		return Settled{}, err
	}
	switch a := got.(type) {
	case Settled:
		return a, nil
	case error:
		return Settled{}, a
	}
	return Settled{}, errors.New("no answer")
}

func (l *loop) settle(ctx context.Context, q Settle) any {
	var fits func(resource.Key) bool
	var none string
	switch q.Choice {
	case ChooseAdopt:
		fits, none = l.adoptable, "nothing that is declared exists without being ours"
	case ChooseKeep, ChoosePutBack:
		fits, none = l.drifted, "nothing that is ours was changed by somebody else"
	case ChooseForget:
		fits, none = l.letsGo, "nothing there is ours"
	default:
		return refuse("%q is no choice", q.Choice)
	}
	if len(q.Names) == 0 && q.Zone == "" {
		return refuse("name records, or a zone")
	}
	var keys []resource.Key
	for _, key := range l.knownKeys() {
		if q.names(key) && fits(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return refuse("%s by that name", none)
	}
	for _, name := range q.Names {
		if !slices.ContainsFunc(keys, func(k resource.Key) bool { return (Settle{Names: []string{name}, Zone: q.Zone}).names(k) }) {
			return refuse("%s: %s by that name; nothing was done", name, none)
		}
	}
	if q.Choice == ChooseKeep || q.Choice == ChooseForget {
		for _, key := range keys {
			if f, is := l.callAbout(key); is {
				return refuse("%s: a call about it is not over, and may still change it; ask again once its outcome is known, by %s at the latest; nothing was done",
					key.Name, f.started.Add(lateness).UTC().Format("15:04 MST"))
			}
		}
	}
	if err := l.choose(ctx, q, keys); err != nil {
		return err
	}
	l.compare()
	l.judge(l.Now())
	out := Settled{Keys: keys}
	for _, key := range keys {
		if s, is := l.steps[key]; is && l.status[key].State == Approval {
			out.Steps = append(out.Steps, s)
		}
	}
	_, out.Pending = l.pending()
	return out
}

// names tells whether a question is about a key.
func (q Settle) names(key resource.Key) bool {
	if q.Zone != "" && key.Scope != resource.ZoneScope(schema.Hostname(strings.TrimSuffix(q.Zone, "."))) {
		return false
	}
	return len(q.Names) == 0 || slices.Contains(q.Names, key.Name) || slices.Contains(q.Names, placeOf(key).host)
}

// knownKeys are the keys of AWS that are desired or ours, in order.
func (l *loop) knownKeys() []resource.Key {
	all := map[resource.Key]bool{}
	for key := range l.desired {
		all[key] = !key.Kind.OfProxies()
	}
	for key, e := range l.owned {
		all[key] = !key.Kind.OfProxies() && (e.Spec != nil || all[key])
	}
	return slices.DeleteFunc(sortedKeysFunc(all, resource.Key.Compare), func(k resource.Key) bool { return !all[k] })
}

func (l *loop) adoptable(key resource.Key) bool {
	_, desired := l.desired[key]
	z := l.zones[key.Scope]
	return desired && l.owned[key].Spec == nil && z != nil && z.snapshot != nil && z.snapshot.Foreign == "" && z.snapshot.Resources[key] != nil
}

func (l *loop) drifted(key resource.Key) bool {
	s, is := l.steps[key]
	return is && l.isDrift(s)
}

func (l *loop) letsGo(key resource.Key) bool { return l.owned[key].Spec != nil }

// callAbout is a call about a key that is not over, also one of whose outcome nobody knows.
func (l *loop) callAbout(key resource.Key) (flight, bool) {
	for _, id := range sortedKeys(l.flights) {
		if slices.ContainsFunc(l.flights[id].intent.Steps, func(s plan.Step) bool { return s.Key == key }) {
			return l.flights[id], true
		}
	}
	return flight{}, false
}

func (l *loop) choose(ctx context.Context, q Settle, keys []resource.Key) error {
	now := l.Now()
	for _, key := range keys {
		var err error
		switch q.Choice {
		case ChooseAdopt:
			err = l.decided(ctx, state.Decision{Key: key, Adopt: true, By: q.Identity, At: now})
		case ChooseKeep:
			kept := plan.Kept{Have: l.steps[key].Before, Want: l.steps[key].After}
			err = l.decided(ctx, state.Decision{Key: key, Kept: &kept, By: q.Identity, At: now})
		case ChoosePutBack:
			err = l.approve(ctx, []plan.Step{l.steps[key]}, state.Approval{By: q.Identity, At: now})
		case ChooseForget:
			err = l.letGo(ctx, key)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", q.Choice, key, err)
		}
		l.note(ctx, audit.Entry{Who: q.Identity, Why: "asked for", What: fmt.Sprintf("%s %s", q.Choice, key), Result: "decided"})
		l.dirty[key] = true
	}
	l.log(ctx, "settled", "choice", q.Choice, "records", len(keys), "by", q.Identity)
	return nil
}

func (l *loop) decided(ctx context.Context, d state.Decision) error {
	if err := l.Books.Decisions.Put(ctx, d); err != nil {
		return err
	}
	l.decisions[d.Key] = d
	return nil
}

// letGo makes a record ours no more. Whoever takes it sees to where it leads; but what it led to until now counts as followed for a TTL
// yet, as it may have been changed a moment ago.
func (l *loop) letGo(ctx context.Context, key resource.Key) error {
	e := l.owned[key]
	next := state.Entry{Key: key, Gone: append(l.recent(e.Gone, l.Now()), state.Gone{At: l.Now(), TTL: ttlOf(e.Spec), Needs: e.Needs})}
	if err := l.Books.Inventory.Put(ctx, next); err != nil {
		return err
	}
	next.Gone[len(next.Gone)-1].At = l.Now() // it was ours until it was written
	l.own(next)
	return l.undecide(ctx, key)
}

func (l *loop) undecide(ctx context.Context, key resource.Key) error {
	if _, is := l.decisions[key]; !is {
		return nil
	}
	delete(l.decisions, key)
	return l.Books.Decisions.Delete(ctx, key)
}

// forgetDecisions drops what was decided about what has changed since, or is ours by now.
func (l *loop) forgetDecisions(ctx context.Context) {
	for _, key := range sortedKeysFunc(l.decisions, resource.Key.Compare) {
		d := l.decisions[key]
		want, desired := l.desired[key]
		z := l.zones[key.Scope]
		if z == nil || z.snapshot == nil || !l.loaded {
			continue
		}
		stands := desired && l.owned[key].Spec == nil && z.snapshot.Resources[key] != nil
		if d.Kept != nil {
			stands = desired && bytes.Equal(d.Kept.Want, want.Spec) && bytes.Equal(d.Kept.Have, z.snapshot.Resources[key])
		}
		if stands {
			continue
		}
		if err := l.undecide(ctx, key); err != nil {
			l.Log.Error("drop decision", "key", key, "error", err)
		}
	}
}

// adoptAsFound makes ours what exists just as it is desired: no call is needed.
func (l *loop) adoptAsFound(ctx context.Context, now time.Time) error {
	var steps []plan.Step
	for _, s := range l.sortedSteps() {
		if s.Verb == plan.Adopt && bytes.Equal(s.Before, s.After) && l.status[s.Key].State == Ready && !l.inFlight(s.Key) {
			steps = append(steps, s)
		}
	}
	if len(steps) == 0 {
		return nil
	}
	entries := make([]state.Entry, len(steps))
	for i, s := range steps {
		entries[i] = l.entryAfter(s, l.tip.Hash, now)
	}
	err := l.Books.Audit.With(ctx, func(ctx context.Context, more ...state.Op) error {
		return l.Books.Inventory.PutAll(ctx, entries, more...)
	}, l.entries(steps, "applied", now)...)
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	for _, e := range entries {
		l.own(e)
	}
	l.count(ctx, steps, "applied")
	l.dirtySteps(steps)
	l.compare()
	l.alarm("again", now) // what waited for these
	l.stale = true
	return nil
}

// asUpdates are steps as a provider knows them: to adopt by a change is to change.
func asUpdates(steps []plan.Step) []plan.Step {
	out := slices.Clone(steps)
	for i := range out {
		out[i].Verb = cmp.Or(map[plan.Verb]plan.Verb{plan.Adopt: plan.Update}[out[i].Verb], out[i].Verb)
	}
	return out
}
