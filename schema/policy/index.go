package policy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// question is what one service may ask about the others: who holds a name, or which names lie below one (as *.name), or what a
// service is. When the answer may have changed, who asked is judged again.
type question struct {
	host    schema.Hostname
	service schema.ServiceID
}

// index is what services are asked about, and who asked.
type index struct {
	services map[schema.ServiceID]*schema.Service
	holders  map[schema.Hostname][]*schema.Service        // by ID
	below    map[schema.Hostname]map[schema.Hostname]bool // the names that are held below a name
	askers   map[question]map[schema.ServiceID]bool

	expressions map[schema.Regex]*regexp.Regexp // of paths; nil: no proxy takes it
}

func newIndex() *index {
	return &index{
		services: map[schema.ServiceID]*schema.Service{}, holders: map[schema.Hostname][]*schema.Service{},
		below: map[schema.Hostname]map[schema.Hostname]bool{}, askers: map[question]map[schema.ServiceID]bool{},
		expressions: map[schema.Regex]*regexp.Regexp{},
	}
}

// hostsOf are the host names of a service that are looked at: more than that no limit allows.
func hostsOf(s *schema.Service) []schema.Hostname { return s.Hosts[:min(len(s.Hosts), most)] }

// add and remove return the questions that get another answer.
func (x *index) add(s *schema.Service) []question {
	x.services[s.ID] = s
	for _, h := range hostsOf(s) {
		if slices.Contains(x.holders[h], s) {
			continue
		}
		x.holders[h] = append(x.holders[h], s)
		slices.SortFunc(x.holders[h], func(a, b *schema.Service) int { return strings.Compare(string(a.ID), string(b.ID)) })
		for parent := range parents(h) {
			if x.below[parent] == nil {
				x.below[parent] = map[schema.Hostname]bool{}
			}
			x.below[parent][h] = true
		}
	}
	return touched(s)
}

func (x *index) remove(s *schema.Service, asked []question) []question {
	delete(x.services, s.ID)
	for _, h := range hostsOf(s) {
		x.holders[h] = slices.DeleteFunc(x.holders[h], func(o *schema.Service) bool { return o.ID == s.ID })
		if len(x.holders[h]) > 0 {
			continue
		}
		delete(x.holders, h)
		for parent := range parents(h) {
			if delete(x.below[parent], h); len(x.below[parent]) == 0 {
				delete(x.below, parent)
			}
		}
	}
	x.forget(s.ID, asked)
	return touched(s)
}

// touched are the questions that a service is part of the answer to.
func touched(s *schema.Service) []question {
	all := []question{{service: s.ID}}
	for _, h := range hostsOf(s) {
		all = append(all, question{host: h})
		for parent := range parents(h) {
			all = append(all, question{host: "*." + parent})
		}
	}
	return all
}

// parents are the names above a host name, the nearest first.
func parents(h schema.Hostname) func(yield func(schema.Hostname) bool) {
	return func(yield func(schema.Hostname) bool) {
		for _, rest, more := strings.Cut(string(h), "."); more; _, rest, more = strings.Cut(rest, ".") {
			if !yield(schema.Hostname(rest)) {
				return
			}
		}
	}
}

func (x *index) note(id schema.ServiceID, asked []question) {
	for _, q := range asked {
		if x.askers[q] == nil {
			x.askers[q] = map[schema.ServiceID]bool{}
		}
		x.askers[q][id] = true
	}
}

func (x *index) forget(id schema.ServiceID, asked []question) {
	for _, q := range asked {
		if delete(x.askers[q], id); len(x.askers[q]) == 0 {
			delete(x.askers, q)
		}
	}
}

// holders are the services that declare a name.
func (j *judgement) holders(h schema.Hostname) []*schema.Service {
	j.asked = append(j.asked, question{host: h})
	return j.index.holders[h]
}

// answers is the service that gets the requests for a name: its holder, or that of the nearest wildcard above it.
func (j *judgement) answers(h schema.Hostname) *schema.Service {
	if holders := j.holders(h); len(holders) > 0 {
		return j.look(holders[0])
	}
	for parent := range parents(h) {
		if holders := j.holders("*." + parent); len(holders) > 0 {
			return j.look(holders[0])
		}
	}
	return nil
}

// look is a service that is asked about.
func (j *judgement) look(s *schema.Service) *schema.Service {
	if s.ID != j.service.ID {
		j.asked = append(j.asked, question{service: s.ID})
	}
	return s
}

// firstBelow are the names under a wildcard that services of other teams hold: of each team the first in order, with its holder.
func (j *judgement) firstBelow(wildcard schema.Hostname) map[schema.TeamID]held {
	j.asked = append(j.asked, question{host: wildcard})
	first := map[schema.TeamID]held{}
	for h := range j.index.below[plain(wildcard)] {
		for _, holder := range j.index.holders[h] {
			team := holder.Owner.Team
			if known, is := first[team]; h != wildcard && team != j.service.Owner.Team && (!is || h < known.host) {
				first[team] = held{h, holder}
			}
		}
	}
	return first
}

// held is a host name and a service that holds it.
type held struct {
	host   schema.Hostname
	holder *schema.Service
}
