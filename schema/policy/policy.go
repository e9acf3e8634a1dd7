// Package policy judges declarations by the rules that hold within them and between them: names that clash, references to what is
// not declared, host names that a team may not use.
//
// It reads no files and knows nothing of what exists in the world: guards, which judge plans, are in reconciler/plan.
package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// Verdict is what is wrong with declarations, in no order.
type Verdict struct {
	Problems []schema.Problem
	Warnings []schema.Problem // hold nobody
}

// judgement is of one service, or of the platform when service is nil. It asks about other services only by way of the index, which
// notes what was asked.
type judgement struct {
	Verdict
	platform *schema.Platform
	service  *schema.Service
	today    schema.Date
	index    *index
	asked    []question
	waived   []bool // by index of the service's waivers
	dangling []dangling
	untold   int    // problems beyond the first ones
	effort   int    // spent on following redirects
	fine     []bool // by index of the platform's records: it was judged already, and nothing was wrong; nil: none was
}

// mostProblems is how many problems, and how many warnings, of one service are told: the first ones keep an author busy.
const mostProblems = 50

// dangling is a reference to a name that nobody holds. It is told unless the name stands in a file that could not be read.
type dangling struct {
	host    schema.Hostname
	verdict Verdict
}

// problem tells of a breach, unless it is waived or the platform is not strict about the rule; held: it holds back. A path of the
// platform begins at its root, a path of a service in the service.
func (j *judgement) problem(code schema.Code, path, message, hint string, also ...schema.Position) (held bool) {
	return j.tell(schema.Refuse, code, path, message, hint, also)
}

// warning is a problem that holds nobody.
func (j *judgement) warning(code schema.Code, path, message, hint string) {
	j.tell(schema.Warn, code, path, message, hint, nil)
}

func (j *judgement) tell(strictness schema.Strictness, code schema.Code, path, message, hint string, also []schema.Position) (held bool) {
	p := schema.Problem{Code: code, Path: path, Message: message, Hint: hint, Also: also}
	if j.service == nil {
		p.Position = j.platform.Source.Find(path)
		j.Problems = append(j.Problems, p)
		return true
	}
	p.Position, p.Holds = j.service.Source.Find(path), schema.Holding(j.service.ID)
	if strings.HasPrefix(p.Position.File, "platform/") { // a default: told where it took effect
		p.Position, p.Also = j.service.Source.Find(""), append(p.Also, p.Position)
	}
	p.Path = strings.TrimSuffix("services."+string(j.service.ID)+"."+path, ".")
	if slices.Contains(Waivable, code) {
		if own, set := j.platform.Rules[code]; set {
			strictness = own
		}
		if strictness == schema.Off || j.waive(code, path) {
			return false
		}
	}
	switch {
	case strictness == schema.Warn && len(j.Warnings) < mostProblems:
		j.Warnings = append(j.Warnings, p)
	case strictness == schema.Warn:
	case len(j.Problems) < mostProblems:
		j.Problems = append(j.Problems, p)
	default:
		j.untold++
	}
	return strictness != schema.Warn
}

func (j *judgement) judgeService() {
	j.waived = make([]bool, len(j.service.Waivers))
	j.checkOwner()
	j.checkFleet()
	j.checkHosts()
	j.checkCertificates()
	j.checkBackends()
	j.checkRoutes()
	j.checkRedirects()
	j.checkDeprecated()
	j.checkWaivers()
	if j.untold > 0 {
		j.Problems = append(j.Problems, schema.Problem{Code: "limit/problems", Path: "services." + string(j.service.ID), Position: j.service.Source.Find(""), Holds: schema.Holding(j.service.ID),
			Message: fmt.Sprintf("service %s has %d more problems", j.service.ID, j.untold), Hint: "mend those that are told first"})
	}
}

func (j *judgement) checkOwner() {
	s := j.service
	if _, is := j.platform.Team(s.Owner.Team); !is {
		message := fmt.Sprintf("there is no team %s", s.Owner.Team)
		if _, written := s.Source.At["owner.team"]; !written {
			message += ", as the folder of this file is called"
		}
		j.problem("owner/team", "owner.team", message, meant(s.Owner.Team, j.teams(), "teams are declared in platform/: "+join(j.teams())))
		return
	}
	if s.Owner.OnCall == "" && s.Exposure == schema.Public && !j.strange() {
		j.problem("owner/oncall", "owner", "nobody can be called at night: a public service has an owner on call",
			fmt.Sprintf(`write owner: oncall: "#%s-oncall", or have the platform team write it at teams.%s.oncall`, s.Owner.Team, s.Owner.Team))
	}
}

// strange tells whether all names of the service are for other teams: then the file likely lies in the wrong folder, which each name is told,
// and who is on call there is nobody's question.
func (j *judgement) strange() bool {
	team, _ := j.platform.Team(j.service.Owner.Team)
	return len(j.service.Hosts) > 0 && !slices.ContainsFunc(j.service.Hosts, func(h schema.Hostname) bool { return covers(team, h) })
}

func (j *judgement) checkFleet() {
	s := j.service
	if s.Tier != "" {
		if _, is := j.platform.Defaults.Tier[s.Tier]; !is {
			j.problem("service/tier", "tier", fmt.Sprintf("there is no tier %s", s.Tier), meant(s.Tier, j.tiers(), "tiers are declared in platform/, at defaults.tier: "+join(j.tiers())))
		}
	}
	if s.Exposure == "" {
		j.problem("service/exposure", "exposure", "exposure is missing, and the platform has no default for it", `write exposure: "internal", or "public"`)
	}
	if s.Fleet == "" {
		j.problem("service/fleet", "fleet", "fleet is missing, and the platform has no default for it", "fleets are declared in platform/: "+join(j.fleets()))
		return
	}
	fleet, is := j.platform.Fleet(s.Fleet)
	if !is {
		j.problem("fleet/unknown", "fleet", fmt.Sprintf("there is no fleet %s", s.Fleet), meant(s.Fleet, j.fleets(), "fleets are declared in platform/: "+join(j.fleets())))
		return
	}
	if fleet.Kind == schema.GRPC {
		j.checkClients(fleet)
		return
	}
	if _, listens := fleet.Listener(s.Exposure); !listens && len(fleet.Listeners) > 0 && s.Exposure != "" { // a fleet without any is told once
		j.problem("fleet/exposure", "exposure", fmt.Sprintf("fleet %s takes no %s requests", s.Fleet, s.Exposure), "choose another fleet or exposure, or ask the platform team for a listener")
	}
}

func (j *judgement) teams() []schema.TeamID {
	return names(j.platform.Teams, func(t schema.Team) schema.TeamID { return t.ID })
}

func (j *judgement) fleets() []schema.FleetID {
	return names(j.platform.Fleets, func(f schema.Fleet) schema.FleetID { return f.ID })
}

func (j *judgement) tiers() []schema.TierID {
	return slices.Sorted(maps.Keys(j.platform.Defaults.Tier))
}

// meant is a hint that begins with the name that is likely meant.
func meant[T ~string](wrong T, names []T, hint string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = string(name)
	}
	if near := schema.Nearest(string(wrong), all); near != "" {
		return "did you mean " + near + "? " + hint
	}
	return hint
}

func names[T any, K ~string](items []T, name func(T) K) []K {
	out := make([]K, len(items))
	for i, item := range items {
		out[i] = name(item)
	}
	return out
}

func join[T ~string](names []T) string {
	if len(names) == 0 {
		return "none so far"
	}
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = string(name)
	}
	return strings.Join(all, ", ")
}
