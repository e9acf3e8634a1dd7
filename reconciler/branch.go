package reconciler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// reading is what an evaluation is good for: a commit, for a day. Waivers and deprecated fields end with a day.
type reading struct {
	commit string
	day    schema.Date
}

// watchBranch fetches on hints and on a schedule, and evaluates each new commit of the branch, and its tip again on a new day. It wakes
// watchPulls after it.
func (r *Reconciler) watchBranch(ctx context.Context) {
	tick := time.NewTicker(r.Every.Poll)
	defer tick.Stop()
	last, told := reading{}, ""
	for {
		seen := r.Now()
		day := schema.DateOf(seen)
		loaded, err := r.loadTip(ctx, told, last, day)
		switch {
		case err != nil:
			r.send(ctx, branchFailed{err})
		case loaded != nil:
			loaded.seen = seen
			last = reading{loaded.commit.Hash, day}
			r.send(ctx, *loaded)
		default:
			r.send(ctx, branchFailed{}) // reached, nothing new
		}
		r.HintPulls()
		told = ""
		select {
		case <-ctx.Done():
			return
		case h := <-r.hints:
			told = h.commit
		case <-tick.C:
		}
	}
}

// loadTip fetches, and evaluates the tip unless that was the last reading. However long it takes: the limits are those of each file.
func (r *Reconciler) loadTip(ctx context.Context, told string, last reading, day schema.Date) (*branchLoaded, error) {
	if err := r.fetch(ctx, told); err != nil {
		return nil, err
	}
	tip, err := r.Repository.Tip()
	if err != nil || last == (reading{tip.Hash, day}) {
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

func (r *Reconciler) fetch(ctx context.Context, told string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := r.Repository.Fetch(ctx, told); err != nil {
		return fmt.Errorf("fetch repository: %w", err)
	}
	return nil
}

// takeBranch makes a commit what is desired, but for what its problems hold back.
func (l *loop) takeBranch(ctx context.Context, b branchLoaded) {
	old := l.tip
	l.tip, l.tree, l.seen, l.sourceError = b.commit, b.files.ID, b.seen, nil
	l.blobs = make(map[string]string, len(b.files.Files))
	for _, f := range b.files.Files {
		l.blobs[f.Path] = f.Hash
	}
	l.branch = b
	l.Metrics.KnownContents.Add(float64(l.decideBranch()))
	for _, p := range l.problems[:min(len(l.problems), 10)] {
		l.tellProblem(p)
	}
	l.log(ctx, "commit evaluated", "services", len(b.loaded.Edge.Services), "problems", len(l.problems), "held", len(l.held), "frozen", l.frozen)
	l.compare()
	l.shown, l.served = maps.Clone(l.steps), 0
	l.forgetApprovals(ctx)
	l.findShown(old.Hash)
}

func (l *loop) tellProblem(p schema.Problem) {
	l.Log.Warn("problem in a declaration", "commit", short(l.tip.Hash), "holds", p.Holds, "problem", p.String())
}

// decideBranch decides what of the tip takes effect, and returns how many of its contents were known. It may be called again for the same
// tip.
func (l *loop) decideBranch() (known int) {
	var d decision
	d, l.unseen = l.decideTip(l.branch.loaded)
	l.problems, l.warnings, l.frozen = d.problems, slices.Concat(l.branch.loaded.Warnings, d.warnings), d.frozen && len(l.unseen) == 0
	switch {
	case !d.frozen:
		l.held, l.goodDue = d.held, true
		l.want(d)
	case !l.loaded && l.edge.Platform.Name != "": // started again, and the tip has nothing to go by
		if good := l.decide(load.Commit{Edge: l.edge}); !good.frozen {
			l.want(good)
		}
	}
	if len(l.unseen) == 0 {
		l.branch = branchLoaded{}
	}
	return d.known
}

// want makes what was decided the desired edge.
func (l *loop) want(d decision) {
	l.replace(d.rendered)
	l.edge, l.loaded = d.edge, true
	l.declare(d.edge.Platform)
	for _, z := range d.edge.Platform.Zones {
		l.zone(resource.ZoneScope(z.Name))
		l.zone(resource.HealthChecksScope(z.Account)) // a pull may be the first to declare one
	}
	for _, c := range d.edge.Platform.HealthChecks {
		z := l.zone(resource.HealthChecksScope(c.Account))
		if now := l.Now(); z.due.Sub(now) > l.Every.Observe { // it was not used until now
			z.due = now
		}
	}
	for _, f := range d.edge.Platform.Fleets {
		l.fleet(f.ID)
	}
}

// declare tells the provider which zones there are and how ours are marked. A zone or an account that the platform has given up counts as
// long as something of ours is in it.
func (l *loop) declare(p schema.Platform) {
	zones, accounts := slices.Clone(p.Zones), slices.Clone(p.Accounts)
	for key, e := range l.owned {
		if e.ZoneID == "" && e.Account.ID == "" {
			continue
		}
		name, is := key.Scope.Zone()
		if is && !slices.ContainsFunc(zones, func(z schema.Zone) bool { return z.Name == name }) {
			zones = append(zones, schema.Zone{Name: name, ID: e.ZoneID, Account: e.Account.ID})
		}
		if !slices.ContainsFunc(accounts, func(a schema.Account) bool { return a.ID == e.Account.ID }) && e.Account.ID != "" {
			accounts = append(accounts, e.Account)
		}
	}
	p.Zones, p.Accounts = zones, accounts
	l.Provider.Declare(render.Mark(p), p)
}

// replace swaps the resources of services.
func (l *loop) replace(next map[schema.ServiceID][]resource.Resource) {
	for key := range l.lay(l.desired, next) {
		l.dirty[key] = true
	}
	for id, resources := range next {
		delete(l.byService, id)
		for _, res := range resources {
			l.byService[id] = append(l.byService[id], res.Key)
			l.homes[res.Key] = struct{}{}
		}
	}
}

// lay puts resources that were rendered anew into a set, and names the keys in which it differs from before. All old ones go first: a name
// may move from one service to another. A record of the platform stands back where a service holds the name: that is a problem, told to
// the service, and must not lead its users elsewhere.
func (l *loop) lay(desired resource.Set, next map[schema.ServiceID][]resource.Resource) map[resource.Key]bool {
	touched := map[resource.Key]bool{}
	for id, resources := range next {
		for _, key := range l.byService[id] {
			for len(resources) > 0 && resources[0].Key.Compare(key) < 0 { // both are in the order of their keys
				resources = resources[1:]
			}
			if still := len(resources) > 0 && resources[0].Key == key; !still && desired[key].Service == id {
				delete(desired, key)
				touched[key] = true
			}
		}
	}
	for _, id := range sortedKeys(next) {
		for _, res := range next[id] {
			other, taken := desired[res.Key]
			if taken && id == "" && other.Service != "" {
				continue
			}
			desired[res.Key] = res
			if !taken || !other.Same(res) {
				touched[res.Key] = true
			}
		}
	}
	return touched
}

// rememberGood stores the declarations that took effect, so that a later problem holds a service at them, also after a restart. It
// comes after publishing: nobody waits for it.
func (l *loop) rememberGood(ctx context.Context) {
	if !l.goodDue {
		return
	}
	if err := l.Books.LastGood.Replace(ctx, l.edge, l.tip.Hash, l.good); err != nil {
		l.Log.Error("store last good declarations", "error", err)
		l.good = nil // it is not known any more what is stored
		return
	}
	stored := l.edge
	l.good, l.goodDue = &stored, false
}
