package reconciler

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/release"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// View is the state of everything at the end of a pass, for pages and the command line. It is never changed once it is shown.
type View struct {
	At       time.Time        `json:"at"`
	Commit   string           `json:"commit"`
	Subject  string           `json:"subject"`
	Author   string           `json:"author"`
	Tree     string           `json:"tree"`
	Loaded   bool             `json:"loaded"` // false: no commit could be evaluated yet
	Frozen   bool             `json:"frozen"` // a problem of the platform holds everything
	Problems []schema.Problem `json:"problems"`
	Warnings []schema.Problem `json:"warnings"`
	Services []ServiceView    `json:"services"`
	Waivers  []WaiverView     `json:"waivers"` // by service
	Steps    []StepView       `json:"steps"`
	Vetoes   []plan.Veto      `json:"vetoes"`
	Pending  string           `json:"pending"` // the digest that applies what waits for a person; empty: nothing does
	Deletes  int              `json:"deletes"` // the count that has to be typed with it; 0: none
	Zones    []ZoneView       `json:"zones"`
	Pulls    []PullView       `json:"pulls"`
	Merged   []PullView       `json:"merged"`
	Drifts   []Drift          `json:"drifts"` // newest first
	Foreign  []ForeignView    `json:"foreign"`
	Freezes  []FreezeView     `json:"freezes"` // that are on
	Calls    []CallView       `json:"calls"`   // that are not over
	Source   string           `json:"source"`  // why the repository cannot be read; empty: it can
	Forge    string           `json:"forge"`   // likewise the forge

	Validating int `json:"validating"` // services that Envoy looks at before they are published
}

// ServiceView is one service, declared or lingering.
type ServiceView struct {
	ID       schema.ServiceID  `json:"id"`
	Team     schema.TeamID     `json:"team"`
	Fleet    schema.FleetID    `json:"fleet"`
	Exposure schema.Exposure   `json:"exposure"`
	Hosts    []schema.Hostname `json:"hosts"`
	File     string            `json:"file"`
	State    string            `json:"state"` // converged, changing, waiting, held, lingering
	Why      string            `json:"why,omitempty"`
	Commit   string            `json:"commit,omitempty"`
	Since    time.Time         `json:"since,omitzero"`
	Linger   []schema.Hostname `json:"linger,omitempty"`
	Refused  string            `json:"refused,omitempty"` // what Envoy said of content that it refused
}

// WaiverView is one exception from a rule that is in force.
type WaiverView struct {
	Service schema.ServiceID `json:"service"`
	schema.Waiver
}

// ForeignView is a declared record that exists, and is not ours.
type ForeignView struct {
	Key     resource.Key       `json:"key"`
	Service schema.ServiceID   `json:"service,omitempty"`
	Fields  []plan.FieldChange `json:"fields,omitempty"` // what to adopt it would change; none: it is as declared
	Asked   string             `json:"asked,omitempty"`  // who has asked to adopt it
}

// FreezeView is a freeze that is on.
type FreezeView struct {
	Name string `json:"name"`
	schema.Freeze
	By   string    `json:"by,omitempty"` // empty: platform/ declares it
	Ends time.Time `json:"ends"`
}

// StepView is a pending step and where it stands.
type StepView struct {
	plan.Step
	Status
}

// ZoneView is a scope of AWS: a hosted zone, or the health checks of an account.
type ZoneView struct {
	Scope   resource.Scope `json:"scope"`
	Taken   time.Time      `json:"taken,omitzero"`
	Records int            `json:"records"` // or health checks
	Most    int            `json:"most"`    // that AWS lets it hold
	Ours    int            `json:"ours"`
	Error   string         `json:"error,omitempty"`
	Since   time.Time      `json:"since,omitzero"`
}

// PullView is an open pull, or a merged one that was followed.
type PullView struct {
	Number  int    `json:"number"`
	Title   string `json:"title"`
	Author  string `json:"author"`
	Head    string `json:"head"`
	URL     string `json:"url,omitempty"`
	Verdict string `json:"verdict"`
	Digest  string `json:"digest"`
	Comment string `json:"comment"` // as posted, Markdown
}

