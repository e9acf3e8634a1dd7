package forge

import (
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// Conclusion is how a check ended; empty while it runs.
type Conclusion string

const (
	Running        Conclusion = ""
	Success        Conclusion = "success"
	Failure        Conclusion = "failure"
	Neutral        Conclusion = "neutral"
	ActionRequired Conclusion = "action_required"
)

// Check is the review as a check on a commit. Summary is Markdown of at most 65,535 characters; Annotations may be any number.
type Check struct {
	Conclusion  Conclusion
	Title       string
	Summary     string
	Annotations []Annotation
	DetailsURL  string
}

// Annotation is a problem at a line of a file. Texts are plain.
type Annotation struct {
	Path    string
	Line    int // from 1
	Column  int // from 1; 0: unknown
	Title   string
	Message string
}

// Check is the review as a check. It holds nothing that changes while the review means the same.
func (r Review) Check() Check {
	r.Observed = nil
	c := Check{Conclusion: r.conclusion(), Title: clean(r.headline(), 200), Summary: r.body(mostBytes), DetailsURL: r.page()}
	sorted := append([]schema.Problem(nil), r.Problems...)
	schema.SortProblems(sorted)
	for _, p := range sorted {
		if p.Position.File != "" {
			c.Annotations = append(c.Annotations, annotation(p))
		}
	}
	return c
}

func (r Review) conclusion() Conclusion {
	switch r.Verdict() {
	case Refused:
		return Failure
	case Vetoed, Waiting:
		return ActionRequired
	case Unknown, Superseded, Closed:
		return Neutral
	case Applying:
		return Running
	}
	return Success
}

func annotation(p schema.Problem) Annotation {
	message := []string{clean(p.Message, 2000)}
	if len(p.Holds) > 1 {
		message = append(message, "It holds "+clean(p.Held(20), 2000))
	}
	if p.Hint != "" {
		message = append(message, "Try: "+clean(p.Hint, 2000))
	}
	for i, also := range p.Also {
		if i == 20 {
			break
		}
		message = append(message, "See also "+clean(also.String(), longest))
	}
	return Annotation{
		Path: clean(p.Position.File, 4096), Line: max(p.Position.Line, 1), Column: max(p.Position.Column, 0),
		Title: clean(string(p.Code), 200), Message: strings.Join(message, "\n"),
	}
}
