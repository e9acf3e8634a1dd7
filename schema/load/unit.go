package load

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/mod/modfile"
	"github.com/pjbgf/sha1cd"

	"github.com/edgewright/edgewright/schema"
)

// Unit is what is evaluated in one go: a declaration, or a package that declarations import, with everything that it may refer to.
// It means the same wherever it is evaluated.
type Unit struct {
	Files    []File            `json:"files"`              // of one package, the declaration first
	Packages map[string][]File `json:"packages,omitempty"` // that it imports, and that those import, by import path without the name of the package

	literal bool
	sound   bool // its only file was looked at, and is within the bounds of one
	library bool // it declares nothing: others use it
}

// Path is the declaration's, or that of the package's first file.
func (u Unit) Path() string { return u.Files[0].Path }

// Names of files with a meaning of their own.
const (
	sharedFile      = "shared.cue"      // definitions and hidden fields for the files beside it and below
	constraintsFile = "constraints.cue" // what lets `cue vet` judge the files; the daemon needs it not
	moduleFile      = "cue.mod/module.cue"
)

// tree is the files of a commit by what they are for.
type tree struct {
	declarations []*File
	shared       map[string]File   // shared.cue by folder
	packages     map[string][]File // other .cue files by folder
	module       string
	problems     []schema.Problem
	looks        func(File) look
}

// look is what is known of a file without evaluating it.
type look struct {
	literal bool
	sound   bool // within the bounds of a file
	imports []string
}

// lookAt reads a file's words, and its imports where it may have some.
func lookAt(f File) look {
	literal, problem := inspect(f)
	if literal || problem != nil {
		return look{literal: literal, sound: problem == nil}
	}
	var names []string
	if file, err := parser.ParseFile(f.Path, f.Data, parser.ImportsOnly); err == nil {
		for spec := range file.ImportSpecs() {
			if name, err := strconv.Unquote(spec.Path.Value); err == nil {
				names = append(names, name)
			}
		}
	}
	return look{imports: names}
}

func sorted(files []File, looks func(File) look) *tree {
	t := &tree{shared: map[string]File{}, packages: map[string][]File{}, looks: looks, declarations: make([]*File, 0, len(files))}
	for i := range files {
		f := files[i]
		folder, name := path.Split(f.Path)
		folder = strings.TrimSuffix(folder, "/")
		top, _, _ := strings.Cut(f.Path, "/")
		declares := top == "services" || top == "platform"
		switch {
		case f.Unfit != "":
			id, _ := ServiceOf(f.Path)
			t.problems = append(t.problems, schema.Problem{Code: "file/unfit", Holds: schema.Holding(id), Unused: id == "" && !strings.HasSuffix(f.Path, ".cue"), Position: schema.Position{File: printable(f.Path), Line: 1, Column: 1},
				Message: "this file is not read: " + f.Unfit, Hint: "a declaration is a plain file of at most 256 KiB, and its name ends in .cue"})
		case f.Path == moduleFile:
			t.readModule(f)
		case top == "cue.mod" || declares && folder == top && name == constraintsFile:
		case isShared(f.Path):
			t.shared[folder] = f
		case declares || folder == "":
			t.declarations = append(t.declarations, &files[i])
		case leftOut(name):
			t.problems = append(t.problems, schema.Problem{Code: "file/ignored", Unused: true, Position: schema.Position{File: printable(f.Path), Line: 1, Column: 1},
				Message: "no import reads this file: CUE leaves it out for its name", Hint: "rename it: names that begin with _ or . or end with _tool.cue or _test.cue have a meaning of their own"})
		default:
			t.packages[folder] = append(t.packages[folder], f)
		}
	}
	t.compareCases(files)
	for _, files := range t.packages {
		slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	}
	return t
}

// leftOut tells whether CUE leaves a file out of the package that others import.
func leftOut(name string) bool {
	return strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") || strings.HasSuffix(name, "_tool.cue") || strings.HasSuffix(name, "_test.cue")
}

// compareCases finds files that are one file on the machine of somebody whose file system does not tell cases apart.
func (t *tree) compareCases(files []File) {
	if !slices.ContainsFunc(files, func(f File) bool { return strings.ToLower(f.Path) != f.Path }) {
		return
	}
	seen := make(map[string]string, len(files))
	for _, f := range files {
		low := strings.ToLower(f.Path)
		other, twice := seen[low]
		seen[low] = f.Path
		if !twice || other == f.Path {
			continue
		}
		id, _ := ServiceOf(f.Path)
		t.problems = append(t.problems, schema.Problem{Code: "file/case", Holds: schema.Holding(id), Position: schema.Position{File: printable(f.Path), Line: 1, Column: 1},
			Message: "the name of this file differs from " + printable(other) + " only in case", Hint: "rename one of the two: where cases are not told apart, one takes the other's place",
			Also: []schema.Position{{File: printable(other), Line: 1, Column: 1}}})
	}
}

