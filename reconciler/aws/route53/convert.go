package route53

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// other is the value of a name and type whose record sets are not of the simple kind that we make. It is seen, compared and shown,
// never written.
type other struct {
	Name  schema.Hostname `json:"name"`
	Type  string          `json:"type"`
	Other []special       `json:"other"` // sorted by set
}

// special is one record set that is not simple.
type special struct {
	Routing string   `json:"routing"` // alias, weighted, latency …; several are joined by "+"
	Set     string   `json:"set,omitempty"`
	Target  string   `json:"target,omitempty"` // of an alias
	TTL     int64    `json:"ttl,omitempty"`
	Values  []string `json:"values,omitempty"`
}

// decodeName is a name as declarations say it: without the final dot, and with the wildcard that AWS writes as \052. Every other
// escape stays, so that distinct names stay distinct.
func decodeName(name string) schema.Hostname {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if rest, wild := strings.CutPrefix(name, `\052.`); wild {
		name = "*." + rest
	}
	return schema.Hostname(name)
}

// encodeName is a name as AWS takes it.
func encodeName(name schema.Hostname) string {
	if rest, wild := strings.CutPrefix(string(name), "*."); wild {
		return `\052.` + rest + "."
	}
	return string(name) + "."
}

func keyOf(scope resource.Scope, name schema.Hostname, kind string) resource.Key {
	return resource.Key{Kind: resource.DNSRecord, Scope: scope, Name: kind + " " + string(name)}
}

// routing says what makes a record set more than simple; empty: it is simple.
func routing(r types.ResourceRecordSet) string {
	var kinds []string
	add := func(is bool, kind string) {
		if is {
			kinds = append(kinds, kind)
		}
	}
	add(r.AliasTarget != nil, "alias")
	add(r.Weight != nil, "weighted")
	add(r.Region != "", "latency")
	add(r.Failover != "", "failover")
	add(r.GeoLocation != nil, "geolocation")
	add(r.GeoProximityLocation != nil, "geoproximity")
	add(r.CidrRoutingConfig != nil, "cidr")
	add(r.MultiValueAnswer != nil, "multivalue")
	add(r.HealthCheckId != nil, "health-checked")
	add(r.TrafficPolicyInstanceId != nil, "traffic-policy")
	add(r.SetIdentifier != nil && len(kinds) == 0, "routed")
	return strings.Join(kinds, "+")
}

// valueOf is the value of a simple record set.
func valueOf(r types.ResourceRecordSet) resource.Value {
	return resource.ValueOf(dns.Record{Name: decodeName(aws.ToString(r.Name)), Type: string(r.Type), TTL: int(aws.ToInt64(r.TTL)), Values: values(r)})
}

func specialOf(r types.ResourceRecordSet) special {
	s := special{Routing: routing(r), Set: aws.ToString(r.SetIdentifier), TTL: aws.ToInt64(r.TTL), Values: values(r)}
	if r.AliasTarget != nil {
		s.Target = aws.ToString(r.AliasTarget.DNSName)
	}
	return s
}

func values(r types.ResourceRecordSet) []string {
	var all []string
	for _, v := range r.ResourceRecords {
		all = append(all, aws.ToString(v.Value))
	}
	slices.Sort(all)
	return all
}

// recordOf reads the value of a simple record.
func recordOf(v resource.Value) (dns.Record, error) {
	var r struct {
		dns.Record
		Other []special `json:"other"`
	}
	if err := json.Unmarshal(v, &r); err != nil {
		return dns.Record{}, fmt.Errorf("read record: %w", err)
	}
	if len(r.Other) > 0 {
		return dns.Record{}, fmt.Errorf("%s %s is %s, not a simple record", r.Type, r.Name, r.Other[0].Routing)
	}
	return r.Record, nil
}

// recordSet is a record as AWS takes it.
func recordSet(r dns.Record) *types.ResourceRecordSet {
	set := &types.ResourceRecordSet{Name: aws.String(encodeName(r.Name)), Type: types.RRType(r.Type), TTL: aws.Int64(int64(r.TTL))}
	for _, v := range r.Values {
		set.ResourceRecords = append(set.ResourceRecords, types.ResourceRecord{Value: aws.String(v)})
	}
	return set
}
