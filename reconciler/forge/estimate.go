package forge

import (
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
)

// What a step usually takes once it is made. Route53 spreads a change to all of its servers within a minute (API Reference,
// ChangeResourceRecordSets); a health check is there with the answer.
const (
	proxiesTake     = time.Second
	route53Takes    = time.Minute
	healthCheckTake = time.Second
)

// stage is what a while is spent on.
type stage struct {
	on   string
	time time.Duration
}

func stageOf(k resource.Kind) stage {
	switch k {
	case resource.DNSRecord:
		return stage{"Route53", route53Takes}
	case resource.DNSHealthCheck:
		return stage{"health checks", healthCheckTake}
	}
	return stage{"proxies", proxiesTake}
}

// estimate is how long it takes until all steps are in effect, and what it is spent on: the longest chain of steps that wait for each
// other. It is empty for what is not to be made, or is under way.
func (r Review) estimate() string {
	switch r.Verdict() {
	case Planned, Unknown, Vetoed:
	default:
		return ""
	}
	if len(r.Steps) == 0 || r.progress() {
		return ""
	}
	c := chains{steps: r.Steps, waits: plan.Waits(stepsOf(r.Steps)), longest: make([][]stage, len(r.Steps))}
	var most []stage
	for i := range r.Steps {
		if chain := c.of(i); total(chain) > total(most) {
			most = chain
		}
	}
	var parts []string
	for _, s := range most {
		parts = append(parts, s.on+" "+round(s.time))
	}
	return fmt.Sprintf("about %s (%s)", round(total(most)), strings.Join(parts, ", then "))
}

// round is a duration without the zeros behind it.
func round(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return s
}

func stepsOf(steps []Step) []plan.Step {
	out := make([]plan.Step, len(steps))
	for i, s := range steps {
		out[i] = s.Step
	}
	return out
}

func total(chain []stage) (sum time.Duration) {
	for _, s := range chain {
		sum += s.time
	}
	return sum
}

// chains are the longest chains of stages that end with a step. Those that are made together wait for each other, and count once.
type chains struct {
	steps   []Step
	waits   [][]plan.Wait
	longest [][]stage
}

func (c chains) of(i int) []stage {
	if c.longest[i] != nil {
		return c.longest[i]
	}
	own := stageOf(c.steps[i].Key.Kind)
	c.longest[i] = []stage{own} // for who comes here again by a circle
	var before []stage
	for _, w := range c.waits[i] {
		if w.Until.AtOnce() {
			continue
		}
		if chain := c.of(w.On); total(chain) > total(before) {
			before = chain
		}
	}
	c.longest[i] = append(before[:len(before):len(before)], own)
	return c.longest[i]
}

// waitLine says what a step waits for, in the words of the plan. It is empty where it waits for nothing.
func (r Review) waitLine(waits []plan.Wait) string {
	const most = 3
	var parts []string
	for i, w := range waits {
		if i == most {
			parts = append(parts, plural(len(waits)-i, "step more", "steps more"))
			break
		}
		other := r.Steps[w.On]
		name := clean(Noun(other.Key.Kind)+" "+other.Key.Name, longest)
		parts = append(parts, fmt.Sprintf(map[plan.Until]string{
			plan.Served:   "every proxy has acknowledged %s",
			plan.There:    "%s is there",
			plan.Replaced: "%s is there, which takes its place",
			plan.Unnamed:  "%s no longer names it",
			plan.Released: "%s lets the name go, in the same moment",
			plan.Together: "%s can change too: both at once",
		}[w.Until], name))
	}
	if len(parts) == 0 {
		return ""
	}
	return "waits until " + strings.Join(parts, ", and ")
}
