package route53

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/rdata"
)

const (
	maxValues = 400 // records in a record set
	maxTTL    = 1<<31 - 1
	maxSet    = 128 // characters of a set identifier
)

// Refuse names the steps that AWS would refuse, as far as the zone's content and the steps themselves tell. One refused change makes
// AWS refuse the whole call, so that these must not go out. most is how many records the zone may hold.
func Refuse(snapshot plan.Snapshot, steps []plan.Step, most int) []plan.Clash {
	zone, err := zoneName(snapshot.Scope)
	if err != nil {
		return nil
	}
	after, room := contentAfter(snapshot, steps), roomIn(snapshot, steps, most)
	var refused []plan.Clash
	for _, s := range steps {
		why, unblock := refuseStep(zone, s)
		if why == "" && s.Verb != plan.Delete {
			why, unblock = refuseBeside(zone, s, after)
		}
		if why == "" && s.Verb == plan.Create {
			if room--; room < 0 {
				why = fmt.Sprintf("zone %s holds %d records of at most %d, and there is no room for this one", zone, len(snapshot.Resources), most)
				unblock = fmt.Sprintf("remove records; or ask AWS for more, and then write it as quota of zones.%q in platform/", zone)
			}
		}
		if why != "" {
			refused = append(refused, plan.Clash{Key: s.Key, Service: s.Service, Origin: s.Origin, Message: why, Unblock: unblock})
		}
	}
	slices.SortFunc(refused, func(a, b plan.Clash) int { return a.Key.Compare(b.Key) })
	return refused
}

// roomIn is how many records a zone may get, counting on what goes.
func roomIn(snapshot plan.Snapshot, steps []plan.Step, most int) int {
	room := most - len(snapshot.Resources)
	for _, s := range steps {
		if s.Verb == plan.Delete {
			room++
		}
	}
	return room
}

// refuseStep looks at the step alone.
func refuseStep(zone schema.Hostname, s plan.Step) (why, unblock string) {
	kind, name, _ := splitKey(s.Key)
	if s.Verb != plan.Create {
		if _, err := recordOf(s.Before); err != nil {
			return fmt.Sprintf("somebody else has changed it: %s", err), "remove it there"
		}
		if name == zone && (kind == "NS" || kind == "SOA") && s.Verb == plan.Delete {
			return fmt.Sprintf("%s cannot be without its %s record", zone, kind), "let it be"
		}
	}
	if s.Verb == plan.Delete {
		return "", ""
	}
	r, err := recordOf(s.After)
	if err != nil {
		return err.Error(), "declare another kind of record"
	}
	if r.KeyName() != s.Key.Name {
		return fmt.Sprintf("the record %s does not belong to the key %s", r.KeyName(), s.Key.Name), "this is a fault of edgewright: report it"
	}
	if why := refuseName(zone, name); why != "" {
		return why, "declare a name inside the zone, at most 63 characters between two dots"
	}
	if why := refuseRouting(r); why != "" {
		return fmt.Sprintf("%s %s: %s", r.Type, r.Name, why), "correct how the record is routed"
	}
	if r.Alias != nil {
		return refuseAlias(r)
	}
	if why := refuseValues(r); why != "" {
		return why, "correct the record's values"
	}
	return "", ""
}

func refuseName(zone, name schema.Hostname) string {
	if !name.Within(zone) {
		return fmt.Sprintf("%s is not in the zone %s", name, zone)
	}
	if len(name) > 253 {
		return fmt.Sprintf("%s is longer than 253 characters", name)
	}
	for i, label := range strings.Split(string(name), ".") {
		switch {
		case label == "" || len(label) > 63:
			return fmt.Sprintf("the label %q of %s is empty or longer than 63 characters", label, name)
		case strings.Contains(label, "*") && (i > 0 || label != "*"):
			return fmt.Sprintf("%s has a * that is not its whole first label", name)
		}
	}
	return ""
}

// refuseRouting looks at how one record set is routed.
func refuseRouting(r dns.Record) string {
	policies := r.Policies()
	switch {
	case len(policies) > 1:
		return "it is " + strings.Join(policies, " and ") + " at once"
	case len(policies) == 1 && r.Set == "":
		return fmt.Sprintf("it is %s and has no set identifier", policies[0])
	case len(policies) == 0 && r.Set != "":
		return fmt.Sprintf("the set %s is not routed", r.Set)
	case len(policies) == 0 && r.HealthCheck != "":
		return "a simple record has no health check"
	case len(r.Set) > maxSet:
		return fmt.Sprintf("its set identifier is longer than %d characters", maxSet)
	case r.Weight != nil && (*r.Weight < 0 || *r.Weight > 255):
		return fmt.Sprintf("a weight of %d is not between 0 and 255", *r.Weight)
	case r.Region != "" && !slices.Contains(types.ResourceRecordSetRegion("").Values(), types.ResourceRecordSetRegion(r.Region)):
		return fmt.Sprintf("AWS has no region %s, as far as is known here", r.Region)
	case r.MultiValue && (r.Type == "CNAME" || r.Type == "NS"):
		return fmt.Sprintf("a %s record cannot be multivalue", r.Type)
	case r.MultiValue && r.Alias != nil:
		return "a multivalue record cannot be an alias"
	case r.Failover == schema.Primary && r.Alias == nil && r.HealthCheck == "":
		return "the primary of a failover needs a health check"
	}
	return ""
}

func refuseAlias(r dns.Record) (why, unblock string) {
	switch {
	case len(r.Values) > 0 || r.TTL != 0:
		return fmt.Sprintf("%s %s is an alias and has values or a time to live", r.Type, r.Name), "keep one of the two"
	case r.Type == "NS" || r.Type == "SOA":
		return fmt.Sprintf("%s %s cannot be an alias", r.Type, r.Name), "write the name servers"
	case r.Alias.Target == r.Name && r.Alias.Zone == "":
		return fmt.Sprintf("%s %s is an alias of itself", r.Type, r.Name), "point it at another name"
	}
	return "", ""
}

func refuseValues(r dns.Record) string {
	switch {
	case len(r.Values) == 0:
		return fmt.Sprintf("%s %s has no value", r.Type, r.Name)
	case len(r.Values) > maxValues:
		return fmt.Sprintf("%s %s has %d values, more than %d", r.Type, r.Name, len(r.Values), maxValues)
	case r.Type == "CNAME" && len(r.Values) > 1:
		return fmt.Sprintf("CNAME %s has %d values, want one", r.Name, len(r.Values))
	case r.TTL < 0 || r.TTL > maxTTL:
		return fmt.Sprintf("%s %s has a time to live of %d seconds", r.Type, r.Name, r.TTL)
	}
	seen := map[string]bool{}
	characters := 0
	for _, v := range r.Values {
		if seen[v] {
			return fmt.Sprintf("%s %s has the value %s twice", r.Type, r.Name, v)
		}
		seen[v] = true
		characters += len(v)
		if why := rdata.Wrong(r.Type, v); why != "" {
			return fmt.Sprintf("%s %s: %s", r.Type, r.Name, why)
		}
	}
	if 2*characters > maxCharacters {
		return fmt.Sprintf("the values of %s %s have %d characters, too many to be changed in one call", r.Type, r.Name, characters)
	}
	return ""
}