type viewCell struct{ atomic.Pointer[View] }

// View is the newest view; before the first pass it is empty.
func (r *Reconciler) View() *View {
	if v := r.view.Load(); v != nil {
		return v
	}
	return &View{}
}

// showAges makes the view tell how old the listings of zones are, when all the rest is as it was.
func (l *loop) showAges(now time.Time) {
	if !l.aged {
		return
	}
	l.aged = false
	v := *l.View()
	v.At, v.Zones = now, l.showZones()
	l.view.Store(&v)
}

// show makes the view.
func (l *loop) show(now time.Time) {
	v := &View{
		At: now, Commit: l.tip.Hash, Subject: l.tip.Subject, Author: l.tip.Author, Tree: l.tree, Loaded: l.loaded, Frozen: l.frozen,
		Validating: len(l.unseen), Problems: l.problems, Warnings: l.warnings, Vetoes: l.vetoes, Source: text(l.sourceError), Forge: text(l.forgeError), Drifts: slices.Clone(l.drifts),
	}
	slices.Reverse(v.Drifts)
	for i, d := range v.Drifts {
		v.Drifts[i].State = l.status[d.Key].State
	}
	v.Foreign, v.Calls = l.showForeign(), l.showCalls()
	for _, f := range l.onNow(now) {
		v.Freezes = append(v.Freezes, FreezeView{f.name, f.Freeze, f.by, f.ends})
	}
	for _, s := range l.sortedSteps() {
		v.Steps = append(v.Steps, StepView{s, l.status[s.Key]})
	}
	_, v.Pending = l.pending()
	for _, veto := range l.vetoes {
		v.Deletes = max(v.Deletes, veto.Deletes)
	}
	v.Services = l.showServices()
	for _, s := range l.edge.Services {
		for _, w := range s.Waivers {
			v.Waivers = append(v.Waivers, WaiverView{s.ID, w})
		}
	}
	v.Zones = l.showZones()
	v.Pulls, v.Merged = l.showPulls()
	l.view.Store(v)
}

func (l *loop) showForeign() []ForeignView {
	var keys []resource.Key
	for key := range l.desired {
		if !key.Kind.OfProxies() && l.adoptable(key) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, resource.Key.Compare)
	var out []ForeignView
	for _, key := range keys {
		want, have := l.desired[key], l.zones[key.Scope].snapshot.Resources[key]
		out = append(out, ForeignView{Key: key, Service: want.Service, Fields: plan.Fields(have, want.Spec), Asked: l.decisions[key].By})
	}
	return out
}

func (l *loop) showServices() []ServiceView {
	var out []ServiceView
	for _, s := range l.edge.Services {
		view := ServiceView{ID: s.ID, Team: s.Owner.Team, Fleet: s.Fleet, Exposure: s.Exposure, Hosts: s.Hosts, File: s.Source.File}
		if f := l.releases[s.Fleet]; f != nil {
			view.fill(f.release.Services[s.ID])
		}
		view.State, view.Why = l.serviceState(s.ID)
		out = append(out, view)
	}
	for _, id := range sortedKeys(l.releases) {
		f := l.releases[id]
		for _, service := range sortedKeys(f.release.Services) {
			e := f.release.Services[service]
			if s, declared := l.edge.Service(service); declared && s.Fleet == id {
				continue
			}
			view := ServiceView{ID: service, Fleet: id, Exposure: e.Exposure, Hosts: e.Hosts(), File: e.Origin.File, State: "lingering",
				Why: "removed; its names are answered until nobody can have them cached any more"}
			if !e.Removed {
				status := l.status[f.release.Key(service)]
				view.State, view.Why = "leaving", strings.TrimSuffix("no longer declared, and served until it may go: "+string(status.State)+": "+status.Why, ": ")
			}
			view.fill(e)
			out = append(out, view)
		}
	}
	return out
}

