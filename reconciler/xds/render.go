package xds

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// composition is what one bucket holds: for each service one version, sorted by service.
type composition []member

type member struct {
	*version
	published bool
}

func (c composition) of(id schema.ServiceID) *version {
	n, found := slices.BinarySearchFunc(c, id, func(m member, id schema.ServiceID) int { return cmp.Compare(m.ID, id) })
	if !found {
		return nil
	}
	return c[n].version
}

func (c composition) same(o composition) bool { return slices.Equal(c, o) }

// differs names the services that are not the same in two compositions.
func (c composition) differs(o composition, name func(schema.ServiceID)) {
	for len(c) > 0 || len(o) > 0 {
		switch {
		case len(o) == 0 || len(c) > 0 && c[0].ID < o[0].ID:
			name(c[0].ID)
			c = c[1:]
		case len(c) == 0 || o[0].ID < c[0].ID:
			name(o[0].ID)
			o = o[1:]
		default:
			if c[0].version != o[0].version {
				name(c[0].ID)
			}
			c, o = c[1:], o[1:]
		}
	}
}

func (c composition) key() string {
	var key strings.Builder
	for _, m := range c {
		key.WriteString(string(m.ID))
		key.WriteByte(0)
		key.WriteString(m.Version)
		key.WriteByte(0)
		if m.published {
			key.WriteByte(1)
		}
	}
	return key.String()
}

// hosts are the virtual hosts of a bucket. A name that two members have goes to the one that declares it now: Envoy refuses a
// bucket that holds a name twice.
func (c composition) hosts(name string) []envoy.VirtualHost {
	holder := map[schema.Hostname]int{}
	for n, m := range c {
		for _, h := range m.buckets[name] {
			if other, taken := holder[h]; !taken || m.claim(h) > c[other].claim(h) {
				holder[h] = n
			}
		}
	}
	out := make([]envoy.VirtualHost, 0, len(c))
	for n, m := range c {
		var domains []schema.Hostname
		for _, h := range m.buckets[name] {
			if holder[h] == n {
				domains = append(domains, h)
			}
		}
		out = append(out, envoy.VirtualHost{Domains: domains, Proto: m.Unit.VirtualHost})
	}
	return out
}

// claim is how good a member's right to a name is.
func (m member) claim(h schema.Hostname) int {
	switch {
	case m.published && slices.Contains(m.Unit.Domains, h):
		return 2
	case m.published:
		return 1
	default:
		return 0
	}
}

// renders keeps the last route configurations made, for all streams: proxies of a fleet mostly get the same ones.
type renders struct {
	sync.Mutex
	made map[string][]made
}

type made struct {
	key      string
	resource *discoveryv3.Resource
}

const madeKept = 4 // compositions of one bucket

func (r *renders) route(name string, at place, c composition) *discoveryv3.Resource {
	key := c.key()
	r.Lock()
	for _, m := range r.made[name] {
		if m.key == key {
			r.Unlock()
			return m.resource
		}
	}
	r.Unlock()
	out := resource(routeType, name, envoy.RouteConfiguration(at.layout, at.exposure, at.bucket, c.hosts(name)))
	r.Lock()
	defer r.Unlock()
	kept := append(r.made[name], made{key, out})
	r.made[name] = slices.Clone(kept[max(0, len(kept)-madeKept):])
	return out
}
