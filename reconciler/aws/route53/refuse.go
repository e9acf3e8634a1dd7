package route53

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

const (
	maxValues = 400  // records in a record set
	maxText   = 4000 // characters of a TXT value
	maxTTL    = 1<<31 - 1
)

// Refuse names the steps that AWS would refuse, as far as the zone's content and the steps themselves tell. One refused change makes
// AWS refuse the whole call, so that these must not go out.
func Refuse(snapshot plan.Snapshot, steps []plan.Step) []plan.Clash {
	zone, err := zoneName(snapshot.Scope)
	if err != nil {
		return nil
	}
	names := typesAfter(snapshot, steps)
	var refused []plan.Clash
	for _, s := range steps {
		why, unblock := refuseStep(zone, s)
		if why == "" && s.Verb != plan.Delete {
			why, unblock = refuseBeside(zone, s, names)
		}
		if why != "" {
			refused = append(refused, plan.Clash{Key: s.Key, Service: s.Service, Origin: s.Origin, Message: why, Unblock: unblock})
		}
	}
	slices.SortFunc(refused, func(a, b plan.Clash) int { return a.Key.Compare(b.Key) })
	return refused
}

// typesAfter are the types that each name will have.
func typesAfter(snapshot plan.Snapshot, steps []plan.Step) map[schema.Hostname]map[string]bool {
	names := map[schema.Hostname]map[string]bool{}
	set := func(k resource.Key, there bool) {
		kind, name := splitKey(k)
		if names[name] == nil {
			names[name] = map[string]bool{}
		}
		names[name][kind] = there
	}
	for key := range snapshot.Resources {
		set(key, true)
	}
	for _, s := range steps {
		set(s.Key, s.Verb != plan.Delete)
	}
	return names
}

// refuseStep looks at the step alone.
func refuseStep(zone schema.Hostname, s plan.Step) (why, unblock string) {
	kind, name := splitKey(s.Key)
	if s.Verb != plan.Create {
		if _, err := recordOf(s.Before); err != nil {
			return fmt.Sprintf("somebody else has changed it: %s", err), "remove it there, or make it a simple record again"
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
		return err.Error(), "declare a simple record"
	}
	if r.Name != name || r.Type != kind {
		return fmt.Sprintf("the record %s %s does not belong to the key %s", r.Type, r.Name, s.Key.Name), "this is a fault of edgewright: report it"
	}
	if why := refuseName(zone, name); why != "" {
		return why, "declare a name inside the zone, at most 63 characters between two dots"
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

func refuseValues(r dns.Record) string {
	switch {
	case len(r.Values) == 0:
		return fmt.Sprintf("%s %s has no value", r.Type, r.Name)
	case len(r.Values) > maxValues:
		return fmt.Sprintf("%s %s has %d values, more than %d", r.Type, r.Name, len(r.Values), maxValues)
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
		if why := refuseValue(r.Type, v); why != "" {
			return fmt.Sprintf("%s %s: %s", r.Type, r.Name, why)
		}
	}
	if 2*characters > maxCharacters {
		return fmt.Sprintf("the values of %s %s have %d characters, too many to be changed in one call", r.Type, r.Name, characters)
	}
	return ""
}

func refuseValue(kind, v string) string {
	switch kind {
	case "A":
		if addr, err := netip.ParseAddr(v); err != nil || !addr.Is4() {
			return fmt.Sprintf("%q is not an IPv4 address", v)
		}
	case "AAAA":
		if addr, err := netip.ParseAddr(v); err != nil || !addr.Is6() || addr.Zone() != "" {
			return fmt.Sprintf("%q is not an IPv6 address", v)
		}
	case "TXT":
		return refuseText(v)
	}
	return ""
}

// refuseText checks the presentation form: strings in double quotes, at most 255 characters each, divided by spaces.
func refuseText(v string) string {
	if len(v) > maxText {
		return fmt.Sprintf("a text of %d characters is longer than %d", len(v), maxText)
	}
	quoted, length, strings := false, 0, 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '"':
			quoted, length = !quoted, 0
			if quoted {
				strings++
			}
		case !quoted && c != ' ':
			return fmt.Sprintf("%q is not in double quotes", v)
		case quoted:
			if c == '\\' {
				i++
			}
			if length++; length > 255 {
				return "a text has a string of more than 255 characters"
			}
		}
	}
	if quoted || strings == 0 {
		return fmt.Sprintf("%q is not in double quotes", v)
	}
	return ""
}

// refuseBeside looks at the step with everything else in the zone: a CNAME stands alone and not at the apex.
func refuseBeside(zone schema.Hostname, s plan.Step, names map[schema.Hostname]map[string]bool) (why, unblock string) {
	kind, name := splitKey(s.Key)
	if kind == "CNAME" && name == zone {
		return fmt.Sprintf("%s is the zone itself and cannot be a CNAME", name), "point it at addresses"
	}
	var beside []string
	for other, there := range names[name] {
		if there && other != kind && (kind == "CNAME" || other == "CNAME") {
			beside = append(beside, other)
		}
	}
	if len(beside) == 0 {
		return "", ""
	}
	slices.Sort(beside)
	return fmt.Sprintf("%s cannot have a %s record beside its %s", name, kind, strings.Join(beside, ", ")), "remove one of them, or declare another name"
}
