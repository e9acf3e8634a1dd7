package load

import (
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"

	"github.com/edgewright/edgewright/schema/form"
)

// sureFaults are those of what a file writes out, however the rest of it may be evaluated: fields that there are not, and values that do
// not fit. What is missing may still come from elsewhere.
func sureFaults(e ast.Expr, want *form.Form) []form.Fault {
	s := sketch{open: map[string]bool{}}
	var sure []form.Fault
	for _, f := range want.Check(s.of("", e)) {
		if f.Code != "field/missing" && !s.isOpen(f.Path) {
			sure = append(sure, f)
		}
	}
	return sure
}

// sketch is what of a file is written out.
type sketch struct {
	open map[string]bool // paths of what has to be evaluated
}

func (s *sketch) of(path string, e ast.Expr) any {
	switch e := e.(type) {
	case *ast.StructLit:
		return s.fields(path, e)
	case *ast.ListLit:
		out := make([]any, 0, len(e.Elts))
		for i, item := range e.Elts {
			out = append(out, s.of(path+"["+strconv.Itoa(i)+"]", item))
		}
		return out
	case *ast.BasicLit:
		if v, is := writtenLiteral(e); is {
			return v
		}
	}
	s.open[path] = true
	return nil
}

func (s *sketch) fields(path string, e *ast.StructLit) map[string]any {
	out := map[string]any{}
	for _, d := range e.Elts {
		field, is := d.(*ast.Field)
		if !is {
			continue
		}
		name, _, err := ast.LabelName(field.Label)
		if err != nil || name == "" || strings.ContainsAny(name[:1], "_#") {
			continue
		}
		if _, twice := out[name]; twice {
			continue
		}
		below := name
		if path != "" {
			below = path + "." + name
		}
		out[name] = s.of(below, field.Value)
	}
	return out
}

// isOpen tells whether a path is one that has to be evaluated, or is within one.
func (s *sketch) isOpen(path string) bool {
	for {
		if s.open[path] {
			return true
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return s.open[""]
		}
		path = path[:cut]
	}
}
