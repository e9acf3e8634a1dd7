package reconciler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// pullLoaded is an open pull, evaluated as if it were merged now. Nothing changed since the last time: files is nil.
type pullLoaded struct {
	pull     forge.Pull
	base     string // the tip that it was merged into
	files    *Tree
	loaded   load.Commit
	conflict string // why it cannot be merged
}

// pull is what the loop knows of an open pull.
type pull struct {
	pullLoaded
	tree     string
	problems []schema.Problem // its own: what the branch has already, in files that it leaves alone, is not its fault
	warnings []schema.Problem // in the files that it changes
	plan     state.Plan
	vetoes   []plan.Veto
	clashes  []plan.Clash
	unknown  []resource.Key
	unseen   []unseen // it is planned again once Envoy has looked at them
	counted  bool     // the contents that were known
}

// watchPulls lists the open pulls after each fetch and evaluates those whose head or base moved. It works beside watchBranch, so
// that what a pull contains never delays the branch.
func (r *Reconciler) watchPulls(ctx context.Context) {
	evaluated := map[int]string{} // number → head, base and day
	obeyed := map[int64]bool{}    // comments
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.pullHints:
		}
		if r.Forge == nil {
			continue
		}
		listed, err := r.listPulls(ctx, evaluated)
		if err != nil && ctx.Err() == nil {
			r.Log.Warn("pulls cannot be listed", "error", err)
			r.Metrics.Failures.WithLabelValues("forge").Inc()
		}
		r.send(ctx, pullsLoaded{open: listed, listed: err == nil, err: err})
		r.obey(ctx, obeyed)
	}
}

// pullTime bounds the evaluation of one pull, so that those that come after it are not kept waiting.
const pullTime = time.Minute

// listPulls is all open pulls. Each that had to be evaluated is sent as soon as it is.
func (r *Reconciler) listPulls(ctx context.Context, evaluated map[int]string) ([]pullLoaded, error) {
	open, err := r.openPulls(ctx)
	if err != nil {
		return nil, fmt.Errorf("list pulls: %w", err)
	}
	tip, err := r.Repository.Tip()
	if err != nil {
		return nil, err
	}
	all := make([]pullLoaded, len(open))
	for i, p := range open {
		all[i] = pullLoaded{pull: p, base: tip.Hash}
	}
	for i, p := range open {
		is := fmt.Sprint(p.Head, tip.Hash, schema.DateOf(r.Now()))
		if evaluated[p.Number] == is {
			continue
		}
		one := all[i]
		if err := r.loadPull(ctx, &one); err != nil {
			r.Log.Warn("pull cannot be read", "pull", p.Number, "head", short(p.Head), "error", err)
			continue
		}
		evaluated[p.Number] = is
		now := slices.Clone(all)
		now[i] = one
		r.send(ctx, pullsLoaded{open: now, listed: true})
	}
	maps.DeleteFunc(evaluated, func(n int, _ string) bool {
		return !slices.ContainsFunc(open, func(p forge.Pull) bool { return p.Number == n })
	})
	return all, nil
}

func (r *Reconciler) openPulls(ctx context.Context) ([]forge.Pull, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return r.Forge.Pulls(ctx)
}

func (r *Reconciler) loadPull(ctx context.Context, p *pullLoaded) error {
	ctx, cancel := context.WithTimeout(ctx, pullTime)
	defer cancel()
	files, err := r.Repository.Merged(ctx, p.pull.Head)
	var conflict *Conflict
	if errors.As(err, &conflict) {
		p.files, p.conflict = &Tree{}, conflict.Error()
		return nil
	}
	if err != nil {
		return err
	}
	p.loaded, err = r.Loader.Load(ctx, files.Files)
	p.files = &files
	return err
}

