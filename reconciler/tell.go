package reconciler

import (
	"bytes"
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// tell makes the plans of the open pulls, the reviews and the view, when something changed since.
func (l *loop) tell(now time.Time) {
	if !l.stale {
		l.showAges(now)
		return
	}
	due := l.told.Add(max(l.Every.Tell, 5*l.telling)) // a large plan takes long to tell of
	if yields := l.handed.Add(l.Every.Yield); !l.handed.IsZero() && yields.After(due) {
		due = yields
	}
	if now.Before(due) {
		l.alarm("tell", due)
		return
	}
	l.told, l.handed, l.stale, l.aged = now, time.Time{}, false, false
	l.worded, l.wordedLast = map[forge.Target]wording{}, l.worded
	began := l.Now()
	l.planPulls(l.ctx)
	if l.Forge != nil && l.tip.Hash != "" {
		l.review()
	}
	l.show(now)
	l.telling = l.Now().Sub(began)
}

// review hands out what there is to say about each open pull, each merged one and the tip of the branch.
func (l *loop) review() {
	for _, n := range sortedKeys(l.pulls) {
		p := l.pulls[n]
		if p.base != l.tip.Hash || len(p.unseen) > 0 {
			continue // it is being evaluated against the new tip, or Envoy is looking at it
		}
		one := posting{target: forge.Target{Pull: n, SHA: p.pull.Head}, review: l.reviewPull(p), plan: new(p.plan)}
		one.steady = forge.Steady(l.comment(one.target, one.review))
		l.posts.put(one)
	}
	for _, n := range sortedKeys(l.merged) {
		f := l.merged[n]
		one := posting{target: forge.Target{Pull: n, SHA: f.pull.Head}, review: l.reviewMerged(f)}
		one.steady = forge.Steady(l.comment(one.target, one.review))
		l.posts.put(one)
	}
	tip := posting{target: forge.Target{SHA: l.tip.Hash, CheckOnly: true, Background: true}, review: l.reviewTip()}
	tip.steady = forge.Steady(l.comment(tip.target, tip.review))
	l.posts.put(tip)
}

// wording is a review as it was put into words.
type wording struct {
	review  forge.Review
	comment string
}

// comment is a review in words. Most reviews say what they said a moment ago: they are not worded again.
func (l *loop) comment(to forge.Target, r forge.Review) string {
	for _, known := range []map[forge.Target]wording{l.worded, l.wordedLast} {
		if w, is := known[to]; is && reflect.DeepEqual(w.review, r) {
			l.worded[to] = w
			return w.comment
		}
	}
	w := wording{r, r.Comment()}
	l.worded[to] = w
	return w.comment
}

func (l *loop) reviewPull(p *pull) forge.Review {
	r := forge.Review{Head: p.pull.Head, Base: l.tip.Hash, Tree: p.tree, StatusURL: l.StatusURL}
	if p.conflict != "" {
		r.State, r.Note = forge.Refused, "This cannot be merged: "+p.conflict+"."
		return r
	}
	r.Digest, r.Steps, r.Problems = p.plan.Digest, forge.StepsOf(p.plan.Steps), p.problems
	r.Warnings, r.Vetoes, r.Clashes, r.Unknown = p.warnings, p.vetoes, p.clashes, p.unknown
	r.Observed = l.observedFor(p.plan.Steps)
	return r
}

func (l *loop) reviewMerged(f *followed) forge.Review {
	r := forge.Review{Head: f.pull.Head, Tree: f.plan.Tree, Digest: f.plan.Digest, Commit: f.commit,
		CommitToServed: f.served, StatusURL: l.StatusURL, Observed: l.observedFor(f.plan.Steps)}
	for _, s := range f.plan.Steps {
		r.Steps = append(r.Steps, l.stepOf(s))
	}
	for _, p := range f.plan.Problems {
		if l.hasProblem(p) {
			r.Problems = append(r.Problems, p)
		}
	}
	for _, c := range f.plan.Clashes {
		if _, still := l.clashes[c.Key]; still || l.status[c.Key].State == Clashes {
			r.Clashes = append(r.Clashes, c)
		}
	}
	if len(r.Problems)+len(r.Clashes) > 0 {
		l.tellHeld(&r)
		return r
	}
	l.progress(&r)
	if r.State == forge.Waiting {
		r.Note = f.note
	}
	return r
}

// tellHeld says which services stay behind because of the problems of a review.
func (l *loop) tellHeld(r *forge.Review) {
	if r.Frozen = l.frozen; r.Frozen {
		return
	}
	for _, id := range sortedKeys(l.held) {
		if slices.ContainsFunc(r.Problems, func(p schema.Problem) bool { return p.Concerns(id) || p.Concerns(l.held[id].Culprit) }) {
			r.Held = append(r.Held, forge.Held{Service: id, Why: l.held[id].Why})
		}
	}
}

// reviewTip is what the check on the newest commit of the branch says, however the commit came there.
func (l *loop) reviewTip() forge.Review {
	r := forge.Review{Head: l.tip.Hash, Tree: l.tree, Commit: l.tip.Hash, CommitToServed: l.served, StatusURL: l.StatusURL}
	for _, key := range sortedKeysFunc(l.shown, resource.Key.Compare) {
		r.Steps = append(r.Steps, l.stepOf(l.shown[key]))
	}
	r.Digest = plan.Digest(l.tree, stepsOf(r.Steps))
	if r.Problems = l.problems; len(r.Problems) > 0 {
		l.tellHeld(&r)
		return r
	}
	l.progress(&r)
	return r
}

// progress says how far the steps of a review are.
func (l *loop) progress(r *forge.Review) {
	if r.State = forge.Applied; len(l.unseen) > 0 {
		r.State = forge.Applying
	}
	for _, s := range r.Steps {
		switch {
		case s.Status == forge.StepApproval:
			r.State = forge.Waiting
			_, r.Digest = l.pending()
			r.Vetoes = l.vetoes
			return
		case s.Status != forge.StepDone:
			r.State = forge.Applying
		}
	}
}

// stepOf says how far a step is that a commit asked for.
func (l *loop) stepOf(s plan.Step) forge.Step {
	pending, differs := l.steps[s.Key]
	switch {
	case l.held[s.Service].Unseen:
		return forge.Step{Step: s, Status: forge.StepWaits, Why: l.held[s.Service].Why}
	case l.inFlight(s.Key):
		return forge.Step{Step: s, Status: forge.StepApplying}
	case differs && pending.ID() == s.ID():
		return forge.Step{Step: s, Status: statusWords[l.status[s.Key].State], Why: l.status[s.Key].Why}
	case differs:
		return forge.Step{Step: s, Status: forge.StepWaits, Why: "something else came in between: " + l.status[s.Key].Why}
	case l.unknown[s.Key]:
		return forge.Step{Step: s, Status: forge.StepWaits, Why: "its zone cannot be listed"}
	}
	if clash, is := l.clashes[s.Key]; is {
		return forge.Step{Step: s, Status: forge.StepFailed, Why: clash.String()}
	}
	if s.Key.Kind.OfProxies() {
		return l.servedStep(s)
	}
	return forge.Step{Step: s, Status: forge.StepDone}
}

// progressOf says how far steps are that somebody has agreed to.
func (l *loop) progressOf(q ProgressQuery) []Progress {
	out := make([]Progress, len(q.Steps))
	for i, s := range q.Steps {
		now := l.stepOf(s)
		want, desired := l.desired[s.Key]
		if now.Status == forge.StepDone && (desired == (s.Verb == plan.Delete) || desired && !bytes.Equal(want.Spec, s.After)) {
			now = forge.Step{Status: forge.StepDropped, Why: "the branch asks for something else by now"}
		}
		out[i] = Progress{now.Status, now.Why}
	}
	return out
}

var statusWords = map[State]forge.StepStatus{
	Ready: forge.Pending, Applying: forge.StepApplying, Waits: forge.StepWaits, Approval: forge.StepApproval, Vetoed: forge.StepApproval,
	Paused: forge.StepWaits, Frozen: forge.StepWaits,
	Clashes: forge.StepFailed, Failing: forge.StepFailed,
}

// servedStep says whether every proxy has what a step of a release says.
func (l *loop) servedStep(s plan.Step) forge.Step {
	f := l.releases[fleetOf(s.Key.Scope)]
	id := schema.ServiceID(s.Key.Name)
	if f == nil || s.Key.Kind == resource.EnvoyFleet {
		return forge.Step{Step: s, Status: forge.StepDone}
	}
	e, there := f.release.Services[id]
	if s.Verb == plan.Delete {
		if there && e.Removed {
			return forge.Step{Step: s, Status: forge.StepWaits, Why: "its names are answered until nobody can have them cached"}
		}
		return forge.Step{Step: s, Status: forge.StepDone}
	}
	switch version, ok := l.Proxies.Acknowledged(f.release.Fleet, id); {
	case !bytes.Equal(e.Spec, s.After):
		return forge.Step{Step: s, Status: forge.StepDone} // a later commit has changed it again
	case e.Why() != "":
		return forge.Step{Step: s, Status: forge.StepFailed, Why: before(s.Origin) + "Envoy refused it: " + e.Why()}
	case !ok && e.Good == e.Content:
		return forge.Step{Step: s, Status: forge.StepDone} // all had it; none is connected now, or one more is still coming up
	case !ok:
		return forge.Step{Step: s, Status: forge.StepApplying, Why: "not every proxy has it yet"}
	case version != e.Version() && e.Good != e.Content:
		return forge.Step{Step: s, Status: forge.StepApplying, Why: "not every proxy has it yet"}
	}
	return forge.Step{Step: s, Status: forge.StepDone}
}

// takePosted notes that people can see a plan.
func (l *loop) takePosted(ctx context.Context, m posted) {
	l.forgeError = nil
	if m.plan.Digest == "" {
		return
	}
	m.plan.Posted = true
	if p := l.pulls[m.plan.Pull]; p != nil && p.plan.Digest != "" {
		m.plan = m.plan.WithNewer(p.plan)
	}
	if err := l.Books.Plans.Put(ctx, m.plan); err != nil {
		l.Log.Error("store posted plan", "pull", m.plan.Pull, "error", err)
	}
}

func (l *loop) observedFor(steps []plan.Step) map[resource.Scope]time.Time {
	taken := map[resource.Scope]time.Time{}
	for _, s := range steps {
		if z := l.zones[s.Key.Scope]; z != nil && z.snapshot != nil {
			taken[s.Key.Scope] = z.snapshot.Taken
		}
	}
	return taken
}

func stepsOf(steps []forge.Step) []plan.Step {
	out := make([]plan.Step, len(steps))
	for i, s := range steps {
		out[i] = s.Step
	}
	return out
}

// before is where something is declared, in front of what is said of it.
func before(p schema.Position) string {
	if p.File == "" {
		return ""
	}
	return p.String() + ": "
}
