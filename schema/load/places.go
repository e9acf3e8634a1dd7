package load

import (
	"strconv"
	"strings"
	"unique"

	"cuelang.org/go/cue/ast"

	"github.com/edgewright/edgewright/schema"
)

// places tells where things stand in a file, by path.
type places struct {
	file   string
	at     map[string]schema.Position
	depth  int  // how deep to look; 0: all the way
	values bool // where values stand, not the names of fields
	alone  bool // no other file has these paths
}

// labels are the places of the fields down to a depth.
func (p parsed) labels(depth int) map[string]schema.Position {
	w := places{file: p.path, at: map[string]schema.Position{}, depth: depth}
	w.walk("", p.body, 1)
	return w.at
}

// below are the places of everything within the fields of a name, or in the whole file when there is no name. Paths begin there.
func (p parsed) below(names ...string) map[string]schema.Position { return p.within(false, names) }

// says are the places of the values in the same part of the file.
func (p parsed) says(names ...string) map[string]schema.Position { return p.within(true, names) }

func (p parsed) within(values bool, names []string) map[string]schema.Position {
	w := places{file: p.path, at: make(map[string]schema.Position, 64), values: values, alone: strings.HasPrefix(p.path, "platform/")}
	for _, e := range named(p.body, names) {
		w.walk("", e, 1)
	}
	return w.at
}

// named are the values of a field that may be written in several pieces.
func named(e ast.Expr, names []string) []ast.Expr {
	if len(names) == 0 {
		return []ast.Expr{e}
	}
	group, is := e.(*ast.StructLit)
	if !is {
		return nil
	}
	var found []ast.Expr
	for _, d := range group.Elts {
		if field, is := d.(*ast.Field); is {
			if label, _, err := ast.LabelName(field.Label); err == nil && label == names[0] {
				found = append(found, named(field.Value, names[1:])...)
			}
		}
	}
	return found
}

// note remembers a place. There is one string for a path that occurs in many files: they would be most of what is remembered.
func (w *places) note(path string, at schema.Position) {
	if !w.alone {
		path = unique.Make(path).Value()
	}
	w.at[path] = at
}

func (w *places) walk(prefix string, e ast.Node, depth int) {
	if w.depth > 0 && depth > w.depth {
		return
	}
	switch e := e.(type) {
	case *ast.StructLit:
		for _, d := range e.Elts {
			if field, is := d.(*ast.Field); is {
				w.field(prefix, field, depth)
			}
		}
	case *ast.ListLit:
		for i, el := range e.Elts {
			path := prefix + "[" + strconv.Itoa(i) + "]"
			w.note(path, position(w.file, el.Pos()))
			w.walk(path, el, depth+1)
		}
	}
}

func (w *places) field(prefix string, field *ast.Field, depth int) {
	label, _, err := ast.LabelName(field.Label)
	if err != nil {
		return
	}
	path := label
	if prefix != "" {
		path = prefix + "." + label
	}
	if _, known := w.at[path]; !known {
		at := field.Label.Pos()
		if w.values {
			at = field.Value.Pos()
		}
		w.note(path, position(w.file, at))
	}
	w.walk(path, field.Value, depth+1)
}
