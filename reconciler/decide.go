package reconciler

import (
	"fmt"
	"slices"

	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
	"github.com/edgewright/edgewright/schema/policy"
)

// decision is what of a commit takes effect. It is made in the same way for the branch and for what a pull would make of it.
type decision struct {
	edge     schema.Edge
	rendered map[schema.ServiceID][]resource.Resource // of what changed; "" is the platform; nil: gone
	problems []schema.Problem
	warnings []schema.Problem // of contents that nobody could look at
	held     held
	frozen   bool     // nothing takes effect
	unseen   []unseen // contents that nobody has looked at
	known    int      // contents on which there is a verdict
}

// decide holds back what has a problem, and what waits beside, and renders the rest. What cannot be rendered, and what Envoy would not
// take, has a problem too.
func (l *loop) decide(loaded load.Commit, waits ...schema.Problem) decision {
	d := decision{problems: slices.Clone(loaded.Problems)}
	if !slices.ContainsFunc(d.problems, schema.Problem.OfPlatform) {
		unread := func(h schema.Hostname) bool { return loaded.Mentions("", h) }
		d.problems = append(d.problems, policy.CheckChange(l.edge, loaded.Edge, schema.DateOf(l.Now()), unread)...)
	}
	for {
		var ok bool
		if d.edge, d.held, ok = holdBack(l.edge, loaded.Edge, slices.Concat(d.problems, waits), loaded.Mentions); !ok {
			return decision{edge: l.edge, problems: d.problems, frozen: true}
		}
		var more []schema.Problem
		if d.rendered, more = l.render(d.edge, d.held); len(more) == 0 {
			more = l.judgeContents(&d)
		}
		if len(more) == 0 {
			return d
		}
		d.problems = append(d.problems, more...)
	}
}

// render renders what an edge changes: the services that differ, or all when the platform does. A service that is held already and
// still cannot be rendered is the platform's fault.
func (l *loop) render(edge schema.Edge, h held) (map[schema.ServiceID][]resource.Resource, []schema.Problem) {
	rendered := map[schema.ServiceID][]resource.Resource{}
	var problems []schema.Problem
	all := !l.edge.Platform.Same(edge.Platform) || !l.loaded
	if all || len(edge.Platform.Records) > 0 { // a service may have let go a name that one of these waits for
		resources, err := l.renderPlatform(edge.Platform)
		if err != nil {
			problems = append(problems, platformProblem(edge.Platform, "", "it cannot be rendered: "+err.Error()))
		}
		rendered[""] = resources
	}
	for old, now := range l.edge.Beside(edge) {
		if now == nil {
			rendered[old.ID] = nil
			continue
		}
		s := *now
		if !all && old != nil && old.Same(s) {
			continue
		}
		resources, err := render.Service(edge.Platform, s)
		_, isHeld := h[s.ID]
		switch {
		case err != nil && isHeld:
			problems = append(problems, platformProblem(edge.Platform, "fleets."+string(s.Fleet),
				fmt.Sprintf("service %s stays at its last good declaration, which this platform cannot serve: %v", s.ID, err)))
		case err != nil:
			problems = append(problems, schema.Problem{Code: "service/render", Holds: schema.Holding(s.ID), Position: s.Source.Find(""), Path: "services." + string(s.ID),
				Message: fmt.Sprintf("service %s cannot be rendered: %v", s.ID, err)})
		default:
			rendered[s.ID] = resources
		}
	}
	return rendered, problems
}

// renderPlatform renders a platform, or remembers it: it may have thousands of records, and few commits change it.
func (l *loop) renderPlatform(p schema.Platform) ([]resource.Resource, error) {
	if p.Revision != "" && p.Revision == l.platform.revision {
		return l.platform.Resources, nil
	}
	rendered, err := render.Platform(p, l.platform.OfPlatform)
	if err != nil {
		return nil, err
	}
	l.platform = renderedPlatform{p.Revision, rendered}
	return rendered.Resources, nil
}

// renderedPlatform are the resources of a platform. Nobody changes them.
type renderedPlatform struct {
	revision string
	*render.OfPlatform
}

func platformProblem(p schema.Platform, path, message string) schema.Problem {
	return schema.Problem{Code: "platform/render", Position: p.Source.Find(path), Path: path, Message: message + "; so everything stays as it is",
		Hint: "change the services first, and the platform when nothing needs the old one"}
}
