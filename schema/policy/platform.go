package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

func (j *judgement) judgePlatform() {
	p := j.platform
	if p.Name == "" {
		j.problem("platform/name", "", "the platform has no name", `write name: "…" in one file of platform/: it marks what belongs to this edge in AWS`)
	}
	for _, f := range p.Fleets {
		j.judgeFleet(f)
	}
	for _, t := range p.Teams {
		for i, d := range t.Domains {
			if strings.HasPrefix(string(d), "*.") {
				j.problem("team/domain", fmt.Sprintf("teams.%s.domains[%d]", t.ID, i), fmt.Sprintf("domain %s of team %s is a wildcard", d, t.ID), "a domain covers every name below it already: leave out *.")
			}
		}
	}
	for _, z := range p.Zones {
		if strings.HasPrefix(string(z.Name), "*.") {
			j.problem("zone/name", "zones."+string(z.Name), fmt.Sprintf("zone %s is a wildcard", z.Name), "name the hosted zone")
		}
		j.judgeAccount("zone/account", "zones."+string(z.Name)+".account", z.Account)
	}
	for i, id := range p.Approvers {
		if _, is := p.Team(id); !is {
			j.problem("platform/approver", fmt.Sprintf("approvers[%d]", i), fmt.Sprintf("approvers names %s, which is no team", id), meant(id, j.teams(), "teams here: "+join(j.teams())))
		}
	}
	for _, code := range slices.Sorted(maps.Keys(p.Rules)) {
		if !slices.Contains(Waivable, code) {
			j.problem("platform/rule", "rules."+string(code), fmt.Sprintf("%s is no rule that can be a warning or switched off", code), meant(code, Waivable, "those that can be are "+join(Waivable)))
		}
	}
	j.judgeRecords()
	j.judgeHealthChecks()
	j.judgeDefaults(p.Defaults)
	for _, name := range slices.Sorted(maps.Keys(p.Freezes)) {
		j.judgeFreeze("freezes."+name, p.Freezes[name])
	}
}

// judgeFreeze does not ask for the services that it names: they may come and go.
func (j *judgement) judgeFreeze(at string, f schema.Freeze) {
	if !f.From.IsZero() && f.From.DaysUntil(f.Until) < 0 {
		j.problem("platform/freeze", at+".until", at+" ends before it begins", "until is the last day of the freeze")
	}
	for i, id := range f.Fleets {
		if _, is := j.platform.Fleet(id); !is {
			j.problem("platform/freeze", fmt.Sprintf("%s.fleets[%d]", at, i), fmt.Sprintf("there is no fleet %s", id), meant(id, j.fleets(), "fleets here: "+join(j.fleets())))
		}
	}
	for i, id := range f.Teams {
		if _, is := j.platform.Team(id); !is {
			j.problem("platform/freeze", fmt.Sprintf("%s.teams[%d]", at, i), fmt.Sprintf("there is no team %s", id), meant(id, j.teams(), "teams here: "+join(j.teams())))
		}
	}
	zones := names(j.platform.Zones, func(z schema.Zone) schema.Hostname { return z.Name })
	for i, name := range f.Zones {
		if !slices.Contains(zones, name) {
			j.problem("platform/freeze", fmt.Sprintf("%s.zones[%d]", at, i), fmt.Sprintf("there is no zone %s", name), meant(name, zones, "zones here: "+join(zones)))
		}
	}
}

func (j *judgement) judgeFleet(f schema.Fleet) {
	at := "fleets." + string(f.ID)
	if f.Kind == schema.GRPC {
		if len(f.Listeners)+len(f.Addresses)+len(f.Certificates)+len(f.Runtime) > 0 {
			j.problem("fleet/grpc", at, at+" is of gRPC clients, which call services directly: nothing takes requests for it", "leave out listeners, addresses, certificates and runtime, or the kind")
		}
		return
	}
	if len(f.Listeners) == 0 {
		j.problem("fleet/listeners", at, at+" listens nowhere", "write listeners: public: port: 443, or internal")
	}
	if len(f.Addresses) == 0 {
		j.problem("fleet/addresses", at, at+" has no addresses", "write the addresses that host names shall resolve to")
	}
	for i, l := range f.Listeners {
		if slices.ContainsFunc(f.Listeners[:i], func(o schema.Listener) bool { return o.Port == l.Port }) {
			j.problem("fleet/port", at+".listeners."+string(l.Exposure), fmt.Sprintf("%s listens twice on port %d", at, l.Port), "each exposure has a port of its own")
		}
	}
	j.judgeTLS(f)
}

func (j *judgement) judgeDefaults(d schema.DefaultsOf) {
	const all, tier, exposure, fleet = "defaults.all", "defaults.tier", "defaults.exposure", "defaults.fleet"
	j.judgeDefault(all, d.All, all, tier, exposure)
	for _, id := range slices.Sorted(maps.Keys(d.Tier)) {
		j.judgeDefault(tier+"."+string(id), d.Tier[id], tier, exposure)
	}
	for _, e := range slices.Sorted(maps.Keys(d.Exposure)) {
		j.judgeDefault(exposure+"."+string(e), d.Exposure[e], exposure)
	}
	for _, id := range slices.Sorted(maps.Keys(d.Fleet)) {
		j.judgeDefault(fleet+"."+string(id), d.Fleet[id])
		if _, is := j.platform.Fleet(id); !is {
			j.problem("platform/defaults", fleet+"."+string(id), fmt.Sprintf("there are defaults for fleet %s, which is not declared", id), "fleets here: "+join(j.fleets()))
		}
	}
	if d.All.Tier != "" {
		if _, is := d.Tier[d.All.Tier]; !is {
			j.problem("platform/defaults", all+".tier", fmt.Sprintf("there is no tier %s", d.All.Tier), "tiers are declared at defaults.tier: "+join(j.tiers()))
		}
	}
}

// judgeDefault checks one group of defaults. chooses says what it may choose: by defaults.all the tier, by defaults.tier the exposure,
// by defaults.exposure the fleet.
func (j *judgement) judgeDefault(at string, d schema.Defaults, chooses ...string) {
	for _, c := range []struct{ what, value, by string }{{"tier", string(d.Tier), "defaults.all"}, {"exposure", string(d.Exposure), "defaults.tier"}, {"fleet", string(d.Fleet), "defaults.exposure"}} {
		if c.value != "" && !slices.Contains(chooses, c.by) {
			j.problem("platform/defaults", at+"."+c.what, fmt.Sprintf("%s cannot choose the %s", at, c.what), "a tier is chosen by defaults.all, an exposure by defaults.all and defaults.tier, a fleet also by defaults.exposure")
		}
	}
	if d.Fleet != "" {
		if _, is := j.platform.Fleet(d.Fleet); !is {
			j.problem("platform/defaults", at+".fleet", fmt.Sprintf("there is no fleet %s", d.Fleet), "fleets here: "+join(j.fleets()))
		}
	}
	if r := d.Forward.Retries; r != nil && len(r.On) == 0 {
		j.problem("platform/defaults", at+".forward.retries.on", "retries.on is empty: nothing would be retried", `write on: ["connect-failure", "reset"], or leave out retries`)
	}
	j.checkEdit(at+".headers.request", d.Headers.Request)
	j.checkEdit(at+".headers.response", d.Headers.Response)
}
