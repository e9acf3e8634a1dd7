package xds

import (
	"maps"
	"slices"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/edgewright/edgewright/schema"
)

// named is one gRPC client that speaks xDS itself: it asks for everything by name, from the host that it calls to the endpoints. It is given
// what it asks for as it is published, and what it still asks for of what was published before as it had it. Routes change by phases: first
// they lead to new clusters, too, by a way that no call takes, and once the client has these they are what is published. All of it
// belongs to the goroutine that runs its session.
type named struct {
	*stream // what it is, and how it is spoken to; nothing that is known of proxies

	types  map[string]*asked
	follow map[schema.ServiceID]*followed
	look   map[schema.ServiceID]struct{} // followed, and perhaps acknowledged as they are to be

	patience time.Duration                  // that routes have for the client to take the clusters that they are to lead to
	warming  map[schema.ServiceID]time.Time // those whose routes wait for that, until then
}

// asked is one type as a client asks for it.
type asked struct {
	*ledger
	of     map[string]schema.ServiceID // name → whose it was last
	nobody map[string]struct{}         // names asked for that nobody had
	fresh  map[string]struct{}         // names asked for anew: the client waits for an answer
	due    map[string]struct{}         // names that are to be looked at
	before map[string]string           // name → version before the answer under way
	routed map[string]*version         // host's routes → what they were made from, as the client has them
}

// followed is a service of which a client asks for something.
type followed struct {
	goal  goal
	acked *version
	sent  []*version                     // that the client may still ask for something of, the last one last
	names map[string]map[string]struct{} // type → those asked for
}

// clientTypes are in the order in which a change is told: endpoints first, for a cluster is of no use before.
var clientTypes = []string{endpointType, clusterType, routeType, listenerType}

func newNamed(t *stream, patience time.Duration) *named {
	t.fleet.joinNamed(t.seat)
	n := &named{stream: t, types: map[string]*asked{}, follow: map[schema.ServiceID]*followed{}, look: map[schema.ServiceID]struct{}{},
		patience: patience, warming: map[schema.ServiceID]time.Time{}}
	for _, url := range clientTypes {
		n.types[url] = &asked{
			ledger: newLedger(url), of: map[string]schema.ServiceID{}, nobody: map[string]struct{}{}, fresh: map[string]struct{}{},
			due: map[string]struct{}{}, routed: map[string]*version{},
		}
	}
	return n
}

// there notes that the client has an answer.
func (n *named) there(a *asked, out *response) {
	for _, r := range out.added {
		f := n.follow[a.of[r.Name]]
		if f == nil {
			continue
		}
		n.look[a.of[r.Name]] = struct{}{}
		if now := f.goal.version.named(a.url, r.Name); a.url == routeType && now != nil && now.Version == r.Version {
			a.routed[r.Name] = f.goal.version
		}
		n.lookAt(f, routeType, endpointType) // they may have waited for it
	}
}

// flush sends whatever may be sent now, and tells what was acknowledged.
func (n *named) flush() error {
	for {
		n.report()
		n.catchUp()
		sent := false
		for _, url := range clientTypes {
			a := n.types[url]
			if !a.idle() || len(a.due) == 0 {
				continue
			}
			waits := len(a.fresh) > 0 && n.whole && wildcard(url) // for all of it, whatever it is
			out := n.answerOf(a)
			if out.empty() && !waits {
				continue
			}
			a.before = map[string]string{}
			for _, r := range out.added {
				a.before[r.Name] = a.has[r.Name]
			}
			sent = true
			if err := n.answer(a.ledger, out); err != nil {
				return err
			}
		}
		if !sent {
			n.report()
			return nil
		}
	}
}

// catchUp takes what was published, or refused by others, since the last time.
func (n *named) catchUp() {
	for id, until := range n.warming {
		if f := n.follow[id]; f != nil && !n.fleet.now().Before(until) {
			n.lookAt(f, routeType)
		}
	}
	for again := true; again; {
		again = n.find()
		next, goals := n.fleet.take(n.seat, n.see, n.held, nil)
		if again = again || next != n.rest && n.rest != nil; again {
			for _, a := range n.types {
				for name := range a.nobody {
					a.due[name] = struct{}{}
				}
			}
		}
		n.frame, n.rest = next.frame, next
		for id, g := range goals {
			if f := n.follow[id]; f != nil {
				n.aim(id, f, g)
			}
		}
	}
}

// aim notes what the client is to have of a service.
func (n *named) aim(id schema.ServiceID, f *followed, g goal) {
	if f.goal.version != g.version {
		delete(n.warming, id)
		if g.version != nil {
			f.sent = append(slices.DeleteFunc(f.sent, func(v *version) bool { return v == g.version }), g.version)
		}
	}
	f.goal = g
	n.look[id] = struct{}{}
	if delete(n.held, id); g.version != nil && !g.published {
		n.held[id] = struct{}{}
	}
	n.lookAt(f, clientTypes...)
}

// lookAt has what is asked for of a service looked at.
func (n *named) lookAt(f *followed, urls ...string) {
	for _, url := range urls {
		for name := range f.names[url] {
			n.types[url].due[name] = struct{}{}
		}
	}
}

// see is how far the client is with a service.
func (n *named) see(id schema.ServiceID) item {
	if f := n.follow[id]; f != nil {
		return item{goal: f.goal, served: f.goal, own: f.acked}
	}
	return item{}
}

