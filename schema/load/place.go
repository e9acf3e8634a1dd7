package load

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/form"
)

// Each file is read on its own, but CUE takes all files of a folder, and those of the folders above, for one package. So a file may have
// at its top only what cannot reach into the others: its own fields, written out as such, and names that nobody else has.

// isShared tells whether a file is for the files beside it and below: shared.cue in services/, in a team's folder, or in platform/.
func isShared(file string) bool {
	return declares(file) && path.Base(file) == sharedFile && strings.Count(file, "/") <= 2
}

// field is a field at the top of a file, or what stands there and is none.
type field struct {
	name  string
	value ast.Expr
	own   bool // hidden, or a definition: of no effect by itself
	at    token.Pos
}

// fieldsOf are the fields of a struct. strange is the first piece that is no field with a name written out: a comprehension, a pattern,
// an embedded value.
func fieldsOf(elements []ast.Decl) (fields []field, strange ast.Node) {
	for _, d := range elements {
		switch d := d.(type) {
		case *ast.CommentGroup, *ast.LetClause:
		case *ast.Field:
			label := d.Label
			if alias, is := label.(*ast.Alias); is {
				label, _ = alias.Expr.(ast.Label)
			}
			name, identifier, err := ast.LabelName(label)
			if err != nil {
				return fields, d
			}
			own := identifier && (strings.HasPrefix(name, "_") || strings.HasPrefix(name, "#"))
			fields = append(fields, field{name, d.Value, own, d.Label.Pos()})
		default:
			return fields, d
		}
	}
	return fields, nil
}

// bodyOf is a file without package clause and imports.
func bodyOf(file *ast.File) *ast.StructLit {
	body := &ast.StructLit{}
	for _, d := range file.Decls {
		switch d.(type) {
		case *ast.Package, *ast.ImportDecl:
		default:
			body.Elts = append(body.Elts, d)
		}
	}
	return body
}

// misplaced is told of a file that declares something where nothing is read. It holds nobody: nothing is lost by it but what it says.
func misplaced(file string) schema.Problem {
	name := path.Base(file)
	hint := "a service is declared in services/<team>/<id>.cue, the platform in platform/"
	if !declares(file) || strings.HasPrefix(file, "services/") {
		hint = "move it to services/<team>/" + name + ", with the team that owns it; the platform is declared in platform/"
	} else if strings.HasPrefix(file, "platform/") {
		hint = "move it to services/<team>/" + name + ", with the team that owns it: platform/ is for the platform"
	}
	return schema.Problem{Code: "file/place", Position: schema.Position{File: file, Line: 1, Column: 1}, Message: "no declaration is read from here", Hint: hint, Unused: true}
}

// onlyService demands that a file declares its own service and nothing else.
func (p parsed) onlyService(id schema.ServiceID, service *form.Form) []schema.Problem {
	if p := p.unwrapped(id, service); p != nil {
		return []schema.Problem{*p}
	}
	var problems []schema.Problem
	add := func(at schema.Position, message string) {
		problems = append(problems, schema.Problem{Code: "service/place", Position: at, Message: message,
			Hint: fmt.Sprintf("services/<team>/<id>.cue declares services: \"<id>\" and nothing else: here services: %q", id)})
	}
	found := false
	fields, strange := fieldsOf(p.body.Elts)
	for _, f := range fields {
		if f.own {
			continue
		}
		if f.name != "services" {
			add(position(p.path, f.at), fmt.Sprintf("unknown field %s", f.name))
			continue
		}
		group, is := f.value.(*ast.StructLit)
		if !is {
			add(position(p.path, f.at), fmt.Sprintf("which services this file declares is not written out: write services: %q: …", id))
			continue
		}
		services, odd := fieldsOf(group.Elts)
		for _, s := range services {
			if found = found || s.name == string(id); !s.own && s.name != string(id) {
				add(position(p.path, s.at), fmt.Sprintf("this file declares service %s, but is named after %s", s.name, id))
			}
		}
		if odd != nil {
			add(position(p.path, odd.Pos()), "this may reach the services of other files: CUE takes the files of a folder for one")
		}
	}
	if strange != nil {
		add(position(p.path, strange.Pos()), "at the top of a file this may reach other files: CUE takes the files of a folder for one")
	}
	if !found && len(problems) == 0 {
		add(schema.Position{File: p.path, Line: 1, Column: 1}, fmt.Sprintf("this file declares no service %s", id))
	}
	return problems
}

