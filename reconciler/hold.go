package reconciler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/edgewright/edgewright/schema"
)

// held says why services stay at their last good declaration.
type held map[schema.ServiceID]hold

// hold is why one service stays: its own problem, or that of the culprit with which it goes together.
type hold struct {
	Why     string
	Culprit schema.ServiceID
	Unseen  bool // nobody has looked yet at the content that it waits for: it will not take long
}

// holdBack decides what of a commit takes effect: a service with a problem stays as it was in good, and with it every service that
// the commit ties to it. Two services are tied when a host name moves between them: they move together or not at all.
// mentions tells whether a service's file, which could not be read, speaks of a name. A problem of nobody's service (the platform,
// the schema) holds everything: then ok is false.
func holdBack(good, declared schema.Edge, problems []schema.Problem, mentions func(schema.ServiceID, schema.Hostname) bool) (schema.Edge, held, bool) {
	bad := map[schema.ServiceID]schema.Problem{}
	for _, p := range problems {
		if p.OfPlatform() {
			return good, nil, false
		}
		if p.Unused {
			continue
		}
		for _, id := range p.Holds {
			if _, told := bad[id]; !told {
				bad[id] = p
			}
		}
	}
	if len(bad) == 0 {
		return schema.Edge{Platform: declared.Platform, Services: slices.Clone(declared.Services)}, held{}, true
	}
	was, want := byID(good.Services), byID(declared.Services)
	why := reasons(tie(was, want, bad, mentions), bad)
	for id := range why {
		if old, existed := was[id]; existed {
			want[id] = old
		} else {
			delete(want, id)
		}
	}
	effective := schema.Edge{Platform: declared.Platform, Services: slices.Collect(maps.Values(want))}
	slices.SortFunc(effective.Services, func(a, b schema.Service) int { return cmp.Compare(a.ID, b.ID) })
	return effective, why, true
}

// reasons holds each group of tied services that has a bad member.
func reasons(groups ties, bad map[schema.ServiceID]schema.Problem) held {
	why := held{}
	culprit := map[schema.ServiceID]schema.ServiceID{}
	for _, id := range slices.Sorted(maps.Keys(bad)) {
		root := groups.root(id)
		if _, known := culprit[root]; !known {
			culprit[root] = id
		}
		why[id] = hold{Why: bad[id].String(), Culprit: id}
	}
	for id := range groups {
		broken, isHeld := culprit[groups.root(id)]
		if _, own := why[id]; isHeld && !own {
			why[id] = hold{Why: fmt.Sprintf("a host name moves between it and %s, which has a problem: they move together or not at all", broken), Culprit: broken}
		}
	}
	return why
}

// tie groups the services between which the commit moves a host name.
func tie(was, want map[schema.ServiceID]schema.Service, bad map[schema.ServiceID]schema.Problem, mentions func(schema.ServiceID, schema.Hostname) bool) ties {
	groups := ties{}
	taker := map[schema.Hostname]schema.ServiceID{}
	for id, s := range want {
		for _, h := range s.Hosts {
			taker[h] = id
		}
	}
	for id, s := range was {
		for _, h := range s.Hosts {
			if to, taken := taker[h]; taken {
				groups.join(id, to)
				continue
			}
			for broken := range bad {
				if _, read := want[broken]; !read && mentions(broken, h) {
					groups.join(id, broken)
				}
			}
		}
	}
	return groups
}

// ties is a union-find forest over services.
type ties map[schema.ServiceID]schema.ServiceID

func (t ties) root(id schema.ServiceID) schema.ServiceID {
	for t[id] != "" && t[id] != id {
		id = t[id]
	}
	return id
}

func (t ties) join(a, b schema.ServiceID) {
	ra, rb := t.root(a), t.root(b)
	low, high := min(ra, rb), max(ra, rb)
	t[low], t[high] = low, low
	for _, id := range []schema.ServiceID{a, b} {
		if t[id] == "" {
			t[id] = low
		}
	}
}

func byID(services []schema.Service) map[schema.ServiceID]schema.Service {
	m := make(map[schema.ServiceID]schema.Service, len(services))
	for _, s := range services {
		m[s.ID] = s
	}
	return m
}