func (v *ServiceView) fill(e release.Entry) {
	v.Commit, v.Since, v.Refused = e.Commit, e.Since, e.Why()
	for _, p := range e.Linger {
		v.Linger = append(v.Linger, p.Host)
	}
}

// serviceState sums the steps of a service up.
func (l *loop) serviceState(id schema.ServiceID) (state, why string) {
	if reason, is := l.held[id]; is {
		if reason.Unseen {
			return "changing", reason.Why
		}
		return "held", reason.Why
	}
	var reasons []string
	for _, key := range l.byService[id] {
		if _, pending := l.steps[key]; !pending {
			if clash, is := l.clashes[key]; is {
				reasons, state = append(reasons, clash.String()), "held"
			}
			continue
		}
		status := l.status[key]
		if status.State == Clashes || status.State == Failing && key.Kind == resource.EnvoyService { // Envoy refuses it
			state = "held"
		}
		reasons = append(reasons, strings.TrimSuffix(string(status.State)+": "+status.Why, ": "))
	}
	if len(reasons) > 0 {
		return cmp.Or(state, "changing"), strings.Join(reasons, "; ")
	}
	for _, key := range l.byService[id] {
		if l.unknown[key] {
			return "unknown", string(key.Scope) + " was not observed yet"
		}
	}
	return "converged", ""
}

func (l *loop) showZones() []ZoneView {
	var out []ZoneView
	for _, scope := range sortedKeys(l.zones) {
		z := l.zones[scope]
		view := ZoneView{Scope: scope, Error: text(z.err), Since: z.since}
		if z.err == nil {
			view.Since = time.Time{}
		}
		view.Most = l.mostOf(scope)
		if z.snapshot != nil {
			view.Taken, view.Records = z.snapshot.Taken, len(z.snapshot.Resources)
			for key := range z.snapshot.Resources {
				if l.owned[key].Spec != nil {
					view.Ours++
				}
			}
		}
		out = append(out, view)
	}
	slices.SortStableFunc(out, func(a, b ZoneView) int { return cmp.Compare(rankOf(a.Scope), rankOf(b.Scope)) })
	return out
}

// rankOf puts zones first.
func rankOf(scope resource.Scope) int {
	if _, is := scope.Zone(); is {
		return 0
	}
	return 1
}

// mostOf is how much a scope may hold.
func (l *loop) mostOf(scope resource.Scope) int {
	if _, is := scope.HealthChecks(); is {
		return l.edge.Platform.Quotas.MostHealthChecks()
	}
	zone, _ := l.zoneOf(scope)
	return zone.Most()
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// showPulls are the open pulls, and the merged ones that are followed, newest first.
func (l *loop) showPulls() (open, merged []PullView) {
	show := func(p forge.Pull, r forge.Review) PullView {
		verdict := string(r.Verdict())
		if verdict == "" {
			verdict = "planned"
		}
		if open := l.pulls[p.Number]; open != nil && len(open.unseen) > 0 {
			verdict = "validating"
			if r.Digest == "" { // it was never planned
				return PullView{Number: p.Number, Title: p.Title, Author: p.Author, Head: p.Head, URL: p.URL, Verdict: verdict}
			}
		}
		return PullView{Number: p.Number, Title: p.Title, Author: p.Author, Head: p.Head, URL: p.URL, Verdict: verdict, Digest: r.Digest, Comment: l.comment(forge.Target{Pull: p.Number, SHA: p.Head}, r)}
	}
	for _, n := range sortedKeys(l.pulls) {
		open = append(open, show(l.pulls[n].pull, l.reviewPull(l.pulls[n])))
	}
	for _, n := range sortedKeys(l.merged) {
		merged = append(merged, show(l.merged[n].pull, l.reviewMerged(l.merged[n])))
	}
	slices.Reverse(open)
	slices.Reverse(merged)
	return open, merged
}
