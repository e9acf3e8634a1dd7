package schema

import (
	"encoding/json"
	"fmt"
	"net/netip"
)

// Backend is a group of equal upstream hosts, reached by address or by name.
type Backend struct {
	ID       BackendID    `json:"id"`
	Location Location     `json:"-"`
	Health   *HealthCheck `json:"health,omitempty"`
}

// Location is where a backend is: Addresses or DNSName.
type Location interface{ location() }

// Addresses is a fixed list of upstream hosts.
type Addresses []netip.AddrPort

// DNSName is resolved by the proxy; every address that it has is used.
type DNSName struct {
	Name Hostname `json:"dns"`
	Port uint16   `json:"port"`
}

func (Addresses) location() {}
func (DNSName) location()   {}

// HealthCheck is an active HTTP check; a host out of health gets no requests. Zero durations and counts are BuiltIn's.
type HealthCheck struct {
	Path      string   `json:"path"`
	Interval  Duration `json:"interval,omitzero"`
	Timeout   Duration `json:"timeout,omitzero"`
	Healthy   int      `json:"healthy,omitempty"`
	Unhealthy int      `json:"unhealthy,omitempty"`
}

type backendJSON struct {
	ID        BackendID    `json:"id"`
	Addresses Addresses    `json:"addresses,omitempty"`
	DNS       Hostname     `json:"dns,omitempty"`
	Port      uint16       `json:"port,omitempty"`
	Health    *HealthCheck `json:"health,omitempty"`
}

// MarshalJSON writes the location's fields beside the backend's own, as they are declared.
func (b Backend) MarshalJSON() ([]byte, error) {
	out := backendJSON{ID: b.ID, Health: b.Health}
	switch at := b.Location.(type) {
	case Addresses:
		out.Addresses = at
	case DNSName:
		out.DNS, out.Port = at.Name, at.Port
	default:
		return nil, fmt.Errorf("backend %q has no location", b.ID)
	}
	return json.Marshal(out)
}

// UnmarshalJSON refuses a backend with no location or with two.
func (b *Backend) UnmarshalJSON(data []byte) error {
	var in backendJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*b = Backend{ID: in.ID, Health: in.Health}
	switch {
	case len(in.Addresses) > 0 && in.DNS != "":
		return fmt.Errorf("backend %q has both addresses and a dns name", in.ID)
	case len(in.Addresses) > 0:
		b.Location = in.Addresses
	case in.DNS != "":
		b.Location = DNSName{Name: in.DNS, Port: in.Port}
	default:
		return fmt.Errorf("backend %q has neither addresses nor a dns name", in.ID)
	}
	return nil
}
