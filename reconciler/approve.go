package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
)

// followed is a merged pull whose plan the branch is making true.
type followed struct {
	mergedPull
	plan   state.Plan // as last shown on it
	seen   time.Time
	served time.Duration // from the commit being heard of until every proxy had all of it; 0: not yet
	note   string        // why the last command on it was refused
}

type mergedPull struct {
	pull   forge.Pull
	commit string
}

// maxFollowed is how many merged pulls are followed; of the older ones only what they planned last is known.
const maxFollowed = 50

// findShown asks which pulls the new commits came from, as what was shown on them is agreed to. Nobody else's plan is, though it be for
// the same tree.
func (l *loop) findShown(old string) {
	if l.Forge == nil || old == l.tip.Hash {
		return
	}
	l.asks = append(l.asks, &shownAsk{after: cmp.Or(old, l.before), upTo: l.tip.Hash, start: old == ""})
	l.before = ""
}

// shownAsk is the question which pulls some commits of the branch came from. It is asked until the forge answers.
type shownAsk struct {
	after, upTo string
	start       bool
	times       int
	asking      bool
	due         time.Time
}

// askShown asks what is due to be asked.
func (l *loop) askShown(ctx context.Context, now time.Time) {
	for _, a := range l.asks {
		switch {
		case a.asking:
		case now.Before(a.due):
			l.alarm("shown", a.due)
		default:
			a.asking = true
			l.aside(ctx, func() any {
				pulls, err := l.askForPulls(ctx, a.after, a.upTo, a.start)
				return shownFound{a, pulls, err}
			})
		}
	}
}

// askForPulls finds the pulls of the commits after old. At a start old counts too: what it changes may not be done.
func (r *Reconciler) askForPulls(ctx context.Context, old, tip string, start bool) ([]mergedPull, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	limit := maxFollowed
	if old == "" {
		limit = 1
	}
	commits, err := r.Repository.Between(old, tip, limit)
	if err != nil {
		return nil, err
	}
	if start && old != "" {
		commits = append(commits, Commit{Hash: old})
	}
	var found []mergedPull
	for _, c := range commits {
		p, ok, err := r.Forge.PullOf(ctx, c.Hash)
		if err != nil {
			return found, fmt.Errorf("pull of commit %s: %w", short(c.Hash), err)
		}
		if ok && !slices.ContainsFunc(found, func(m mergedPull) bool { return m.pull.Number == p.Number }) {
			found = append(found, mergedPull{p, c.Hash})
		}
	}
	return found, nil
}

// takeShown approves what the merged pulls had shown, and follows them until they are done.
func (l *loop) takeShown(ctx context.Context, m shownFound) {
	err := m.err
	for _, found := range m.pulls {
		p, ok, failed := l.Books.Plans.ByPull(ctx, found.pull.Number)
		if failed != nil || !ok {
			err = errors.Join(err, failed)
			continue
		}
		if p.Posted {
			err = errors.Join(err, l.approve(ctx, p.Shown(), state.Approval{By: fmt.Sprintf("pull #%d", p.Pull), At: l.Now(), Digest: p.Digest}))
		}
		l.merged[found.pull.Number] = &followed{mergedPull: found, plan: p, seen: l.seen}
	}
	if m.ask.asking, m.ask.times = false, m.ask.times+1; err == nil {
		l.asks = slices.DeleteFunc(l.asks, func(a *shownAsk) bool { return a == m.ask })
	} else {
		m.ask.due = l.Now().Add(backoff(m.ask.times))
		l.Log.Warn("what the pulls of new commits had shown cannot be found; it is asked again", "error", err)
	}
	if m.err != nil {
		l.forgeError = m.err
	}
	for numbers := sortedKeys(l.merged); len(numbers) > maxFollowed; numbers = numbers[1:] {
		delete(l.merged, numbers[0])
	}
	l.noteServed()
}

// approve remembers that somebody agreed to steps. It holds for these very steps only: same key, same before, same after; and only
// while the branch asks for them, or may do so once their zone was listed. What cannot be stored is not approved.
func (l *loop) approve(ctx context.Context, steps []plan.Step, a state.Approval) error {
	for _, s := range steps {
		id := s.ID()
		if now, is := l.steps[s.Key]; !(is && now.ID() == id) && !l.unknown[s.Key] && !l.inFlight(s.Key) && !l.held[s.Service].Unseen {
			continue
		}
		if old, is := l.approvals[id]; is && old.Confirmed {
			continue
		}
		a.Key = s.Key
		if err := l.Books.Approvals.Put(ctx, id, a); err != nil {
			return err
		}
		l.approvals[id] = a
		l.Log.Debug("approved", "verb", s.Verb, "key", s.Key, "by", a.By, "id", id)
	}
	return nil
}

