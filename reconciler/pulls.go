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
	"github.com/edgewright/edgewright/render"
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
	problems []schema.Problem // its own: those that the branch has already are not its fault
	edge     schema.Edge
	plan     state.Plan
	vetoes   []plan.Veto
	clashes  []plan.Clash
	unknown  []resource.Key
}

// watchPulls lists the open pulls after each fetch and evaluates those whose head or base moved. It works beside watchBranch, so
// that what a pull contains never delays the branch.
func (r *Reconciler) watchPulls(ctx context.Context) {
	evaluated := map[int]string{} // number → head and base
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

func (r *Reconciler) listPulls(ctx context.Context, evaluated map[int]string) ([]pullLoaded, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	open, err := r.Forge.Pulls(ctx)
	if err != nil {
		return nil, fmt.Errorf("list pulls: %w", err)
	}
	tip, err := r.Repository.Tip()
	if err != nil {
		return nil, err
	}
	var out []pullLoaded
	for _, p := range open {
		one := pullLoaded{pull: p, base: tip.Hash}
		if is := p.Head + " " + tip.Hash; evaluated[p.Number] != is {
			if err := r.loadPull(ctx, &one); err != nil {
				r.Log.Warn("pull cannot be read", "pull", p.Number, "head", short(p.Head), "error", err)
				continue
			}
			evaluated[p.Number] = is
		}
		out = append(out, one)
	}
	maps.DeleteFunc(evaluated, func(n int, _ string) bool {
		return !slices.ContainsFunc(open, func(p forge.Pull) bool { return p.Number == n })
	})
	return out, nil
}

func (r *Reconciler) loadPull(ctx context.Context, p *pullLoaded) error {
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
			old.pull = p.pull
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
		if p.conflict != "" || !l.loaded || p.base != l.tip.Hash {
			continue // a new evaluation is under way
		}
		if !l.planPull(p) {
			continue
		}
		if err := l.Books.Plans.Put(ctx, p.plan); err != nil {
			l.Log.Error("store plan", "pull", n, "error", err)
		}
	}
}

// planPull makes the plan of a pull, and tells whether it is another one than before.
func (l *loop) planPull(p *pull) bool {
	p.problems = slices.DeleteFunc(slices.Clone(p.loaded.Problems), func(x schema.Problem) bool { return l.hasProblem(x) })
	none := func(schema.ServiceID, schema.Hostname) bool { return false }
	edge, _, ok := holdBack(l.edge, p.loaded.Edge, p.loaded.Problems, none)
	if !ok {
		edge = l.edge
	}
	p.edge = edge
	desired, keys, problems := l.overlay(edge)
	p.problems = append(p.problems, problems...)
	d := plan.Diff(l.input(desired, keys), keys)
	p.clashes, p.unknown = d.Clashes, d.Unknown
	steps := slices.DeleteFunc(d.Steps, func(s plan.Step) bool {
		pending, is := l.steps[s.Key]
		return is && pending.ID() == s.ID() // the branch is at it already
	})
	p.vetoes = plan.Guard(steps, l.existing(), len(edge.Services), l.Limits)
	next := state.Plan{Digest: plan.Digest(p.tree, steps), Pull: p.pull.Number, Head: p.pull.Head, Tree: p.tree, Steps: steps, At: l.Now()}
	if next.Digest == p.plan.Digest && next.Head == p.plan.Head {
		return false
	}
	p.plan = next
	return true
}

// overlay is what another edge desires, and the keys in which that can differ from the branch's.
func (l *loop) overlay(edge schema.Edge) (resource.Set, []resource.Key, []schema.Problem) {
	var problems []schema.Problem
	desired := maps.Clone(l.desired)
	touched := map[resource.Key]bool{}
	drop := func(id schema.ServiceID) {
		for _, key := range l.byService[id] {
			delete(desired, key)
			touched[key] = true
		}
	}
	var added []resource.Resource
	platform := !reflect.DeepEqual(edge.Platform, l.edge.Platform)
	if platform {
		drop("")
		resources, err := render.Platform(edge.Platform)
		if err != nil {
			problems = append(problems, schema.Problem{Code: "platform/render", Position: edge.Platform.Source.Find(""), Message: err.Error()})
		}
		added = resources
	}
	for _, s := range l.edge.Services {
		if _, still := edge.Service(s.ID); !still {
			drop(s.ID)
		}
	}
	for _, s := range edge.Services {
		if old, existed := l.edge.Service(s.ID); existed && !platform && reflect.DeepEqual(old, s) {
			continue
		}
		drop(s.ID)
		resources, err := render.Service(edge.Platform, s)
		if err != nil {
			problems = append(problems, renderProblem(s, err))
		}
		added = append(added, resources...)
	}
	for _, res := range added {
		desired[res.Key] = res
		touched[res.Key] = true
	}
	return desired, slices.SortedFunc(maps.Keys(touched), resource.Key.Compare), problems
}

// hasProblem tells whether the branch has a problem already.
func (l *loop) hasProblem(p schema.Problem) bool {
	return slices.ContainsFunc(l.problems, func(q schema.Problem) bool {
		return p.Code == q.Code && p.Position == q.Position && p.Message == q.Message
	})
}
