package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/rdata"
)

// What Route53 takes (AWS, "Quotas" and "Supported DNS record types").
const (
	maxRecordValues = 400
	maxRecordText   = 16000 // characters that the values of a set may have, so that one call can change them
)

// markerLabel begins the name of the record with which we mark a zone.
const markerLabel = "_edgewright."

// sound are the records of a platform in which nothing is wrong.
type sound struct {
	zones   []schema.Zone
	checks  []schema.DNSHealthCheck
	records []schema.Record
}

// in tells which records of a platform need not be judged again. An alias is: what it answers with is of another name.
func (s *sound) in(p *schema.Platform) []bool {
	if s == nil || !reflect.DeepEqual(s.zones, p.Zones) || !reflect.DeepEqual(s.checks, p.HealthChecks) {
		return nil
	}
	fine := make([]bool, len(p.Records))
	for i, at := range p.Kept(schema.Platform{Records: s.records}) {
		fine[i] = at >= 0 && !slices.ContainsFunc(p.Records[i].Sets, func(s schema.RecordSet) bool { return s.Alias != nil })
	}
	return fine
}

func (j *judgement) judgeRecords() {
	for i, r := range j.platform.Records {
		if j.fine != nil && j.fine[i] {
			continue
		}
		zone, hosted := j.platform.ZoneOf(plain(r.Name))
		if !hosted {
			j.problem("record/zone", r.Path(), fmt.Sprintf("no zone of this edge holds %s", r.Name), "zones are declared in platform/: "+join(names(j.platform.Zones, func(z schema.Zone) schema.Hostname { return z.Name })))
			continue
		}
		j.judgeRecord(zone, r)
		j.judgeTTL(r)
		j.judgeRouting(r)
		for _, s := range r.Sets {
			j.judgeHealth(zone, r, s)
			if s.Alias != nil {
				j.judgeAlias(zone, r, s)
				continue
			}
			j.judgeValues(r, s)
		}
	}
}

// judgeRecord looks at where a record stands: in its zone, and beside the other types of its name.
func (j *judgement) judgeRecord(zone schema.Zone, r schema.Record) {
	at := r.Path()
	switch {
	case len(r.Name) > 253:
		j.problem("record/name", at, fmt.Sprintf("a name has at most 253 characters, this one has %d", len(r.Name)), "shorten it")
	case strings.HasPrefix(string(r.Name), markerLabel):
		j.problem("record/name", at, fmt.Sprintf("%s is how edgewright marks its zones", r.Name), "take another name")
	case r.Type == "NS" && r.Name == zone.Name:
		j.problem("record/apex", at, fmt.Sprintf("the NS record of %s is Route53's own", zone.Name), "delegate a name below the zone; what the zone's own name servers are is up to Route53")
	case r.Type == "CNAME" && r.Name == zone.Name:
		j.problem("record/apex", at, fmt.Sprintf("%s is the zone itself and cannot be a CNAME", r.Name), "write A and AAAA with an alias, or with addresses")
	case r.Type == "NS" && plain(r.Name) != r.Name:
		j.problem("record/apex", at, fmt.Sprintf("%s is a wildcard and cannot be delegated", r.Name), "delegate names one by one")
	}
	for _, other := range j.platform.RecordsAt(r.Name) {
		if other.Type != r.Type && r.Type == "CNAME" {
			j.problem("record/cname", at, fmt.Sprintf("%s cannot have a CNAME beside its %s record", r.Name, other.Type), "a CNAME stands alone: remove one of them", j.platform.Source.Find(other.Path()))
			break
		}
	}
}

func (j *judgement) judgeTTL(r schema.Record) {
	at := r.Path() + ".ttl"
	values := false
	for _, s := range r.Sets {
		values = values || s.Alias == nil
	}
	switch ttl := time.Duration(r.TTL); {
	case !values && ttl != 0:
		j.problem("record/ttl", at, fmt.Sprintf("%s %s is an alias, which has no time to live", r.Type, r.Name), "leave ttl out: it is that of the target")
	case ttl%time.Second != 0:
		j.problem("record/ttl", at, fmt.Sprintf("a time to live of %s is not whole seconds", ttl), "for example 60s or 5m")
	}
}

