package schema

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// TierID names a tier: a kind of service for which the platform has defaults.
type TierID string

// DefaultsOf are the values that services may leave out, by what they hold for.
type DefaultsOf struct {
	All      Defaults              `json:"all,omitzero"`
	Tier     map[TierID]Defaults   `json:"tier,omitempty"`
	Exposure map[Exposure]Defaults `json:"exposure,omitempty"`
	Fleet    map[FleetID]Defaults  `json:"fleet,omitempty"`
}

// Defaults are values that services may leave out. Zero values say nothing.
type Defaults struct {
	Tier     TierID          `json:"tier,omitempty"`     // in All only
	Exposure Exposure        `json:"exposure,omitempty"` // in All and Tier only
	Fleet    FleetID         `json:"fleet,omitempty"`    // not in Fleet
	Health   HealthCheck     `json:"health,omitzero"`    // without a path: a check is never added where there is none
	Forward  ForwardDefaults `json:"forward,omitzero"`
	Headers  HeaderEdits     `json:"headers,omitzero"`
	Drift    DriftMode       `json:"drift,omitempty"` // in All also for what is of no service, as the marks of zones
}

// ForwardDefaults are for every route that forwards.
type ForwardDefaults struct {
	Timeout Duration `json:"timeout,omitzero"`
	Retries *Retries `json:"retries,omitempty"`
}

// BuiltIn is what holds where neither the service nor the platform says anything.
var BuiltIn = Defaults{
	Health:  HealthCheck{Interval: Duration(5 * time.Second), Timeout: Duration(2 * time.Second), Healthy: 1, Unhealthy: 3},
	Forward: ForwardDefaults{Timeout: Duration(15 * time.Second)},
}

// Complete fills in what the service leaves out and the platform has a default for, with the place of the default. The service
// itself is not changed. What is BuiltIn is not filled in: rendering knows it.
func (p Platform) Complete(s Service) Service {
	f := filler{from: p.Source, service: s}
	if team, is := p.Team(s.Owner.Team); is {
		fill(&f, &f.service.Owner.OnCall, team.OnCall, "owner.oncall", "teams."+string(team.ID)+".oncall")
	}
	d := p.Defaults
	fill(&f, &f.service.Tier, d.All.Tier, "tier", "defaults.all.tier")
	tier, tiers := d.Tier[f.service.Tier], "defaults.tier."+string(f.service.Tier)
	fill(&f, &f.service.Exposure, tier.Exposure, "exposure", tiers+".exposure")
	fill(&f, &f.service.Exposure, d.All.Exposure, "exposure", "defaults.all.exposure")
	exposure, exposures := d.Exposure[f.service.Exposure], "defaults.exposure."+string(f.service.Exposure)
	fill(&f, &f.service.Fleet, tier.Fleet, "fleet", tiers+".fleet")
	fill(&f, &f.service.Fleet, exposure.Fleet, "fleet", exposures+".fleet")
	fill(&f, &f.service.Fleet, d.All.Fleet, "fleet", "defaults.all.fleet")
	f.apply(tier, tiers)
	f.apply(exposure, exposures)
	f.apply(d.Fleet[f.service.Fleet], "defaults.fleet."+string(f.service.Fleet))
	f.apply(d.All, "defaults.all")
	return f.service
}

// filler fills in one service. Slices that it writes to are copies.
type filler struct {
	from    Source // of the platform
	service Service
	own     bool // backends and routes are copies already
	noted   bool // the places too
}

// fill sets a value that says nothing yet, and remembers where it came from.
func fill[T comparable](f *filler, value *T, otherwise T, path, from string) {
	var nothing T
	if *value != nothing || otherwise == nothing {
		return
	}
	*value = otherwise
	f.came(path, from)
}

func (f *filler) came(path, from string) {
	if !f.noted {
		f.noted, f.service.Source.At = true, maps.Clone(f.service.Source.At)
		if f.service.Source.At == nil {
			f.service.Source.At = map[string]Position{}
		}
	}
	f.service.Source.At[path] = f.from.Find(from)
}

// apply fills in the parts of backends and routes.
func (f *filler) apply(d Defaults, from string) {
	fill(f, &f.service.Drift, d.Drift, "drift", from+".drift")
	if d.Health == (HealthCheck{}) && d.Forward == (ForwardDefaults{}) && d.Headers.IsZero() {
		return
	}
	if !f.own {
		f.own, f.service.Backends, f.service.Routes = true, slices.Clone(f.service.Backends), slices.Clone(f.service.Routes)
	}
	for i := range f.service.Backends {
		f.backend(&f.service.Backends[i], d.Health, from+".health.")
	}
	for i := range f.service.Routes {
		f.route(&f.service.Routes[i], indexed("routes", i), d, from)
	}
}

func (f *filler) backend(b *Backend, d HealthCheck, from string) {
	if b.Health == nil {
		return
	}
	health, path := *b.Health, "backends."+string(b.ID)+".health."
	fill(f, &health.Interval, d.Interval, path+"interval", from+"interval")
	fill(f, &health.Timeout, d.Timeout, path+"timeout", from+"timeout")
	fill(f, &health.Healthy, d.Healthy, path+"healthy", from+"healthy")
	fill(f, &health.Unhealthy, d.Unhealthy, path+"unhealthy", from+"unhealthy")
	b.Health = &health
}

func (f *filler) route(r *Route, path string, d Defaults, from string) {
	if forward, is := r.Action.(Forward); is {
		fill(f, &forward.Timeout, d.Forward.Timeout, path+".forward.timeout", from+".forward.timeout")
		fill(f, &forward.Retries, d.Forward.Retries, path+".forward.retries", from+".forward.retries")
		r.Action = forward
	}
	r.Headers.Request = f.headers(r.Headers.Request, d.Headers.Request, path+".headers.request", from+".headers.request")
	r.Headers.Response = f.headers(r.Headers.Response, d.Headers.Response, path+".headers.response", from+".headers.response")
}

// headers adds the edits of headers that are not edited yet.
func (f *filler) headers(own, d HeaderEdit, path, from string) HeaderEdit {
	if d.IsZero() {
		return own
	}
	out := HeaderEdit{Set: maps.Clone(own.Set), Add: maps.Clone(own.Add), Remove: slices.Clone(own.Remove)}
	for _, name := range slices.Sorted(maps.Keys(d.Set)) {
		if !own.edits(name) {
			out.Set = with(out.Set, name, d.Set[name])
			f.came(path+".set."+name, from+".set."+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Add)) {
		if !own.edits(name) {
			out.Add = with(out.Add, name, d.Add[name])
			f.came(path+".add."+name, from+".add."+name)
		}
	}
	for i, name := range d.Remove {
		if !own.edits(name) {
			f.came(indexed(path+".remove", len(out.Remove)), indexed(from+".remove", i))
			out.Remove = append(out.Remove, name)
		}
	}
	return out
}

func with(m map[string]string, name, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[name] = value
	return m
}

func indexed(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
