package schema

import "net/netip"

// DNSHealthCheck is a health check of Route53 that records may name.
type DNSHealthCheck struct {
	ID       HealthCheckID `json:"id"`
	Type     string        `json:"type"` // http, https or tcp
	Address  netip.Addr    `json:"address,omitzero"`
	Host     Hostname      `json:"host,omitempty"` // that is asked for, or resolved where there is no address
	Port     uint16        `json:"port"`
	Path     string        `json:"path,omitempty"`
	Search   string        `json:"search,omitempty"` // that the answer contains; empty: any answer will do
	Interval Duration      `json:"interval"`
	Failures int           `json:"failures"` // in a row, that make it unhealthy
	Inverted bool          `json:"inverted,omitempty"`
	Account  AccountID     `json:"account,omitempty"` // as a zone's
}

// HealthCheckID names a health check within its account: a name of ours, or the id of one that somebody else keeps.
type HealthCheckID string

// Ours tells a name of ours from an id of Route53, which is longer than a name can be.
func (id HealthCheckID) Ours() bool { return id != "" && len(id) <= 32 }

// HealthCheck finds a health check by its name.
func (p Platform) HealthCheck(id HealthCheckID) (DNSHealthCheck, bool) {
	return find(p.HealthChecks, id, func(c DNSHealthCheck) HealthCheckID { return c.ID })
}