// takePulls brings the open pulls up to date.
func (l *loop) takePulls(m pullsLoaded) {
	l.forgeError = m.err
	if !m.listed {
		return
	}
	open := map[int]bool{}
	for _, p := range m.open {
		open[p.pull.Number] = true
		if old := l.pulls[p.pull.Number]; old != nil && p.files == nil {
			if old.pull.Head == p.pull.Head { // another one is still to be evaluated
				old.pull = p.pull
			}
			continue
		}
		if p.files != nil {
			l.pulls[p.pull.Number] = &pull{pullLoaded: p, tree: p.files.ID}
		}
	}
	maps.DeleteFunc(l.pulls, func(n int, _ *pull) bool { return !open[n] })
}

// planPulls brings the plan of each open pull up to date with the branch and with what is observed.
func (l *loop) planPulls(ctx context.Context) {
	for _, n := range sortedKeys(l.pulls) {
		p := l.pulls[n]
		if p.conflict != "" || p.base != l.tip.Hash {
			continue // a new evaluation is under way
		}
		if !l.planPull(p) {
			continue
		}
		if err := l.Books.Plans.Announce(ctx, p.plan); err != nil {
			l.Log.Error("announce plan", "pull", n, "error", err)
		}
	}
}

// planPull makes the plan of a pull, and tells whether it is another one than before.
func (l *loop) planPull(p *pull) bool {
	decided := l.decide(p.loaded)
	if p.unseen = decided.unseen; !p.counted {
		p.counted = true
		l.Metrics.KnownContents.Add(float64(decided.known))
	}
	if len(p.unseen) > 0 {
		return false
	}
	p.problems = slices.DeleteFunc(decided.problems, func(x schema.Problem) bool {
		return l.hasProblem(x) && !l.changes(p.files, x.Position.File) && (!x.OfPlatform() || !decided.frozen) // what stops everything is worth saying again
	})
	p.warnings = slices.DeleteFunc(slices.Concat(p.loaded.Warnings, decided.warnings), func(x schema.Problem) bool { return !l.changes(p.files, x.Position.File) })
	desired, keys := l.overlay(decided.rendered)
	d := plan.Diff(l.input(desired, keys), keys)
	p.clashes, p.unknown = d.Clashes, d.Unknown
	steps := slices.DeleteFunc(d.Steps, func(s plan.Step) bool {
		pending, is := l.steps[s.Key]
		return is && pending.ID() == s.ID() // the branch is at it already
	})
	for _, c := range l.refusals(steps) {
		p.clashes = append(p.clashes, c)
	}
	slices.SortFunc(p.clashes, func(a, b plan.Clash) int { return a.Key.Compare(b.Key) })
	p.vetoes = append(plan.Guard(steps, l.known(decided.edge)), l.freezeVetoes(steps, decided.edge, l.Now())...)
	next := state.Plan{Digest: plan.Digest(p.tree, steps), Pull: p.pull.Number, Head: p.pull.Head, Tree: p.tree, Steps: steps, Problems: p.problems, Clashes: p.clashes, At: l.Now()}
	if next.Digest == p.plan.Digest && next.Head == p.plan.Head && reflect.DeepEqual(next.Problems, p.plan.Problems) && reflect.DeepEqual(next.Clashes, p.plan.Clashes) {
		return false
	}
	p.plan = next
	return true
}

// overlay is what is desired once these are rendered anew, and the keys in which that can differ from now.
func (l *loop) overlay(rendered map[schema.ServiceID][]resource.Resource) (resource.Set, []resource.Key) {
	desired := maps.Clone(l.desired)
	touched := l.lay(desired, rendered)
	return desired, slices.SortedFunc(maps.Keys(touched), resource.Key.Compare)
}

// changes tells whether a tree has a file differently from the branch.
func (l *loop) changes(t *Tree, file string) bool {
	i := slices.IndexFunc(t.Files, func(f load.File) bool { return f.Path == file })
	return i < 0 || t.Files[i].Hash != l.blobs[file]
}

// hasProblem tells whether the branch has a problem already.
func (l *loop) hasProblem(p schema.Problem) bool {
	return slices.ContainsFunc(l.problems, func(q schema.Problem) bool {
		return p.Code == q.Code && p.Position == q.Position && p.Message == q.Message
	})
}
