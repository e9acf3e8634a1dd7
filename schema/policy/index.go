package policy

import (
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
	holders  map[schema.Hostname][]*schema.Service // by ID
	askers   map[question]map[schema.ServiceID]bool
}

func newIndex() *index {
	return &index{services: map[schema.ServiceID]*schema.Service{}, holders: map[schema.Hostname][]*schema.Service{}, askers: map[question]map[schema.ServiceID]bool{}}
}

// add and remove return the questions that get another answer.
func (x *index) add(s *schema.Service) []question {
	x.services[s.ID] = s
	for _, h := range s.Hosts {
		if !slices.Contains(x.holders[h], s) {
			x.holders[h] = append(x.holders[h], s)
			slices.SortFunc(x.holders[h], func(a, b *schema.Service) int { return strings.Compare(string(a.ID), string(b.ID)) })
		}
	}
	return touched(s)
}

func (x *index) remove(s *schema.Service, asked []question) []question {
	delete(x.services, s.ID)
	for _, h := range s.Hosts {
		x.holders[h] = slices.DeleteFunc(x.holders[h], func(o *schema.Service) bool { return o.ID == s.ID })
		if len(x.holders[h]) == 0 {
			delete(x.holders, h)
		}
	}
	x.forget(s.ID, asked)
	return touched(s)
}

// touched are the questions that a service is part of the answer to.
func touched(s *schema.Service) []question {
	all := []question{{service: s.ID}}
	for _, h := range s.Hosts {
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

// below are the names under a wildcard, with who holds them, in order.
func (j *judgement) below(wildcard schema.Hostname) []schema.Hostname {
	j.asked = append(j.asked, question{host: wildcard})
	var names []schema.Hostname
	for h := range j.index.holders {
		if h != wildcard && h.Within(plain(wildcard)) && plain(h) != plain(wildcard) {
			names = append(names, h)
		}
	}
	slices.Sort(names)
	return names
}
