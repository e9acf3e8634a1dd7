package policy

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/schema"
)

// TestRecordsAreJudgedAgain holds that records which were found sound are judged again where what they lean on has changed.
func TestRecordsAreJudgedAgain(t *testing.T) {
	record := func(name schema.Hostname, kind string, set schema.RecordSet) schema.Record {
		return schema.Record{Name: name, Type: kind, Sets: []schema.RecordSet{set}}
	}
	plain := record("a.x.test", "A", schema.RecordSet{Values: []string{"192.0.2.1"}})
	checked := record("b.x.test", "A", schema.RecordSet{Values: []string{"192.0.2.1"}, HealthCheck: "up"})
	name := record("c.x.test", "CNAME", schema.RecordSet{Values: []string{"www.x.test"}})
	alias := record("d.x.test", "A", schema.RecordSet{Alias: &schema.RecordAlias{Target: "a.x.test"}})
	beside := record("c.x.test", "TXT", schema.RecordSet{Values: []string{"text"}})
	other := record("a.x.test", "AAAA", schema.RecordSet{Values: []string{"2001:db8::1"}})
	before := schema.Platform{Name: "acme", Revision: "before", Zones: []schema.Zone{{Name: "x.test", Exposure: "public"}},
		HealthChecks: []schema.DNSHealthCheck{{ID: "up", Type: "tcp", Port: 80, Host: "a.x.test"}}, Records: []schema.Record{plain, checked, name, alias}}
	for what, c := range map[string]struct {
		change func(*schema.Platform)
		want   schema.Code
	}{
		"nothing": {func(*schema.Platform) {}, ""},
		"a zone":  {func(p *schema.Platform) { p.Zones = []schema.Zone{{Name: "y.test", Exposure: "public"}} }, "record/zone"},
		"a zone's account": {func(p *schema.Platform) {
			p.Zones = []schema.Zone{{Name: "x.test", Account: "other", Exposure: "public"}}
		}, "record/health"},
		"a health check":      {func(p *schema.Platform) { p.HealthChecks = nil }, "record/health"},
		"an alias's target":   {func(p *schema.Platform) { p.Records = []schema.Record{other, checked, name, alias} }, "record/alias"},
		"what stands besides": {func(p *schema.Platform) { p.Records = []schema.Record{plain, checked, name, beside, alias} }, "record/cname"},
	} {
		t.Run(what, func(t *testing.T) {
			var known Checker
			if told := known.Check(schema.Edge{Platform: before}, schema.Date{}, nil); slices.ContainsFunc(told.Problems, func(p schema.Problem) bool { return p.Code != "" }) {
				t.Fatal(told.Problems)
			}
			after := before
			after.Revision = "after"
			c.change(&after)
			got, want := sorted(known.Check(schema.Edge{Platform: after}, schema.Date{}, nil)), sorted(new(Checker).Check(schema.Edge{Platform: after}, schema.Date{}, nil))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-fresh +incremental):\n%s", diff)
			}
			if c.want != "" && !slices.ContainsFunc(want.Problems, func(p schema.Problem) bool { return p.Code == c.want }) {
				t.Errorf("%s is not told: %v", c.want, want.Problems)
			}
		})
	}
}
