package reconciler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema/load"
)

// What the loop is told. Each is sent by one goroutine that did the waiting, so that the loop itself never waits.
type (
	branchLoaded struct { // a new commit of the branch, evaluated
		commit Commit
		files  Tree
		loaded load.Commit
		seen   time.Time
	}
	branchFailed struct{ err error } // the repository cannot be fetched or read
	pullsLoaded  struct {            // the open pulls, each evaluated as if merged; only those that changed carry a result
		open   []pullLoaded
		listed bool // false: the forge could not be asked, and open holds nothing
		err    error
	}
	commandRefused struct { // a comment on a merged pull asked for what is not done
		pull int
		why  string
	}
	shownFound struct { // what merged pulls had shown for commits of the branch
		ask   *shownAsk
		pulls []mergedPull
		err   error
	}
	observed struct { // a scope was listed
		scope    resource.Scope
		snapshot plan.Snapshot
		started  time.Time
		err      error
	}
	called struct { // a writing call came back
		intent  string
		outcome plan.Outcome
		err     error
	}
	settled struct { // AWS was asked about a change
		intent string
		done   bool
		err    error
	}
	posted struct { // a plan stands on its pull
		plan state.Plan
	}
	postFailed struct{ err error }     // the forge did not take a review; nil: it takes them again
	hint       struct{ commit string } // a webhook: something may have changed, and the branch be at this commit; empty: not told
)

// Hint makes the loop fetch now. It never blocks: hints that come while one is pending are one, which has the newest commit. commit is what
// the branch is said to be at, or empty: it is believed when the repository says so too.
func (r *Reconciler) Hint(commit string) {
	for {
		select {
		case r.hints <- hint{commit}:
			return
		default:
		}
		if commit == "" {
			return // what is pending tells as much
		}
		select {
		case <-r.hints:
		default:
		}
	}
}

// HintPulls makes the loop look at the pulls now, with nothing fetched before: somebody has said something. It never blocks.
func (r *Reconciler) HintPulls() {
	select {
	case r.pullHints <- hint{}:
	default:
	}
}

// Run reconciles until the context ends. It serves what the store says at once, and goes on from there.
func (r *Reconciler) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := newLoop(ctx, r)
	if err := l.restore(ctx); err != nil {
		return fmt.Errorf("restore state: %w", err)
	}
	l.background.Go(func() { r.watchBranch(ctx) })
	l.background.Go(func() { r.watchPulls(ctx) })
	l.background.Go(func() { r.post(ctx) })
	err := l.loop(ctx)
	cancel()
	l.cut()
	l.background.Wait()
	return err
}

// loop is the one select. Everything that the reconciler knows belongs to this goroutine.
func (l *loop) loop(ctx context.Context) error {
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.drain()
		case <-l.Proxies.Changes():
			l.takeAcknowledgements(ctx)
		case m := <-l.mail:
			l.take(ctx, m)
		case <-wake.C:
		}
		began := time.Now()
		err := l.pass(ctx)
		l.Metrics.Passes.Observe(time.Since(began).Seconds())
		if err != nil && !errors.Is(err, context.Canceled) {
			l.Log.Error("pass stopped half-way", "error", err)
			l.Metrics.Failures.WithLabelValues("store").Inc()
		}
		wake.Reset(l.untilNext())
	}
}

// take turns what somebody found out into what the loop knows.
func (l *loop) take(ctx context.Context, m any) {
	stale := l.stale
	l.stale = true
	switch m := m.(type) {
	case branchLoaded:
		l.takeBranch(ctx, m)
	case branchFailed:
		if l.sourceError = m.err; m.err != nil {
			l.Log.Error("the repository cannot be read; what was read last stays", "error", m.err)
			l.Metrics.Failures.WithLabelValues("source").Inc()
		}
	case pullsLoaded:
		l.takePulls(m)
	case commandRefused:
		if f := l.merged[m.pull]; f != nil {
			f.note = m.why
		}
	case shownFound:
		l.takeShown(ctx, m)
	case observed:
		if !l.takeObserved(ctx, m) {
			l.stale, l.aged = stale, true
		}
	case posted:
		l.takePosted(ctx, m)
	case postFailed:
		l.forgeError = m.err
	case called:
		l.takeCalled(ctx, m)
	case settled:
		l.takeSettled(ctx, m)
	case validated:
		l.takeValidated(ctx, m)
	case request:
		if l.reply(ctx, m); m.looks() {
			l.stale = stale
		}
	}
}

// send gives the loop something, unless it has ended.
func (r *Reconciler) send(ctx context.Context, m any) {
	select {
	case r.mail <- m:
	case <-ctx.Done():
	}
}

// untilNext is how long the loop may sleep.
func (l *loop) untilNext() time.Duration {
	now := l.Now()
	next := now.Add(l.Every.Sweep)
	for _, at := range l.alarms {
		if at.Before(next) {
			next = at
		}
	}
	return max(next.Sub(now), time.Millisecond)
}

// drain waits for calls that are under way, bounded, so that their outcome is journalled. What is cut off then is open in the journal, and
// found at the next start.
func (l *loop) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for id, f := range l.flights {
		if f.doubt || f.intent.Token != "" {
			delete(l.flights, id)
		}
	}
	for len(l.flights) > 0 {
		select {
		case m := <-l.mail:
			if c, ok := m.(called); ok {
				l.takeCalled(ctx, c)
				delete(l.flights, c.intent)
			}
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}
