// Package election tells a process whether it leads: of all that share a store, one at a time holds the lease and applies.
//
// It protects nothing by itself. What a process writes is fenced by the epoch of its term (state.Fenced), and what it asks of AWS by the
// preconditions of the calls: two processes that both believe to lead do no harm, they only get in each other's way.
//
// Two things carry neither, and this is the worst that a process can do with them which sleeps in their middle and wakes up replaced:
//
//   - a review on its way to the forge replaces a newer one there. It stands until the next change of what is to be said. Who merges it
//     meanwhile agrees to what the store says was shown last, not to what the old text says: what else is in it waits for a person.
//   - a release on its way to a proxy that is still connected to it. The proxy has what was good before; the new leader does not count it,
//     as one that is not connected, until its stream ends, which is when the process learns of its replacement.
package election

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/edgewright/edgewright/reconciler/state"
)

// ErrReplaced says that another process has taken over.
var ErrReplaced = errors.New("another process has taken over")

// Election is one process's part in it. It is safe for use by many goroutines.
type Election struct {
	Lease    state.Lease
	Self     string                   // this process; no two ever have the same
	Duration time.Duration            // that a holder who does not renew keeps the lease
	Now      func() time.Time         // only differences of it count
	Ended    func(holder string) bool // whether a holder is known to have ended, and need not be waited for; nil: it is never known

	mu    sync.Mutex
	leads bool
	term  state.Term
	since time.Time // leading: of the last renewal; waiting: since when the term is as it was seen
}

// Standing is who leads, as far as this process knows.
type Standing struct {
	Leads  bool      `json:"leads"`  // this process does
	Holder string    `json:"holder"` // empty: nobody does
	Since  time.Time `json:"since,omitzero"`
	Epoch  int64     `json:"epoch"`
}

// Standing may be asked for at any time.
func (e *Election) Standing() Standing {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Standing{Leads: e.leads, Holder: e.term.Holder, Since: e.term.Since, Epoch: e.term.Epoch}
}

// Epoch is the one under which this process may write: 0 when it does not lead, or could not renew for so long that another may soon
// take over. It counts again once a renewal succeeds.
func (e *Election) Epoch() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.leads || e.Now().Sub(e.since) >= e.Duration*2/3 {
		return 0
	}
	return e.term.Epoch
}

// Every is how often Tick is to be called.
func (e *Election) Every() time.Duration { return e.Duration / 3 }

// Tick renews the lease, or takes it if nobody holds it any more: it was given back, its holder has ended, or has shown no sign of life
// for the whole duration. It is ErrReplaced, once, when this process led and another took over. Other errors leave things as they are.
func (e *Election) Tick(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leads {
		return e.renew(ctx)
	}
	return e.watch(ctx)
}

func (e *Election) renew(ctx context.Context) error {
	began := e.Now() // not when the answer came: it may have been on its way for long
	err := e.Lease.Renew(ctx, e.term)
	switch {
	case errors.Is(err, state.ErrFenced):
		e.leads, e.term, e.since = false, state.Term{}, began
		return ErrReplaced
	case err != nil:
		return fmt.Errorf("renew lease: %w", err)
	}
	e.since = began
	return nil
}

func (e *Election) watch(ctx context.Context) error {
	now := e.Now()
	seen, err := e.Lease.Read(ctx)
	if err != nil {
		return err
	}
	if seen.Holder == e.Self { // it was taken, and the answer lost
		e.leads, e.term = true, seen
		return e.renew(ctx)
	}
	if seen.Epoch != e.term.Epoch || seen.Beat != e.term.Beat || now.Before(e.since) {
		e.term, e.since = seen, now
	}
	free := seen.Holder == "" || now.Sub(e.since) >= e.Duration || e.Ended != nil && e.Ended(seen.Holder)
	if !free {
		return nil
	}
	term, err := e.Lease.Take(ctx, seen, e.Self, now)
	switch {
	case errors.Is(err, state.ErrConflict): // somebody was faster, or the holder lives after all
		return nil
	case err != nil:
		return fmt.Errorf("take lease: %w", err)
	}
	e.leads, e.term, e.since = true, term, now
	return nil
}

// GiveBack ends the term of this process, if it leads.
func (e *Election) GiveBack(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.leads {
		return nil
	}
	e.leads = false
	if err := e.Lease.GiveBack(ctx, e.term); err != nil && !errors.Is(err, state.ErrFenced) {
		return fmt.Errorf("give lease back: %w", err)
	}
	return nil
}

// Campaign waits until this process leads, or the context ends.
func (e *Election) Campaign(ctx context.Context, note func(error)) error {
	return e.ticking(ctx, note, func() bool { return e.Standing().Leads })
}

// Keep renews until another has taken over, which is ErrReplaced, or the context ends.
func (e *Election) Keep(ctx context.Context, note func(error)) error {
	return e.ticking(ctx, note, func() bool { return false })
}

// ticking ticks until it is done. Errors that time may heal are noted.
func (e *Election) ticking(ctx context.Context, note func(error), done func() bool) error {
	for {
		err := e.Tick(ctx)
		switch {
		case errors.Is(err, ErrReplaced) || ctx.Err() != nil:
			return errors.Join(err, ctx.Err())
		case err != nil:
			note(err)
		case done():
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(e.pause()):
		}
	}
}

// pause is until the next tick: who waits looks more often, as the holder may give the lease back, or end.
func (e *Election) pause() time.Duration {
	if e.Standing().Leads {
		return e.Every()
	}
	return min(e.Every(), time.Second) / 4
}
