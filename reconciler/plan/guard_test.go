package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// known is an edge whose zones, but for those called own, are in the account pay.
func known(all Existing) Known {
	return Known{Existing: func() Existing { return all }, Account: func(scope resource.Scope) string {
		if strings.Contains(string(scope), "own") {
			return "the daemon's own account"
		}
		return "account pay"
	}}
}

func removals(kind resource.Kind, n int) (steps []Step) {
	for i := range n {
		steps = append(steps, Step{Key: resource.Key{Kind: kind, Scope: "s", Name: fmt.Sprint(i)}, Verb: Delete, Before: one})
	}
	return steps
}

// Invariant 9: an empty or shrunken desired state is refused until a person confirms the exact count.
func TestInvariant9GuardNamesTheCount(t *testing.T) {
	const services, records = resource.EnvoyService, resource.DNSRecord
	const checks = resource.DNSHealthCheck
	in := func(scope resource.Scope, service schema.ServiceID, steps []Step) []Step {
		for i := range steps {
			steps[i].Key.Scope, steps[i].Service = scope, service
		}
		return steps
	}
	cases := []struct {
		name     string
		steps    []Step
		existing Existing
		services int
		want     string // message, and count
	}{
		{"nothing is deleted", []Step{{Key: name, Verb: Create, After: one}}, Existing{{Kind: records}: 20}, 0, ""},
		{"all services gone", removals(services, 2), Existing{{Kind: services}: 2}, 0, "the repository declares no service at all; this would delete 2 services and 0 records: 2"},
		{"30 % of ten", removals(services, 3), Existing{{Kind: services}: 10}, 7, ""},
		{"more than 30 % of ten", removals(services, 4), Existing{{Kind: services}: 10}, 6, "this would delete 4 services and 0 records: 4 of 10 services, more than 30 %: 4"},
		{"more than 30 % of nine", removals(services, 4), Existing{{Kind: services}: 9}, 5, ""},
		{"records alone", removals(records, 7), Existing{{Kind: records}: 20, {Kind: services}: 20}, 20, "this would delete 0 services and 7 records: 7 of 20 records, more than 30 %: 7"},
		{"of one zone", append(in("zone/a.example", "x", removals(records, 4)), in("zone/b.example", "x", removals(records, 4))...),
			Existing{{Kind: records}: 100, {Kind: records, Scope: "zone/a.example"}: 10, {Kind: records, Scope: "zone/b.example"}: 90}, 5,
			"this would delete 0 services and 4 records: 4 of 10 records in zone/a.example, more than 30 %: 4"},
		{"of one service", append(in("zone/a.example", "x", removals(records, 12)), in("zone/a.example", "y", removals(records, 1))...),
			Existing{{Kind: records}: 100, {Kind: records, Scope: "zone/a.example"}: 100, {Kind: records, Service: "x"}: 20, {Kind: records, Service: "y"}: 1}, 5,
			"this would delete 0 services and 12 records: 12 of 20 records of service x, more than 30 %: 12"},
		{"of a zone and of a service of another", append(in("zone/a.example", "x", removals(records, 4)), in("zone/b.example", "y", removals(records, 6))...),
			Existing{{Kind: records}: 100, {Kind: records, Scope: "zone/a.example"}: 10, {Kind: records, Scope: "zone/b.example"}: 90, {Kind: records, Service: "x"}: 40, {Kind: records, Service: "y"}: 10}, 5,
			"this would delete 0 services and 10 records: 4 of 10 records in zone/a.example, 6 of 10 records of service y, more than 30 %: 10"},
		{"30 % of an account", append(in("zone/a.example", "x", removals(records, 2)), in("zone/b.example", "y", removals(records, 1))...),
			Existing{{Kind: records}: 30, {Kind: records, Scope: "zone/a.example"}: 5, {Kind: records, Scope: "zone/b.example"}: 5, {Kind: records, Account: "account pay"}: 10}, 5, ""},
		{"more than 30 % of an account, in zones too small to count", append(in("zone/a.example", "x", removals(records, 2)), in("zone/b.example", "y", removals(records, 2))...),
			Existing{{Kind: records}: 30, {Kind: records, Scope: "zone/a.example"}: 5, {Kind: records, Scope: "zone/b.example"}: 5, {Kind: records, Account: "account pay"}: 10}, 5,
			"this would delete 0 services and 4 records: 4 of 10 records in account pay, more than 30 %: 4"},
		{"what goes in another account is not stopped by it", append(in("zone/a.example", "x", removals(records, 4)), in("zone/own.example", "y", removals(records, 2))...),
			Existing{{Kind: records}: 30, {Kind: records, Account: "account pay"}: 10, {Kind: records, Account: "the daemon's own account"}: 20}, 5,
			"this would delete 0 services and 4 records: 4 of 10 records in account pay, more than 30 %: 4"},
		{"health checks of an account", in("healthchecks/pay", "", removals(checks, 4)), Existing{{Kind: checks}: 14, {Kind: checks, Account: "account pay"}: 12}, 5,
			"this would delete 0 services and 0 records, and 4 health checks: 4 of 12 health checks in account pay, more than 30 %: 4"},
		{"a hundred of a zone", in("zone/a.example", "x", removals(records, 100)), Existing{{Kind: records}: 10_000}, 5, ""},
		{"more than a hundred of a zone", in("zone/a.example", "", removals(records, 101)),
			Existing{{Kind: records}: 10_000, {Kind: records, Scope: "zone/a.example"}: 9_000, {Kind: records, Account: "account pay"}: 10_000}, 5,
			"this would delete 0 services and 101 records: 101 of 9000 records in zone/a.example, 101 of 10000 records in account pay, more than 100: 101"},
		{"more than a hundred of an account", append(in("zone/a.example", "x", removals(records, 60)), in("zone/b.example", "y", removals(records, 60))...),
			Existing{{Kind: records}: 10_000, {Kind: records, Account: "account pay"}: 10_000}, 5,
			"this would delete 0 services and 120 records: 120 of 10000 records in account pay, more than 100: 120"},
		{"more than a hundred in all, of two accounts", append(in("zone/a.example", "x", removals(records, 60)), in("zone/own.example", "y", removals(records, 60))...),
			Existing{{Kind: records}: 10_000}, 5, ""},
		{"of two zones, each for a reason of its own", append(in("zone/a.example", "x", removals(records, 4)), in("zone/own.example", "", removals(records, 101))...),
			Existing{{Kind: records}: 10_000, {Kind: records, Scope: "zone/a.example"}: 10, {Kind: records, Scope: "zone/own.example"}: 9_000, {Kind: records, Account: "the daemon's own account"}: 9_000}, 5,
			"this would delete 0 services and 105 records: 4 of 10 records in zone/a.example, more than 30 %, 101 of 9000 records in zone/own.example, 101 of 9000 records in the daemon's own account, more than 100: 105"},
		{"in all, of which an account is a part", in("zone/a.example", "x", removals(records, 5)), Existing{{Kind: records}: 10, {Kind: records, Account: "account pay"}: 10}, 5,
			"this would delete 0 services and 5 records: 5 of 10 records, more than 30 %: 5"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			k := known(c.existing)
			k.Edge.Services = make([]schema.Service, c.services)
			for _, v := range Guard(c.steps, k) {
				got += fmt.Sprintf("%s: %d", v.Message, v.Deletes)
				if len(v.Steps) != v.Deletes {
					t.Errorf("veto names %d steps, want %d", len(v.Steps), v.Deletes)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDeclaredDeletions: the platform says how much may go at once.
func TestDeclaredDeletions(t *testing.T) {
	k := known(Existing{{Kind: resource.DNSRecord}: 4, {Kind: resource.DNSRecord, Scope: "s"}: 4, {Kind: resource.DNSRecord, Account: "account pay"}: 4})
	k.Edge.Services = make([]schema.Service, 3)
	for _, c := range []struct {
		declared schema.Deletions
		deletes  int
		want     string
	}{
		{schema.Deletions{}, 3, ""},
		{schema.Deletions{From: 4}, 1, ""},
		{schema.Deletions{From: 4}, 2, "this would delete 0 services and 2 records: 2 of 4 records, more than 30 %"},
		{schema.Deletions{From: 4, Percent: 50}, 2, ""},
		{schema.Deletions{From: 4, Percent: 50}, 3, "this would delete 0 services and 3 records: 3 of 4 records, more than 50 %"},
		{schema.Deletions{Most: 2}, 2, ""},
		{schema.Deletions{Most: 2}, 3, "this would delete 0 services and 3 records: 3 of 4 records in s, 3 of 4 records in account pay, more than 2"},
		{schema.Deletions{Most: 200}, 102, ""},
	} {
		k.Edge.Platform.Deletions = c.declared
		got := ""
		for _, v := range Guard(removals(resource.DNSRecord, c.deletes), k) {
			got += v.Message
		}
		if got != c.want {
			t.Errorf("%+v, %d go: %q, want %q", c.declared, c.deletes, got, c.want)
		}
	}
}

// TestProtectedGuard: what is protected goes only by the exact count, whoever was shown it.
func TestProtectedGuard(t *testing.T) {
	record := func(scope resource.Scope, name string, verb Verb) Step {
		s := Step{Key: resource.Key{Kind: resource.DNSRecord, Scope: scope, Name: name}, Verb: verb}
		if verb != Create {
			s.Before = one
		}
		if verb != Delete {
			s.After = two
		}
		return s
	}
	service := func(fleet resource.Scope, id string, verb Verb, before, after string) Step {
		s := Step{Key: resource.Key{Kind: resource.EnvoyService, Scope: fleet, Name: id}, Verb: verb, Before: resource.Value(before)}
		if after != "" {
			s.After = resource.Value(after)
		}
		return s
	}
	const front, both = `{"hosts":["front.test"]}`, `{"hosts":["front.test","other.test"]}`
	cases := []struct {
		name  string
		steps []Step
		want  string // the messages, and the count
	}{
		{"a record of a protected name goes", []Step{record("zone/test", "A front.test", Delete)}, "this would take away what is protected: front.test (the front door): 1"},
		{"one of its sets goes", []Step{record("zone/test", "A front.test blue", Delete)}, "this would take away what is protected: front.test (the front door): 1"},
		{"it is changed", []Step{record("zone/test", "A front.test", Update)}, ""},
		{"it comes", []Step{record("zone/test", "A front.test", Create)}, ""},
		{"a record beside it goes", []Step{record("zone/test", "A other.test", Delete)}, ""},
		{"a name below it goes", []Step{record("zone/test", "A a.front.test", Delete)}, ""},
		{"a service gives it away", []Step{service("fleet/edge", "shop", Update, both, `{"hosts":["other.test"]}`)}, "this would take away what is protected: front.test (the front door): 1"},
		{"its service gives away another", []Step{service("fleet/edge", "front", Update, both, front)}, ""},
		{"a service that has it goes", []Step{service("fleet/edge", "shop", Delete, front, "")}, "this would take away what is protected: front.test (the front door): 1"},
		{"its service goes to another fleet", []Step{service("fleet/edge", "front", Delete, front, ""), service("fleet/two", "front", Create, "", front)}, ""},
		{"service and record of it", []Step{service("fleet/edge", "shop", Delete, front, ""), record("zone/test", "A front.test", Delete), record("zone/test", "A other.test", Delete)},
			"this would take away what is protected: front.test (the front door): 2"},
		{"a delegation goes", []Step{record("zone/test", "NS lab.test", Delete)}, "this would take away what is protected: the delegation of lab.test: 1"},
		{"a delegation is changed", []Step{record("zone/test", "NS lab.test", Update)}, ""},
		{"the mark of a zone goes", []Step{record("zone/test", "TXT _edgewright.test", Delete)}, "this would take away what is protected: the mark of zone/test: 1"},
		{"another text goes", []Step{record("zone/test", "TXT other.test", Delete)}, ""},
		{"with many others", append(removals(resource.DNSRecord, 4), record("zone/test", "NS lab.test", Delete)),
			"this would delete 0 services and 5 records: 5 of 10 records, more than 30 %: 5; this would take away what is protected: the delegation of lab.test: 5"},
		{"beside a share that is too large", append(removals(resource.DNSHealthCheck, 4), record("zone/test", "NS lab.test", Delete)),
			"this would delete 0 services and 0 records, and 4 health checks: 4 of 10 health checks in account pay, more than 30 %: 5; this would take away what is protected: the delegation of lab.test: 5"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k := known(Existing{{Kind: resource.DNSRecord}: 10, {Kind: resource.DNSHealthCheck, Account: "account pay"}: 10})
			k.Edge.Services = []schema.Service{{ID: "front", Hosts: []schema.Hostname{"front.test"}}}
			k.Edge.Platform.Protected = map[schema.Hostname]schema.Protected{"front.test": {Reason: "the front door", Services: []schema.ServiceID{"front"}}}
			var got []string
			for _, v := range Guard(c.steps, k) {
				got = append(got, fmt.Sprintf("%s: %d", v.Message, v.Deletes))
				if want := fmt.Sprintf("--confirm-deletes %d", v.Deletes); !strings.Contains(v.Unblock, want) {
					t.Errorf("%q does not tell %s", v.Unblock, want)
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, "; ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNarrow: the count is that of the steps in question.
func TestNarrow(t *testing.T) {
	steps := append(removals(resource.DNSRecord, 3), removals(resource.DNSHealthCheck, 1)...)
	vetoes := []Veto{veto(GuardMassDelete, "much", steps[:3]), veto(GuardProtected, "protected", steps[1:2]), veto(GuardProtected, "other", steps[3:])}
	got := Narrow(vetoes, steps[:2])
	want := []Veto{
		{Guard: GuardMassDelete, Message: "much", Steps: []string{steps[0].ID(), steps[1].ID()}, Deletes: 2, Unblock: "if it is meant, apply the digest with --confirm-deletes 2"},
		{Guard: GuardProtected, Message: "protected", Steps: []string{steps[1].ID()}, Deletes: 2, Unblock: "if it is meant, apply the digest with --confirm-deletes 2"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := Narrow(vetoes, nil); got != nil {
		t.Errorf("of no steps: %v", got)
	}
}
