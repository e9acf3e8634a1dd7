package xds

import (
	"maps"
	"slices"

	"github.com/edgewright/edgewright/schema"
)

// Cohort names the proxies of a fleet that get the same bytes: those of one version of Envoy.
type Cohort string

// Several versions are told apart; a fleet that says it has more of them has the rest in one cohort.
const (
	maxCohorts        = 16
	others     Cohort = "other"
	nobody     Cohort = "nobody" // holds what was published before anybody came, and becomes the first cohort
)

// cohorts are the proxies of a fleet, by what they get.
type cohorts struct {
	release *Release // nil: none yet, so that streams do not find the fleet
	secrets []Secret
	of      map[Cohort]*fleet
}

// served is what a cohort gets of a release: in place of what it has refused, what the release holds it at.
func (r Release) served(to Cohort) Release {
	held := r.Held[to]
	if len(held) == 0 {
		return r
	}
	r.Services = maps.Clone(r.Services)
	maps.Copy(r.Services, held)
	return r
}

// Publish makes a release the one that the proxies of its fleet are to have. It does not wait for any of them.
func (s *Server) Publish(r Release) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	c := s.known(r.Fleet.ID)
	if len(c.of) == 0 {
		s.put(c, newFleet(r.Fleet.ID, nobody, s.now, s.poke), nobody)
		c.of[nobody].entrust(c.secrets)
	}
	for cohort, f := range c.of {
		before := f.frame
		f.publish(r.served(cohort))
		s.tellLacking(f, before)
	}
	s.mu.Lock()
	c.release = &r
	for wake := range s.waiting {
		nudge(wake)
	}
	s.mu.Unlock()
	s.poke()
}

// known is a fleet, made when it is first spoken of. The caller is the one that publishes.
func (s *Server) known(id schema.FleetID) *cohorts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.fleets[id]
	if c == nil {
		c = &cohorts{of: map[Cohort]*fleet{}}
		s.fleets[id] = c
	}
	return c
}

// find is the cohort that a proxy belongs to, made when it is the first of it; nil before the first release of its fleet. It also tells
// which fleets have a release.
func (s *Server) find(n node) (*fleet, []schema.FleetID) {
	if f, names := s.made(n); f != nil || !slices.Contains(names, n.fleet) {
		return f, names
	}
	s.publishing.Lock()
	defer s.publishing.Unlock()
	f, names := s.made(n)
	if f != nil {
		return f, names
	}
	c := s.known(n.fleet)
	cohort := c.cohortOf(n)
	if f = c.of[nobody]; f != nil {
		f.mu.Lock()
		f.cohort = cohort
		f.mu.Unlock()
	} else {
		f = newFleet(n.fleet, cohort, s.now, s.poke)
		f.entrust(c.secrets)
		for _, other := range c.of {
			f.alike, f.retired = other, other.retired.clone() // what it has encoded need not be encoded again
		}
	}
	whole := c.release.served(cohort)
	whole.Changed = nil // it may be new
	f.publish(whole)
	f.alike = nil
	s.put(c, f, nobody)
	return f, names
}

// put seats a cohort, in the place of another.
func (s *Server) put(c *cohorts, f *fleet, of Cohort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(c.of, of)
	c.of[f.cohort] = f
}

func (s *Server) made(n node) (*fleet, []schema.FleetID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []schema.FleetID
	for _, id := range slices.Sorted(maps.Keys(s.fleets)) {
		if s.fleets[id].release != nil {
			names = append(names, id)
		}
	}
	c := s.fleets[n.fleet]
	if c == nil || c.release == nil {
		return nil, names
	}
	return c.of[c.cohortOf(n)], names
}

// cohortOf is where a proxy belongs. What it says of its version is bounded, for nobody vouches for it.
func (c *cohorts) cohortOf(n node) Cohort {
	own := Cohort(n.envoy)
	if own == nobody {
		return others
	}
	if _, is := c.of[own]; is || len(c.of) < maxCohorts {
		return own
	}
	return others
}

// all are the cohorts of all fleets, in order.
func (s *Server) all() []*fleet {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*fleet
	for _, id := range slices.Sorted(maps.Keys(s.fleets)) {
		out = append(out, s.fleets[id].sorted()...)
	}
	return out
}

// allOf are the cohorts of one fleet, in order.
func (s *Server) allOf(id schema.FleetID) []*fleet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.fleets[id]; c != nil {
		return c.sorted()
	}
	return nil
}

func (c *cohorts) sorted() []*fleet {
	var out []*fleet
	for _, cohort := range slices.Sorted(maps.Keys(c.of)) {
		out = append(out, c.of[cohort])
	}
	return out
}
