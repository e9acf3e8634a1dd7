package reconciler

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// watchBranch fetches on hints and on a schedule, and evaluates each new commit of the branch. It wakes watchPulls after it.
func (r *Reconciler) watchBranch(ctx context.Context) {
	tick := time.NewTicker(r.Every.Poll)
	defer tick.Stop()
	last := ""
	for {
		seen := r.Now()
		loaded, err := r.loadTip(ctx, last)
		switch {
		case err != nil:
			r.send(ctx, branchFailed{err})
		case loaded != nil:
			loaded.seen = seen
			last = loaded.commit.Hash
			r.send(ctx, *loaded)
		default:
			r.send(ctx, branchFailed{}) // reached, nothing new
		}
		select {
		case r.pullHints <- hint{}:
		default:
		}
		select {
		case <-ctx.Done():
			return
		case <-r.hints:
		case <-tick.C:
		}
	}
}

// loadTip fetches, and evaluates the tip if it is not the last one.
func (r *Reconciler) loadTip(ctx context.Context, last string) (*branchLoaded, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := r.Repository.Fetch(ctx); err != nil {
		return nil, fmt.Errorf("fetch repository: %w", err)
	}
	tip, err := r.Repository.Tip()
	if err != nil || tip.Hash == last {
		return nil, err
	}
	files, err := r.Repository.Files(ctx, tip.Hash)
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", short(tip.Hash), err)
	}
	loaded, err := r.Loader.Load(ctx, files.Files)
	if err != nil {
		return nil, fmt.Errorf("evaluate commit %s: %w", short(tip.Hash), err)
	}
	return &branchLoaded{commit: tip, files: files, loaded: loaded}, nil
}

// takeBranch makes a commit what is desired, but for what its problems hold back.
func (l *loop) takeBranch(ctx context.Context, b branchLoaded) {
	mentions := func(id schema.ServiceID, host schema.Hostname) bool {
		return slices.ContainsFunc(b.files.Files, func(f load.File) bool {
			return serviceOfPath(f.Path) == id && bytes.Contains(f.Data, []byte(host))
		})
	}
	old := l.tip
	l.tip, l.tree, l.seen, l.sourceError = b.commit, b.files.ID, b.seen, nil
	l.problems, l.frozen = b.loaded.Problems, true
	for rendered := false; !rendered; {
		effective, why, ok := holdBack(l.edge, b.loaded.Edge, l.problems, mentions)
		if !ok {
			break
		}
		l.held = why
		more := l.want(effective)
		if rendered = len(more) == 0; rendered {
			l.frozen, l.goodDue = false, true
			break
		}
		known := len(l.problems)
		l.problems = slices.Concat(l.problems, slices.DeleteFunc(more, l.hasProblem))
		if len(l.problems) == known {
			break // what is held back cannot be rendered either
		}
	}
	for _, p := range l.problems[:min(len(l.problems), 10)] {
		l.Log.Warn("problem in a declaration", "commit", short(l.tip.Hash), "service", p.Service, "problem", p.String())
	}
	l.log(ctx, "commit evaluated", "services", len(b.loaded.Edge.Services), "problems", len(l.problems), "held", len(l.held), "frozen", l.frozen)
	l.compare()
	l.shown, l.served = maps.Clone(l.steps), 0
	l.forgetApprovals(ctx)
	l.findShown(ctx, old.Hash)
}

// want makes an edge the desired one, or says what of it cannot be rendered. Only services that changed are rendered again, unless the
// platform did.
func (l *loop) want(effective schema.Edge) []schema.Problem {
	var problems []schema.Problem
	all := !reflect.DeepEqual(l.edge.Platform, effective.Platform) || !l.loaded
	next := map[schema.ServiceID][]resource.Resource{}
	for _, s := range effective.Services {
		old, existed := l.edge.Service(s.ID)
		if !all && existed && reflect.DeepEqual(old, s) {
			continue
		}
		resources, err := render.Service(effective.Platform, s)
		if err != nil {
			problems = append(problems, renderProblem(s, err))
			continue
		}
		next[s.ID] = resources
	}
	if all {
		resources, err := render.Platform(effective.Platform)
		if err != nil {
			problems = append(problems, schema.Problem{Code: "platform/render", Position: effective.Platform.Source.Find(""), Message: err.Error()})
		}
		next[""] = resources
	}
	if len(problems) > 0 {
		return problems
	}
	for _, s := range l.edge.Services {
		if _, still := effective.Service(s.ID); !still {
			next[s.ID] = nil
		}
	}
	l.replace(next)
	l.edge, l.loaded = effective, true
	l.declare(effective.Platform)
	for _, z := range effective.Platform.Zones {
		l.zone(resource.Scope("zone/" + string(z.Name)))
	}
	for _, f := range effective.Platform.Fleets {
		l.fleet(f.ID)
	}
	return nil
}

// renderProblem says of a service that it is declared well but cannot be served.
func renderProblem(s schema.Service, err error) schema.Problem {
	return schema.Problem{Code: "service/render", Service: s.ID, Position: s.Source.Find(""), Path: "services." + string(s.ID),
		Message: fmt.Sprintf("service %s cannot be rendered: %v", s.ID, err)}
}

// declare tells the provider which zones there are and how ours are marked.
func (l *loop) declare(p schema.Platform) {
	l.Provider.Declare(render.Mark(p), p.Zones)
}

// replace swaps the resources of services. All old ones go first: a name may move from one service to another.
func (l *loop) replace(next map[schema.ServiceID][]resource.Resource) {
	for id := range next {
		for _, key := range l.byService[id] {
			delete(l.desired, key)
			l.dirty[key] = true
		}
		delete(l.byService, id)
	}
	for _, id := range sortedKeys(next) {
		for _, res := range next[id] {
			l.desired[res.Key] = res
			l.byService[id] = append(l.byService[id], res.Key)
			l.dirty[res.Key] = true
		}
	}
}

// rememberGood stores the declarations that took effect, so that a later problem holds a service at them, also after a restart. It
// comes after publishing: nobody waits for it.
func (l *loop) rememberGood(ctx context.Context) {
	if !l.goodDue {
		return
	}
	if err := l.Books.LastGood.Replace(ctx, l.edge); err != nil {
		l.Log.Error("store last good declarations", "error", err)
		return
	}
	l.goodDue = false
}
