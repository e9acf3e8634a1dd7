package xds

import (
	"cmp"
	"slices"
	"sync"
	"weak"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/go-immutable-radix/v2"

	"github.com/edgewright/edgewright/schema"
)

// rest is all that a cohort was published at one time. Streams whose proxies have it all share it, and keep only where they differ.
// It is never changed: the next one is made from it, and has in common with it what is the same.
type rest struct {
	frame    *frame
	services *iradix.Tree[*version] // by ID
	buckets  *iradix.Tree[*resting] // by route configuration; those without a service are not in it

	joining sync.Mutex // guards
	parts   weak.Pointer[parts]
}

// resting is a bucket as it was published.
type resting struct {
	composition
	of     *fleet
	name   string
	at     place
	making sync.Once
	made   *discoveryv3.Resource
}

func (b *resting) resource() *discoveryv3.Resource {
	b.making.Do(func() { b.made = b.of.route(b.name, b.at, b.composition) })
	return b.made
}

// service is a service as published; nil: it is not, or nothing is.
func (r *rest) service(id schema.ServiceID) *version {
	if r == nil {
		return nil
	}
	v, _ := r.services.Get([]byte(id))
	return v
}

// bucket is what a route configuration holds.
func (r *rest) bucket(name string) composition {
	if r == nil {
		return nil
	}
	if b, there := r.buckets.Get([]byte(name)); there {
		return b.composition
	}
	return nil
}

// resource is a bucket encoded, nil where it holds no service.
func (r *rest) resource(name string) *discoveryv3.Resource {
	if b, there := r.buckets.Get([]byte(name)); there {
		return b.resource()
	}
	return nil
}

func (r *rest) len() int {
	if r == nil {
		return 0
	}
	return r.services.Len()
}

// each goes through the services, in order.
func (r *rest) each(do func(*version)) {
	if r == nil {
		return
	}
	r.services.Root().Walk(func(_ []byte, v *version) bool {
		do(v)
		return false
	})
}

// with is what is published next: these services are as they are here, nil if they are no more, and all others stay.
func (r *rest) with(f *fleet, next *frame, changed map[schema.ServiceID]*version) *rest {
	out := &rest{frame: next, services: iradix.New[*version](), buckets: iradix.New[*resting]()}
	if r != nil {
		out.services = r.services
	}
	members := map[string]map[schema.ServiceID]*version{} // of the buckets that change; nil: it leaves
	move := func(v *version, to *version) {
		for name := range v.buckets {
			if members[name] == nil {
				members[name] = map[schema.ServiceID]*version{}
			}
			members[name][v.ID] = to
		}
	}
	services := out.services.Txn()
	for id, v := range changed {
		old := r.service(id)
		if old != nil {
			move(old, nil)
		}
		if v == nil {
			services.Delete([]byte(id))
			continue
		}
		services.Insert([]byte(id), v)
		move(v, v)
	}
	out.services = services.Commit()
	if r != nil && r.frame.sameRoutes(next) {
		out.buckets = r.buckets
	} else {
		out.each(func(v *version) { move(v, v) })
	}
	buckets := out.buckets.Txn()
	for name, with := range members {
		at, is := next.routes[name]
		if !is {
			continue
		}
		var c composition
		if b, there := buckets.Get([]byte(name)); there {
			c = b.composition
		}
		if c = c.with(with); len(c) == 0 {
			buckets.Delete([]byte(name))
		} else {
			buckets.Insert([]byte(name), &resting{composition: c, of: f, name: name, at: at})
		}
	}
	out.buckets = buckets.Commit()
	return out
}

// with is a composition in which these services are as they are here, nil if they are not in it.
func (c composition) with(changed map[schema.ServiceID]*version) composition {
	out := make(composition, 0, len(c)+len(changed))
	for _, m := range c {
		if _, changes := changed[m.ID]; !changes {
			out = append(out, m)
		}
	}
	for _, v := range changed {
		if v != nil {
			out = append(out, member{v, true})
		}
	}
	slices.SortFunc(out, func(a, b member) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
