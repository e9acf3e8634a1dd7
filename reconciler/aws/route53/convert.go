package route53

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// other is the value of a record set of a kind that we do not make. It is seen, compared and shown, never written.
type other struct {
	dns.Record
	Other string `json:"other,omitempty"` // geoproximity, cidr, traffic-policy; empty: we make such records
}

// decodeName is a name as declarations say it: lower case, without the final dot, and with the wildcard that AWS writes as \052.
// Escapes of what needs none are resolved; every other stays, so that distinct names stay distinct.
func decodeName(name string) schema.Hostname {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if rest, wild := strings.CutPrefix(name, `\052.`); wild {
		name = "*." + rest
	}
	head, rest, escaped := strings.Cut(name, `\`)
	if !escaped {
		return schema.Hostname(name)
	}
	var out strings.Builder
	for ; escaped; head, rest, escaped = strings.Cut(rest, `\`) {
		out.WriteString(head)
		code, err := strconv.ParseUint(rest[:min(3, len(rest))], 8, 8)
		if len(rest) >= 3 && err == nil && plain(byte(code)) {
			out.WriteString(strings.ToLower(string(rune(code))))
			rest = rest[3:]
			continue
		}
		out.WriteByte('\\')
	}
	return schema.Hostname(out.String() + head)
}

// plain tells whether a character of a name is written as it is ("DNS domain name format").
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// encodeName is a name as AWS takes it.
func encodeName(name schema.Hostname) string {
	if rest, wild := strings.CutPrefix(string(name), "*."); wild {
		return `\052.` + rest + "."
	}
	return string(name) + "."
}

// unmade says what makes a record set one that we do not make; empty: we do.
func unmade(r types.ResourceRecordSet) string {
	switch {
	case r.GeoProximityLocation != nil:
		return "geoproximity"
	case r.CidrRoutingConfig != nil:
		return "cidr"
	case r.TrafficPolicyInstanceId != nil:
		return "traffic-policy"
	}
	return ""
}

// valueOf is the value of a record set in the zone of that id; check says what we call a health check.
func valueOf(zoneID string, check func(id string) schema.HealthCheckID, r types.ResourceRecordSet) (key string, v resource.Value) {
	record := dns.Record{
		Name: decodeName(aws.ToString(r.Name)), Type: string(r.Type), TTL: int(aws.ToInt64(r.TTL)), Values: values(r),
		Alias: aliasOf(zoneID, r.AliasTarget), Set: aws.ToString(r.SetIdentifier), Routing: routingOf(r),
	}
	if id := aws.ToString(r.HealthCheckId); id != "" {
		record.HealthCheck = check(id)
	}
	return record.KeyName(), resource.ValueOf(other{Record: record, Other: unmade(r)})
}

func aliasOf(zoneID string, t *types.AliasTarget) *dns.Alias {
	if t == nil {
		return nil
	}
	a := &dns.Alias{Target: decodeName(aws.ToString(t.DNSName)), Zone: bareID(aws.ToString(t.HostedZoneId)), EvaluateHealth: t.EvaluateTargetHealth}
	if a.Zone == zoneID {
		a.Zone = ""
	}
	return a
}

func routingOf(r types.ResourceRecordSet) schema.Routing {
	routing := schema.Routing{
		Region: string(r.Region), Failover: schema.Failover(strings.ToLower(string(r.Failover))), MultiValue: aws.ToBool(r.MultiValueAnswer),
	}
	if r.Weight != nil {
		routing.Weight = aws.Int(int(*r.Weight))
	}
	if g := r.GeoLocation; g != nil {
		routing.Geolocation = &schema.Geolocation{
			Continent: aws.ToString(g.ContinentCode), Country: aws.ToString(g.CountryCode), Subdivision: aws.ToString(g.SubdivisionCode),
		}
	}
	return routing
}

func values(r types.ResourceRecordSet) []string {
	var all []string
	for _, v := range r.ResourceRecords {
		all = append(all, aws.ToString(v.Value))
	}
	slices.Sort(all)
	return all
}

// recordOf reads the value of a record of a kind that we make.
func recordOf(v resource.Value) (dns.Record, error) {
	r, err := otherOf(v)
	if err != nil {
		return dns.Record{}, err
	}
	if r.Other != "" {
		return dns.Record{}, fmt.Errorf("%s %s is of the kind %s, which edgewright does not make", r.Type, r.Name, r.Other)
	}
	return r.Record, nil
}

func otherOf(v resource.Value) (other, error) {
	var r other
	if err := json.Unmarshal(v, &r); err != nil {
		return other{}, fmt.Errorf("read record: %w", err)
	}
	return r, nil
}

// translator makes records as AWS takes them.
type translator struct {
	zone  string // its id
	check func(schema.HealthCheckID) (string, error)
}

func (t translator) recordSet(r dns.Record) (*types.ResourceRecordSet, error) {
	set := &types.ResourceRecordSet{Name: aws.String(encodeName(r.Name)), Type: types.RRType(r.Type)}
	for _, v := range r.Values {
		set.ResourceRecords = append(set.ResourceRecords, types.ResourceRecord{Value: aws.String(v)})
	}
	if a := r.Alias; a != nil {
		target := &types.AliasTarget{DNSName: aws.String(encodeName(a.Target)), HostedZoneId: aws.String(a.Zone), EvaluateTargetHealth: a.EvaluateHealth}
		if a.Zone == "" {
			target.HostedZoneId = aws.String(t.zone)
		}
		set.AliasTarget = target
	} else {
		set.TTL = aws.Int64(int64(r.TTL))
	}
	if r.Set != "" {
		set.SetIdentifier = aws.String(r.Set)
	}
	if r.HealthCheck != "" {
		id, err := t.check(r.HealthCheck)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.Type, r.Name, err)
		}
		set.HealthCheckId = aws.String(id)
	}
	route(set, r.Routing)
	return set, nil
}

func route(set *types.ResourceRecordSet, r schema.Routing) {
	set.Region = types.ResourceRecordSetRegion(r.Region)
	set.Failover = types.ResourceRecordSetFailover(strings.ToUpper(string(r.Failover)))
	if r.Weight != nil {
		set.Weight = aws.Int64(int64(*r.Weight))
	}
	if r.MultiValue {
		set.MultiValueAnswer = aws.Bool(true)
	}
	if g := r.Geolocation; g != nil {
		set.GeoLocation = &types.GeoLocation{ContinentCode: optional(g.Continent), CountryCode: optional(g.Country), SubdivisionCode: optional(g.Subdivision)}
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
