package reconciler

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// frozen is a freeze that is on: one of the platform's, or one that somebody asked for.
type frozen struct {
	schema.Freeze
	name string
	by   string    // empty: the platform declares it
	ends time.Time // the first moment after it
}

func (f frozen) message() string {
	return fmt.Sprintf("freeze %s until %s: %s", f.name, f.ends.UTC().Format("2006-01-02 15:04 MST"), f.Reason)
}

func (f frozen) unblock() string {
	if f.by != "" {
		return "it goes on by itself after that, or once somebody ends the freeze: edgewright unfreeze " + f.name
	}
	return fmt.Sprintf("it goes on by itself after that, or once freezes.%s is taken out of platform/", f.name)
}

// onNow are the freezes that are on, by name.
func (l *loop) onNow(now time.Time) []frozen {
	var on []frozen
	for name, f := range l.edge.Platform.Freezes {
		if f.Holds(now) {
			on = append(on, frozen{Freeze: f, name: name, ends: f.Until.End()})
		}
	}
	for name, f := range l.freezes {
		if now.Before(f.Until) {
			on = append(on, frozen{Freeze: f.Freeze, name: name, by: f.By, ends: f.Until})
		}
	}
	slices.SortFunc(on, func(a, b frozen) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.by, b.by)) })
	return on
}

// frozenBy is the freeze that keeps a step from being done now. It wakes the loop when that ends.
func (l *loop) frozenBy(s plan.Step, edge schema.Edge, now time.Time) (frozen, bool) {
	for _, f := range l.onNow(now) {
		if l.covers(f, s, edge) {
			l.alarm("freeze", f.ends)
			return f, true
		}
	}
	return frozen{}, false
}

// covers tells whether a step is about what a freeze is for: by the zone, by whose it is or was, or by the fleet to which it leads or led.
func (l *loop) covers(f frozen, s plan.Step, edge schema.Edge) bool {
	was := l.owned[s.Key]
	zone, _ := s.Key.Scope.Zone()
	for _, id := range []schema.ServiceID{s.Service, was.Service} {
		service, _ := edge.Service(id)
		if f.Covers(id, l.teamOf(id, edge), service.Fleet, zone) {
			return true
		}
	}
	return slices.ContainsFunc(slices.Concat([]resource.Key{s.Key}, s.Needs, was.Needs), func(k resource.Key) bool {
		return k.Kind.OfProxies() && f.Covers("", "", fleetOf(k.Scope), "")
	})
}

// teamOf is the team of a service: of one that is declared no more but is served yet, by the folder in which it was declared.
func (l *loop) teamOf(id schema.ServiceID, edge schema.Edge) schema.TeamID {
	if service, declared := edge.Service(id); declared {
		return service.Owner.Team
	}
	for _, fleet := range sortedKeys(l.releases) {
		e := l.releases[fleet].release.Services[id]
		if folder := strings.Split(e.Origin.File, "/"); len(folder) == 3 {
			return schema.TeamID(folder[1])
		}
	}
	return ""
}

// freezeVetoes say which steps are frozen, one veto for each freeze.
func (l *loop) freezeVetoes(steps []plan.Step, edge schema.Edge, now time.Time) []plan.Veto {
	byName := map[string]*plan.Veto{}
	for _, s := range steps {
		f, is := l.frozenBy(s, edge, now)
		if !is {
			continue
		}
		if byName[f.name] == nil {
			byName[f.name] = &plan.Veto{Guard: plan.GuardFreeze, Message: f.message(), Unblock: f.unblock()}
		}
		byName[f.name].Steps = append(byName[f.name].Steps, s.ID())
	}
	var vetoes []plan.Veto
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		vetoes = append(vetoes, *byName[name])
	}
	return vetoes
}

// Freeze asks for a time in which nothing is changed; with End, to end the one of that name.
type Freeze struct {
	Name     string             `json:"name"`
	Reason   string             `json:"reason,omitempty"`
	Until    time.Time          `json:"until,omitzero"`
	Fleets   []schema.FleetID   `json:"fleets,omitempty"`
	Teams    []schema.TeamID    `json:"teams,omitempty"`
	Services []schema.ServiceID `json:"services,omitempty"`
	Zones    []schema.Hostname  `json:"zones,omitempty"`
	End      bool               `json:"end,omitempty"`
	Identity string             `json:"-"`
}

