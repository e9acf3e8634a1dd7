package policy

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/edgewright/edgewright/schema"
)

func (j *judgement) checkBackends() {
	used := map[schema.BackendID]bool{}
	for _, r := range j.service.Routes {
		if f, is := r.Action.(schema.Forward); is {
			for _, d := range f.To {
				used[d.Backend] = true
			}
		}
	}
	for _, b := range j.service.Backends {
		at := "backends." + string(b.ID)
		j.checkLocation(at, b)
		if !used[b.ID] {
			j.warning("backend/unused", at, fmt.Sprintf("no route forwards to backend %s", b.ID), "forward to it, or remove it")
			continue
		}
		if b.Health == nil && j.service.Exposure == schema.Public {
			j.problem("backend/health", at, fmt.Sprintf("backend %s of a public service has no health check: requests go to hosts that are down", b.ID), `write health: path: "/healthz", with a path that answers 200 while the host is well`)
		}
	}
}

// local says why an address has another meaning at each proxy; empty: it has not. At a proxy the loopback is its own admin interface,
// and link-local is where clouds hand out the credentials of the machine.
func local(a netip.Addr) string {
	switch {
	case a.IsUnspecified():
		return "no address of anybody"
	case a.IsLoopback():
		return "the loopback"
	case a.IsLinkLocalUnicast():
		return "link-local"
	case a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "an address of many"
	}
	return ""
}

func (j *judgement) checkLocation(at string, b schema.Backend) {
	switch where := b.Location.(type) {
	case schema.Addresses:
		for i, a := range where {
			item := fmt.Sprintf("%s.addresses[%d]", at, i)
			if slices.Index(where, a) < i {
				j.problem("backend/twice", item, fmt.Sprintf("address %s is listed twice", a), "remove one of the two; shares are set with weights")
				continue
			}
			addr := a.Addr().Unmap()
			if what := local(addr); what != "" {
				j.problem("backend/local", item, fmt.Sprintf("%s is %s: a proxy would forward to itself or to its own machine's services", a.Addr(), what), "write the address of the service behind the edge")
			}
			for _, f := range j.platform.Fleets {
				if slices.ContainsFunc(f.Addresses, func(own netip.Addr) bool { return own.Unmap() == addr }) {
					j.problem("backend/loop", item, fmt.Sprintf("%s is an address of fleet %s: the edge would call itself", a.Addr(), f.ID), "write the address of the service behind the edge", j.platform.Source.Find("fleets."+string(f.ID)))
				}
			}
		}
	case schema.DNSName:
		if _, err := netip.ParseAddr(string(where.Name)); err == nil {
			j.problem("backend/location", at+".dns", fmt.Sprintf("%s is an address, no name", where.Name), fmt.Sprintf(`write addresses: ["%s:%d"]`, where.Name, where.Port))
		}
		if where.Name.Within("localhost") {
			j.problem("backend/local", at+".dns", fmt.Sprintf("%s is the proxy itself", where.Name), "write the name of the service behind the edge")
		}
		if holder := j.answers(where.Name); holder != nil {
			j.problem("backend/loop", at+".dns", fmt.Sprintf("%s is served by this edge, for service %s: the edge would call itself", where.Name, holder.ID), "write the name of the service behind the edge", holder.Source.Find("hosts"))
		}
	}
}
