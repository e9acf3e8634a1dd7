package reconciler

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render/resource"
)

// lateness is how long after it was begun a call without an answer may still be taken, and be seen: AWS takes no request whose signature
// is more than 15 minutes away from its own time (AWS IAM User Guide, "Troubleshoot AWS Signature Version 4 API requests"). The clock of
// the process that signed may have been wrong by as much.
const lateness = 31 * time.Minute

// resolve settles the calls of a scope whose answer never came, by a fresh observation. What is there as intended was done, and is ours
// by the journal. A call of which nothing is seen is not waited for any more; but it stays in the journal for a while, as the request
// may still be on its way, or the listing be from before it.
func (l *loop) resolve(ctx context.Context, scope resource.Scope, started time.Time) {
	var doubts []flight
	for _, f := range l.flights {
		if f.intent.Scope == scope && f.doubt && !started.Before(f.started) {
			doubts = append(doubts, f)
		}
	}
	for _, j := range l.judgeDoubts(doubts) {
		f := j.flight
		if j.told == "" && l.seenHalf(j, started) {
			continue
		}
		if len(j.others) > 0 {
			l.Log.Warn("another's record stands where a call may have deleted ours: it is left alone", "scope", scope, "intent", f.intent.ID, "steps", what(j.others))
			j.seen = append(j.seen, j.others...)
		}
		switch late := l.Now().Sub(f.started) > lateness; {
		case len(j.seen) > 0 && j.undone && !late:
			l.claim(ctx, f, j.seen)
		case len(j.seen) > 0:
			l.Log.Info("a call whose answer was lost had been taken", "scope", scope, "intent", f.intent.ID, "steps", len(f.intent.Steps), "seen", len(j.seen))
			l.finish(ctx, f, j.seen, plan.Outcome{})
		default:
			l.notSeen(ctx, j, late)
		}
	}
}

// notSeen is what becomes of a call in doubt of which nothing more is seen than was known. It is not closed as long as it may still come.
func (l *loop) notSeen(ctx context.Context, j judged, late bool) {
	f := j.flight
	f.passed = f.passed || j.told != ""
	l.flights[f.intent.ID] = f
	switch {
	case f.absent.IsZero():
		l.Log.Info("nothing is seen of a call whose answer was lost", "scope", f.intent.Scope, "intent", f.intent.ID, "told", j.told)
		f.absent = l.Now()
		l.flights[f.intent.ID] = f
		l.dirtySteps(f.intent.Steps)
	case late && len(f.intent.Seen) > 0:
		l.abandon(ctx, f, fmt.Sprintf("no answer came, and of %d changes %d were there afterwards", len(f.intent.Steps), len(f.intent.Seen)))
	case late:
		l.abandon(ctx, f, "no answer came, and the change was not there afterwards")
	}
}

// judged is a call in doubt with those of its steps that were done.
type judged struct {
	flight
	seen   []plan.Step
	others []plan.Step // deletions that may have been done, where something else stands now
	undone bool        // other steps are as if it had not been taken
	told   string      // the later call that others of its steps count as done by; empty: none
}

// judgeDoubts looks for what calls in doubt have done; all are judged before one is settled, as that changes what is known of the
// others. What several may have done was done once: the newest is told of it, as the older had not been seen when it was begun.
func (l *loop) judgeDoubts(doubts []flight) []judged {
	slices.SortFunc(doubts, func(a, b flight) int {
		return cmp.Or(b.intent.At.Compare(a.intent.At), cmp.Compare(a.intent.ID, b.intent.ID))
	})
	told := map[resource.Key]string{}
	var out []judged
	for _, f := range doubts {
		all := l.seenOf(f)
		j := judged{flight: f, undone: l.undone(f)}
		for _, s := range all {
			if other := told[s.Key]; other != "" {
				j.told = other
				continue
			}
			told[s.Key] = f.intent.ID
			j.seen = append(j.seen, s)
		}
		if len(all) < len(f.intent.Steps) {
			j.others = l.othersIn(f, len(all))
		}
		out = append(out, j)
	}
	return out
}

// seenHalf tells whether a listing shows a part of a call for the first time. As a call is taken whole, its pages may be from before and
// after: a later listing tells, and until then its records are left alone, as those of a call that is under way.
func (l *loop) seenHalf(j judged, started time.Time) bool {
	f := j.flight
	if len(j.others) == 0 && (len(j.seen) == 0 || len(j.seen) == len(f.intent.Steps)) {
		return false
	}
	if f.half.IsZero() {
		f.half = started
	}
	if started.Sub(f.half) >= staleness {
		return false
	}
	f.absent = time.Time{}
	l.flights[f.intent.ID] = f
	l.zone(f.intent.Scope).due = f.half.Add(staleness)
	return true
}

// othersIn are the deletions of a call in doubt where there is now neither nothing nor what was to be deleted. If the call was taken,
// somebody made that afterwards, and it is not ours; only what is left as it was before tells that the call was not taken. Who cannot
// tell leaves it alone: one record that nobody declares is the smaller harm. A health check of our reference is never another's.
func (l *loop) othersIn(f flight, seen int) []plan.Step {
	have := l.zones[f.intent.Scope].snapshot.Resources
	var others []plan.Step
	for _, s := range f.intent.Steps {
		switch now := have[s.Key]; {
		case bytes.Equal(now, s.Before) && seen == 0:
			return nil
		case s.After == nil && now != nil && s.Key.Kind != resource.DNSHealthCheck && !bytes.Equal(now, s.Before) && !l.madeByUs(s.Key, now):
			others = append(others, s)
		}
	}
	return others
}

