package schema

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
