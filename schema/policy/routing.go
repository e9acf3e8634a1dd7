package policy

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// judgeRouting holds the sets of a record to one way of being routed, in which each has a part of its own.
func (j *judgement) judgeRouting(r schema.Record) {
	if len(r.Sets) == 0 {
		j.problem("record/routing", r.Path()+".sets", r.Path()+".sets is empty", "write at least one set, or values instead of sets")
	}
	parts := map[string]schema.RecordSet{}
	for i, s := range r.Sets {
		if s.ID == "" {
			continue
		}
		at := r.SetPath(s)
		if why, hint := wrongSet(r, s); why != "" {
			j.problem("record/routing", at, why, hint)
			continue
		}
		if first := r.Sets[0]; i > 0 && len(first.Policies()) == 1 && first.Policy() != s.Policy() {
			j.problem("record/routing", at, fmt.Sprintf("the set %s is %s, but the set %s is %s", s.ID, s.Policy(), first.ID, first.Policy()),
				"all sets of a record are routed in the same way", j.platform.Source.Find(r.SetPath(first)))
			continue
		}
		part := part(s.Routing)
		if other, taken := parts[part]; taken && part != "" {
			j.problem("record/routing", at, fmt.Sprintf("the sets %s and %s are both for %s", other.ID, s.ID, part), "each set has a part of its own", j.platform.Source.Find(r.SetPath(other)))
			continue
		}
		parts[part] = s
	}
}

// wrongSet looks at one set alone.
func wrongSet(r schema.Record, s schema.RecordSet) (why, hint string) {
	const one = "write one of weight, region, failover, geolocation and multivalue: true"
	switch all := s.Policies(); {
	case len(all) == 0:
		return fmt.Sprintf("the set %s does not say how it is routed", s.ID), one
	case len(all) > 1:
		return fmt.Sprintf("the set %s is %s at once", s.ID, strings.Join(all, " and ")), one
	case s.MultiValue && s.Alias != nil:
		return fmt.Sprintf("the set %s is multivalue and an alias", s.ID), "write values, or another routing"
	case s.MultiValue && (r.Type == "NS" || r.Type == "CNAME"):
		return fmt.Sprintf("%s %s cannot be multivalue", r.Type, r.Name), "choose another routing"
	case s.Failover == schema.Primary && s.Alias == nil && s.HealthCheck == "":
		return fmt.Sprintf("the set %s is the primary, and nothing tells whether it is healthy", s.ID), "write a healthCheck, or make it an alias with evaluateHealth: true"
	case s.Geolocation != nil && s.Geolocation.Subdivision != "" && s.Geolocation.Country != "US" && s.Geolocation.Country != "UA":
		return fmt.Sprintf("Route53 knows no subdivisions of %s", s.Geolocation.Country), "subdivisions are for US and UA only"
	}
	return "", ""
}

// part is what a set answers for and no other set may; empty: any number may.
func part(r schema.Routing) string {
	switch {
	case r.Region != "":
		return "the region " + r.Region
	case r.Failover != "":
		return "the part of the " + string(r.Failover)
	case r.Geolocation != nil:
		g := *r.Geolocation
		return strings.TrimSuffix("the place "+g.Continent+g.Country+"-"+g.Subdivision, "-")
	}
	return ""
}
