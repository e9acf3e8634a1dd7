package reconciler

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
)

func shape(r world.RecordSet) string {
	values := r.Values()
	slices.Sort(values)
	ttl := int64(0)
	if r.TTL != nil {
		ttl = *r.TTL
	}
	weight := ""
	if r.Weight != nil {
		weight = fmt.Sprint(" weight ", *r.Weight)
	}
	return fmt.Sprint(ttl, " ", strings.Join(values, " "), weight)
}

// atOf is where a record is: zone, type, name and set, as at tells it of a step.
func atOf(zone string, r world.RecordSet) string {
	return strings.TrimSuffix(zone+" "+r.Type+" "+strings.TrimSuffix(r.Name, ".")+" "+r.SetIdentifier, " ")
}

// expected is what the zones hold when everything is done: by zone, type and name.
func (s *sim) expected() map[string]string {
	d := s.tip().decl
	platform, err := render.Platform(d.platform(), nil)
	if err != nil {
		s.fail("render: %v", err)
	}
	resources := platform.Resources
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
		want[strings.TrimPrefix(string(r.Key.Scope), "zone/")+" "+r.Key.Name] = shapeOf(s, r.Spec)
	}
	return want
}

// shapeOf is the shape of a record by its specification.
func shapeOf(s *sim, spec resource.Value) string {
	var record dns.Record
	if err := json.Unmarshal(spec, &record); err != nil {
		s.fail("%s: %v", spec, err)
	}
	weight := ""
	if record.Weight != nil {
		weight = fmt.Sprint(" weight ", *record.Weight)
	}
	return fmt.Sprint(record.TTL, " ", strings.Join(record.Values, " "), weight)
}

// converged tells whether the zones hold what is declared, what others have there, and nothing else.
func (s *sim) converged() bool { return s.difference() == "" }

func (s *sim) difference() string {
	out := append(s.differenceIn(zoneNames...), s.checkDifference()...)
	slices.Sort(out)
	return strings.Join(out, "; ")
}