// unwrapped is told of a file that has the fields of its service, but not where they belong.
func (p parsed) unwrapped(id schema.ServiceID, service *form.Form) *schema.Problem {
	fault := func(at token.Pos, message string) *schema.Problem {
		return &schema.Problem{Code: "service/place", Position: position(p.path, at), Message: message, Hint: fmt.Sprintf("write services: %q: {…} around the fields of the service", id)}
	}
	fields, _ := fieldsOf(p.body.Elts)
	services := slices.IndexFunc(fields, func(f field) bool { return f.name == "services" })
	is := func(f field) bool { return service.Fields[f.name] != nil }
	if at := slices.IndexFunc(fields, is); at >= 0 && services < 0 {
		return fault(fields[at].at, fmt.Sprintf("%s is a field of a service, and stands at the top of the file", fields[at].name))
	}
	if services < 0 {
		return nil
	}
	switch group := fields[services].value.(type) {
	case *ast.ListLit:
		return fault(group.Pos(), "services is no list: each service is a field, called by its id")
	case *ast.StructLit:
		below, _ := fieldsOf(group.Elts)
		at := slices.IndexFunc(below, is)
		named := slices.ContainsFunc(below, func(f field) bool { return f.name == string(id) })
		if at >= 0 && !named {
			return fault(below[at].at, fmt.Sprintf("services has the field %s of a service, without the service's id around it", below[at].name))
		}
	}
	return nil
}

// onlyShared demands that a shared file declares nothing by itself.
func (p parsed) onlyShared() []schema.Problem {
	var problems []schema.Problem
	fields, strange := fieldsOf(p.body.Elts)
	for _, f := range fields {
		if !f.own {
			problems = append(problems, schema.Problem{Code: "file/shared", Position: position(p.path, f.at), Path: f.name,
				Message: fmt.Sprintf("a shared file declares nothing by itself, but this one has the field %s", f.name),
				Hint:    "name it #" + f.name + " or _" + f.name + ", and use it in the files of services"})
		}
	}
	if strange != nil {
		problems = append(problems, schema.Problem{Code: "file/shared", Position: position(p.path, strange.Pos()),
			Message: "a shared file declares nothing by itself, but this would take effect in every file that it is shared with",
			Hint:    "put it into a definition (#Name) or a hidden field (_name), and use that in the files of services"})
	}
	return problems
}

// noPatterns demands that no file of the platform speaks of what others declare.
func (p parsed) noPatterns() []schema.Problem {
	var problems []schema.Problem
	look := func(elements []ast.Decl) {
		for _, d := range elements {
			if f, is := d.(*ast.Field); is {
				if _, pattern := f.Label.(*ast.ListLit); pattern {
					problems = append(problems, schema.Problem{Code: "platform/pattern", Position: position(p.path, f.Label.Pos()),
						Message: "a pattern speaks of what other files declare, but here each file is read on its own",
						Hint:    "put it into a definition (#Name), and use that where it shall hold"})
				}
			}
		}
	}
	look(p.body.Elts)
	for _, d := range p.body.Elts {
		f, is := d.(*ast.Field)
		if !is {
			continue
		}
		if name, _, err := ast.LabelName(f.Label); err == nil && (strings.HasPrefix(name, "_") || strings.HasPrefix(name, "#")) {
			continue
		}
		if group, is := f.Value.(*ast.StructLit); is {
			look(group.Elts)
		}
	}
	return problems
}
