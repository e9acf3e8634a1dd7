//go:build unfinished

package reconciler

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
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
	effective, why, ok := holdBack(l.edge, b.loaded.Edge, b.loaded.Problems, mentions)
	old := l.tip
	l.tip, l.tree, l.seen = b.commit, b.files.ID, b.seen
	l.problems, l.held, l.frozen, l.sourceError = b.loaded.Problems, why, !ok, nil
	l.log(ctx, "commit evaluated", "services", len(b.loaded.Edge.Services), "problems", len(b.loaded.Problems), "held", len(why), "frozen", l.frozen)
	if ok {
		if err := l.want(effective); err != nil {
			l.Log.Error("render", "commit", short(b.commit.Hash), "error", err)
			l.frozen = true
			return
		}
		l.rememberGood(ctx, effective)
	}
	l.compare()
	l.forgetApprovals(ctx)
	l.findShown(ctx, old.Hash)
}

// want makes an edge the desired one. Only services that changed are rendered again, unless the platform did.
func (l *loop) want(effective schema.Edge) error {
	all := !bytes.Equal(resource.ValueOf(l.edge.Platform), resource.ValueOf(effective.Platform)) || !l.loaded
	next := map[schema.ServiceID][]resource.Resource{}
	for _, s := range effective.Services {
		old, existed := l.edge.Service(s.ID)
		if !all && existed && bytes.Equal(resource.ValueOf(old), resource.ValueOf(s)) {
			continue
		}
		resources, err := render.Service(effective.Platform, s)
		if err != nil {
			return fmt.Errorf("service %s: %w", s.ID, err)
		}
		next[s.ID] = resources
	}
	if all {
		resources, err := render.Platform(effective.Platform)
		if err != nil {
			return fmt.Errorf("platform: %w", err)
		}
		next[""] = resources
	}
	for _, s := range l.edge.Services {
		if _, still := effective.Service(s.ID); !still {
			next[s.ID] = nil
		}
	}
	l.replace(next)
	l.edge, l.loaded = effective, true
	for _, z := range effective.Platform.Zones {
		l.zone(resource.Scope("zone/" + string(z.Name)))
	}
	for _, f := range effective.Platform.Fleets {
		l.fleet(f.ID)
	}
	return nil
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

// rememberGood stores the declarations that took effect, so that a later problem holds a service at them, also after a restart.
func (l *loop) rememberGood(ctx context.Context, effective schema.Edge) {
	if err := l.Books.LastGood.Replace(ctx, effective); err != nil {
		l.Log.Error("store last good declarations", "error", err)
	}
}
