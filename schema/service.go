package schema

import (
	"cmp"
	"iter"
	"reflect"
	"slices"
	"sort"
)

// Identifiers and names. Hostname is lower case, without port and without a final dot; a leading "*." makes it a wildcard.
type (
	ServiceID string
	TeamID    string
	FleetID   string
	AccountID string
	BackendID string
	Hostname  string
)

// Exposure says who may reach a service through the edge.
type Exposure string

const (
	Public   Exposure = "public"
	Internal Exposure = "internal"
)

// Place is where a name is answered: at the listeners of one exposure.
type Place struct {
	Exposure Exposure `json:"exposure"`
	Host     Hostname `json:"host"`
}

// Compare orders places by exposure and host.
func (p Place) Compare(other Place) int {
	return cmp.Or(cmp.Compare(p.Exposure, other.Exposure), cmp.Compare(p.Host, other.Host))
}

// Service is one declaration: what a team exposes through the edge. It lives in services/<team>/<id>.cue.
type Service struct {
	ID       ServiceID  `json:"id"`
	Owner    Owner      `json:"owner"`
	Tier     TierID     `json:"tier,omitempty"`
	Hosts    []Hostname `json:"hosts"`
	Exposure Exposure   `json:"exposure"`
	Fleet    FleetID    `json:"fleet"`
	Backends []Backend  `json:"backends"` // sorted by ID; in CUE a struct keyed by ID
	Routes   []Route    `json:"routes"`   // in the order in which they are tried
	Waivers  []Waiver   `json:"waivers,omitempty"`
	Drift    DriftMode  `json:"drift,omitempty"` // empty: Heal
	Adopt    bool       `json:"adopt,omitempty"` // records of its host names that exist already become ours
	Source   Source     `json:"-"`
	Revision string     `json:"-"` // services with the same revision are the same; empty is the same as nothing
}

// Same tells whether two services declare the same, wherever it was written.
func (s Service) Same(other Service) bool {
	if s.Revision == other.Revision && s.Revision != "" {
		return true
	}
	s.Source, s.Revision, other.Source, other.Revision = Source{}, "", Source{}, ""
	return reflect.DeepEqual(s, other)
}

// Owner is the team that answers for a service and how it is called at night.
type Owner struct {
	Team   TeamID `json:"team"`
	OnCall string `json:"oncall,omitempty"`
}

// Waiver lets a service break a rule until a day.
type Waiver struct {
	Rule     Code   `json:"rule"`
	At       string `json:"at,omitempty"` // path within the service; empty: the whole
	Reason   string `json:"reason"`
	Expires  Date   `json:"expires"` // the last day
	Approver TeamID `json:"approver"`
}

// Backend finds a backend by its ID.
func (s Service) Backend(id BackendID) (Backend, bool) {
	i, found := slices.BinarySearchFunc(s.Backends, id, func(b Backend, id BackendID) int { return cmp.Compare(b.ID, id) })
	if !found {
		return Backend{}, false
	}
	return s.Backends[i], true
}

// Edge is all declarations at one commit, sorted by ID.
type Edge struct {
	Platform Platform  `json:"platform"`
	Services []Service `json:"services"`
}

// Service finds a service by its ID.
func (e Edge) Service(id ServiceID) (Service, bool) {
	i := sort.Search(len(e.Services), func(i int) bool { return e.Services[i].ID >= id })
	if i == len(e.Services) || e.Services[i].ID != id {
		return Service{}, false
	}
	return e.Services[i], true
}

// Beside goes through the services of an edge and of another one, in the order of their IDs: each with its namesake, nil where there is none.
func (e Edge) Beside(o Edge) iter.Seq2[*Service, *Service] {
	return func(yield func(*Service, *Service) bool) {
		i, k := 0, 0
		for i < len(e.Services) || k < len(o.Services) {
			var a, b *Service
			if k == len(o.Services) || i < len(e.Services) && e.Services[i].ID <= o.Services[k].ID {
				a = &e.Services[i]
			}
			if i == len(e.Services) || k < len(o.Services) && o.Services[k].ID <= e.Services[i].ID {
				b = &o.Services[k]
			}
			if a != nil {
				i++
			}
			if b != nil {
				k++
			}
			if !yield(a, b) {
				return
			}
		}
	}
}
