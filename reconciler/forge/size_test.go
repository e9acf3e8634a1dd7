package forge

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// many is a plan of n steps in which every third is a deletion, of services with long names and their records.
func many(n int, verbs ...plan.Verb) Review {
	var steps []Step
	for i := range n {
		host := fmt.Sprintf("service-%05d.example.com", i/2)
		values, spec := []string{"192.0.2.1"}, service("x", hosts(schema.Hostname(host)), 90, "aa")
		next := service("x", hosts(schema.Hostname(host)), 80, "bb")
		switch v := verbs[i/2%len(verbs)]; {
		case i%2 == 0 && v == plan.Delete:
			steps = append(steps, serviceStep(v, fmt.Sprintf("service-%05d", i/2), spec, nil))
		case i%2 == 0 && v == plan.Create:
			steps = append(steps, serviceStep(v, fmt.Sprintf("service-%05d", i/2), nil, spec))
		case i%2 == 0:
			steps = append(steps, serviceStep(v, fmt.Sprintf("service-%05d", i/2), spec, next))
		case v == plan.Delete:
			steps = append(steps, recordStep(v, host, values, nil))
		case v == plan.Create:
			steps = append(steps, recordStep(v, host, nil, values))
		default:
			steps = append(steps, recordStep(v, host, values, []string{"192.0.2.2"}))
		}
	}
	return planned(steps...)
}

func TestAnySizeFits(t *testing.T) {
	mixed := []plan.Verb{plan.Delete, plan.Update, plan.Create}
	for _, c := range []struct {
		name       string
		r          Review
		allDeletes bool
	}{
		{"50", many(50, mixed...), true},
		{"1,000", many(1_000, mixed...), true},
		{"5,000", many(5_000, mixed...), true},
		{"20,000", many(20_000, plan.Delete, plan.Update, plan.Create, plan.Update, plan.Create, plan.Update, plan.Create, plan.Update), true},
		{"20,000, all deleted", many(20_000, plan.Delete), false},
		{"long names", longNames(), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			comment := c.r.Comment()
			if n := utf8.RuneCountInString(comment); n > 65_536 || len(comment) > 65_536 {
				t.Errorf("%d characters, %d bytes", n, len(comment))
			}
			if n := utf8.RuneCountInString(c.r.Check().Summary); n > 65_535 {
				t.Errorf("the check's summary has %d characters", n)
			}
			for _, want := range []string{"### edgewright:", "**Plan:**", c.r.Digest, c.r.Head, "status page"} {
				if !strings.Contains(comment, want) {
					t.Errorf("%q is missing", want)
				}
			}
			if listed := listedDeletes(comment); c.allDeletes != (listed == c.r.count(verb(plan.Delete))) {
				t.Errorf("%d of %d deletions are listed", listed, c.r.count(verb(plan.Delete)))
			} else if more := fmt.Sprintf("… and %d more", c.r.count(verb(plan.Delete))-listed); !c.allDeletes && !strings.Contains(comment, more) {
				t.Errorf("%q is missing", more)
			}
			if page := render(t, comment); page.faults != nil {
				t.Error(page.faults)
			}
			t.Logf("%d bytes", len(comment))
		})
	}
}

func longNames() Review {
	var r Review
	for i := range 3_000 {
		r.Steps = append(r.Steps, serviceStep(plan.Delete, fmt.Sprintf("%05d", i)+strings.Repeat("`é", 150), resource.ValueOf(strings.Repeat("x`", 500)), nil))
		r.Problems = append(r.Problems, problem(i, strings.Repeat("<", 1_000)))
		r.Vetoes = append(r.Vetoes, plan.Veto{Guard: strings.Repeat("g", 1_000), Message: strings.Repeat("@", 1_000)})
		r.Held = append(r.Held, Held{"x", strings.Repeat("*", 1_000)})
		r.Drift = append(r.Drift, Drift{Fields: []plan.FieldChange{{Path: strings.Repeat("p", 1_000), Before: "1"}}})
	}
	r.Digest, r.Head, r.StatusURL = "c0ffee", head, "https://edge.example.com/"
	return r
}

// listedDeletes counts the names in the list of deletions.
func listedDeletes(comment string) int {
	_, list, _ := strings.Cut(comment, "**Deletes** (")
	_, list, _ = strings.Cut(list, "\n\n")
	ticks, list, _ := strings.Cut(list, "\n")
	list, _, _ = strings.Cut(list, "\n"+ticks)
	n := 0
	for _, line := range strings.Split(list, "\n") {
		if strings.HasPrefix(line, "  ") {
			n += len(strings.Fields(line))
		}
	}
	return n
}