// answerOf is what the client asks for and does not have as it is to be, of what is to be looked at.
func (n *named) answerOf(a *asked) *response {
	out := &response{}
	for _, name := range slices.Sorted(maps.Keys(a.due)) {
		_, fresh := a.fresh[name]
		switch r := n.wanted(a, name); {
		case r != nil && a.has[name] != r.Version:
			out.added = append(out.added, r)
		case r == nil && name != everything && (a.has[name] != "" || fresh):
			out.removed = append(out.removed, name)
		}
	}
	a.due, a.fresh = map[string]struct{}{}, map[string]struct{}{} // those that held thousands are slow to walk, also when they are empty
	return out
}

// wanted is a resource as the client is to have it, nil if it is not to.
func (n *named) wanted(a *asked, name string) *discoveryv3.Resource {
	f := n.follow[a.of[name]]
	if f == nil {
		return nil
	}
	next := f.goal.version
	if r := next.named(a.url, name); r != nil {
		if had := a.routed[name]; a.url == routeType && had != nil && a.has[name] != r.Version && !n.warm(next) {
			return had.warming(name, next)
		}
		if had := f.acked.named(a.url, name); a.url == endpointType && a.has[name] != "" && had != nil && !n.switched(f) {
			return had // if the routes are refused, all stays as it was
		}
		return r
	}
	if a.url == routeType || a.url == listenerType {
		if a.has[name] == "" || n.fleet.owner(a.url, name) == "" {
			return nil
		}
		return &discoveryv3.Resource{Name: name, Version: a.has[name]} // who is to have the name cannot answer for it yet: it stays as it is
	}
	for _, v := range slices.Backward(f.sent) { // it asks for it until it has what is in its place
		if r := v.named(a.url, name); r != nil {
			return r
		}
	}
	return nil
}

// warm tells whether the client has all clusters of a version with their endpoints, or had time enough for it.
func (n *named) warm(v *version) bool {
	at := n.types[endpointType]
	if n.hasAll(clusterType, v.clusters) && !slices.ContainsFunc(v.endpoints, func(r *discoveryv3.Resource) bool { return at.has[r.Name] == "" || at.flying(r) }) {
		delete(n.warming, v.ID)
		return true
	}
	until, waits := n.warming[v.ID]
	switch now := n.fleet.now(); {
	case !waits:
		n.warming[v.ID] = now.Add(n.patience)
		time.AfterFunc(n.patience+time.Millisecond, func() { nudge(n.seat.wake) })
	case !now.Before(until):
		n.log.Warn("a client has not taken new clusters: its routes lead there now all the same", "service", v.ID, "within", n.patience)
		return true
	}
	return false
}

// switched tells whether the client has all routes of a service that it asks for as they are to be.
func (n *named) switched(f *followed) bool {
	routes := n.types[routeType]
	for name := range f.names[routeType] {
		if r := f.goal.version.named(routeType, name); r == nil || routes.has[name] != r.Version || routes.flying(r) {
			return false
		}
	}
	return true
}

// hasAll tells whether the client has acknowledged resources.
func (n *named) hasAll(url string, all []*discoveryv3.Resource) bool {
	a := n.types[url]
	return !slices.ContainsFunc(all, func(r *discoveryv3.Resource) bool { return a.has[r.Name] != r.Version || a.flying(r) })
}

func (a *asked) flying(r *discoveryv3.Resource) bool {
	return a.out != nil && slices.Contains(a.out.added, r)
}

// report tells the fleet what was acknowledged since.
func (n *named) report() {
	if len(n.look) == 0 {
		return
	}
	done := map[schema.ServiceID]*version{}
	for id := range n.look {
		f := n.follow[id]
		if f.acked == f.goal.version || !n.settled(f) {
			continue
		}
		f.acked, done[id] = f.goal.version, f.goal.version
		n.tidy(f)
	}
	n.look = map[schema.ServiceID]struct{}{} // as in answerOf
	if len(done) > 0 {
		n.fleet.report(n.seat, done)
	}
}

// settled tells whether the client has acknowledged the routes of a service that it asks for, and everything that they lead to.
func (n *named) settled(f *followed) bool {
	v, routes := f.goal.version, n.types[routeType]
	if v == nil {
		return !slices.ContainsFunc(slices.Collect(maps.Keys(f.names[routeType])), func(name string) bool { return routes.has[name] != "" })
	}
	return len(f.names[routeType]) > 0 && n.switched(f) && n.hasAll(clusterType, v.clusters) && n.hasAll(endpointType, v.endpoints)
}

// inspect compares what the client has with what is published of what it asks for.
func (n *named) inspect() Inspected {
	out := Inspected{Node: n.fleet.nodeOf(n.seat)}
	barred := n.fleet.verdicts()
	for _, url := range clientTypes {
		a := n.types[url]
		wanted, owners := map[string]*discoveryv3.Resource{}, map[string]schema.ServiceID{}
		for name, id := range a.of {
			owners[name] = id
			if r := n.fleet.publishedNamed(url, name); r != nil {
				wanted[name] = r
			}
		}
		out.Types = append(out.Types, n.inspectType(a.ledger, maps.Clone(a.has), wanted, owners, barred))
	}
	return out
}
