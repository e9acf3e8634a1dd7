// Package dns renders the DNS records of an edge: an address record for each host name of a service, and one marker for each zone.
//
// It does not speak to Route53 and checks no zone's content: reconciler/aws/route53 does.
package dns

import "github.com/edgewright/edgewright/schema"

// Record is the specification of a dns/record. Values are sorted, in Route53's presentation form (TXT in double quotes).
type Record struct {
	Name   schema.Hostname `json:"name"`
	Type   string          `json:"type"`
	TTL    int             `json:"ttl"` // seconds
	Values []string        `json:"values"`
}

// MarkerPrefix is the first label of the record that marks a zone as filled by edgewright.
const MarkerPrefix = "_edgewright."
