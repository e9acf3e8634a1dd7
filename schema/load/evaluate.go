package load

import (
	"cmp"
	"fmt"
	"strings"

	"cuelang.org/go/cue"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/form"
)

// Schema is the schema, ready to evaluate units. It may be used by many goroutines at a time.
type Schema struct{ forms form.Schema }

// Compile reads the schema that this program carries.
func Compile() (*Schema, error) {
	forms, err := form.Read(schema.CUE())
	if err != nil {
		return nil, err
	}
	return &Schema{forms}, nil
}

// Evaluate reads one unit. What is wrong with it is told in the result's problems; then it declares nothing.
func (s *Schema) Evaluate(u Unit) Result {
	f := u.Files[0]
	f.Path = printable(f.Path)
	u.Files = append([]File{f}, u.Files[1:]...)
	id, team := ServiceOf(f.Path)
	var r Result
	switch {
	case isShared(f.Path) || !declares(f.Path) && strings.Contains(f.Path, "/"):
		id, r = "", s.evaluateLibrary(u)
	case id != "":
		r = s.evaluateService(u, f, id, team)
	case strings.HasPrefix(f.Path, "platform/"):
		r = s.evaluatePlatform(u, f)
	default:
		r = Result{Problems: []schema.Problem{misplaced(f.Path)}}
	}
	for i := range r.Problems {
		r.Problems[i].Holds = schema.Holding(id)
		tidy(&r.Problems[i])
		if r.Problems[i].Position.Line == 0 {
			r.Problems[i].Position = schema.Position{File: f.Path, Line: 1, Column: 1}
		}
	}
	if len(r.Problems) > 0 {
		r.Service, r.Platform = nil, nil
	}
	return r
}

func declares(file string) bool {
	return strings.HasPrefix(file, "services/") || strings.HasPrefix(file, "platform/")
}

func (s *Schema) evaluateService(u Unit, f File, id schema.ServiceID, team schema.TeamID) Result {
	p, problems := parse(f, "services", u.sound)
	r := Result{Source: schema.Source{File: f.Path}, Problems: problems}
	if len(problems) > 0 {
		return r
	}
	labels, prefix := p.labels(2), "services."+string(id)
	r.Private = private(labels)
	r.Source.At = p.below("services", string(id))
	if at, there := labels[prefix]; there {
		r.Source.At[""] = at
	}
	if faults := s.forms.Of("ID").Check(string(id)); len(faults) > 0 {
		r.Problems = append(r.Problems, schema.Problem{Code: "service/id", Position: labels[prefix], Message: fmt.Sprintf("%q cannot be a service's id", id),
			Hint: "an id is 1 to 63 lower-case letters, digits and dashes, and starts with a letter: rename the file"})
		return r
	}
	if r.Problems = p.onlyService(id, s.forms.Of("Service")); len(r.Problems) > 0 {
		return r
	}
	tree, faults, problems := s.read(u, p, cue.MakePath(cue.Str("services"), cue.Str(string(id))), s.forms.Of("Service"), &r.Source)
	service, more := serviceFrom(tree, r.Source, len(faults) > 0)
	problems = append(problems, atValues(withoutEchoes(more, faults), p, "services", string(id))...)
	service.ID = id
	if service.Owner.Team == "" {
		service.Owner.Team = team
	}
	if len(problems) == 0 && service.Owner.Team != team {
		problems = append(problems, schema.Problem{Code: "service/team", Position: r.Source.Find("owner.team"), Path: "owner.team",
			Message: fmt.Sprintf("owner.team is %s, but the file lies in the folder of %s", service.Owner.Team, team), Hint: "move the file, or name the folder's team"})
	}
	if len(problems) > 0 {
		if r.Glimpse = glimpse(tree, problems); r.Glimpse != nil {
			r.Glimpse.ID, r.Glimpse.Owner.Team = id, cmp.Or(r.Glimpse.Owner.Team, team)
		}
	}
	r.Service, r.Problems = &service, prefixed(problems, prefix)
	return r
}

