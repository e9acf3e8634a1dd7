package xds

import (
	"slices"
	"strings"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/edgewright/edgewright/schema"
)

// take notes what a request says.
func (n *named) take(r *discoveryv3.DeltaDiscoveryRequest) error {
	a := n.types[r.GetTypeUrl()]
	if a == nil {
		n.log.Debug("request for a type that is not served", "type", r.GetTypeUrl())
		return nil
	}
	if err := bounded(r); err != nil {
		return err
	}
	first := !a.asked
	a.open(r.GetInitialResourceVersions())
	for _, name := range r.GetResourceNamesUnsubscribe() {
		n.unsubscribe(a, name)
	}
	for _, name := range r.GetResourceNamesSubscribe() {
		if !first || r.GetInitialResourceVersions()[name] == "" {
			delete(a.has, name)
		}
		a.fresh[name], a.due[name] = struct{}{}, struct{}{}
		if a.of[name] == "" {
			a.nobody[name] = struct{}{}
		}
	}
	if len(a.of)+len(a.nobody) > maxNames {
		return status.Errorf(codes.ResourceExhausted, "more than %d names of %s on one stream", maxNames, a.url)
	}
	if a.out == nil || r.GetResponseNonce() != a.out.nonce {
		return nil
	}
	out := a.out
	a.out = nil
	if bad := r.GetErrorDetail(); bad != nil {
		n.refused(a, out, cut(bad.GetMessage(), maxError))
	} else {
		n.there(a, out)
	}
	return nil
}

func (n *named) unsubscribe(a *asked, name string) {
	id := a.of[name]
	for _, m := range []map[string]struct{}{a.nobody, a.fresh, a.due} {
		delete(m, name)
	}
	delete(a.of, name)
	delete(a.has, name)
	delete(a.routed, name)
	f := n.follow[id]
	if f == nil {
		return
	}
	delete(f.names[a.url], name)
	n.letGo(id, f)
}

// letGo ends what is known of a service of which nothing is asked for any more, and else of its versions.
func (n *named) letGo(id schema.ServiceID, f *followed) {
	for _, names := range f.names {
		if len(names) > 0 {
			n.tidy(f)
			return
		}
	}
	delete(n.follow, id)
	delete(n.warming, id)
	delete(n.held, id)
	delete(n.look, id)
	n.fleet.unfollow(n.seat, id)
}

// find notes whose the names are that are to be looked at, and tells whether that is news. What nobody has any more stays with whom it was.
func (n *named) find() (news bool) {
	for _, a := range n.types {
		for name := range a.due {
			owner, was := n.fleet.owner(a.url, name), a.of[name]
			if owner == "" || owner == was {
				continue
			}
			news = true
			if f := n.follow[was]; f != nil {
				delete(f.names[a.url], name)
				n.letGo(was, f)
			}
			delete(a.nobody, name)
			a.of[name] = owner
			f := n.follow[owner]
			if f == nil {
				f = &followed{names: map[string]map[string]struct{}{}}
				n.follow[owner] = f
				n.fleet.follow(n.seat, owner)
			}
			if f.names[a.url] == nil {
				f.names[a.url] = map[string]struct{}{}
			}
			f.names[a.url][name] = struct{}{}
			n.look[owner] = struct{}{}
		}
	}
	return news
}

// tidy lets go versions of which nothing is asked for any more.
func (n *named) tidy(f *followed) {
	f.sent = slices.DeleteFunc(f.sent, func(v *version) bool {
		return v != f.goal.version && v != f.acked && !slices.ContainsFunc(v.clusters, func(c *discoveryv3.Resource) bool {
			_, asks := f.names[clusterType][c.Name]
			return asks
		})
	})
}

// refused takes what a client refused out of what is served. It has taken nothing that it names; what it does not name it has.
func (n *named) refused(a *asked, out *response, message string) {
	n.log.Warn("client refused", "type", a.url, "why", line(message))
	bad := slices.DeleteFunc(slices.Clone(out.added), func(r *discoveryv3.Resource) bool { return !strings.Contains(message, r.Name) })
	unclear := len(bad) == 0
	if unclear {
		bad = out.added
	}
	found := blame{}
	var together unit
	for _, r := range bad {
		if a.has[r.Name] = a.before[r.Name]; a.before[r.Name] == "" {
			delete(a.has, r.Name)
		}
		f := n.follow[a.of[r.Name]]
		if f != nil && f.goal.version != nil && f.goal.version != f.acked && found[f.goal.ID] == nil {
			found[f.goal.ID] = f.goal.version
			together = append(together, f.goal.ID)
		}
	}
	if slices.Sort(together); !unclear {
		together = nil
	}
	if len(found) == 0 && len(bad) > 0 {
		n.fleet.refuseOther(n.seat, a.url, bad[0].Name, bad[0].Version, line(message))
	}
	for _, v := range found {
		n.stream.refuse(v, together, message)
	}
	good := &response{added: slices.DeleteFunc(slices.Clone(out.added), func(r *discoveryv3.Resource) bool { return slices.Contains(bad, r) })}
	n.there(a, good)
}
