package policy

import (
	"slices"
	"sync"

	"github.com/edgewright/edgewright/schema"
)

// Checker judges edges, one after the other, and judges again only the services for which something can have changed: they
// themselves, the platform, the day, or the answer to a question that they asked about others. Its zero value is ready, and it may be
// used by many goroutines at a time.
type Checker struct {
	mu       sync.Mutex
	platform string // its revision
	today    schema.Date
	judged   map[schema.ServiceID]*judged
	index    *index
	verdict  Verdict // of the platform
	sound    *sound  // likewise, where its records are
}

// judged is a service as it was when it was judged.
type judged struct {
	revision string
	service  schema.Service
	asked    []question
	dangling []dangling
	Verdict
}

// Check is every breach of a rule. today is for what has an end; the zero day is before every end. unread tells whether a service that
// could not be read speaks of a name; nil: all were read.
func (c *Checker) Check(e schema.Edge, today schema.Date, unread func(schema.Hostname) bool) Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	if revision := e.Platform.Revision; c.judged == nil || revision == "" || revision != c.platform || today != c.today {
		c.platform, c.today, c.judged, c.index = revision, today, make(map[schema.ServiceID]*judged, len(e.Services)), newIndex()
		j := judgement{platform: &e.Platform, fine: c.sound.in(&e.Platform)}
		j.judgePlatform()
		c.verdict, c.sound = j.Verdict, nil
		if len(j.Problems) == 0 {
			c.sound = &sound{e.Platform.Zones, e.Platform.HealthChecks, e.Platform.Records}
		}
	}
	for id := range c.changes(e) {
		c.judge(&e.Platform, c.judged[id])
	}
	all := Verdict{Problems: slices.Clone(c.verdict.Problems), Warnings: slices.Clone(c.verdict.Warnings)}
	for _, s := range e.Services {
		j := c.judged[s.ID]
		all.add(j.Verdict)
		for _, d := range j.dangling {
			if unread == nil || !unread(d.host) {
				all.add(d.verdict)
			}
		}
	}
	return all
}

// Glance is what the rules say of a service that is not among those checked last, as part of it cannot be read. It is remembered
// nowhere.
func (c *Checker) Glance(p schema.Platform, s schema.Service, today schema.Date) []schema.Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index == nil {
		return nil
	}
	j := judgement{platform: &p, service: &s, today: today, index: c.index}
	j.judgeService()
	for _, d := range j.dangling {
		j.add(d.verdict)
	}
	return j.Problems
}

// changes brings the index up to date and returns the services that have to be judged again.
func (c *Checker) changes(e schema.Edge) map[schema.ServiceID]bool {
	again := map[schema.ServiceID]bool{}
	var moved []question
	for i := range e.Services {
		s := &e.Services[i]
		was := c.judged[s.ID]
		if was != nil && was.revision == s.Revision && s.Revision != "" {
			continue
		}
		if was != nil {
			moved = append(moved, c.index.remove(&was.service, was.asked)...)
		}
		c.judged[s.ID] = &judged{revision: s.Revision, service: *s}
		moved = append(moved, c.index.add(&c.judged[s.ID].service)...)
		again[s.ID] = true
	}
	if len(c.judged) > len(e.Services) {
		for id, was := range c.judged {
			if _, still := e.Service(id); !still {
				moved = append(moved, c.index.remove(&was.service, was.asked)...)
				delete(c.judged, id)
			}
		}
	}
	for _, q := range moved {
		for id := range c.index.askers[q] {
			again[id] = true
		}
	}
	return again
}

func (c *Checker) judge(p *schema.Platform, s *judged) {
	c.index.forget(s.service.ID, s.asked)
	j := judgement{platform: p, service: &s.service, today: c.today, index: c.index}
	j.judgeService()
	s.Verdict, s.dangling, s.asked = j.Verdict, j.dangling, j.asked
	c.index.note(s.service.ID, s.asked)
}

func (v *Verdict) add(other Verdict) {
	v.Problems, v.Warnings = append(v.Problems, other.Problems...), append(v.Warnings, other.Warnings...)
}
