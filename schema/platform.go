package schema

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
)

// Platform is what the platform team declares in platform/. Teams, fleets and zones are each sorted by ID or name.
type Platform struct {
	Name   string  `json:"name"` // names this edge in the marks that it leaves in AWS: [a-z0-9-]
	Teams  []Team  `json:"teams"`
	Fleets []Fleet `json:"fleets"`
	Zones  []Zone  `json:"zones"`

	Accounts []Account `json:"accounts,omitempty"` // sorted by ID

	Records      []Record         `json:"records,omitempty"`      // sorted by name and type
	HealthChecks []DNSHealthCheck `json:"healthChecks,omitempty"` // sorted by ID
	Quotas       Quotas           `json:"quotas,omitzero"`
	Deletions    Deletions        `json:"deletions,omitzero"`

	Defaults   DefaultsOf             `json:"defaults,omitzero"`
	Protected  map[Hostname]Protected `json:"protected,omitempty"`
	Approvers  []TeamID               `json:"approvers,omitempty"`
	Rules      map[Code]Strictness    `json:"rules,omitempty"`
	Deprecated map[string]Deprecation `json:"deprecated,omitempty"` // by the path of the field, without indexes and names
	Limits     Limits                 `json:"limits,omitzero"`
	Freezes    map[string]Freeze      `json:"freezes,omitempty"`

	Source   Source `json:"-"`
	Revision string `json:"-"` // as a service's
}

// Same tells whether two platforms declare the same, wherever it was written.
func (p Platform) Same(other Platform) bool {
	if p.Revision == other.Revision && p.Revision != "" {
		return true
	}
	p.Source, p.Revision, other.Source, other.Revision = Source{}, "", Source{}, ""
	return reflect.DeepEqual(p, other)
}

// Protected says why a name may be held by no service but these.
type Protected struct {
	Reason   string      `json:"reason"`
	Services []ServiceID `json:"services,omitempty"`
}

// Strictness says what becomes of a breach of a rule.
type Strictness string

const (
	Refuse Strictness = "refuse"
	Warn   Strictness = "warn"
	Off    Strictness = "off"
)

// Deprecation says until which day a field is taken, and what to write in its place.
type Deprecation struct {
	Until Date   `json:"until"`
	Use   string `json:"use"`
}

// Limits bound one service. Nil takes the default: 200 host names, 200 routes, 20 regexes.
type Limits struct {
	Hosts   *int `json:"hosts,omitempty"`
	Routes  *int `json:"routes,omitempty"`
	Regexes *int `json:"regexes,omitempty"`
}

// Team may declare services whose host names are in its domains.
type Team struct {
	ID      TeamID     `json:"id"`
	Name    string     `json:"name"`
	Domains []Hostname `json:"domains"` // a domain covers itself and every name below it
	OnCall  string     `json:"oncall,omitempty"`
}

// Fleet is a group of Envoys that serve the same services, or of gRPC clients that call them. Node metadata may bind a listener elsewhere
// than Port says.
type Fleet struct {
	ID        FleetID      `json:"id"`
	Kind      FleetKind    `json:"kind,omitempty"` // empty: Proxies
	Listeners []Listener   `json:"listeners"`      // sorted by exposure; in CUE a struct keyed by exposure
	Addresses []netip.Addr `json:"addresses"`      // what the host names resolve to
	TTL       Duration     `json:"ttl"`            // of the records that point here

	Certificates []Certificate `json:"certificates,omitempty"` // sorted by ID; in CUE a struct keyed by ID

	Runtime map[string]string `json:"runtime,omitempty"` // of its proxies: values by key, as Envoy's runtime_modify takes them
}

// FleetKind says who a fleet are.
type FleetKind string

// The kinds of fleets.
const (
	Proxies FleetKind = "envoy" // they take requests
	GRPC    FleetKind = "grpc"  // clients that ask by xDS where a service is, and call it directly
)

// Listener is where a fleet takes requests for one exposure.
type Listener struct {
	Exposure Exposure `json:"exposure"`
	Port     uint16   `json:"port"`
	TLS      *TLS     `json:"tls,omitempty"` // nil: plain HTTP
}

// Zone is a hosted zone that holds records of services of one exposure.
type Zone struct {
	Name Hostname `json:"name"`
	ID   string   `json:"id,omitempty"` // Route53's id; empty: found by name
	// Account holds the zone; empty: the one that the daemon's own credentials are for.
	Account  AccountID `json:"account,omitempty"`
	Exposure Exposure  `json:"exposure"`
	Quota    int       `json:"quota,omitempty"` // record sets that AWS lets it hold; zero: 10,000
}

