package xds

import (
	"cmp"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/edgewright/edgewright/schema"
)

// Node is a connected proxy.
type Node struct {
	ID           string
	Fleet        schema.FleetID
	Envoy        string // its version
	Build        string // what it says of its build: revision, type, TLS library
	Connected    time.Time
	Published    string        // hash over the services and versions that the fleet is published
	Acknowledged string        // the last such hash of which this node had everything; empty before
	Behind       int           // services of which it lacks the published version
	Lag          time.Duration // since the oldest of them was published; zero when there is none
	Refused      string        // what it last refused, and why
}

// Refusal is published content that a node refused. Service is empty when it is no service's own.
type Refusal struct {
	Fleet   schema.FleetID
	Service schema.ServiceID
	Cohort  Cohort
	Version string
	Node    string
	Why     string
	Proven  bool // another proxy of the cohort has it: it is that node's own matter
}

// Acknowledged is the version of a service that every connected node of a fleet serves: empty once all have dropped a service
// that is no longer published. ok is false when no node is connected, or they differ.
func (s *Server) Acknowledged(fleet schema.FleetID, service schema.ServiceID) (version string, ok bool) {
	published := false
	for _, f := range s.allOf(fleet) {
		f.mu.Lock()
		published = published || f.published[service] != nil
		for _, n := range f.seats {
			if v := f.has(n, service); !ok {
				version, ok = v, true
			} else if v != version {
				f.mu.Unlock()
				return "", false
			}
		}
		f.mu.Unlock()
	}
	if !ok || version == "" && published {
		return "", false
	}
	return version, true
}

// Versions are, by node, the versions of a service that the connected proxies of a fleet have acknowledged; empty: none.
func (s *Server) Versions(fleet schema.FleetID, service schema.ServiceID) map[string]string {
	out := map[string]string{}
	for _, f := range s.allOf(fleet) {
		f.mu.Lock()
		for id, n := range f.seats {
			out[id] = f.has(n, service)
		}
		f.mu.Unlock()
	}
	return out
}

// Nodes are the connected proxies of all fleets, by name.
func (s *Server) Nodes() []Node {
	out := []Node{}
	for _, f := range s.all() {
		out = append(out, f.nodes(s.now())...)
	}
	slices.SortFunc(out, func(a, b Node) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Fleet, b.Fleet)) })
	return out
}

func (f *fleet) nodes(now time.Time) []Node {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Node
	for _, s := range f.seats {
		out = append(out, f.show(s, now))
	}
	return out
}

// show is a seat as others see it. The caller holds the lock.
func (f *fleet) show(s *seat, now time.Time) Node {
	n := Node{
		ID: s.node.id, Fleet: f.id, Envoy: s.node.envoy, Build: s.node.build, Connected: s.since, Published: f.hash(), Acknowledged: s.whole,
		Behind: len(s.lacking), Refused: s.refused,
	}
	if s.joining {
		n.Behind = len(f.published)
		n.Lag = now.Sub(s.since)
	}
	for _, at := range s.lacking {
		n.Lag = max(n.Lag, now.Sub(at))
	}
	return n
}

// nodeOf is one seat as others see it.
func (f *fleet) nodeOf(s *seat) Node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.show(s, f.now())
}

func (f *fleet) hash() string { return hex.EncodeToString(f.digest[:6]) }

// settle notes when a stream lacks nothing.
func (f *fleet) settle(s *seat) {
	if len(s.lacking) == 0 && !s.joining {
		s.whole = f.hash()
	}
}

// Refusals are those of content that is published now, by fleet and service.
func (s *Server) Refusals() []Refusal {
	out := []Refusal{}
	for _, f := range s.all() {
		out = append(out, f.refusals()...)
	}
	return out
}

func (f *fleet) refusals() []Refusal {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Refusal
	for _, key := range slices.Sorted(maps.Keys(f.others)) {
		bad := f.others[key]
		out = append(out, Refusal{Fleet: f.id, Cohort: f.cohort, Version: bad.version, Node: bad.node, Why: bad.why})
	}
	for _, id := range slices.Sorted(maps.Keys(f.refused)) {
		bad, v := f.refused[id], f.published[id]
		if v != nil && v.Version == bad.version {
			out = append(out, Refusal{f.id, id, f.cohort, bad.version, bad.node, bad.why, bad.proven})
		}
	}
	return out
}
