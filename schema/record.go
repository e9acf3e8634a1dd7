package schema

import "slices"

// Record is what the platform declares in a zone of its own accord: the answers to questions for a name and a type. One that is not
// routed has one set, without an ID.
type Record struct {
	Name  Hostname    `json:"name"` // its labels may begin with _
	Type  string      `json:"type"` // A, AAAA, CAA, CNAME, MX, NS, SRV or TXT
	TTL   Duration    `json:"ttl,omitzero"`
	Sets  []RecordSet `json:"sets"`            // sorted by ID
	Adopt bool        `json:"adopt,omitempty"` // what exists of it already becomes ours
}

// RecordSet is one answer, or an alias. TXT values are plain text, all others are in presentation form.
type RecordSet struct {
	ID     string       `json:"id,omitempty"`
	Values []string     `json:"values,omitempty"`
	Alias  *RecordAlias `json:"alias,omitempty"`
	Routing
	HealthCheck HealthCheckID `json:"healthCheck,omitempty"`
}

// RecordAlias makes Route53 answer with what the target answers.
type RecordAlias struct {
	Target         Hostname `json:"target"`
	Zone           string   `json:"zone,omitempty"` // Route53's id of the zone that holds the target; empty: told by the target's name
	EvaluateHealth bool     `json:"evaluateHealth,omitempty"`
}

// Path is where a record stands in the platform.
func (r Record) Path() string { return "records." + string(r.Name) + "." + r.Type }

// SetPath is where one set of a record stands in the platform.
func (r Record) SetPath(s RecordSet) string {
	if s.ID == "" {
		return r.Path()
	}
	return r.Path() + ".sets." + s.ID
}

// same tells whether two records are of one evaluation, so that they say the same and stand at the same place.
func (r Record) same(other Record) bool {
	return r.Name == other.Name && r.Type == other.Type && r.TTL == other.TTL && r.Adopt == other.Adopt &&
		len(r.Sets) == len(other.Sets) && len(r.Sets) > 0 && &r.Sets[0] == &other.Sets[0]
}

// Kept are the records that another platform had already, with all others of their name as they are here: the index among its records by
// the index among these, and -1 for all others. What it tells of a record holds for what depends on those of its name and on nothing else.
func (p Platform) Kept(before Platform) []int {
	kept := make([]int, len(p.Records))
	for at, was := 0, 0; at < len(p.Records); {
		name := p.Records[at].Name
		for was < len(before.Records) && before.Records[was].Name < name {
			was++
		}
		n, m := named(p.Records[at:], name), named(before.Records[was:], name)
		all := slices.EqualFunc(p.Records[at:at+n], before.Records[was:was+m], Record.same)
		for i := range n {
			if kept[at+i] = -1; all {
				kept[at+i] = was + i
			}
		}
		at, was = at+n, was+m
	}
	return kept
}

// named is how many records have this name, from the first one on.
func named(records []Record, name Hostname) int {
	n := 0
	for n < len(records) && records[n].Name == name {
		n++
	}
	return n
}

// KnownZone is the id of the hosted zone that holds the target, where AWS gives all targets of that kind the same (General Reference,
// "Service endpoints and quotas"); empty: it is told by the declaration, or is the record's own.
func (a RecordAlias) KnownZone() string {
	switch {
	case a.Target.Within("cloudfront.net"):
		return "Z2FDTNDATAQYW2"
	case a.Target.Within("awsglobalaccelerator.com"):
		return "Z2BJ6XQ5FK7U4H"
	}
	return ""
}
