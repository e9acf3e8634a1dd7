// Package dns renders the DNS records of an edge: an address record for each host name of a service, what the platform declares, and
// one marker for each zone.
//
// It does not speak to Route53 and checks no zone's content: reconciler/aws/route53 does.
package dns

import "github.com/edgewright/edgewright/schema"

// Record is the specification of a dns/record. It has values and a time to live, or an alias. Values are sorted, in Route53's
// presentation form (TXT in double quotes).
type Record struct {
	Name   schema.Hostname `json:"name"`
	Type   string          `json:"type"`
	TTL    int             `json:"ttl,omitempty"` // seconds
	Values []string        `json:"values,omitempty"`
	Alias  *Alias          `json:"alias,omitempty"`

	Set string `json:"set,omitempty"` // tells apart the records of one name and type, which all are routed in the same way
	schema.Routing
	HealthCheck schema.HealthCheckID `json:"healthCheck,omitempty"` // in the account of the zone
}

// Alias makes Route53 answer with what the target answers.
type Alias struct {
	Target         schema.Hostname `json:"target"`
	Zone           string          `json:"zone,omitempty"` // id of the target's hosted zone; empty: the zone of the record itself
	EvaluateHealth bool            `json:"evaluateHealth,omitempty"`
}

// KeyName is the record in the name of a resource's key: "A jira.acme.example", and "A jira.acme.example blue" for the set blue.
func (r Record) KeyName() string {
	name := r.Type + " " + string(r.Name)
	if r.Set != "" {
		name += " " + r.Set
	}
	return name
}

// MarkerPrefix is the first label of the record that marks a zone as filled by edgewright.
const MarkerPrefix = "_edgewright."
