package reconciler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/release"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/validate"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// Validator judges the content of services before anybody is served it.
type Validator interface {
	// By names who judges. Verdicts of another one are void.
	By() string
	// Validate judges units, and answers in their order.
	Validate(ctx context.Context, units []envoy.Unit) []validate.Verdict
}

const (
	doubtTime  = 5 * time.Minute // that nothing is asked again about a content of which nobody knows what Envoy says
	usedWithin = 24 * time.Hour  // how old the time of a verdict's last use may be
)

// verdict is what was found of a content; ok is false when nobody has looked at it.
func (l *loop) verdict(content string) (v state.Verdict, ok bool) {
	v, ok = l.verdicts[content]
	now := l.Now()
	if !ok || v.By != l.Validator.By() || v.Unsure != "" && now.Sub(v.Used) > doubtTime {
		return state.Verdict{}, false
	}
	if v.Unsure == "" && now.Sub(v.Used) > usedWithin {
		v.Used = now
		l.verdicts[content] = v
		l.used = append(l.used, content)
	}
	return v, true
}

// judgeContents tells what is wrong with contents that were rendered anew, and notes those that nobody has looked at. What is in effect
// already was looked at before, and what is held is not published.
func (l *loop) judgeContents(d *decision) (problems []schema.Problem) {
	d.unseen, d.warnings, d.known = nil, nil, 0
	for _, id := range sortedKeys(d.rendered) {
		s, declared := d.edge.Service(id)
		if _, isHeld := d.held[id]; isHeld || !declared {
			continue
		}
		for _, res := range d.rendered[id] {
			if res.Key.Kind != resource.EnvoyService {
				continue
			}
			content := contentOf(res.Spec)
			if by := l.refusalsOf(res.Key, content); len(by) > 0 && !l.inEffect(res.Key, content) {
				d.warnings = append(d.warnings, refusedBefore(s, by))
			}
			if l.Validator == nil {
				continue
			}
			switch v, known := l.verdict(content); {
			case known && v.Refused != "":
				problems = append(problems, refusedBy(s, v.Verdict))
			case known && v.Unsure != "":
				d.warnings = append(d.warnings, notValidated(s, v.Verdict))
			case known:
				d.known++
			case !l.inEffect(res.Key, content):
				d.unseen = append(d.unseen, unseen{id, content, res.Body})
			}
		}
	}
	return problems
}

// unseen is a content that nobody has looked at.
type unseen struct {
	service schema.ServiceID
	content string
	body    []byte // of the unit
}

// inEffect tells whether a content is what is desired, or served, already.
func (l *loop) inEffect(key resource.Key, content string) bool {
	if now, is := l.desired[key]; is && contentOf(now.Spec) == content {
		return true
	}
	return l.isServed(key, content)
}

func (l *loop) isServed(key resource.Key, content string) bool {
	f := l.releases[fleetOf(key.Scope)]
	if f == nil {
		return false
	}
	e, is := f.release.Services[schema.ServiceID(key.Name)]
	return is && (e.Content == content || e.Good == content)
}

// decideTip is decide for the branch: what nobody has looked at waits at its last good declaration, as what has a problem does, and
// everything else goes on.
func (l *loop) decideTip(loaded load.Commit) (decision, []unseen) {
	d := l.decide(loaded)
	problems := d.problems
	var waits []unseen
	var holds []schema.Problem
	looked := map[schema.ServiceID]bool{}
	for len(d.unseen) > 0 {
		waits = append(waits, d.unseen...)
		for _, u := range d.unseen {
			holds, looked[u.service] = append(holds, schema.Problem{Holds: schema.Holding(u.service)}), true
		}
		d = l.decide(loaded, holds...)
	}
	if d.frozen && len(waits) > 0 { // it takes effect as a whole or not at all
		d.problems = problems
	}
	for id, h := range d.held {
		if looked[h.Culprit] {
			d.held[id] = unseenHold(id, h.Culprit)
		}
	}
	return d, waits
}