// readModule learns how the packages of the repository are named in imports. What is wrong with it holds those that import.
func (t *tree) readModule(f File) {
	fault := func(p schema.Problem) {
		p.Unused = true
		t.problems = append(t.problems, p)
	}
	if p := cmp.Or(unreadable(f), tooMuch(f)); p != nil {
		fault(*p)
		return
	}
	file, err := parser.ParseFile(f.Path, f.Data)
	if err != nil {
		fault(syntaxProblems(f, err)[0])
		return
	}
	at := schema.Position{File: f.Path, Line: 1, Column: 1}
	what, plain := written(&ast.StructLit{Elts: file.Decls})
	fields, _ := what.(map[string]any)
	if name, _ := fields["module"].(string); plain && strings.TrimSpace(name) == "" {
		fault(schema.Problem{Code: "file/module", Position: at, Path: "module",
			Message: "this file names no module, so no package of this repository can be imported", Hint: `write: module: "acme.example/edge-config", with a name of your own`})
		return
	}
	if !plain {
		fault(schema.Problem{Code: "file/module", Position: at, Message: "this file holds more than plain values", Hint: "write the values out: module, and language: version"})
		return
	}
	module, err := modfile.Parse(f.Data, f.Path)
	if err != nil {
		fault(schema.Problem{Code: "file/module", Position: at, Message: "no command of CUE takes this file: " + err.Error(),
			Hint: `write module: "acme.example/edge-config" and language: version: "v0.12.0", and nothing that you do not need`})
		return
	}
	t.module, _, _ = strings.Cut(module.QualifiedModule(), "@")
}

// unit gathers what a declaration may refer to. One that is literal refers to nothing.
func (t *tree) unit(f File) Unit {
	if known := t.looks(f); known.literal {
		return Unit{Files: []File{f}, literal: true, sound: known.sound}
	}
	u := Unit{Files: append([]File{f}, t.sharedFor(path.Dir(f.Path))...)}
	t.gather(&u)
	return u
}

// libraries are the packages, and the shared files of each folder, on their own: nobody may use what is wrong in them.
func (t *tree) libraries() []Unit {
	var units []Unit
	for _, folder := range slices.Sorted(maps.Keys(t.packages)) {
		units = append(units, Unit{Files: t.packages[folder]})
	}
	for _, folder := range slices.Sorted(maps.Keys(t.shared)) {
		shared := t.sharedFor(folder)
		slices.Reverse(shared)
		units = append(units, Unit{Files: shared})
	}
	for i := range units {
		units[i].library = true
		t.gather(&units[i])
	}
	return units
}

// sharedFor are the shared files of a folder and those above it, the nearest last.
func (t *tree) sharedFor(folder string) []File {
	var files []File
	for ; folder != "."; folder = path.Dir(folder) {
		if shared, there := t.shared[folder]; there {
			files = append(files, shared)
		}
	}
	slices.Reverse(files)
	return files
}

// MaxUnit is how many bytes the files of one unit may have together.
const MaxUnit = 1 << 20

// gather adds the packages that a unit imports, and those that they import. Of a unit that is too large it gathers no more than shows it.
func (t *tree) gather(u *Unit) {
	size := u.Size()
	for open := slices.Clone(u.Files); len(open) > 0 && size <= MaxUnit; open = open[1:] {
		for _, name := range t.looks(open[0]).imports {
			name, _ = importPath(name)
			if _, known := u.Packages[name]; known {
				continue
			}
			files := t.packageOf(name)
			if files == nil {
				continue // a package of CUE itself, or a problem that its evaluation tells
			}
			if u.Packages == nil {
				u.Packages = map[string][]File{}
			}
			u.Packages[name] = files
			open = append(open, files...)
			for _, f := range files {
				size += len(f.Data)
			}
		}
	}
}

// importPath divides acme.example/edge-config/lib/http:web into the folder and the package in it, which is else called as the folder.
func importPath(name string) (folder, packageName string) {
	folder, packageName, qualified := strings.Cut(name, ":")
	if !qualified {
		packageName = path.Base(folder)
	}
	return folder, packageName
}

// packageOf are the files of a folder of this repository.
func (t *tree) packageOf(name string) []File {
	folder, inside := strings.CutPrefix(name, t.module+"/")
	if t.module == "" || !inside {
		return nil
	}
	return t.packages[folder]
}

// identity names what means the same wherever it is found.
type identity struct{ path, content string }

func (i identity) String() string { return i.path + "\x00" + i.content }

// identity is the same for units that mean the same.
func (u Unit) identity() identity {
	if u.literal {
		return u.Files[0].identity()
	}
	h := sha256.New()
	for _, f := range u.all() {
		h.Write([]byte(f.identity().String() + "\x00"))
	}
	for _, name := range slices.Sorted(maps.Keys(u.Packages)) {
		h.Write([]byte(name + "\x00"))
	}
	return identity{u.Path(), hex.EncodeToString(h.Sum(nil)[:16])}
}

// all are the unit's files, those of its packages last.
func (u Unit) all() []File {
	files := slices.Clone(u.Files)
	for _, name := range slices.Sorted(maps.Keys(u.Packages)) {
		files = append(files, u.Packages[name]...)
	}
	return files
}

// Size is how many bytes have to be read to evaluate the unit.
func (u Unit) Size() int {
	n := 0
	for _, f := range u.all() {
		n += len(f.Data)
	}
	return n
}

// identity is the same for files that are the same, wherever they are found.
func (f File) identity() identity { return identity{f.Path, f.hash()} }

// hash is git's of a blob, so that what is sent to the daemon is known to it from the branch. Files that were made to have one SHA-1 have
// other hashes here (sha1cd), as git has it.
func (f File) hash() string {
	if f.Hash != "" {
		return f.Hash
	}
	h := sha1cd.New()
	fmt.Fprintf(h, "blob %d\x00", len(f.Data))
	h.Write(f.Data)
	return hex.EncodeToString(h.Sum(nil))
}
