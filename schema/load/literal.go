package load

import (
	"encoding/json"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"
)

// written reads a struct of literals as JSON would, with numbers as json.Number. It is false where something is not written out.
func written(e ast.Expr) (any, bool) {
	switch e := e.(type) {
	case *ast.StructLit:
		return writtenStruct(e)
	case *ast.ListLit:
		out := make([]any, 0, len(e.Elts))
		for _, el := range e.Elts {
			v, ok := written(el)
			if !ok {
				return nil, false
			}
			out = append(out, v)
		}
		return out, true
	case *ast.BasicLit:
		return writtenLiteral(e)
	}
	return nil, false
}

func writtenStruct(e *ast.StructLit) (any, bool) {
	out := make(map[string]any, len(e.Elts))
	for _, d := range e.Elts {
		field, is := d.(*ast.Field)
		if !is {
			if _, comment := d.(*ast.CommentGroup); comment {
				continue
			}
			return nil, false
		}
		name, _, err := ast.LabelName(field.Label)
		if err != nil || field.Constraint != token.ILLEGAL || field.Alias != nil || len(field.Attrs) > 0 {
			return nil, false
		}
		if _, ident := field.Label.(*ast.Ident); ident && strings.ContainsAny(name[:1], "_#") {
			return nil, false
		}
		if _, twice := out[name]; twice { // CUE unifies the two
			return nil, false
		}
		v, ok := written(field.Value)
		if !ok {
			return nil, false
		}
		out[name] = v
	}
	return out, true
}

func writtenLiteral(e *ast.BasicLit) (any, bool) {
	switch e.Kind {
	case token.STRING:
		s, err := literal.Unquote(e.Value)
		return s, err == nil && !strings.HasPrefix(strings.TrimLeft(e.Value, "#"), "'")
	case token.INT, token.FLOAT:
		var n literal.NumInfo
		if err := literal.ParseNum(e.Value, &n); err != nil {
			return nil, false
		}
		return json.Number(n.String()), true
	case token.TRUE, token.FALSE:
		return e.Kind == token.TRUE, true
	case token.NULL:
		return nil, true
	}
	return nil, false
}
