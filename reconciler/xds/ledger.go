package xds

import (
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// ledger is what a stream knows of one type: what was asked for, what the proxy has, and the one answer that is under way.
type ledger struct {
	url      string
	asked    bool
	answered bool              // the first question has its answer, or needs none
	has      map[string]string // resource → version, as the proxy had it or was sent it, but for what is at rest
	shared   bool              // has is that of others, too
	out      *response
}

// response is an answer that was sent and neither acknowledged nor refused yet.
type response struct {
	nonce   string
	added   []*discoveryv3.Resource
	removed []string
	owners  map[string]*version // of the clusters added

	of      []*version // of a part of all clusters: whose they are,
	encoded []byte     // and the answer
}

func (r *response) empty() bool { return len(r.added) == 0 && len(r.removed) == 0 }

func newLedger(url string) *ledger { return &ledger{url: url, has: map[string]string{}} }

// open takes the first request of a type, with what the proxy has from an earlier stream.
func (l *ledger) open(initial map[string]string) {
	if l.asked {
		return
	}
	l.asked = true
	maps.Copy(l.has, initial)
	l.answered = len(initial) > 0
}

// want notes what of a type a proxy asks for by name, and whether it waits for an answer: what it asks for again it gets again, but for what
// it says that it has.
func (l *ledger) want(wanted map[string]bool, r *discoveryv3.DeltaDiscoveryRequest, first bool) {
	for _, name := range r.GetResourceNamesUnsubscribe() {
		delete(wanted, name)
		delete(l.has, name)
	}
	for _, name := range r.GetResourceNamesSubscribe() {
		if !first || r.GetInitialResourceVersions()[name] == "" {
			delete(l.has, name)
		}
		wanted[name] = l.has[name] == ""
	}
}

// idle tells whether an answer may be sent.
func (l *ledger) idle() bool { return l.asked && l.out == nil }

// diff is what takes the proxy to the resources wanted. What is left over goes only if prune is set.
func (l *ledger) diff(want map[string]*discoveryv3.Resource, prune bool) *response {
	out := &response{}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if l.has[name] != want[name].Version {
			out.added = append(out.added, want[name])
		}
	}
	if !prune {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(l.has)) {
		if want[name] == nil {
			out.removed = append(out.removed, name)
		}
	}
	return out
}

// sent notes an answer as under way.
func (l *ledger) sent(r *response) {
	l.out, l.answered = r, true
	if l.shared {
		l.has, l.shared = maps.Clone(l.has), false
	}
	for _, a := range r.added {
		l.has[a.Name] = a.Version
	}
	for _, name := range r.removed {
		delete(l.has, name)
	}
}
