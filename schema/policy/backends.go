package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

func (j *judgement) checkBackends() {
	used, astray := map[schema.BackendID]bool{}, false
	for _, r := range j.service.Routes {
		if f, is := r.Action.(schema.Forward); is {
			for i, d := range f.To {
				_, known := j.service.Backend(d.Backend)
				twice := slices.ContainsFunc(f.To[:i], func(o schema.Destination) bool { return o.Backend == d.Backend })
				used[d.Backend], astray = true, astray || !known || twice
			}
		}
	}
	for _, b := range j.service.Backends {
		at := "backends." + string(b.ID)
		j.checkLocation(at, b)
		if !used[b.ID] && astray {
			continue // it may be what a wrong name means
		}
		if !used[b.ID] {
			j.warning("backend/unused", at, fmt.Sprintf("no route forwards to backend %s", b.ID), "forward to it, or remove it")
			continue
		}
		if h := b.Health; h != nil && h.Timeout > 0 && h.Interval > 0 && h.Timeout > h.Interval {
			j.warning("backend/timeout", at+".health.timeout", fmt.Sprintf("a check of backend %s may take %s, longer than the %s between two checks", b.ID, h.Timeout, h.Interval), "write a timeout below the interval")
		}
		if b.Health == nil && j.service.Exposure == schema.Public {
			j.problem("backend/health", at, fmt.Sprintf("backend %s of a public service has no health check: requests go to hosts that are down", b.ID), `write health: path: "/healthz", with a path that answers 200 while the host is well`)
		}
	}
}

// metadata are where clouds hand out the credentials of a machine beside link-local: AWS's and Google's over IPv6, Oracle's, Alibaba's.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"), netip.MustParseAddr("192.0.0.192"), netip.MustParseAddr("100.100.100.200"),
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
	case slices.Contains(metadata, a):
		return "where a cloud hands out the credentials of a machine"
	case a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "an address of many"
	}
	return ""
}

// within4 are prefixes of IPv6 that hold an IPv4 address, and at which byte: compatible ones, NAT64 (RFC 6052) and 6to4 (RFC 3056).
var within4 = map[netip.Prefix]int{
	netip.MustParsePrefix("::/96"): 12, netip.MustParsePrefix("64:ff9b::/96"): 12, netip.MustParsePrefix("2002::/16"): 2,
}

// meanings are an address and those that it comes to elsewhere.
func meanings(a netip.Addr) []netip.Addr {
	a = a.Unmap()
	all := []netip.Addr{a}
	if a.Is4() || a.IsUnspecified() || a.IsLoopback() {
		return all
	}
	bytes := a.As16()
	for prefix, at := range within4 {
		if prefix.Contains(a) {
			all = append(all, netip.AddrFrom4([4]byte(bytes[at:at+4])))
		}
	}
	return all
}

func (j *judgement) checkLocation(at string, b schema.Backend) {
	switch where := b.Location.(type) {
	case schema.Addresses:
		listed := map[netip.AddrPort]bool{}
		for i, a := range where {
			item := fmt.Sprintf("%s.addresses[%d]", at, i)
			same := netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
			if listed[same] {
				j.problem("backend/twice", item, fmt.Sprintf("address %s is listed twice", a), "remove one of the two; shares are set with weights")
				continue
			}
			listed[same] = true
			j.checkAddress(item, a.Addr())
		}
	case schema.DNSName:
		j.checkName(at+".dns", where)
	}
}

func (j *judgement) checkAddress(at string, a netip.Addr) {
	for _, addr := range meanings(a) {
		if what := local(addr); what != "" {
			j.problem("backend/local", at, fmt.Sprintf("%s is %s: a proxy would forward to itself or to its own machine's services", a, what), "write the address of the service behind the edge")
		}
		for _, f := range j.platform.Fleets {
			if slices.ContainsFunc(f.Addresses, func(own netip.Addr) bool { return own.Unmap() == addr }) {
				j.problem("backend/loop", at, fmt.Sprintf("%s is an address of fleet %s: the edge would call itself", a, f.ID), "write the address of the service behind the edge", j.platform.Source.Find("fleets."+string(f.ID)))
			}
		}
	}
}

// checkName refuses what is no name: its last label never begins with a digit (RFC 3696), and some resolvers take 127.1 and 0x7f.0.0.1
// for addresses.
func (j *judgement) checkName(at string, where schema.DNSName) {
	name := string(where.Name)
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case strings.HasPrefix(name, "*."):
		j.problem("backend/location", at, fmt.Sprintf("%s is no name that can be resolved", name), "write one name; requests go to all addresses that it has")
	case last != "" && last[0] >= '0' && last[0] <= '9':
		hint := "write the name of the service behind the edge, or its address in addresses"
		if _, err := netip.ParseAddr(name); err == nil {
			hint = fmt.Sprintf(`write addresses: ["%s:%d"]`, name, where.Port)
		}
		j.problem("backend/location", at, fmt.Sprintf("%s is an address, no name", name), hint)
	case where.Name.Within("localhost") || where.Name.Within("localdomain"):
		j.problem("backend/local", at, fmt.Sprintf("%s is the proxy itself", name), "write the name of the service behind the edge")
	}
	if holder := j.answers(where.Name); holder != nil {
		j.problem("backend/loop", at, fmt.Sprintf("%s is served by this edge, for service %s: the edge would call itself", name, holder.ID), "write the name of the service behind the edge", holder.Source.Find("hosts"))
	}
}
