package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
)

const everything = "*" // the name that stands for all resources of a type

// sotwWire speaks state of the world: an answer of clusters, listeners or scopes holds all of them, and what it lacks is gone; an
// answer of a type that is asked for by name holds what changed, and nothing of it can be taken away.
//
// A version is the hash of what the proxy then has of the type. So a proxy that comes back need not be sent what it has, be it to a
// server that was started anew; of what else it has only the server that it was connected to before knows. Of another it keeps all
// clusters that were published there, until its routes are known.
type sotwWire struct {
	grpc.BidiStreamingServer[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]
	only   string // the type that the stream carries, which its requests need not say; empty: any
	memory *memory
	types  map[string]*world
}

// world is one type as the proxy of a state-of-the-world stream asks for it and has it.
type world struct {
	asked   bool
	named   bool                             // names were asked for: none at all does not mean everything any more
	names   map[string]bool                  // asked for now
	has     map[string]*discoveryv3.Resource // as far as it is known
	claims  string                           // version that it had when it came; empty once an answer was sent
	nonce   string                           // of the last answer
	version string                           // of the last answer, or else that it claims
	vague   bool                             // it came with what nobody knows
	refused bool                             // the last answer that it spoke of was, so that it may have some of it
}

func (w *sotwWire) receive() (message, error) {
	r, err := w.Recv()
	if err != nil {
		return nil, err
	}
	if r.TypeUrl == "" {
		r.TypeUrl = w.only
	}
	return r, nil
}

func (w *sotwWire) world(url string) *world {
	h := w.types[url]
	if h == nil {
		h = &world{names: map[string]bool{}, has: map[string]*discoveryv3.Resource{}}
		w.types[url] = h
	}
	return h
}

func (w *sotwWire) read(node string, m message) *discoveryv3.DeltaDiscoveryRequest {
	r := m.(*discoveryv3.DiscoveryRequest)
	out := &discoveryv3.DeltaDiscoveryRequest{Node: r.Node, TypeUrl: r.TypeUrl}
	if !wildcard(r.TypeUrl) && !byName(r.TypeUrl) {
		return out // not served: nothing is kept of it
	}
	h := w.world(r.TypeUrl)
	if h.asked && r.ResponseNonce != h.nonce {
		return nil // the proxy says all of it again with the answer that is on its way
	}
	h.subscribe(r.ResourceNames, wildcard(r.TypeUrl), out)
	if !h.asked {
		h.asked = true
		w.recall(node, h, r, out)
		return out
	}
	if len(out.ResourceNamesSubscribe)+len(out.ResourceNamesUnsubscribe) > 0 {
		h.claims = "" // it was of other names
	}
	out.ResponseNonce, out.ErrorDetail = r.ResponseNonce, r.ErrorDetail
	h.refused = r.ErrorDetail != nil
	return out
}

// subscribe notes what is asked for from now on, and adds to a request how that differs from before.
func (h *world) subscribe(names []string, wild bool, out *discoveryv3.DeltaDiscoveryRequest) {
	next := map[string]bool{}
	for _, name := range names {
		next[name] = true
	}
	h.named = h.named || len(names) > 0
	if wild && !h.named {
		next[everything] = true
	}
	for name := range h.names {
		if !next[name] {
			out.ResourceNamesUnsubscribe = append(out.ResourceNamesUnsubscribe, name)
			if !wild {
				delete(h.has, name)
			}
		}
	}
	for name := range next {
		if !h.names[name] {
			out.ResourceNamesSubscribe = append(out.ResourceNamesSubscribe, name)
		}
	}
	slices.Sort(out.ResourceNamesUnsubscribe)
	slices.Sort(out.ResourceNamesSubscribe)
	h.names = next
}

// recall takes the first request's version for what the proxy has.
func (w *sotwWire) recall(node string, h *world, r *discoveryv3.DiscoveryRequest, out *discoveryv3.DeltaDiscoveryRequest) {
	if r.VersionInfo == "" {
		return
	}
	has, trusted := w.memory.recall(node, r.TypeUrl, r.VersionInfo)
	if h.vague = has == nil; !trusted {
		return
	}
	h.claims, h.version = r.VersionInfo, r.VersionInfo
	out.InitialResourceVersions = map[string]string{}
	for name, a := range has {
		if h.wants(name) {
			h.has[name] = a
			out.InitialResourceVersions[name] = a.Version
		}
	}
}

func (*sotwWire) whole() bool { return true }

func (w *sotwWire) vague(url string) bool { return w.world(url).vague }

func (h *world) wants(name string) bool { return h.names[everything] || h.names[name] }

// send makes an answer of a difference. Of what was refused the ledger knows what the proxy has.
func (w *sotwWire) send(l *ledger, r prepared) (bool, error) {
	h := w.world(l.url)
	maps.DeleteFunc(h.has, func(name string, a *discoveryv3.Resource) bool { return l.has[name] != a.Version })
	for _, a := range r.Resources {
		h.has[a.Name] = a
	}
	whole := h.wanted()
	version := contentVersion(whole)
	if !wildcard(l.url) {
		if whole = r.Resources; len(whole) == 0 {
			return false, nil
		}
	}
	if version == h.claims {
		h.claims = ""
		return false, nil
	}
	h.nonce, h.version, h.claims = r.Nonce, version, ""
	out := &discoveryv3.DiscoveryResponse{TypeUrl: l.url, Nonce: r.Nonce, VersionInfo: version}
	out.Resources = make([]*anypb.Any, 0, len(whole))
	for _, a := range whole {
		out.Resources = append(out.Resources, a.Resource)
	}
	return true, w.Send(out)
}

func (w *sotwWire) recognise(url string, all []*discoveryv3.Resource) bool {
	h := w.world(url)
	if h.claims == "" || contentVersion(all) != h.claims {
		return false
	}
	h.claims = ""
	for _, r := range all {
		h.has[r.Name] = r
	}
	return true
}

// wanted are the resources that the proxy has of those it asks for, by name.
func (h *world) wanted() []*discoveryv3.Resource {
	out := make([]*discoveryv3.Resource, 0, len(h.has))
	for _, name := range slices.Sorted(maps.Keys(h.has)) {
		if h.wants(name) {
			out = append(out, h.has[name])
		}
	}
	return out
}

// contentVersion is a hash over resources, by name.
func contentVersion(of []*discoveryv3.Resource) string {
	hash := sha256.New()
	for _, a := range of {
		hash.Write([]byte(a.Name + "\x00" + a.Version + "\x00"))
	}
	return hex.EncodeToString(hash.Sum(nil)[:12])
}

// close leaves what the proxy has for when it comes back.
func (w *sotwWire) close(node string) {
	for url, h := range w.types {
		w.memory.keep(node, url, recollection{version: h.version, has: h.has, doubtful: h.refused})
	}
}
