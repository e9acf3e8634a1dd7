package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

func (j *judgement) checkHosts() {
	s := j.service
	if len(s.Hosts) == 0 {
		j.problem("host/none", "hosts", fmt.Sprintf("service %s has no host name", s.ID), "a service is reached by at least one host name")
	}
	listed := map[schema.Hostname]bool{}
	for i, h := range s.Hosts[:j.budget("budget/hosts", "hosts", "host names", len(s.Hosts), j.platform.Limits.Hosts, maxHosts, "take a wildcard, or split the service")] {
		at := fmt.Sprintf("hosts[%d]", i)
		if len(h) > 253 {
			j.problem("host/length", at, fmt.Sprintf("a host name has at most 253 characters, this one has %d", len(h)), "shorten it")
		}
		if listed[h] {
			j.problem("host/twice", at, fmt.Sprintf("%s is listed twice", h), "remove one of the two")
			continue
		}
		listed[h] = true
		if team, exists := j.platform.Team(s.Owner.Team); exists && !covers(team, h) {
			j.problem("host/domain", at, fmt.Sprintf("team %s may not use %s", team.ID, h), j.whose(h)+fmt.Sprintf("the domains of %s are %s; the platform team can add one", team.ID, join(team.Domains)))
		}
		if _, hosted := j.platform.ZoneFor(plain(h), s.Exposure); !hosted && s.Exposure != "" && !j.called() {
			j.checkZone(at, h)
		}
		j.checkProtected(at, h)
		j.checkRecords(at, h)
		for _, other := range j.holders(h) {
			if other.ID != s.ID && !j.usurps(j.look(other), h) {
				j.problem("host/duplicate", at, fmt.Sprintf("%s is also claimed by service %s of team %s", h, other.ID, j.look(other).Owner.Team),
					"a host name belongs to one service: agree who keeps it, or move both in one pull", other.Source.Find("hosts"))
			}
		}
		if strings.HasPrefix(string(h), "*.") {
			j.checkWildcard(at, h)
		}
	}
}

// checkZone tells of a name that no zone holds. Who wrote no exposure learns where it comes from.
func (j *judgement) checkZone(at string, h schema.Hostname) {
	s := j.service
	message, hint := fmt.Sprintf("no %s zone holds %s", s.Exposure, h), fmt.Sprintf("the %s zones are %s", s.Exposure, j.zones(s.Exposure))
	if from := s.Source.Find("exposure"); strings.HasPrefix(from.File, "platform/") {
		message += fmt.Sprintf("; the service is %s by default (%s:%d)", s.Exposure, from.File, from.Line)
	}
	other := schema.Public
	if s.Exposure == schema.Public {
		other = schema.Internal
	}
	if zone, holds := j.platform.ZoneFor(plain(h), other); holds {
		hint = fmt.Sprintf("%s lies in the %s zone %s: write exposure: %q if that is meant; %s", h, other, zone.Name, other, hint)
	}
	j.problem("host/zone", at, message, hint)
}

// whose is a hint for who declares a name of another team.
func (j *judgement) whose(h schema.Hostname) string {
	var best schema.Team
	longest := 0
	for _, t := range j.platform.Teams {
		for _, d := range t.Domains {
			if plain(h).Within(plain(d)) && len(d) > longest {
				best, longest = t, len(d)
			}
		}
	}
	if longest == 0 {
		return ""
	}
	return fmt.Sprintf("the name lies in a domain of team %s: if the service is theirs, move the file to services/%s/; ", best.ID, best.ID)
}

func covers(t schema.Team, h schema.Hostname) bool {
	return slices.ContainsFunc(t.Domains, func(d schema.Hostname) bool { return plain(h).Within(plain(d)) })
}

// usurps tells whether another service claims a name that only this one's team may use: that is the other's problem alone.
func (j *judgement) usurps(other *schema.Service, h schema.Hostname) bool {
	own, is := j.platform.Team(j.service.Owner.Team)
	theirs, exists := j.platform.Team(other.Owner.Team)
	return is && covers(own, h) && !(exists && covers(theirs, h))
}

func (j *judgement) checkProtected(at string, h schema.Hostname) {
	p, protected := j.platform.Protected[h]
	if !protected || slices.Contains(p.Services, j.service.ID) {
		return
	}
	j.problem("host/protected", at, fmt.Sprintf("%s is protected: %s", h, p.Reason),
		fmt.Sprintf("choose another name, or have the platform team add %s to protected.%q.services", j.service.ID, h), j.platform.Source.Find("protected."+string(h)))
}

// checkWildcard finds the names of other teams that a wildcard takes requests for: those that they hold are safe, for the exact name
// wins, but whatever else is asked for in their domain comes here.
func (j *judgement) checkWildcard(at string, h schema.Hostname) {
	var whose []string
	var also []schema.Position
	own, _ := j.platform.Team(j.service.Owner.Team)
	teams := map[schema.TeamID]bool{own.ID: true, j.service.Owner.Team: true}
	add := func(name schema.Hostname, team schema.TeamID, p schema.Position) {
		if !teams[team] {
			teams[team], whose, also = true, append(whose, fmt.Sprintf("%s of team %s", name, team)), append(also, p)
		}
	}
	for _, t := range j.platform.Teams {
		for i, d := range t.Domains {
			if d.Within(plain(h)) && !slices.Contains(own.Domains, d) {
				add(d, t.ID, j.platform.Source.Find(fmt.Sprintf("teams.%s.domains[%d]", t.ID, i)))
			}
		}
	}
	first := j.firstBelow(h)
	for _, team := range slices.Sorted(maps.Keys(first)) {
		add(first[team].host, team, first[team].holder.Source.Find("hosts"))
	}
	if len(whose) > 0 {
		j.problem("host/wildcard", at, fmt.Sprintf("%s takes the requests for names that nobody has declared at and below %s", h, strings.Join(whose, ", ")),
			"list the names one by one, or take a wildcard in a domain that no other team has a part of", also...)
	}
}

// plain is a host name without the wildcard label.
func plain(h schema.Hostname) schema.Hostname {
	return schema.Hostname(strings.TrimPrefix(string(h), "*."))
}

func (j *judgement) zones(e schema.Exposure) string {
	var names []schema.Hostname
	for _, z := range j.platform.Zones {
		if z.Exposure == e {
			names = append(names, z.Name)
		}
	}
	return join(names)
}
