package reconciler

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/state"
)

// restarted is an entry whose times count from now. The clock by which they were written may have been another, or wrong: so what was
// waited for is waited for once more, and no less.
func restarted(e state.Entry, now time.Time) state.Entry {
	e.Applied, e.Gone = now, slices.Clone(e.Gone)
	for i := range e.Gone {
		e.Gone[i].At = now
	}
	return e
}

// restore reads what a loop before this one has left, and serves the releases at once: proxies need nothing else of it. Calls whose
// outcome is not in the journal are in doubt until their zone was listed.
func (l *loop) restore(ctx context.Context) (err error) {
	if l.owned, err = l.Books.Inventory.All(ctx); err != nil {
		return fmt.Errorf("read inventory: %w", err)
	}
	for _, e := range l.owned {
		l.own(restarted(e, l.Now()))
	}
	if l.approvals, err = l.Books.Approvals.All(ctx); err != nil {
		return fmt.Errorf("read approvals: %w", err)
	}
	if l.decisions, err = l.Books.Decisions.All(ctx); err != nil {
		return fmt.Errorf("read decisions: %w", err)
	}
	if l.freezes, err = l.Books.Freezes.All(ctx); err != nil {
		return fmt.Errorf("read freezes: %w", err)
	}
	if l.Validator != nil {
		if l.verdicts, err = l.Books.Verdicts.All(ctx); err != nil {
			return fmt.Errorf("read verdicts: %w", err)
		}
	}
	if l.edge, _, err = l.Books.LastGood.Read(ctx); err != nil {
		return fmt.Errorf("read last good declarations: %w", err)
	}
	if l.before, err = l.Books.LastGood.Commit(ctx); err != nil {
		return fmt.Errorf("read last good commit: %w", err)
	}
	if l.edge.Platform.Name != "" {
		l.declare(l.edge.Platform)
	}
	releases, err := l.Books.Releases.All(ctx)
	if err != nil {
		return fmt.Errorf("read releases: %w", err)
	}
	for _, stored := range releases {
		f := &fleet{release: stored.Release, stored: stored.Rows, version: stored.Version, snapshot: stored.Release.Snapshot(l.Now())}
		l.releases[stored.Release.Fleet] = f
		if err := l.serve(ctx, f); err != nil {
			return err
		}
	}
	open, err := l.Books.Journal.Open(ctx)
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	for _, intent := range open {
		l.zone(intent.Scope)
		l.flights[intent.ID] = flight{intent: intent, started: l.Now(), doubt: intent.Token == "", ask: l.Now(), inherited: true}
		l.Log.Info("a call of the last run is open", "intent", intent.ID, "taken", intent.Token != "")
	}
	for key := range l.owned {
		if !key.Kind.OfProxies() {
			l.zone(key.Scope)
		}
	}
	return nil
}
