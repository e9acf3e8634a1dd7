package dns

import (
	"time"

	"github.com/edgewright/edgewright/schema"
)

// HealthCheck is the specification of a dns/healthcheck. The last three are never declared: they are there where somebody else has set
// them.
type HealthCheck struct {
	Type     string          `json:"type"` // http, https or tcp; another in capitals, as AWS has it, is none that we make
	Address  string          `json:"address,omitempty"`
	Host     schema.Hostname `json:"host,omitempty"`
	Port     int             `json:"port,omitempty"`
	Path     string          `json:"path,omitempty"`
	Search   string          `json:"search,omitempty"`
	Interval int             `json:"interval,omitempty"` // seconds
	Failures int             `json:"failures,omitempty"`
	Inverted bool            `json:"inverted,omitempty"`

	Disabled bool     `json:"disabled,omitempty"` // it asks nobody, and counts as healthy
	NoSNI    bool     `json:"noSNI,omitempty"`    // https without saying the host's name in the handshake
	Regions  []string `json:"regions,omitempty"`  // it asks only from these
}

// DeclaredHealthCheck is one that the platform declares.
func DeclaredHealthCheck(c schema.DNSHealthCheck) HealthCheck {
	out := HealthCheck{Type: c.Type, Host: c.Host, Port: int(c.Port), Path: c.Path, Search: c.Search, Interval: int(time.Duration(c.Interval).Seconds()),
		Failures: c.Failures, Inverted: c.Inverted}
	if c.Address.IsValid() {
		out.Address = c.Address.String()
	}
	return out
}