// Freeze does what is asked. A *Refused says why it is not done.
func (r *Reconciler) Freeze(ctx context.Context, q Freeze) error {
	got, err := r.ask(ctx, q)
	if err != nil {
		return err
	}
	err, _ = got.(error)
	return err
}

const longestFreeze = 100 * 24 * time.Hour

func (l *loop) setFreeze(ctx context.Context, q Freeze) error {
	now := l.Now()
	if q.End {
		return l.endFreeze(ctx, q, now)
	}
	switch {
	case !freezeName(q.Name):
		return refuse("a freeze needs a name of lower-case letters, digits and dashes, not %q", q.Name)
	case strings.TrimSpace(q.Reason) == "" || len(q.Reason) > 500:
		return refuse("a freeze needs a reason of at most 500 characters: whoever wonders why nothing happens reads it")
	case !q.Until.After(now) || q.Until.Sub(now) > longestFreeze:
		return refuse("a freeze ends within %d days, and not in the past", int(longestFreeze.Hours()/24))
	}
	if missing := l.unknownTo(q); missing != "" {
		return refuse("%s", missing)
	}
	f := state.Freeze{Name: q.Name, By: q.Identity, At: now, Until: q.Until,
		Freeze: schema.Freeze{Reason: q.Reason, Fleets: q.Fleets, Teams: q.Teams, Services: q.Services, Zones: q.Zones}}
	if err := l.Books.Freezes.Put(ctx, f); err != nil {
		return fmt.Errorf("store freeze: %w", err)
	}
	l.freezes[q.Name] = f
	l.note(ctx, audit.Entry{Who: q.Identity, Why: q.Reason, What: "freeze " + q.Name, Result: "on until " + q.Until.UTC().Format(time.RFC3339)})
	l.log(ctx, "freeze", "name", q.Name, "until", q.Until, "by", q.Identity)
	return nil
}

func (l *loop) endFreeze(ctx context.Context, q Freeze, now time.Time) error {
	if _, is := l.freezes[q.Name]; !is {
		if f, declared := l.edge.Platform.Freezes[q.Name]; declared && f.Holds(now) {
			return refuse("freeze %s is declared in platform/: take it out there", q.Name)
		}
		return refuse("there is no freeze %s; those that are on: %s", q.Name, l.freezeNames(now))
	}
	if err := l.Books.Freezes.Delete(ctx, q.Name); err != nil {
		return fmt.Errorf("end freeze: %w", err)
	}
	delete(l.freezes, q.Name)
	l.note(ctx, audit.Entry{Who: q.Identity, Why: q.Reason, What: "unfreeze " + q.Name, Result: "ended"})
	l.log(ctx, "unfreeze", "name", q.Name, "by", q.Identity)
	return nil
}

func (l *loop) freezeNames(now time.Time) string {
	var names []string
	for _, f := range l.onNow(now) {
		names = append(names, f.name)
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

func freezeName(name string) bool {
	return len(name) > 0 && len(name) <= 63 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// unknownTo says what a freeze names that is not there: it would hold nothing.
func (l *loop) unknownTo(q Freeze) string {
	for _, id := range q.Fleets {
		if _, is := l.edge.Platform.Fleet(id); !is {
			return fmt.Sprintf("there is no fleet %s", id)
		}
	}
	for _, id := range q.Teams {
		if _, is := l.edge.Platform.Team(id); !is {
			return fmt.Sprintf("there is no team %s", id)
		}
	}
	for _, id := range q.Services {
		if _, is := l.edge.Service(id); !is {
			return fmt.Sprintf("there is no service %s", id)
		}
	}
	for _, name := range q.Zones {
		if !slices.ContainsFunc(l.edge.Platform.Zones, func(z schema.Zone) bool { return z.Name == name }) {
			return fmt.Sprintf("there is no zone %s", name)
		}
	}
	return ""
}