func unseenHold(id, culprit schema.ServiceID) hold {
	why := lookedAtFirst
	if id != culprit {
		why = fmt.Sprintf("a host name moves between it and %s, and they move together: %s", culprit, lookedAtFirst)
	}
	return hold{Why: why, Culprit: culprit, Unseen: true}
}

const lookedAtFirst = "Envoy looks at it before it is published"

const refusedCode schema.Code = "envoy/refused"

// refusedBy is the problem of a service that Envoy would not take.
func refusedBy(s schema.Service, v validate.Verdict) schema.Problem {
	path, what := culpritOf(s, v)
	return schema.Problem{Code: refusedCode, Holds: schema.Holding(s.ID), Position: s.Source.Find(path), Path: pathOf(s, path),
		Message: fmt.Sprintf("Envoy does not take %s: %s", what, v.Refused),
		Hint:    "no rule of edgewright knows of this, so the words are Envoy's: write it in another way; `edgewright explain envoy/refused` says more"}
}

// refusalsOf are what proxies of a fleet have said of a content when they were served it.
func (l *loop) refusalsOf(key resource.Key, content string) []release.Refusal {
	f := l.releases[fleetOf(key.Scope)]
	if f == nil {
		return nil
	}
	return f.release.Services[schema.ServiceID(key.Name)].RefusalsOf(content)
}

// refusedBefore warns of a service that says again what proxies have refused. It holds nobody: others may take it.
func refusedBefore(s schema.Service, by []release.Refusal) schema.Problem {
	var who []string
	for _, r := range by {
		who = append(who, strings.TrimSpace("Envoy "+r.Cohort))
	}
	return schema.Problem{Code: "envoy/again", Holds: schema.Holding(s.ID), Position: s.Source.Find(""), Path: pathOf(s, ""),
		Message: fmt.Sprintf("%s refused this very content of service %s: %s", strings.Join(who, " and "), s.ID, by[0].Why),
		Hint:    fmt.Sprintf("proxies of that version keep the last good version of fleet %s's service, and are not sent this again: write it in another way", s.Fleet)}
}

// notValidated warns of a service of which nobody knows what Envoy says.
func notValidated(s schema.Service, v validate.Verdict) schema.Problem {
	return schema.Problem{Code: "envoy/unvalidated", Holds: schema.Holding(s.ID), Position: s.Source.Find(""), Path: pathOf(s, ""),
		Message: fmt.Sprintf("service %s was not validated by Envoy: %s", s.ID, v.Unsure),
		Hint:    "it goes on without; a proxy that refuses it keeps the last good version"}
}

func pathOf(s schema.Service, path string) string {
	if path == "" {
		return "services." + string(s.ID)
	}
	return "services." + string(s.ID) + "." + path
}

// culpritOf is where in a declaration the fault lies, and what is at fault.
func culpritOf(s schema.Service, v validate.Verdict) (path, what string) {
	if i := slices.IndexFunc(s.Routes, func(r schema.Route) bool { return r.Name == v.Route }); v.Route != "" && i >= 0 {
		return fmt.Sprintf("routes[%d]", i), "route " + v.Route
	}
	if v.Backend != "" {
		return "backends." + string(v.Backend), "backend " + string(v.Backend)
	}
	return "", "service " + string(s.ID)
}

// unjudged says why what a step would publish may not be published yet, or at all. Nobody may have looked at it when it is not what the
// tip changes: a new version of this program renders it in another way.
func (l *loop) unjudged(s plan.Step) (Status, bool) {
	body := l.desired[s.Key].Body
	if l.Validator == nil || s.Key.Kind != resource.EnvoyService || s.Verb == plan.Delete || body == nil {
		return Status{}, false
	}
	content := contentOf(s.After)
	switch v, known := l.verdict(content); {
	case l.isServed(s.Key, content):
	case !known:
		l.unseenSteps = append(l.unseenSteps, unseen{s.Service, content, body})
		return Status{Waits, lookedAtFirst}, true
	case v.Refused != "":
		return Status{Failing, "Envoy does not take it: " + v.Refused}, true
	}
	return Status{}, false
}