// Most is how many record sets it may hold: what AWS gives every hosted zone, unless more is declared (AWS, "Quotas on hosted zones").
func (z Zone) Most() int { return cmp.Or(z.Quota, 10_000) }

// Quotas are what AWS gives an account. Zero takes the default in brackets (AWS, "Route 53 quotas").
type Quotas struct {
	HealthChecks int `json:"healthChecks,omitempty"` // (200)
}

// MostHealthChecks is how many an account may have.
func (q Quotas) MostHealthChecks() int { return cmp.Or(q.HealthChecks, 200) }

// Deletions bound how much may go at once before a person has to confirm the count. Zero takes the default in brackets.
type Deletions struct {
	Percent int `json:"percent,omitempty"` // of what exists (30)
	From    int `json:"from,omitempty"`    // the percentage counts once this many exist (10)
	Most    int `json:"most,omitempty"`    // of one service, zone, fleet or account, whatever the percentage (100)
}

// Share tells whether so many are more than the share of all that may go, and in which words.
func (d Deletions) Share(gone, existing int) (bound string, exceeded bool) {
	percent, from := cmp.Or(d.Percent, 30), cmp.Or(d.From, 10)
	return fmt.Sprintf("more than %d %%", percent), existing >= from && gone*100 > existing*percent
}

// Number tells whether so many are more than may go of one service, zone, fleet or account, and in which words.
func (d Deletions) Number(gone int) (bound string, exceeded bool) {
	most := cmp.Or(d.Most, 100)
	return fmt.Sprintf("more than %d", most), gone > most
}

// Account is an AWS account in which edgewright works by taking on a role.
type Account struct {
	ID         AccountID `json:"id"`
	Role       string    `json:"role"`                 // its ARN
	ExternalID string    `json:"externalID,omitempty"` // that the role asks for
}

// Account finds an account by its ID.
func (p Platform) Account(id AccountID) (Account, bool) {
	return find(p.Accounts, id, func(a Account) AccountID { return a.ID })
}

// Team finds a team by its ID.
func (p Platform) Team(id TeamID) (Team, bool) {
	return find(p.Teams, id, func(t Team) TeamID { return t.ID })
}

// Fleet finds a fleet by its ID.
func (p Platform) Fleet(id FleetID) (Fleet, bool) {
	return find(p.Fleets, id, func(f Fleet) FleetID { return f.ID })
}

// Listener finds the listener for an exposure.
func (f Fleet) Listener(e Exposure) (Listener, bool) {
	return find(f.Listeners, e, func(l Listener) Exposure { return l.Exposure })
}

// ZoneFor is the longest zone of that exposure that covers the host name.
func (p Platform) ZoneFor(host Hostname, e Exposure) (Zone, bool) {
	var best Zone
	for _, z := range p.Zones {
		if z.Exposure == e && host.Within(z.Name) && len(z.Name) > len(best.Name) {
			best = z
		}
	}
	return best, best.Name != ""
}

// ZoneOf is the longest zone that covers a name, of whichever exposure.
func (p Platform) ZoneOf(name Hostname) (Zone, bool) {
	var best Zone
	for _, z := range p.Zones {
		if name.Within(z.Name) && len(z.Name) > len(best.Name) {
			best = z
		}
	}
	return best, best.Name != ""
}

// RecordsAt are the platform's own records of a name.
func (p Platform) RecordsAt(name Hostname) []Record {
	first, _ := slices.BinarySearchFunc(p.Records, name, func(r Record, n Hostname) int { return cmp.Compare(r.Name, n) })
	return p.Records[first : first+named(p.Records[first:], name)]
}

// Within tells whether the name is the domain itself or lies below it.
func (h Hostname) Within(domain Hostname) bool {
	if h == domain {
		return true
	}
	n := len(h) - len(domain)
	return n > 1 && h[n:] == domain && h[n-1] == '.'
}

func find[T any, K cmp.Ordered](sorted []T, id K, key func(T) K) (T, bool) {
	i, found := slices.BinarySearchFunc(sorted, id, func(t T, id K) int { return cmp.Compare(key(t), id) })
	if !found {
		var zero T
		return zero, false
	}
	return sorted[i], true
}
