// Package budget paces the calls to one AWS account so that AWS need not refuse any for its rate: requests of the account, requests of
// one action, and changes, each below its limit, and people's work before the rest.
//
// It makes no call, repeats none, and knows no service: what the limits are is told to it.
package budget

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Class is for whom a call is made.
type Class int

const (
	Background Class = iota // looking again at what is known
	People                  // somebody waits for what comes of it
)

// patience is how long background work waits behind people's; then it is as good as theirs, so that it never starves.
const patience = 30 * time.Second

// Job is work of one or several calls. The calls of a job that was begun earlier go first, so that what was begun gets finished.
type Job struct {
	Class Class
	Begun time.Time
}

// Call is one request that is about to be made.
type Call struct {
	Action  string
	Changes int // what it counts towards the limit of changes
}

// Budget is what an account may be asked. It is safe for use by many goroutines.
type Budget struct {
	now func() time.Time

	mu      sync.Mutex
	limits  Limits
	account *bucket
	actions map[string]*bucket
	changes *bucket
	waiting []*waiter
	serial  int
	timer   *time.Timer
	counts  map[string]Count
}

// waiter is a call that has not been allowed yet.
type waiter struct {
	job     Job
	call    Call
	since   time.Time
	serial  int
	allowed chan struct{}
}

// New makes a budget that is full.
func New(limits Limits, now func() time.Time) *Budget {
	at := now()
	return &Budget{now: now, limits: limits, account: newBucket(limits.Account, at), changes: newBucket(limits.Changes, at),
		actions: map[string]*bucket{}, counts: map[string]Count{}}
}

// Wait returns once the call may be made, which counts as made then. An error means that it must not be: the context has ended.
func (b *Budget) Wait(ctx context.Context, job Job, call Call) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := b.enter(job, call)
	select {
	case <-w.allowed:
		return nil
	case <-ctx.Done():
	}
	if b.leave(w) {
		return fmt.Errorf("wait for the rate of %s: %w", call.Action, ctx.Err())
	}
	return nil // allowed in the same moment
}

func (b *Budget) enter(job Job, call Call) *waiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serial++
	w := &waiter{job: job, call: call, since: b.now(), serial: b.serial, allowed: make(chan struct{})}
	b.waiting = append(b.waiting, w)
	b.allow()
	return w
}

// leave takes a waiter out, and tells whether it still waited.
func (b *Budget) leave(w *waiter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waiting, w)
	if i < 0 {
		return false
	}
	b.waiting = slices.Delete(b.waiting, i, i+1)
	b.allow()
	return true
}

// allow lets go whoever may go now, and comes back when the next may. A call that only its own action's rate holds up lets others
// pass; one that the account's holds up does not, else whoever needs little would always be first.
func (b *Budget) allow() {
	now := b.now()
	slices.SortFunc(b.waiting, func(x, y *waiter) int { return x.compare(y, now) })
	next := time.Duration(-1)
	var still []*waiter
	full := false
	for _, w := range b.waiting {
		wait := b.account.wait(now, 1, b.reserve(w, now))
		if full = full || wait > 0; !full {
			wait = max(b.action(w.call.Action).wait(now, 1, 0), b.changes.wait(now, float64(w.call.Changes), 0))
		}
		if !full && wait == 0 {
			b.spend(w.call, now)
			close(w.allowed)
			continue
		}
		still = append(still, w)
		if wait > 0 && (next < 0 || wait < next) {
			next = wait
		}
	}
	b.waiting = still
	b.wake(next)
}

// compare orders by whose work it is, when that was begun, and who came first.
func (w *waiter) compare(o *waiter, now time.Time) int {
	return cmp.Or(-cmp.Compare(w.class(now), o.class(now)), w.job.Begun.Compare(o.job.Begun), cmp.Compare(w.serial, o.serial))
}

func (w *waiter) class(now time.Time) Class {
	if now.Sub(w.since) >= patience {
		return People
	}
	return w.job.Class
}

// reserve is what has to be left for people once a call is made.
func (b *Budget) reserve(w *waiter, now time.Time) float64 {
	if w.class(now) == People {
		return 0
	}
	return b.account.capacity / 4
}

func (b *Budget) spend(c Call, now time.Time) {
	b.account.take(now, 1)
	b.action(c.Action).take(now, 1)
	b.changes.take(now, float64(c.Changes))
	count := b.counts[c.Action]
	count.Requests++
	count.Changes += c.Changes
	b.counts[c.Action] = count
}

func (b *Budget) action(name string) *bucket {
	a := b.actions[name]
	if a == nil {
		limit, own := b.limits.Actions[name]
		if !own {
			limit = b.limits.Action
		}
		a = newBucket(limit, b.now())
		b.actions[name] = a
	}
	return a
}

// wake makes allow run again; negative: nobody waits for the time.
func (b *Budget) wake(in time.Duration) {
	if b.timer != nil {
		b.timer.Stop()
	}
	if in < 0 {
		return
	}
	b.timer = time.AfterFunc(in, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.allow()
	})
}

// Throttled tells that AWS refused a call for its rate: somebody else spends too, or the limits are lower than was told. Which limit it
// was, AWS does not say: all that the call counted towards are halved, and creep back.
func (b *Budget) Throttled(c Call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	count := b.counts[c.Action]
	count.Throttled++
	b.counts[c.Action] = count
	b.account.halve(now)
	b.action(c.Action).halve(now)
	if c.Changes > 0 {
		b.changes.halve(now)
	}
	b.allow()
}
