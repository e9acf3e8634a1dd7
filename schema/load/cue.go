package load

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/edgewright/edgewright/schema"
)

// SchemaModule is how a declaration imports the schema, which it needs not: every declaration is held against it anyway.
const SchemaModule = "github.com/edgewright/edgewright/schema/v1"

// compile builds the instance of a unit. Nothing is read but the unit's files and the schema that this program carries.
func compile(u Unit, first *ast.File) (*build.Instance, error) {
	packages, open := map[string]*build.Instance{}, map[string]bool{}
	var fault errors.Error // of a package that is imported, at the place of the import
	blame := func(pos token.Pos, format string, args ...any) {
		if fault == nil {
			fault = errors.Newf(pos, format, args...)
		}
	}
	var load build.LoadFunc
	load = func(pos token.Pos, name string) *build.Instance {
		name, wanted := importPath(name)
		if open[name] {
			blame(pos, "package %q imports itself, by way of others", name)
		}
		if known, done := packages[name]; done {
			if known.PkgName != wanted && name != SchemaModule {
				return nil
			}
			return known
		}
		files, ours := u.Packages[name]
		if name == SchemaModule {
			files, ours = schemaFiles(), true
		}
		if !ours {
			return nil // a package of CUE's own, or none: its evaluation tells
		}
		p := build.NewContext().NewInstance(name, load)
		packages[name], open[name] = p, true
		defer delete(open, name)
		if err := add(p, files); err != nil {
			blame(pos, "package %q cannot be read: %v", name, err)
			return p
		}
		if err := p.Complete(); err != nil {
			blame(pos, "package %q cannot be read: %v", name, err)
		}
		if p.PkgName != wanted && name != SchemaModule {
			blame(pos, "package %q calls itself %s, not %s", name, p.PkgName, wanted)
		}
		return p
	}
	instance := build.NewContext().NewInstance("", load)
	if err := instance.AddSyntax(first); err != nil {
		return nil, err
	}
	if err := add(instance, u.Files[1:]); err != nil {
		return nil, err
	}
	if err := instance.Complete(); fault == nil && err != nil {
		return nil, err
	}
	if fault != nil {
		return nil, fault
	}
	return instance, nil
}

// unreadableFile is a file beside the declaration that cannot be read.
type unreadableFile struct{ problem schema.Problem }

func (u *unreadableFile) Error() string {
	return u.problem.Position.String() + ": " + u.problem.Message
}

// add parses files that are within the bounds of one. What a file has wrong is an *unreadableFile.
func add(to *build.Instance, files []File) error {
	for _, f := range files {
		problem := cmp.Or(unreadable(f), tooMuch(f))
		if problem == nil {
			file, err := parser.ParseFile(f.Path, f.Data, parser.ParseComments)
			if err == nil {
				unwanted := attributes(f.Path, file)
				if isShared(f.Path) {
					unwanted = append(unwanted, parsed{path: f.Path, body: bodyOf(file)}.onlyShared()...)
				}
				if len(unwanted) > 0 {
					return &unreadableFile{unwanted[0]}
				}
				err = to.AddSyntax(file)
			}
			if err == nil {
				continue
			}
			problem = &syntaxProblems(f, err)[0]
		}
		return &unreadableFile{*problem}
	}
	return nil
}

func schemaFiles() []File {
	var files []File
	for _, name := range slices.Sorted(maps.Keys(schema.CUE())) {
		files = append(files, File{Path: "cue.mod/pkg/" + SchemaModule + "/" + name, Data: schema.CUE()[name]})
	}
	return files
}

// evaluated is what a unit evaluates to below a path, as encoding/json reads it with UseNumber, and where each value was written as
// far as the syntax of the declaration itself does not tell.
func evaluated(u Unit, first *ast.File, below cue.Path, source *schema.Source) (any, []schema.Problem) {
	instance, err := compile(u, first)
	var beside *unreadableFile
	if errors.As(err, &beside) {
		return nil, []schema.Problem{beside.problem}
	}
	if err != nil {
		return nil, fromCUE(u, err, *source)
	}
	whole := cuecontext.New().BuildInstance(instance)
	if err := whole.Err(); err != nil {
		return nil, fromCUE(u, err, *source)
	}
	v := whole.LookupPath(below)
	if err := v.Validate(cue.Concrete(true), cue.Final()); err != nil {
		return nil, fromCUE(u, err, *source)
	}
	note(v, "", source)
	data, err := v.MarshalJSON()
	if err != nil {
		return nil, fromCUE(u, err, *source)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, []schema.Problem{{Code: "cue/evaluate", Position: source.Find(""), Message: "this file cannot be read: " + err.Error()}}
	}
	return tree, nil
}

// note adds the places of values that do not stand in the declaration itself: they come from a shared file, a comprehension, a package.
func note(v cue.Value, path string, source *schema.Source) {
	if _, known := source.At[path]; !known {
		if p := v.Pos(); p.IsValid() {
			source.At[path] = position(p.Filename(), p)
		}
	}
	switch v.Kind() {
	case cue.StructKind:
		fields, err := v.Fields()
		for err == nil && fields.Next() {
			name := fields.Selector().Unquoted()
			if path != "" {
				name = path + "." + name
			}
			note(fields.Value(), name, source)
		}
	case cue.ListKind:
		items, err := v.List()
		for i := 0; err == nil && items.Next(); i++ {
			note(items.Value(), fmt.Sprintf("%s[%d]", path, i), source)
		}
	}
}

