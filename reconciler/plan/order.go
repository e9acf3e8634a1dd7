package plan

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// AddressTypes are the types of records that lead a name to a fleet.
var AddressTypes = []string{"A", "AAAA"}

// Until is what has to come of a step before another one is made.
type Until string

const (
	Served   Until = "served"   // every proxy has acknowledged it
	There    Until = "there"    // it was made
	Replaced Until = "replaced" // it was made, and takes the place of what goes
	Unnamed  Until = "unnamed"  // no record names it any more
	Released Until = "released" // it lets a name go that the other takes, in the same moment
	Together Until = "together" // it can be made too: both are made at once, or neither
)

// AtOnce tells whether both steps are made in the same moment.
func (u Until) AtOnce() bool { return u == Released || u == Together }

// Wait is why a step is not made at once: another step of the same plan, by its place in it, and what has to come of that.
type Wait struct {
	On    int
	Until Until
}

// Waits says what each of the steps of a plan has to wait for among the others, by its place. What a step waits for that the plan does not
// change, like a proxy that is not connected, nobody can foretell.
func Waits(steps []Step) [][]Wait {
	o := newOrder(steps)
	out := make([][]Wait, len(steps))
	for i, s := range steps {
		var waits []Wait
		switch {
		case s.Verb == Delete && s.Key.Kind == resource.DNSRecord:
			waits = o.replaced(s)
		case s.Verb == Delete && s.Key.Kind == resource.DNSHealthCheck:
			waits = o.unnamed(s)
		case s.Verb != Delete:
			waits = o.needed(s)
		}
		out[i] = append(waits, o.together(i)...)
	}
	return out
}

// order finds the steps of a plan by what they are about.
type order struct {
	steps  []Step
	byKey  map[resource.Key]int
	byHost map[schema.Hostname][]int
	checks map[string][]int // the steps by the health check that they named before
}

func newOrder(steps []Step) order {
	o := order{steps: steps, byKey: map[resource.Key]int{}, byHost: map[schema.Hostname][]int{}, checks: map[string][]int{}}
	for i, s := range steps {
		o.byKey[s.Key] = i
		for _, host := range s.Hosts() {
			o.byHost[host] = append(o.byHost[host], i)
		}
		var was struct{ HealthCheck string }
		if bytes.Contains(s.Before, []byte(`"healthCheck"`)) && json.Unmarshal(s.Before, &was) == nil && was.HealthCheck != "" {
			o.checks[was.HealthCheck] = append(o.checks[was.HealthCheck], i)
		}
	}
	return o
}

// needed are the steps that make what a step refers to.
func (o order) needed(s Step) []Wait {
	var out []Wait
	for _, need := range s.Needs {
		i, changes := o.byKey[need]
		switch {
		case !changes || o.steps[i].Verb == Delete:
		case need.Kind == resource.EnvoyService:
			out = append(out, Wait{i, Served})
		case o.steps[i].Verb == Create:
			out = append(out, Wait{i, There})
		}
	}
	return out
}

// replaced are the steps that make the records by which a name is answered once one of its records has gone.
func (o order) replaced(s Step) []Wait {
	var out []Wait
	for _, host := range s.Hosts() {
		for _, i := range o.byHost[host] {
			other := o.steps[i]
			kind, _, _ := strings.Cut(other.Key.Name, " ")
			if other.Key.Kind == resource.DNSRecord && other.Verb == Create && slices.Contains(AddressTypes, kind) && !Rivals(s, other) {
				out = append(out, Wait{i, Replaced})
			}
		}
	}
	return out
}

// unnamed are the steps that make records no longer name a health check.
func (o order) unnamed(s Step) []Wait {
	var out []Wait
	for _, i := range o.checks[s.Key.Name] {
		out = append(out, Wait{i, Unnamed})
	}
	return out
}

// together are the steps that have to be made at the same moment as one: rivals for a name in one zone, and the services of its fleet from
// which it takes a name.
func (o order) together(at int) []Wait {
	var out []Wait
	s := o.steps[at]
	for _, host := range s.Hosts() {
		for _, i := range o.byHost[host] {
			other := o.steps[i]
			w := Wait{i, Together}
			switch {
			case i == at || other.Key.Scope != s.Key.Scope || other.Key.Kind != s.Key.Kind:
				continue
			case takes(s, other, host):
				w.Until = Released
			case s.Key.Kind != resource.DNSRecord || !Rivals(s, other):
				continue
			}
			if !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	return out
}

// takes tells whether a service gets a name that another one gives away.
func takes(s, other Step, host schema.Hostname) bool {
	if s.Key.Kind != resource.EnvoyService {
		return false
	}
	holds := func(v resource.Value) bool { return slices.Contains(serviceSpec(v).Hosts, host) }
	return !holds(s.Before) && holds(s.After) && holds(other.Before) && !holds(other.After)
}

// Rivals tells whether what one step takes away cannot stand beside what the other puts there: AWS refuses the new one before the old is
// gone, and between two calls the name would have no answer.
func Rivals(a, b Step) bool {
	return a.Key != b.Key && (exclude(a.Before, b.After) || exclude(b.Before, a.After))
}

// exclude tells whether two records of one name cannot stand beside each other.
func exclude(a, b resource.Value) bool {
	if a == nil || b == nil {
		return false
	}
	var x, y struct {
		Type string
		schema.Routing
	}
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	if x.Type != y.Type {
		return x.Type == "CNAME" || y.Type == "CNAME"
	}
	return x.Policy() != y.Policy()
}
