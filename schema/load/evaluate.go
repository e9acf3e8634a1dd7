package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"

	"github.com/edgewright/edgewright/schema"
)

// Schema is the compiled schema. It evaluates files one after another; it is not for concurrent use.
type Schema struct {
	context  *cue.Context
	service  cue.Value
	platform cue.Value
	id       cue.Value
}

// Compile compiles the schema that this program carries.
func Compile() (*Schema, error) {
	instance := build.NewContext().NewInstance("", nil)
	files := schema.CUE()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := instance.AddFile(name, files[name]); err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
	}
	ctx := cuecontext.New()
	root := ctx.BuildInstance(instance)
	if err := root.Err(); err != nil {
		return nil, fmt.Errorf("compile schema: %w", err)
	}
	s := &Schema{context: ctx}
	for name, to := range map[string]*cue.Value{"Service": &s.service, "Platform": &s.platform, "ID": &s.id} {
		*to = root.LookupPath(cue.MakePath(cue.Def(name)))
		if err := to.Err(); err != nil {
			return nil, fmt.Errorf("find #%s in schema: %w", name, err)
		}
	}
	return s, nil
}

// Evaluate reads one file. What is wrong with it is told in the result's problems; then it declares nothing.
func (s *Schema) Evaluate(f File) Result {
	f.Path = printable(f.Path)
	id, team := ServiceOf(f.Path)
	var r Result
	switch {
	case id != "":
		r = s.evaluateService(f, id, team)
	case strings.HasPrefix(f.Path, "platform/"):
		r = s.evaluatePlatform(f)
	default:
		r = Result{Problems: []schema.Problem{{Code: "file/place", Position: schema.Position{File: f.Path, Line: 1, Column: 1},
			Message: "no declaration belongs here", Hint: "a service is declared in services/<team>/<id>.cue, the platform in platform/"}}}
	}
	for i := range r.Problems {
		r.Problems[i].Service = id
		r.Problems[i].Message = printable(r.Problems[i].Message)
		if r.Problems[i].Position.Line == 0 {
			r.Problems[i].Position = schema.Position{File: f.Path, Line: 1, Column: 1}
		}
	}
	if len(r.Problems) > 0 {
		r.Service, r.Platform = nil, nil
	}
	return r
}

func (s *Schema) evaluateService(f File, id schema.ServiceID, team schema.TeamID) Result {
	p, problems := parse(f, "services")
	r := Result{Source: schema.Source{File: f.Path}, Problems: problems}
	if len(problems) > 0 {
		return r
	}
	prefix := "services." + string(id)
	r.Source.At = below(p.at, prefix)
	if err := s.id.Unify(s.context.BuildExpr(ast.NewString(string(id)))).Err(); err != nil {
		r.Problems = append(r.Problems, schema.Problem{Code: "service/id", Position: p.at[prefix], Message: fmt.Sprintf("%q cannot be a service's id", id),
			Hint: "an id is 1 to 63 lower-case letters, digits and dashes, and starts with a letter: rename the file"})
		return r
	}
	if misplaced := onlyService(f.Path, p.at, id); len(misplaced) > 0 {
		r.Problems = misplaced
		return r
	}
	whole := s.context.BuildExpr(p.body)
	declared := whole.LookupPath(cue.MakePath(cue.Str("services"), cue.Str(string(id))))
	tree, problems := s.evaluated(f, whole, declared, s.service, r.Source)
	if len(problems) > 0 {
		r.Problems = prefixed(problems, prefix)
		return r
	}
	service, problems := serviceFrom(tree, r.Source)
	service.ID = id
	if len(problems) == 0 && service.Owner.Team != team {
		problems = append(problems, schema.Problem{Code: "service/team", Position: r.Source.Find("owner.team"), Path: "owner.team",
			Message: fmt.Sprintf("owner.team is %s, but the file lies in the folder of %s", service.Owner.Team, team), Hint: "move the file, or name the folder's team"})
	}
	r.Service, r.Problems = &service, prefixed(problems, prefix)
	return r
}

func (s *Schema) evaluatePlatform(f File) Result {
	p, problems := parse(f, "platform")
	r := Result{Source: schema.Source{File: f.Path, At: p.at}, Problems: problems}
	if len(problems) > 0 {
		return r
	}
	whole := s.context.BuildExpr(p.body)
	tree, problems := s.evaluated(f, whole, whole, s.platform, r.Source)
	if len(problems) > 0 {
		r.Problems = problems
		return r
	}
	platform, problems := platformFrom(tree, r.Source)
	r.Platform, r.Problems = &platform, problems
	return r
}

// evaluated unifies what a file declares with its definition and reads it as JSON would.
func (s *Schema) evaluated(f File, whole, declared, definition cue.Value, source schema.Source) (map[string]any, []schema.Problem) {
	if err := whole.Err(); err != nil {
		return nil, fromCUE(f.Path, err, source, definition)
	}
	v := definition.Unify(declared)
	if err := v.Validate(cue.Concrete(true), cue.Final()); err != nil {
		return nil, fromCUE(f.Path, err, source, definition)
	}
	var tree map[string]any
	if err := v.Decode(&tree); err != nil {
		return nil, fromCUE(f.Path, err, source, definition)
	}
	return tree, nil
}

// onlyService demands that a file declares its own service and nothing else.
func onlyService(file string, at map[string]schema.Position, id schema.ServiceID) []schema.Problem {
	var problems []schema.Problem
	add := func(p schema.Position, message string) {
		problems = append(problems, schema.Problem{Code: "service/place", Position: p, Message: message,
			Hint: fmt.Sprintf("services/<team>/<id>.cue declares services: \"<id>\" and nothing else: here services: %q", id)})
	}
	found := false
	for _, path := range slices.Sorted(maps.Keys(at)) {
		label, rest, nested := strings.Cut(path, ".")
		switch {
		case strings.ContainsAny(label, "[") || strings.HasPrefix(label, "_") || strings.HasPrefix(label, "#"):
		case !nested && label != "services":
			add(at[path], fmt.Sprintf("unknown field %s", label))
		case nested && label == "services" && !strings.ContainsAny(rest, ".["):
			if rest == string(id) {
				found = true
			} else {
				add(at[path], fmt.Sprintf("this file declares service %s, but is named after %s", rest, id))
			}
		}
	}
	if !found && len(problems) == 0 {
		add(schema.Position{File: file, Line: 1, Column: 1}, fmt.Sprintf("this file declares no service %s", id))
	}
	return problems
}

// below are the places under a prefix, by what follows it.
func below(at map[string]schema.Position, prefix string) map[string]schema.Position {
	out := map[string]schema.Position{}
	for path, p := range at {
		switch rest, under := strings.CutPrefix(path, prefix); {
		case under && rest == "":
			out[""] = p
		case under && rest[0] == '.':
			out[rest[1:]] = p
		}
	}
	return out
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
