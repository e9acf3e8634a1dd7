package xds

import (
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// requested is what a stream knows of a type that a proxy asks for by name and of which all proxies of a fleet have the same: runtime layers, and
// the filters that put requests into scopes.
type requested struct {
	*ledger
	wanted  map[string]bool   // by name: whether the proxy waits for an answer
	refused map[string]string // by name: the version that it refused last
}

// unclear is the version of what a proxy has, or has not, taken from an answer that it refused as a whole.
const unclear = "?"

func newRequested(url string) *requested {
	return &requested{ledger: newLedger(url), wanted: map[string]bool{}, refused: map[string]string{}}
}

func (a *requested) subscribe(r *discoveryv3.DeltaDiscoveryRequest, first bool) error {
	a.want(a.wanted, r, first)
	if len(a.wanted) > maxAsked {
		return status.Errorf(codes.ResourceExhausted, "more than %d names of %s on one stream", maxAsked, a.url)
	}
	return nil
}

// answer is what the proxy asks for and does not have as it is, and the names that it waits for and nobody has.
func (a *requested) answer(have map[string]*discoveryv3.Resource) *response {
	out := &response{}
	for _, name := range slices.Sorted(maps.Keys(a.wanted)) {
		switch r := have[name]; {
		case r != nil && a.refused[name] == r.Version:
		case r != nil && a.has[name] != r.Version:
			out.added = append(out.added, r)
		case r == nil && a.wanted[name]:
			out.removed = append(out.removed, name)
		}
	}
	return out
}

// told notes that an answer is on its way.
func (a *requested) told() {
	for name := range a.wanted {
		a.wanted[name] = false
	}
}

// refuse notes that an answer was refused for some of what it brought. That is not sent again as it was.
func (a *requested) refuse(out *response, culprits []*discoveryv3.Resource) {
	for _, r := range out.added {
		a.has[r.Name] = unclear
	}
	for _, r := range culprits {
		a.refused[r.Name] = r.Version
	}
}

// current tells whether the proxy has taken all that it asks for, as it is, and asks for something.
func (a *requested) current(have map[string]*discoveryv3.Resource) bool {
	for name := range a.wanted {
		if r := have[name]; r != nil && a.has[name] != r.Version {
			return false
		}
	}
	return a.idle() && len(a.wanted) > 0
}

// of are those that the proxy asks for.
func (a *requested) of(have map[string]*discoveryv3.Resource) map[string]*discoveryv3.Resource {
	out := map[string]*discoveryv3.Resource{}
	for name := range a.wanted {
		if r := have[name]; r != nil {
			out[name] = r
		}
	}
	return out
}

// offerRuntime answers at once: a proxy that starts asks for its runtime first, and for nothing else until it has it.
func (t *stream) offerRuntime() error {
	return t.offerAsked(t.runtime, t.frame.runtime, func() bool { return true })
}

// offerFilters answers at once who has no filter yet. One that leads to other buckets than the proxy's goes when all of these are there.
func (t *stream) offerFilters() error {
	return t.offerAsked(t.filters, t.frame.filters, t.allStill)
}

// offerAsked sends what is asked for; what the proxy has in another version is replaced only when that may be.
func (t *stream) offerAsked(a *requested, have map[string]*discoveryv3.Resource, replace func() bool) error {
	if !a.idle() {
		return nil
	}
	out := a.answer(have)
	if out.empty() {
		return nil
	}
	replaces := func(r *discoveryv3.Resource) bool { return a.has[r.Name] != "" }
	if slices.ContainsFunc(out.added, replaces) && !replace() {
		if out.added = slices.DeleteFunc(out.added, replaces); out.empty() {
			return nil
		}
	}
	a.told()
	return t.answer(a.ledger, out)
}