func (s *sim) differenceIn(zones ...string) (out []string) {
	want := s.expected()
	for at, value := range s.foreign {
		want[at] = value
	}
	for at, shape := range s.kept(want) {
		if want[at] = shape; shape == "" {
			delete(want, at)
		}
	}
	for _, zone := range zones {
		for _, r := range s.world.Records(s.zones[zone]) {
			name := strings.TrimSuffix(r.Name, ".")
			if r.Type == "SOA" || r.Type == "NS" && name == zone {
				continue
			}
			at := atOf(zone, r)
			_, key, _ := strings.Cut(at, " ")
			switch value, known := want[at]; {
			case !known && s.touched[at] && s.leader.owned[resource.Key{Kind: resource.DNSRecord, Scope: resource.Scope("zone/" + zone), Name: key}].Spec == nil:
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
		if zone, _, _ := strings.Cut(at, " "); slices.Contains(zones, zone) {
			out = append(out, "missing: "+at)
		}
	}
	slices.Sort(out)
	return out
}

// kept are the records that people have agreed to leave as others made them, as long as that is so and the declaration is what it was: their
// shapes, by zone, type and name; empty where there is none.
func (s *sim) kept(want map[string]string) map[string]string {
	kept := map[string]string{}
	for _, row := range s.rows.tables["decision"] {
		d := read[state.Decision](s, row.Value)
		at := at(plan.Step{Key: d.Key})
		if d.Kept == nil || want[at] != shapeOf(s, d.Kept.Want) {
			continue
		}
		if r, there := s.record(d.Key); !there && d.Kept.Have == nil {
			kept[at] = ""
		} else if there && d.Kept.Have != nil && shape(r) == shapeOf(s, d.Kept.Have) {
			kept[at] = shape(r)
		}
	}
	return kept
}

// checkEnd judges the world at rest.
func (s *sim) checkEnd() {
	if diff := s.difference(); diff != "" {
		s.fail("at the end: %s", diff)
	}
	s.calm = true
	p := s.leader
	var missed dto.Metric
	if err := p.Metrics.Missed.Write(&missed); err != nil || missed.Counter.GetValue() != 0 {
		s.fail("sweeps found %v differences that the passes had missed, %v", missed.Counter.GetValue(), err)
	}
	s.checkBooks(p)
	s.checkQuiet(p)
	if s.chance(1, 4) {
		s.checkApart(p)
	} else {
		s.checkCalls(p)
	}
}

// checkBooks holds that journal and audit tell what became of each call that AWS took.
func (s *sim) checkBooks(p *process) {
	if err := p.Books.Audit.Verify(p.ctx); err != nil {
		s.fail("audit: %v", err)
	}
	if open, err := p.Books.Journal.Open(p.ctx); err != nil || len(open) > 0 {
		s.fail("%d intents are open at the end, %v", len(open), err)
	}
	intents, err := p.Books.Journal.Finished(p.ctx)
	if err != nil {
		s.fail("read journal: %v", err)
	}
	s.checkAudit(p, intents)
	finished, done := map[string]bool{}, map[string]bool{} // calls that the journal calls taken, and their steps
	for _, i := range intents {
		finished[i.ID] = i.Outcome.Refused == ""
		for _, step := range i.Steps {
			done[step.ID()] = done[step.ID()] || finished[i.ID] || slices.Contains(i.Seen, step.Key)
		}
	}
	uncertain := map[string]bool{}
	for _, i := range intents {
		uncertain[i.ID] = slices.ContainsFunc(i.Steps, func(step plan.Step) bool { // of two calls that make the same, nobody knows which one did
			return done[step.ID()] || s.touched[at(step)]
		})
	}
	for _, intent := range sortedKeys(s.intents) {
		if taken, closed := finished[intent]; !closed || !taken && !uncertain[intent] {
			s.fail("intent %s was taken by AWS; the journal has it closed: %v, taken: %v", intent, closed, taken)
		}
	}
}

// checkAudit holds that the audit tells of each step that was done.
func (s *sim) checkAudit(p *process, intents []state.Intent) {
	entries, err := p.Books.Audit.Entries(p.ctx, 0, 1_000_000)
	if err != nil {
		s.fail("read audit: %v", err)
	}
	told := map[string]int{}
	for _, e := range entries {
		if e.Result == "applied" {
			told[e.What]++
		}
	}
	for _, i := range intents {
		if s.intents[i.ID] == 0 || i.Outcome.Refused != "" {
			continue
		}
		for _, step := range i.Steps {
			what := fmt.Sprintf("%s %s", step.Verb, step.Key)
			if told[what]--; told[what] < 0 && !s.touched[at(step)] {
				s.fail("the audit does not say that it did: %s", what)
			}
		}
	}
}

// at is the record of a step, by zone, type and name.
func at(step plan.Step) string {
	return strings.TrimPrefix(string(step.Key.Scope), "zone/") + " " + step.Key.Name
}

// checkQuiet holds that a converged world is left alone (invariant 1), and that looking at it takes the calls that it must: a list of each
// zone, page by page.
func (s *sim) checkQuiet(p *process) {
	s.advance(p.Every.Sweep + time.Second)
	before, lists := maps.Clone(s.calls), 0
	writes := len(s.world.Writes())
	for range 3 {
		s.tell(p, nil)
		s.everyTask()
		s.everyMail()
		s.advance(p.Every.Observe)
		for _, z := range zoneNames {
			lists += (len(s.world.Records(s.zones[z])) + s.options.Page - 1) / s.options.Page
		}
	}
	if n := len(s.world.Writes()) - writes; n > 0 || len(p.steps) > 0 {
		s.fail("a converged world gets %d writes and %d steps", n, len(p.steps))
	}
	s.checkCounts(before, map[string]int{"ListResourceRecordSets": lists})
}

// checkCalls holds that a change takes the fewest calls: one batch for each zone that differs, as no zone here fills a batch.
func (s *sim) checkCalls(p *process) {
	halved := func(z *zone) bool { return z.limit > 0 } // after a refusal, until the next success
	if s.leader != p || len(s.faults) > 0 || slices.ContainsFunc(slices.Collect(maps.Values(p.zones)), halved) {
		return
	}
	s.rest() // every proxy is connected
	s.push(func(d declarations) declarations {
		out := d.plain()
		for id := range out.fleets {
			out.fleets[id] += 100
		}
		return out
	}, 0)
	before, zones := maps.Clone(s.calls), map[string]bool{}
	for at := range s.expected() {
		if _, theirs := s.foreign[at]; theirs { // it clashes, and comes once it was taken away
			return
		}
		if zone, record, _ := strings.Cut(at, " "); strings.HasPrefix(record, "A h") {
			zones[zone] = true
		}
	}
	for n := 0; n < 100 && !(p.loaded == s.tip().commit.Hash && len(p.steps)+len(p.flights) == 0); n++ {
		s.rest()
		s.advance(time.Duration(1+n) * time.Second)
		if s.leader != p {
			return
		}
		s.tell(p, nil)
	}
	if diff := s.difference(); diff != "" {
		s.fail("after the last change: %s", diff)
	}
	s.checkCounts(before, map[string]int{"ChangeResourceRecordSets": len(zones)})
}

// checkCounts holds that calls were made as often as they must be, where AWS turned none away.
func (s *sim) checkCounts(before, want map[string]int) {
	if s.options.Rate > 0 {
		return
	}
	s.count("calls were counted")
	for operation, n := range want {
		if got := s.calls[operation] - before[operation]; got != n {
			s.fail("%d calls of %s, want %d", got, operation, n)
		}
	}
}
