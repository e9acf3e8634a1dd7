package load

import (
	"strconv"

	"cuelang.org/go/cue/ast"

	"github.com/edgewright/edgewright/schema/form"
)

// wrongKinds are the places where a file has a group for a list, or the other way round, as its syntax tells: what CUE says of it, when it
// joins the pieces, explains nothing.
func wrongKinds(path string, e ast.Expr, want *form.Form) []form.Fault {
	switch e := e.(type) {
	case *ast.StructLit:
		if want.Kind != form.Group {
			return mismatch(path, want, map[string]any{})
		}
		return wrongFields(path, e, want)
	case *ast.ListLit:
		if want.Kind != form.List {
			return mismatch(path, want, []any{})
		}
		var faults []form.Fault
		for i, item := range e.Elts {
			faults = append(faults, wrongKinds(path+"["+strconv.Itoa(i)+"]", item, want.Items)...)
		}
		return faults
	}
	return nil
}

func wrongFields(path string, e *ast.StructLit, want *form.Form) []form.Fault {
	var faults []form.Fault
	for _, d := range e.Elts {
		field, is := d.(*ast.Field)
		if !is {
			continue
		}
		name, _, err := ast.LabelName(field.Label)
		if err != nil {
			continue
		}
		below := name
		if path != "" {
			below = path + "." + name
		}
		switch known := want.Fields[name]; {
		case known != nil:
			faults = append(faults, wrongKinds(below, field.Value, known.Form)...)
		case want.Values != nil:
			faults = append(faults, wrongKinds(below, field.Value, want.Values)...)
		}
	}
	return faults
}

func mismatch(path string, want *form.Form, value any) []form.Fault {
	if want.Kind == form.Any {
		return nil
	}
	return want.CheckAt(path, value)[:1]
}