// forgetApprovals drops approvals of steps that a new commit no longer plans: the same step asked for again later needs a new one.
func (l *loop) forgetApprovals(ctx context.Context) {
	if len(l.unseen) > 0 { // some steps are still to come
		return
	}
	pending := map[string]bool{}
	for _, s := range l.steps {
		pending[s.ID()] = true
	}
	for _, id := range sortedKeys(l.approvals) {
		a := l.approvals[id]
		if pending[id] || l.unknown[a.Key] || l.inFlight(a.Key) {
			continue
		}
		delete(l.approvals, id)
		if err := l.Books.Approvals.Delete(ctx, id); err != nil {
			l.Log.Error("drop approval", "error", err)
		}
	}
}

// pending are the steps of the branch that wait for a person, and the digest by which they are applied.
func (l *loop) pending() (steps []plan.Step, digest string) {
	for _, s := range l.sortedSteps() {
		if state := l.status[s.Key].State; state == Approval || state == Vetoed {
			steps = append(steps, s)
		}
	}
	if len(steps) == 0 {
		return nil, ""
	}
	return steps, plan.Digest(l.tree, steps)
}

// applyPlan agrees to exactly the steps of a plan that was kept, or says what has moved since it was made.
func (l *loop) applyPlan(ctx context.Context, q Apply) (Agreed, error) {
	switch digest := plan.Digest(q.Plan.Tree, q.Plan.Steps); {
	case digest != q.Plan.Digest:
		return Agreed{}, refuse("this is not the plan %s: it was changed since", q.Plan.Digest)
	case q.Plan.Tree != l.tree:
		return Agreed{}, refuse("this plan is for the tree %s, but the branch is at %s: merge it first, or plan again", q.Plan.Tree, l.tree)
	}
	var open []plan.Step
	var moved []string
	for _, s := range q.Plan.Steps {
		now, pending := l.steps[s.Key]
		switch {
		case pending && now.ID() == s.ID():
			if state := l.status[s.Key].State; state == Approval || state == Vetoed {
				open = append(open, s)
			}
		case pending:
			moved = append(moved, fmt.Sprintf("%s: it is %s now", s.Key, now.Verb))
		case l.unknown[s.Key]:
			moved = append(moved, fmt.Sprintf("%s: its zone cannot be listed", s.Key))
		case l.clashes[s.Key].Message != "":
			moved = append(moved, fmt.Sprintf("%s: %s", s.Key, l.clashes[s.Key].Message))
		}
	}
	switch {
	case len(moved) > 0:
		return Agreed{}, refuse("what was planned has moved: %s. Plan again", strings.Join(moved[:min(len(moved), 10)], "; "))
	case len(open) == 0:
		return Agreed{}, refuse("nothing of this plan waits: it is done, or under way")
	}
	return l.agree(ctx, q, open, q.Plan.Digest)
}

// applyDigest agrees to exactly the pending steps that a digest names.
func (l *loop) applyDigest(ctx context.Context, q Apply) (Agreed, error) {
	steps, digest := l.pending()
	switch {
	case len(steps) == 0:
		return Agreed{}, refuse("nothing waits for apply")
	case q.Digest != digest:
		return Agreed{}, refuse("digest %s is not what waits now: %s, %d steps. Look at them again with: edgewright status", q.Digest, digest, len(steps))
	}
	return l.agree(ctx, q, steps, digest)
}

// agree remembers that somebody agreed to steps, with the count where a guard asks for it.
func (l *loop) agree(ctx context.Context, q Apply, steps []plan.Step, digest string) (Agreed, error) {
	deletes := 0
	var why []string
	for _, v := range plan.Narrow(l.vetoes, steps) {
		deletes, why = v.Deletes, append(why, v.Message)
	}
	switch {
	case deletes == 0 && q.ConfirmDeletes != 0:
		return Agreed{}, refuse("no guard asks for a count here: leave out --confirm-deletes")
	case q.ConfirmDeletes != deletes:
		return Agreed{}, refuse("%s; to go on, confirm the exact count: --confirm-deletes %d", strings.Join(why, "; "), deletes)
	}
	a := state.Approval{By: q.Identity, At: l.Now(), Digest: digest, Confirmed: deletes > 0}
	if err := l.Books.Audit.Append(ctx, audit.Entry{At: a.At, Who: q.Identity, Why: "apply " + digest, What: what(steps), Result: "approved"}); err != nil {
		return Agreed{}, fmt.Errorf("nothing is applied, as it cannot be written down: %w", err)
	}
	for _, s := range steps {
		delete(l.approvals, s.ID())
	}
	if err := l.approve(ctx, steps, a); err != nil {
		return Agreed{}, fmt.Errorf("store approval: %w", err)
	}
	l.log(ctx, "apply", "digest", digest, "by", q.Identity, "steps", len(steps))
	return Agreed{Digest: digest, Steps: steps}, nil
}
