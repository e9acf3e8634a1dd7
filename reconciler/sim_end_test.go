package reconciler

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

func shape(r world.RecordSet) string {
	values := r.Values()
	slices.Sort(values)
	ttl := int64(0)
	if r.TTL != nil {
		ttl = *r.TTL
	}
	return fmt.Sprint(ttl, " ", strings.Join(values, " "))
}

// expected is what the zones hold when everything is done: by zone, type and name.
func (s *sim) expected() map[string]string {
	d := s.tip().decl
	resources, err := render.Platform(d.platform())
	for _, id := range sortedKeys(d.services) {
		more, failed := render.Service(d.platform(), d.service(id))
		if failed != nil {
			err = failed
		}
		resources = append(resources, more...)
	}
	if err != nil {
		s.fail("render: %v", err)
	}
	want := map[string]string{}
	for _, r := range resources {
		if r.Key.Kind != resource.DNSRecord {
			continue
		}
		var record dns.Record
		if err := json.Unmarshal(r.Spec, &record); err != nil {
			s.fail("%s: %v", r.Key, err)
		}
		want[strings.TrimPrefix(string(r.Key.Scope), "zone/")+" "+r.Key.Name] = fmt.Sprint(record.TTL, " ", strings.Join(record.Values, " "))
	}
	return want
}

// converged tells whether the zones hold what is declared, what others have there, and nothing else.
func (s *sim) converged() bool { return s.difference() == "" }

func (s *sim) difference() string {
	want := s.expected()
	for at, value := range s.foreign {
		want[at] = value
	}
	var out []string
	for _, zone := range zoneNames {
		for _, r := range s.world.Records(s.zones[zone]) {
			name := strings.TrimSuffix(r.Name, ".")
			if r.Type == "SOA" || r.Type == "NS" && name == zone {
				continue
			}
			at := zone + " " + r.Type + " " + name
			switch value, known := want[at]; {
			case !known && s.touched[at] && s.leader.owned[recordKey(resource.Scope("zone/"+zone), r.Type, schema.Hostname(name))].Spec == nil:
				// Somebody made it another before its making was known to have come true: it is theirs.
			case !known:
				out = append(out, "left over: "+at)
			case value != shape(r):
				out = append(out, fmt.Sprintf("%s is %s, not %s", at, shape(r), value))
			}
			delete(want, at)
		}
	}
	for at := range want {
		out = append(out, "missing: "+at)
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// checkEnd judges the world at rest.
func (s *sim) checkEnd() {
	if diff := s.difference(); diff != "" {
		s.fail("at the end: %s", diff)
	}
	l := s.leader
	var missed dto.Metric
	if err := l.Metrics.Missed.Write(&missed); err != nil || missed.Counter.GetValue() != 0 {
		s.fail("sweeps found %v differences that the passes had missed, %v", missed.Counter.GetValue(), err)
	}
	if err := l.Books.Audit.Verify(l.ctx); err != nil {
		s.fail("audit: %v", err)
	}
	finished, uncertain := map[string]bool{}, map[string]bool{}
	intents, err := l.Books.Journal.Finished(l.ctx)
	if err != nil {
		s.fail("read journal: %v", err)
	}
	told := map[string]int{}
	entries, err := l.Books.Audit.Entries(l.ctx, 0, 1_000_000)
	if err != nil {
		s.fail("read audit: %v", err)
	}
	for _, e := range entries {
		if e.Result == "applied" {
			told[e.What]++
		}
	}
	for _, i := range intents {
		finished[i.ID] = i.Outcome.Refused == ""
		if s.intents[i.ID] == 0 || !finished[i.ID] {
			continue
		}
		for _, step := range i.Steps {
			what := fmt.Sprintf("%s %s", step.Verb, step.Key)
			if told[what]--; told[what] < 0 && !s.touched[strings.TrimPrefix(string(step.Key.Scope), "zone/")+" "+step.Key.Name] {
				s.fail("the audit does not say that it did: %s", what)
			}
		}
	}
	taken := map[string]bool{} // steps of calls that the journal calls taken
	for _, i := range intents {
		for _, step := range i.Steps {
			taken[step.ID()] = taken[step.ID()] || finished[i.ID]
		}
	}
	for _, i := range intents {
		uncertain[i.ID] = slices.ContainsFunc(i.Steps, func(step plan.Step) bool { // of two calls that make the same, nobody knows which one did
			return taken[step.ID()] || s.touched[strings.TrimPrefix(string(step.Key.Scope), "zone/")+" "+step.Key.Name]
		})
	}
	for _, intent := range sortedKeys(s.intents) {
		if taken, closed := finished[intent]; !closed || !taken && !uncertain[intent] {
			s.fail("intent %s was taken by AWS; the journal has it closed: %v, taken: %v", intent, closed, taken)
		}
	}
	if open, err := l.Books.Journal.Open(l.ctx); err != nil || len(open) > 0 {
		s.fail("%d intents are open at the end, %v", len(open), err)
	}
	// Invariant 1: a converged world is left alone.
	before := len(s.world.Writes())
	s.advance(l.Every.Sweep + time.Second)
	for range 3 {
		s.tell(nil)
		for len(s.tasks) > 0 {
			s.step(s.tasks[0], goesOn)
		}
		for len(l.mail) > 0 {
			m := l.mail[0]
			l.mail = l.mail[1:]
			s.tell(m)
		}
		s.advance(l.Every.Observe)
	}
	if n := len(s.world.Writes()) - before; n > 0 || len(l.steps) > 0 {
		s.fail("a converged world gets %d writes and %d steps", n, len(l.steps))
	}
}