func (s *Schema) evaluatePlatform(u Unit, f File) Result {
	p, problems := parse(f, "platform", u.sound)
	r := Result{Source: schema.Source{File: f.Path}, Problems: problems}
	if p.file != nil && p.file.PackageName() == "services" {
		r.Problems = []schema.Problem{misplaced(f.Path)}
		r.Problems[0].Unused = true
	}
	if len(problems) > 0 {
		return r
	}
	r.Source.At, r.Private = p.below(), private(p.labels(1))
	if r.Problems = p.noPatterns(); len(r.Problems) > 0 {
		return r
	}
	tree, faults, problems := s.read(u, p, cue.Path{}, s.forms.Of("Platform"), &r.Source)
	platform, more := platformFrom(tree, r.Source, len(faults) > 0)
	r.Platform, r.Problems = &platform, append(problems, atValues(withoutEchoes(more, faults), p)...)
	return r
}

// private are the hidden fields and definitions at the top of a file.
func private(labels map[string]schema.Position) map[string]schema.Position {
	var names map[string]schema.Position
	for path, at := range labels {
		if (path[0] == '_' || path[0] == '#') && !strings.ContainsAny(path, ".[") {
			if names == nil {
				names = map[string]schema.Position{}
			}
			names[path] = at
		}
	}
	return names
}

// evaluateLibrary judges files that others use. It declares nothing.
func (s *Schema) evaluateLibrary(u Unit) Result {
	first, problems := parse(u.Files[0], "", false)
	r := Result{Source: schema.Source{File: u.Path()}, Problems: problems, Library: true}
	if len(problems) > 0 {
		return r
	}
	if name := first.file.PackageName(); !declares(u.Path()) && (name == "services" || name == "platform") {
		r.Problems = []schema.Problem{misplaced(u.Path())}
		return r
	}
	r.Source.At = first.below()
	if isShared(u.Path()) {
		r.Problems = first.onlyShared()
	}
	if len(r.Problems) > 0 {
		return r
	}
	_, r.Problems = evaluated(u, first.file, cue.Path{}, &r.Source)
	return r
}

// read is what a declaration says, as encoding/json reads it with UseNumber, and how it differs from its form. What is written out is
// taken as it stands, all else is evaluated.
func (s *Schema) read(u Unit, p parsed, below cue.Path, want *form.Form, source *schema.Source) (map[string]any, []form.Fault, []schema.Problem) {
	var names []string
	value, literal := written(p.body)
	for _, selector := range below.Selectors() {
		group, _ := value.(map[string]any)
		names = append(names, selector.Unquoted())
		value = group[selector.Unquoted()]
	}
	if !literal || p.imports {
		var problems []schema.Problem
		if value, problems = evaluated(u, p.file, below, source); len(problems) > 0 {
			var faults []form.Fault
			for _, e := range named(p.body, names) {
				if wrong := wrongKinds("", e, want); len(wrong) > 0 {
					return nil, wrong, misshapen(wrong, *source, p.says(names...))
				}
				faults = append(faults, sureFaults(e, want)...)
			}
			return nil, faults, append(problems, misshapen(faults, *source, p.says(names...))...)
		}
	}
	faults := want.Check(value)
	tree, _ := value.(map[string]any)
	if len(faults) == 0 {
		return tree, nil, nil
	}
	problems := misshapen(faults, *source, p.says(names...))
	for i, told := range problems {
		if told.Hint == "" && told.Position.File == p.path {
			problems[i].Hint, _ = habitBehind(u.Files[0], told.Position, told)
		}
	}
	return tree, faults, problems
}

func prefixed(problems []schema.Problem, prefix string) []schema.Problem {
	for i, p := range problems {
		switch {
		case p.Path == "":
			problems[i].Path = prefix
		case !strings.HasPrefix(p.Path, prefix):
			problems[i].Path = prefix + "." + p.Path
		}
	}
	return problems
}
