// Package resource holds what the reconciler compares: resources with a key and a specification, references between them, and
// sets of them.
//
// It knows no kind: what a specification means is known to the package that renders it and to the provider that applies it.
package resource

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// Kind is a kind of resource.
type Kind string

const (
	DNSRecord      Kind = "dns/record"
	DNSHealthCheck Kind = "dns/healthcheck"
	EnvoyFleet     Kind = "envoy/fleet"
	EnvoyService   Kind = "envoy/service"
)

// OfProxies tells whether it is served to proxies; all others are made in AWS.
func (k Kind) OfProxies() bool { return k == EnvoyFleet || k == EnvoyService }

// Scope is what is observed in one go: "zone/<name>", "healthchecks/<account>" ("healthchecks/" in the daemon's own) or "fleet/<id>".
type Scope string

const (
	zonePrefix         = "zone/"
	healthChecksPrefix = "healthchecks/"
)

// ZoneScope is a hosted zone.
func ZoneScope(name schema.Hostname) Scope { return Scope(zonePrefix + name) }

// HealthChecksScope is the health checks of an account.
func HealthChecksScope(account schema.AccountID) Scope { return Scope(healthChecksPrefix + account) }

// Zone is the hosted zone of a scope, if it is one.
func (s Scope) Zone() (schema.Hostname, bool) {
	name, is := strings.CutPrefix(string(s), zonePrefix)
	return schema.Hostname(name), is && name != ""
}

// HealthChecks is the account whose health checks a scope is, if it is such a one.
func (s Scope) HealthChecks() (schema.AccountID, bool) {
	account, is := strings.CutPrefix(string(s), healthChecksPrefix)
	return schema.AccountID(account), is
}

// Key identifies a resource everywhere: in plans, the inventory, the journal.
type Key struct {
	Kind  Kind   `json:"kind"`
	Scope Scope  `json:"scope"`
	Name  string `json:"name"` // dns/record: "A jira.example.com"; else the ID
}

// String is kind, scope and name, separated by spaces.
func (k Key) String() string { return fmt.Sprintf("%s %s %s", k.Kind, k.Scope, k.Name) }

// MarshalText and UnmarshalText let a key stand as a JSON object's key.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(text []byte) error {
	parts := strings.SplitN(string(text), " ", 3)
	if len(parts) != 3 {
		return fmt.Errorf("key %q: want kind, scope and name", text)
	}
	*k = Key{Kind: Kind(parts[0]), Scope: Scope(parts[1]), Name: parts[2]}
	return nil
}

// Compare orders keys by kind, scope and name.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Kind, other.Kind), cmp.Compare(k.Scope, other.Scope), cmp.Compare(k.Name, other.Name))
}

// Value is canonical JSON: equal values are equal bytes. nil means absent.
type Value = json.RawMessage

// ValueOf makes a value. It panics on a type that JSON cannot hold, which is a fault of the program.
func ValueOf(v any) Value {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("resource value of %T: %v", v, err))
	}
	return data
}

// Resource is one thing that shall be.
type Resource struct {
	Key     Key              `json:"key"`
	Service schema.ServiceID `json:"service,omitempty"` // who declares it; empty: the platform
	Origin  schema.Position  `json:"origin"`
	Spec    Value            `json:"spec"`            // what is compared, shown and stored
	Needs   []Key            `json:"needs,omitempty"` // what must be ready before this may exist, and outlive it; sorted
	Adopt   bool             `json:"adopt,omitempty"` // it becomes ours where it exists already
	Body    []byte           `json:"-"`               // what is delivered where Spec only describes it; Spec holds its hash
}

// Equal tells whether two resources with the same key ask for the same.
func (r Resource) Equal(other Resource) bool { return bytes.Equal(r.Spec, other.Spec) }

// Same tells whether two resources are alike in all that a step may tell of them; where they are declared counts too.
func (r Resource) Same(other Resource) bool {
	return r.Key == other.Key && r.Service == other.Service && r.Origin == other.Origin && r.Adopt == other.Adopt && r.Equal(other) && slices.Equal(r.Needs, other.Needs)
}

// Set is the desired resources by key.
type Set map[Key]Resource

// Add puts resources into the set; a key that is there already is an error naming both places.
func (s Set) Add(resources ...Resource) error {
	for _, r := range resources {
		if old, clash := s[r.Key]; clash {
			return fmt.Errorf("%s is declared at %s and at %s", r.Key, old.Origin, r.Origin)
		}
		s[r.Key] = r
	}
	return nil
}

// Keys are the set's keys in order.
func (s Set) Keys() []Key { return slices.SortedFunc(maps.Keys(s), Key.Compare) }