// madeByUs tells whether a record is as the inventory has it, or as a call under way makes it.
func (l *loop) madeByUs(key resource.Key, spec resource.Value) bool {
	for _, f := range l.flights {
		if slices.ContainsFunc(f.intent.Steps, func(s plan.Step) bool { return s.Key == key && bytes.Equal(s.After, spec) }) {
			return true
		}
	}
	return bytes.Equal(l.owned[key].Spec, spec)
}

// seenOf are the steps of a call of which an observation tells that they were done. A call is taken whole, so one value that is there as
// intended tells of all, unless something is still as before: others may have been changed by somebody since. But that something is gone
// tells of itself only, as anybody can have deleted it. A health check is known by a reference that only we give, so that it was made is seen
// whatever it is by now.
func (l *loop) seenOf(f flight) []plan.Step {
	have := l.zones[f.intent.Scope].snapshot.Resources
	whole := !l.undone(f)
	var seen []plan.Step
	for _, s := range f.intent.Steps {
		as := bytes.Equal(have[s.Key], s.After) && !bytes.Equal(s.Before, s.After)
		as = as || s.Key.Kind == resource.DNSHealthCheck && s.Verb == plan.Create && have[s.Key] != nil
		switch {
		case as && l.explained(f, s):
		case as && s.After != nil && whole:
			return f.intent.Steps
		case as:
			seen = append(seen, s)
		}
	}
	return seen
}

// explained tells whether what a step was to make is there because of another call, as far as the inventory knows. So it is no sign that
// this one was taken: it may still be on its way, and do the same again once somebody has undone it. Nor is it where AWS has said of another
// call, which has not spread yet, that it was taken.
func (l *loop) explained(f flight, s plan.Step) bool {
	for id, other := range l.flights {
		if id != f.intent.ID && other.intent.Token != "" && slices.ContainsFunc(other.intent.Steps, func(o plan.Step) bool { return o.Key == s.Key && bytes.Equal(o.After, s.After) }) {
			return true
		}
	}
	return (f.passed || f.inherited) && bytes.Equal(l.owned[s.Key].Spec, s.After)
}

// overtake notes of calls in doubt that a later one was taken, which makes some of their steps.
func (l *loop) overtake(by flight) {
	for id, f := range l.flights {
		if f.doubt && id != by.intent.ID && f.meets(by) {
			f.passed = true
			l.flights[id] = f
		}
	}
}

// mayHaveLed are the inventory's entries once steps seem not to have been made. They may have been, for a moment that nobody saw: where
// their records lead counts as followed until a TTL from now.
func (l *loop) mayHaveLed(steps []plan.Step, now time.Time) []state.Entry {
	var entries []state.Entry
	for _, s := range steps {
		if s.After == nil || len(s.Needs) == 0 {
			continue
		}
		e := l.owned[s.Key]
		e.Key = s.Key
		e.Gone = append(l.recent(e.Gone, now), state.Gone{At: now, TTL: ttlOf(s.After), Needs: s.Needs})
		entries = append(entries, e)
	}
	return entries
}

// undone tells whether something is still as before a call would have changed it. Somebody may have put it back; but the call may also not
// have come yet, and what else is as intended be of others.
func (l *loop) undone(f flight) bool {
	have := l.zones[f.intent.Scope].snapshot.Resources
	return slices.ContainsFunc(f.intent.Steps, func(s plan.Step) bool {
		return bytes.Equal(have[s.Key], s.Before) && !bytes.Equal(s.Before, s.After)
	})
}

// claim takes steps of a call for done while others are not. The call stays in the journal, as it may still be on its way.
func (l *loop) claim(ctx context.Context, f flight, seen []plan.Step) {
	now := l.Now()
	entries := l.entriesAfter(f, seen, now)
	keys := slices.Clone(f.intent.Seen)
	for _, s := range seen {
		if !slices.Contains(keys, s.Key) {
			keys = append(keys, s.Key)
		}
	}
	err := l.Books.Audit.With(ctx, func(ctx context.Context, more ...state.Op) error {
		return l.Books.Journal.Claim(ctx, f.intent.ID, keys, entries, more...)
	}, l.entries(seen, "applied", now)...)
	if err != nil {
		l.Log.Error("journal what is seen of a call", "intent", f.intent.ID, "error", err) // the next observation tells again
		return
	}
	l.Log.Info("a part of a call whose answer was lost is there", "scope", f.intent.Scope, "intent", f.intent.ID, "steps", len(f.intent.Steps), "seen", len(seen))
	l.applied(ctx, f, seen, entries)
	f.intent.Seen, f.passed, f.absent = keys, true, now
	l.flights[f.intent.ID] = f
	l.dirtySteps(f.intent.Steps)
}

// abandon closes a call that seems not to have been taken.
func (l *loop) abandon(ctx context.Context, f flight, why string) {
	l.drop(ctx, f, plan.Outcome{Refused: why}, why)
}

// drop closes a call of which nothing counts as done.
func (l *loop) drop(ctx context.Context, f flight, outcome plan.Outcome, why string) {
	now := l.Now()
	entries := l.mayHaveLed(f.intent.Steps, now)
	if err := l.close(ctx, f, outcome, now, entries, l.entries(f.intent.Steps, "given up: "+why, now)); err != nil {
		l.Log.Error("journal outcome", "intent", f.intent.ID, "error", err)
		return
	}
	for _, e := range entries {
		l.own(e)
	}
	l.land(f)
}