// fromCUE turns CUE's errors into sentences with the place that the author wrote.
func fromCUE(u Unit, err error, source schema.Source) []schema.Problem {
	var problems []schema.Problem
	told := map[string]bool{}
	var word schema.Position // the end of the last text without quotes
	for _, e := range errors.Errors(err) {
		path := authorPath(e.Path())
		p := wording(e, path)
		if at := within(u, e); at.File == u.Path() {
			if p.Code == "cue/reference" && at.Line == word.Line && at.Column < word.Column {
				continue // the same text, of which CUE makes several names
			}
			hint, bare := habitBehind(u.Files[0], at, p)
			if word = at; hint != "" {
				p.Hint = hint
			}
			word.Column += len(bare)
		}
		if p.Code == "cue/evaluate" && strings.Contains(p.Message, ": import ") && len(problems) > 0 {
			continue // an echo of the import that is not there
		}
		if p.Path, p.Position = path, authorPosition(u, e, source, path); p.Position.File != u.Path() {
			p.Path = "" // it speaks of the other file
		}
		if key := p.Position.String() + p.Message; told[key] {
			continue
		} else {
			told[key] = true
		}
		problems = append(problems, p)
		if len(problems) == maxProblems {
			break
		}
	}
	return problems
}

// habitBehind is how CUE has what an author wrote as in another language, where that is CUE too and means something else. bare is the text
// without quotes that stands there.
func habitBehind(f File, at schema.Position, p schema.Problem) (hint, bare string) {
	lines := bytes.Split(f.Data, []byte("\n"))
	if at.Line < 1 || at.Line > len(lines) || p.Code != "cue/reference" && p.Code != "cue/evaluate" && p.Hint != "" {
		return "", ""
	}
	line := string(lines[at.Line-1])
	if p.Code == "cue/reference" {
		bare = bareAt(line, at.Column)
	}
	if hint, _ = habitOn(line); hint == "" && bare != "" {
		hint = fmt.Sprintf("if it is text, put it in quotes: %q; a name is known in its own file and where shared.cue or an import brings it", bare)
	}
	return hint, bare
}

// authorPosition is where the author wrote what is wrong: as CUE says it when it names a file of the unit, else as the syntax tells.
func authorPosition(u Unit, e errors.Error, source schema.Source, path string) schema.Position {
	written, known := source.At[path]
	if p := within(u, e); p.Line != 0 {
		return p
	}
	if known {
		return written
	}
	if at := source.Find(path); at.Line != 0 {
		return at
	}
	return schema.Position{File: u.Path(), Line: 1, Column: 1}
}

// within is the first place that an error names: in the declaration if it names one there, else in what the declaration uses.
func within(u Unit, e errors.Error) schema.Position {
	var elsewhere schema.Position
	for _, p := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
		switch {
		case !p.IsValid():
		case p.Filename() == u.Path():
			return position(p.Filename(), p)
		case elsewhere.Line == 0 && slices.ContainsFunc(u.all(), func(f File) bool { return f.Path == p.Filename() }):
			elsewhere = position(p.Filename(), p)
		}
	}
	return elsewhere
}

// wording says what is wrong in a sentence that begins with the name of the field.
func wording(e errors.Error, path string) schema.Problem {
	format, args := e.Msg()
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	name := path
	if name == "" {
		name = "this declaration"
	}
	switch {
	case strings.Contains(text, "field not allowed"):
		return schema.Problem{Code: "cue/closed", Message: name + " is not allowed by the definition that this value is made of", Hint: "look at the definition (#…) for the fields that it has"}
	case strings.HasPrefix(format, "incomplete value"), strings.Contains(text, "non-concrete value"):
		return schema.Problem{Code: "field/incomplete", Message: name + " has no value yet: it is " + strings.TrimPrefix(text, "incomplete value "), Hint: "write one value out"}
	case strings.HasPrefix(format, "conflicting values"), strings.Contains(format, "mismatched types"):
		return schema.Problem{Code: "field/conflict", Message: name + " has two values: " + strings.TrimPrefix(text, "conflicting values "), Hint: "keep one of them"}
	case strings.Contains(text, "list.Concat"):
		return schema.Problem{Code: "cue/evaluate", Message: name + ": lists are not added with +", Hint: "write all items into one list, or import \"list\" and write list.Concat([one, other])"}
	case strings.HasPrefix(format, "reference"):
		return schema.Problem{Code: "cue/reference", Message: text, Hint: "a name is known in its own file and where shared.cue or an import brings it: quote it if you meant text"}
	case strings.HasPrefix(format, "imported and not used"):
		return schema.Problem{Code: "cue/import", Message: text, Hint: "remove the import, or rename it (import name \"…\") if a field of the same name hides it"}
	case strings.Contains(text, "imported but not defined"), strings.Contains(text, "builtin package"):
		_, quoted, _ := strings.Cut(text, "package ")
		quoted, _, _ = strings.Cut(quoted, " ")
		return schema.Problem{Code: "cue/import", Message: "there is no package " + quoted, Hint: "a declaration may import packages of this repository, as <module>/<folder> with the module that cue.mod/module.cue names, and of CUE itself (strings, list …); nothing is fetched"}
	case strings.HasPrefix(format, "package %q calls itself"):
		return schema.Problem{Code: "cue/import", Message: text, Hint: "import it as <folder>:<name>, or name the package after its folder"}
	case strings.HasPrefix(format, "package %q"):
		return schema.Problem{Code: "cue/import", Message: text, Hint: "mend the package, or stop importing it"}
	}
	return schema.Problem{Code: "cue/evaluate", Message: name + ": " + text}
}