func (j *judgement) judgeValues(r schema.Record, s schema.RecordSet) {
	at := r.SetPath(s) + ".values"
	switch n := len(s.Values); {
	case n == 0:
		j.problem("record/value", at, at+" is empty", "write at least one value, or remove the record")
	case n > maxRecordValues:
		j.problem("record/value", at, fmt.Sprintf("%s has %d values, more than %d", at, n, maxRecordValues), "Route53 takes no more")
		return
	case r.Type == "CNAME" && n > 1:
		j.problem("record/cname", at, fmt.Sprintf("CNAME %s has %d values", r.Name, n), "a CNAME has one value: write weighted sets to choose between several")
	}
	seen := map[string]bool{}
	characters := 0
	for i, v := range s.Values {
		path := fmt.Sprintf("%s[%d]", at, i)
		if why := wrongValue(r.Type, v); why != "" {
			j.problem("record/value", path, why, hintFor(r.Type))
		} else if seen[v] {
			j.problem("record/value", path, fmt.Sprintf("%q is listed twice", v), "remove one of the two")
		}
		seen[v] = true
		characters += len(v)
	}
	if characters > maxRecordText {
		j.problem("record/value", at, fmt.Sprintf("the values of %s %s have %d characters together, more than %d", r.Type, r.Name, characters, maxRecordText), "Route53 could not change them in one call: divide them over several names")
	}
}

func wrongValue(kind, v string) string {
	if kind != "TXT" {
		return rdata.Wrong(kind, v)
	}
	if len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"' {
		return fmt.Sprintf("the text %s is in double quotes", v)
	}
	return rdata.Wrong(kind, rdata.Text(v))
}

func hintFor(kind string) string {
	return map[string]string{
		"A":     "for example 192.0.2.10; a name is written as CNAME",
		"AAAA":  "for example 2001:db8::10; a name is written as CNAME",
		"CAA":   `for example "0 issue \"ca.example\""`,
		"CNAME": "for example www.acme.example",
		"MX":    "for example 10 mail.acme.example",
		"NS":    "for example ns1.acme.example",
		"SRV":   "for example 10 5 443 sip.acme.example",
		"TXT":   "write the text alone: it is quoted and divided as Route53 wants it",
	}[kind]
}

func (j *judgement) judgeAlias(zone schema.Zone, r schema.Record, s schema.RecordSet) {
	at := r.SetPath(s) + ".alias"
	target := s.Alias.Target
	own, hosted := j.platform.ZoneOf(plain(target))
	inside := s.Alias.Zone == "" && hosted && own.Name == zone.Name
	switch {
	case r.Type == "NS":
		j.problem("record/alias", at, fmt.Sprintf("NS %s cannot be an alias", r.Name), "write the name servers")
	case inside && target == r.Name:
		j.problem("record/alias", at, fmt.Sprintf("%s %s is an alias of itself", r.Type, r.Name), "point it at another name")
	case s.Alias.KnownZone() != "" && r.Type != "A" && r.Type != "AAAA":
		j.problem("record/alias", at, fmt.Sprintf("%s answers for A and AAAA only, not for %s", target, r.Type), "write A and AAAA")
	case inside && len(j.platform.RecordsAt(target)) > 0 && !j.has(target, r.Type):
		j.problem("record/alias", at+".target", fmt.Sprintf("%s has no %s record that the alias could answer with", target, r.Type), "an alias and its target are of the same type")
	case !inside && s.Alias.Zone == "" && s.Alias.KnownZone() == "":
		j.problem("record/alias", at+".target", fmt.Sprintf("which hosted zone holds %s is not known", target), fmt.Sprintf(`a target outside %s needs zone: "Z…" beside it, the id that AWS gives for it`, zone.Name))
	}
}

func (j *judgement) has(name schema.Hostname, kind string) bool {
	for _, r := range j.platform.RecordsAt(name) {
		if r.Type == kind {
			return true
		}
	}
	return false
}

// checkRecords finds records of the platform that a host name of a service cannot have beside it.
func (j *judgement) checkRecords(at string, h schema.Hostname) {
	for _, r := range j.platform.RecordsAt(h) {
		if r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME" {
			j.problem("host/record", at, fmt.Sprintf("%s has a record of the type %s that the platform declares", h, r.Type),
				"choose another name, or have the platform team remove its record", j.platform.Source.Find(r.Path()))
			return
		}
	}
}
