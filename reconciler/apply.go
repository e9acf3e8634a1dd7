package reconciler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render/resource"
)

// startCalls sends the next batch of each zone that has none under way. The intent is in the journal before the call is made.
func (l *loop) startCalls(ctx context.Context, now time.Time) error {
	ready := map[resource.Scope][]plan.Step{}
	for _, s := range l.sortedSteps() {
		if !s.Key.Kind.OfProxies() && l.status[s.Key].State == Ready && !(s.Verb == plan.Adopt && bytes.Equal(s.Before, s.After)) {
			ready[s.Key.Scope] = append(ready[s.Key.Scope], s)
		}
	}
	for _, scope := range sortedKeys(ready) {
		z := l.zones[scope]
		if z == nil || z.snapshot == nil || l.calling(scope) || l.gathers(scope, ready[scope], now) {
			continue
		}
		batch := l.Provider.Pack(ready[scope])[0]
		if z.limit > 0 {
			batch.Steps = wholeNames(batch.Steps, z.limit)
		}
		if err := l.start(ctx, batch, now); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) start(ctx context.Context, batch plan.Batch, now time.Time) error {
	digest := plan.Digest(string(batch.Scope), batch.Steps)
	batch.Intent, batch.At = fmt.Sprintf("%s-%d", digest, now.UnixMilli()), now
	if _, open := l.flights[batch.Intent]; open { // the same once more, within a millisecond
		l.alarm("retry", now.Add(time.Millisecond))
		return nil
	}
	intent := state.Intent{ID: batch.Intent, Scope: batch.Scope, Steps: batch.Steps, Commit: l.tip.Hash, Digest: digest, At: now}
	if err := l.Books.Journal.Begin(ctx, intent); err != nil {
		return fmt.Errorf("journal intent: %w", err)
	}
	l.flights[intent.ID] = flight{intent: intent, started: now}
	l.zones[batch.Scope].gather = gathering{}
	l.stale = true
	for _, s := range batch.Steps {
		l.status[s.Key] = Status{State: Applying}
	}
	l.log(ctx, "call started", "scope", batch.Scope, "steps", len(batch.Steps), "intent", intent.ID)
	// A call that was begun is given time to finish also when the daemon is told to stop: cutting it off leaves its outcome in doubt.
	batch.Steps = asUpdates(batch.Steps)
	l.aside(l.calls, func() any {
		call, cancel := context.WithTimeout(l.calls, 30*time.Second)
		defer cancel()
		outcome, err := l.Provider.Apply(call, batch)
		return called{intent.ID, outcome, err}
	})
	return nil
}

// takeCalled deals with the answer of a call: taken, refused, or none at all.
func (l *loop) takeCalled(ctx context.Context, c called) {
	f, ours := l.flights[c.intent]
	if !ours {
		return
	}
	z := l.zone(f.intent.Scope)
	z.wrote = l.Now()
	switch {
	case c.err != nil: // nobody knows whether AWS took it: the next observation tells
		l.Log.Warn("call without an answer", "scope", f.intent.Scope, "intent", c.intent, "error", c.err)
		l.Metrics.Failures.WithLabelValues("call").Inc()
		z.fail(c.err, z.wrote)
		f.doubt = true
		l.flights[c.intent] = f
		z.due = z.wrote.Add(backoff(z.failed))
	case c.outcome.Refused != "":
		l.refused(ctx, f, c.outcome)
	default:
		l.taken(ctx, f, c.outcome)
	}
}

// taken notes a change that AWS has taken. It is in the snapshot at once; it counts as done when it has spread.
func (l *loop) taken(ctx context.Context, f flight, outcome plan.Outcome) {
	z := l.zone(f.intent.Scope)
	z.put(f.intent.Steps)
	l.overtake(f)
	if outcome.Token == "" {
		l.finish(ctx, f, f.intent.Steps, outcome)
		return
	}
	f.intent.Token = outcome.Token
	f.ask = l.Now()
	l.flights[f.intent.ID] = f
	if err := l.Books.Journal.SetToken(ctx, f.intent.ID, outcome.Token); err != nil {
		l.Log.Error("journal token", "intent", f.intent.ID, "error", err)
	}
}

// refused notes that AWS refused a whole batch. A batch of several is halved, so that the one that is at fault is found and the
// others go through; what is about one name waits longer each time.
func (l *loop) refused(ctx context.Context, f flight, outcome plan.Outcome) {
	now := l.Now()
	z := l.zone(f.intent.Scope)
	l.Log.Error("call refused", "scope", f.intent.Scope, "intent", f.intent.ID, "why", outcome.Refused)
	l.Metrics.Failures.WithLabelValues("call").Inc()
	if n := len(f.intent.Steps); !oneName(f.intent.Steps) {
		z.limit = n / 2
	} else {
		for _, s := range f.intent.Steps {
			times := l.failures[s.ID()].times + 1
			l.failures[s.ID()] = failure{why: outcome.Refused, times: times, retry: now.Add(backoff(times))}
		}
	}
	if err := l.close(ctx, f, outcome, now, nil, l.entries(f.intent.Steps, "refused: "+outcome.Refused, now)); err != nil {
		l.Log.Error("journal outcome", "intent", f.intent.ID, "error", err) // it stays open, and is in doubt until it can be written
		f.doubt, z.wrote, z.due = true, now, now
		l.flights[f.intent.ID] = f
		return
	}
	l.land(f)
	z.due = now
}

// finish notes that steps of a call are in effect: journal and inventory in one write.
func (l *loop) finish(ctx context.Context, f flight, steps []plan.Step, outcome plan.Outcome) {
	now := l.Now()
	entries := l.entriesAfter(f, steps, now)
	if err := l.close(ctx, f, outcome, now, entries, l.entries(steps, "applied", now)); err != nil {
		l.Log.Error("journal outcome", "intent", f.intent.ID, "error", err) // open still: it is settled again at the next start
		return
	}
	l.applied(ctx, f, steps, entries)
	l.land(f)
}

// entriesAfter are the inventory's entries once these steps of a call are done, and the others are not.
func (l *loop) entriesAfter(f flight, steps []plan.Step, now time.Time) []state.Entry {
	entries := make([]state.Entry, 0, len(f.intent.Steps))
	for _, s := range steps {
		entries = append(entries, l.entryAfter(s, f.intent.Commit, now))
	}
	return append(entries, l.mayHaveLed(slices.DeleteFunc(slices.Clone(f.intent.Steps), func(s plan.Step) bool {
		return slices.ContainsFunc(steps, func(o plan.Step) bool { return o.Key == s.Key })
	}), now)...)
}

// applied notes steps that were done, with what the inventory now says.
func (l *loop) applied(ctx context.Context, f flight, steps []plan.Step, entries []state.Entry) {
	for _, e := range entries {
		l.own(e)
	}
	for _, s := range steps {
		delete(l.failures, s.ID())
	}
	l.count(ctx, steps, "applied")
	l.zone(f.intent.Scope).limit = 0
}

// entryAfter is the inventory's entry once a step is done. What a name no longer leads to is kept with the time since when, so that
// it can linger for a TTL, also after a restart.
func (l *loop) entryAfter(s plan.Step, commit string, now time.Time) state.Entry {
	old := l.owned[s.Key]
	e := state.Entry{Key: s.Key, Service: s.Service, Spec: s.After, Needs: s.Needs, Commit: commit, Applied: now}
	e.ZoneID, e.Account = old.ZoneID, old.Account
	if zone, known := l.zoneOf(s.Key.Scope); known {
		e.ZoneID = zone.ID
		e.Account, _ = l.edge.Platform.Account(zone.Account)
	}
	if account, is := s.Key.Scope.HealthChecks(); is {
		if a, known := l.edge.Platform.Account(account); known {
			e.Account = a
		}
	}
	e.Gone = l.recent(old.Gone, now)
	before := max(ttlOf(s.Before), ttlOf(old.Spec)) // somebody may have taken the record away, and others believe in it still
	if old.Spec != nil && (!slices.Equal(old.Needs, e.Needs) || before > ttlOf(s.After)) || s.Verb == plan.Delete {
		e.Gone = append(e.Gone, state.Gone{At: now, TTL: before, Needs: old.Needs})
	}
	return e
}

// recent are those that somebody may still follow.
func (l *loop) recent(gone []state.Gone, now time.Time) []state.Gone {
	return slices.DeleteFunc(slices.Clone(gone), func(g state.Gone) bool { return !now.Before(g.Until(l.Margin)) })
}

// forgetGone drops inventory entries of what is gone and cannot be asked for any more.
func (l *loop) forgetGone(now time.Time) {
	for _, key := range sortedKeysFunc(l.owned, resource.Key.Compare) {
		e := l.owned[key]
		if e.Spec != nil || len(l.recent(e.Gone, now)) > 0 {
			continue
		}
		e.Gone = nil
		l.keep(e) // an entry with nothing in it is no row
		delete(l.owned, key)
	}
}

// land ends a flight and looks at its keys again.
func (l *loop) land(f flight) {
	delete(l.flights, f.intent.ID)
	l.dirtySteps(f.intent.Steps)
}

func (l *loop) dirtySteps(steps []plan.Step) {
	for _, s := range steps {
		l.dirty[s.Key] = true
	}
}

// askSettled asks about changes that AWS has taken and not yet spread.
func (l *loop) askSettled(ctx context.Context, now time.Time) {
	for _, id := range sortedKeys(l.flights) {
		f := l.flights[id]
		if f.intent.Token == "" || f.asking || f.doubt {
			continue
		}
		if now.Before(f.ask) {
			l.alarm("settle", f.ask)
			continue
		}
		f.asking = true
		l.flights[id] = f
		l.aside(ctx, func() any {
			ask, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			done, err := l.Provider.Settled(ask, f.intent.Token)
			return settled{id, done, err}
		})
	}
}

func (l *loop) takeSettled(ctx context.Context, s settled) {
	f, ours := l.flights[s.intent]
	if !ours {
		return
	}
	f.asking, f.ask = false, l.Now().Add(l.Every.Settle)
	l.flights[s.intent] = f
	if s.done {
		l.finish(ctx, f, f.intent.Steps, plan.Outcome{Token: f.intent.Token}) // should it not be written, it is asked again
		return
	}
	if s.err != nil {
		l.Log.Warn("change cannot be asked about", "intent", s.intent, "error", s.err)
	}
	if errors.Is(s.err, plan.ErrForgotten) { // its zone tells what became of it
		f.doubt = true
		z := l.zone(f.intent.Scope)
		z.wrote, z.due = l.Now(), l.Now()
		l.flights[s.intent] = f
	}
}

// close writes in one go what a call came to: journal, inventory and audit.
func (l *loop) close(ctx context.Context, f flight, outcome plan.Outcome, now time.Time, entries []state.Entry, told []audit.Entry) error {
	return l.Books.Audit.With(ctx, func(ctx context.Context, more ...state.Op) error {
		return l.Books.Journal.Finish(ctx, f.intent.ID, outcome, now, entries, more...)
	}, told...)
}

// entries are what the audit says of steps: one for each, with who agreed to it.
func (l *loop) entries(steps []plan.Step, result string, now time.Time) []audit.Entry {
	out := make([]audit.Entry, len(steps))
	for i, s := range steps {
		who := "edgewright"
		if a, agreed := l.approvals[s.ID()]; agreed {
			who = a.By
		}
		out[i] = audit.Entry{At: now, Who: who, Why: "commit " + short(l.tip.Hash), What: fmt.Sprintf("%s %s", s.Verb, s.Key), Before: s.Before, After: s.After, Result: result}
	}
	return out
}

// count tells the metrics and the log what steps came to. They were one call, or one release.
func (l *loop) count(ctx context.Context, steps []plan.Step, result string) {
	for _, s := range steps {
		l.Metrics.Steps.WithLabelValues(string(s.Key.Kind), string(s.Verb)).Inc()
	}
	l.log(ctx, "steps "+result, "scope", steps[0].Key.Scope, "steps", len(steps), "what", what(steps))
}

// note appends to the audit.
func (l *loop) note(ctx context.Context, e audit.Entry) {
	if e.At.IsZero() {
		e.At = l.Now()
	}
	if err := l.Books.Audit.Append(ctx, e); err != nil {
		l.Log.Error("write audit", "what", e.What, "error", err)
	}
}

// what names steps on one line; the journal and the plans have all of each.
func what(steps []plan.Step) string {
	const most = 20
	var names []string
	for _, s := range steps[:min(len(steps), most)] {
		names = append(names, fmt.Sprintf("%s %s", s.Verb, s.Key))
	}
	if more := len(steps) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// forget drops inventory entries of things that are gone and no longer declared. What led there may still be cached by resolvers.
func (l *loop) forget(keys []resource.Key) {
	for _, key := range keys {
		e := l.owned[key]
		if e.Spec == nil {
			continue
		}
		e.Gone = append(l.recent(e.Gone, l.Now()), state.Gone{At: l.Now(), TTL: ttlOf(e.Spec), Needs: e.Needs})
		e.Spec = nil
		l.keep(e)
	}
}

// rehome notes that a record, itself unchanged, leads to another service of its fleet by now: a host name moved.
func (l *loop) rehome() {
	moved := map[resource.Key]bool{}
	for key := range l.homes {
		e, owned := l.owned[key]
		want, desired := l.desired[key]
		switch {
		case !owned || !desired || e.Spec == nil || slices.Equal(e.Needs, want.Needs):
			delete(l.homes, key)
		case bytes.Equal(e.Spec, want.Spec):
			moved[key] = true
		}
	}
	for _, key := range sortedKeysFunc(moved, resource.Key.Compare) {
		e, want := l.owned[key], l.desired[key]
		if l.waitsFor(plan.Step{Key: key, Verb: plan.Update, After: want.Spec, Needs: want.Needs}) == "" {
			e.Needs, e.Service = want.Needs, want.Service
			l.keep(e)
		}
	}
}

// keep stores an inventory entry outside of a call.
func (l *loop) keep(e state.Entry) {
	if err := l.Books.Inventory.Put(l.ctx, e); err != nil {
		l.Log.Error("store inventory entry", "key", e.Key.String(), "error", err)
		return
	}
	l.own(e)
}

// own takes an inventory entry into what is known.
func (l *loop) own(e state.Entry) {
	l.owned[e.Key], l.homes[e.Key] = e, struct{}{}
}

// inFlight tells whether a call is about to change a key.
func (l *loop) inFlight(key resource.Key) bool {
	for _, f := range l.flights {
		if f.holds() && slices.ContainsFunc(f.intent.Steps, func(s plan.Step) bool { return s.Key == key }) {
			return true
		}
	}
	return false
}

func (l *loop) calling(scope resource.Scope) bool {
	for _, f := range l.flights {
		if f.holds() && f.intent.Scope == scope {
			return true
		}
	}
	return false
}

// put brings a snapshot up to date with steps that AWS has taken.
func (z *zone) put(steps []plan.Step) {
	if z.snapshot == nil {
		return
	}
	for _, s := range steps {
		if s.After == nil {
			delete(z.snapshot.Resources, s.Key)
			continue
		}
		z.snapshot.Resources[s.Key] = s.After
	}
}

// ttlOf is the time that a record lives in caches.
func ttlOf(spec resource.Value) time.Duration {
	var record struct {
		TTL int `json:"ttl"`
	}
	_ = json.Unmarshal(spec, &record)
	return time.Duration(record.TTL) * time.Second
}

// backoff is 1s, 2s, 4s … up to 5 minutes.
func backoff(times int) time.Duration {
	return min(time.Second<<min(max(times-1, 0), 10), 5*time.Minute)
}
