package route53

import (
	"fmt"
	"slices"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// content is a zone's records by name and key.
type content map[schema.Hostname]map[resource.Key]resource.Value

// contentAfter is what each name that a step touches will hold once all steps are made.
func contentAfter(snapshot plan.Snapshot, steps []plan.Step) content {
	names := content{}
	for _, s := range steps {
		_, name, _ := splitKey(s.Key)
		names[name] = map[resource.Key]resource.Value{}
	}
	for key, v := range snapshot.Resources {
		if _, name, _ := splitKey(key); names[name] != nil {
			names[name][key] = v
		}
	}
	for _, s := range steps {
		_, name, _ := splitKey(s.Key)
		if s.Verb == plan.Delete {
			delete(names[name], s.Key)
			continue
		}
		names[name][s.Key] = s.After
	}
	return names
}

// refuseBeside looks at the step with everything else that its name holds: a CNAME stands alone and not at the apex, and the sets of
// one name and type are routed alike, each in another way.
func refuseBeside(zone schema.Hostname, s plan.Step, after content) (why, unblock string) {
	kind, name, _ := splitKey(s.Key)
	if kind == "CNAME" && name == zone {
		return fmt.Sprintf("%s is the zone itself and cannot be a CNAME", name), "point it at addresses, or make it an alias"
	}
	mine, err := recordOf(s.After)
	if err != nil {
		return "", ""
	}
	keys := make([]resource.Key, 0, len(after[name]))
	for key := range after[name] {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, resource.Key.Compare)
	for _, key := range keys {
		theirs, _, _ := splitKey(key)
		if key == s.Key {
			continue
		}
		if theirs != kind && (kind == "CNAME" || theirs == "CNAME") {
			return fmt.Sprintf("%s cannot have a %s record beside its %s", name, kind, theirs), "remove one of them, or declare another name"
		}
		if theirs != kind {
			continue
		}
		if why := refuseTogether(mine, after[name][key]); why != "" {
			return fmt.Sprintf("%s %s %s", kind, name, why), "remove one of them, or route them alike"
		}
	}
	return "", ""
}

// refuseTogether says why a record cannot stand beside another of its name and type.
func refuseTogether(mine dns.Record, v resource.Value) string {
	theirs, err := recordOf(v)
	switch {
	case err != nil || mine.Policy() != theirs.Policy():
		return fmt.Sprintf("is %s, and beside it is %s", mine.Policy(), policyOf(v))
	case mine.Region != "" && mine.Region == theirs.Region:
		return fmt.Sprintf("is there twice for the region %s: as set %s and as set %s", mine.Region, mine.Set, theirs.Set)
	case mine.Failover != "" && mine.Failover == theirs.Failover:
		return fmt.Sprintf("has two sets that are %s: %s and %s", mine.Failover, mine.Set, theirs.Set)
	case mine.Geolocation != nil && *mine.Geolocation == *theirs.Geolocation:
		return fmt.Sprintf("is there twice for one place: as set %s and as set %s", mine.Set, theirs.Set)
	}
	return ""
}

// policyOf is how a record is routed, in one word and its set.
func policyOf(v resource.Value) string {
	o, err := otherOf(v)
	switch {
	case err != nil:
		return "unreadable"
	case o.Other != "":
		return fmt.Sprintf("%s (set %s)", o.Other, o.Set)
	case o.Set != "":
		return fmt.Sprintf("%s (set %s)", o.Policy(), o.Set)
	}
	return "a simple one"
}
